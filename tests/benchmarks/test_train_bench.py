"""The benchmark of training compares ways that learn the same."""

import json
import subprocess

import pytest
from warm_python import warm_python

from benchmarks.bench_train import WAYS, best, table


def result(seconds: float, loss: float) -> dict:
    return {"wall": [seconds] * 4, "cpu": [seconds] * 4, "losses": [loss] * 4, "memory": 10.4}


def test_gains_are_over_the_first_way_of_the_same_step_size():
    seconds = [12, 6, 3, 10, 6, 8, 6, 5, 4, 2.5, 2]
    lines = table([result(one, 1.5) for one in seconds], 6, WAYS).splitlines()
    assert len(lines) == 2 + len(WAYS) == 13
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    assert [row[0] for row in cells] == [name for name, _, _ in WAYS]
    assert [row[4] for row in cells] == [
        "1.00",
        "2.00",
        "4.00",
        "1.00",
        "1.67",
        "1.25",
        "1.67",
        "2.00",
        "2.50",
        "4.00",
        "5.00",
    ]
    assert [row[5] for row in cells] == [
        *("", "", "", "0.60", "1.00", "0.75", "1.00", "1.20", "1.50", "2.40", "3.00"),
    ]
    assert cells[-1][5] == cells[-1][6]
    assert cells[0][1:3] == ["0.50", "0.50"] and cells[0][7:] == ["10", " ".join(["1.5000"] * 4)]
    assert best([result(3, 1.0), result(2, 2.0)]) == {**result(2, 1.0)}


@pytest.mark.slow
def test_ways_learn_the_same_and_gain(tmp_path):
    out = tmp_path / "found.json"
    command = [warm_python(), "-m", "benchmarks.bench_train", "--rows", "24", "--repeats", "1"]
    subprocess.run([*command, "--out", str(out)], check=True, capture_output=True)
    notebook, alone, all_of_four, *of_eight = json.loads(out.read_text())
    kept = of_eight.pop(1)
    assert kept["losses"] == pytest.approx(of_eight[0]["losses"], abs=1e-4)
    for way in of_eight[1:]:
        assert way["losses"] == pytest.approx(of_eight[0]["losses"], abs=1e-4)
        assert way["memory"] < of_eight[0]["memory"]
    # On answers alone it learns them no worse.
    assert all_of_four["losses"][-1] < notebook["losses"][-1] + 0.01
    assert all_of_four["losses"] == pytest.approx(alone["losses"], abs=1e-4)
    assert sum(of_eight[0]["cpu"]) > 1.5 * sum(of_eight[-1]["cpu"])


@pytest.mark.slow
@pytest.mark.parametrize("family", ["qwen3_vl", "gemma3"])
def test_new_families_learn_the_same_without_one_switch_after_another(family, tmp_path):
    out = tmp_path / "found.json"
    command = [warm_python(), "-m", "benchmarks.bench_train", "--family", family, "--switches"]
    command += ["--rows", "24", "--repeats", "1", "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    _, kept, every, *without = json.loads(out.read_text())
    for way in (every, *without):
        assert way["losses"] == pytest.approx(kept["losses"], abs=1e-4)
    assert sum(kept["cpu"]) > 2 * sum(every["cpu"])
