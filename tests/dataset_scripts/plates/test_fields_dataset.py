"""The data set of plates: rows, splits without leaks, shards made again, the card, a push."""

import ast
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard
from warm_python import warm_python

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.plates import build as building
from cephalo.dataset_scripts.plates import fracture
from cephalo.dataset_scripts.plates.build import Plan, build, chunks, make_chunk
from cephalo.dataset_scripts.plates.elasticity import solve
from cephalo.dataset_scripts.plates.families import SEEN, UNSEEN, generator
from cephalo.dataset_scripts.plates.fracture import draw_notched, grow
from cephalo.dataset_scripts.plates.rows import (
    CRACKS,
    FIELDS,
    NOTCHED,
    TALKS,
    crack_rows,
    keys,
    notched_rows,
    split_of,
    stress_rows,
)

PLAN = Plan(samples=60, notched=32, cracks=24, seed=0, pixels=32)
COMMAND = ["-m", "cephalo.dataset_scripts.plates", "--pixels", "16"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "plates"
    build(folder, PLAN, "lab/plates", workers=1)
    return folder


def rows_of(folder, config):
    data = load_dataset(str(folder), config, cache_dir=str(folder.parent / "cache"))
    return {split: list(rows) for split, rows in data.items()}, data["train"].features


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".progress" not in path.parts
    }


def test_load_dataset_opens_every_config_and_split(folder):
    counts = {}
    made = {"fields": FIELDS, "notched": NOTCHED, "cracks": CRACKS, "conversations": TALKS}
    for config, features in made.items():
        splits, found = rows_of(folder, config)
        assert found == features
        counts[config] = {split: len(rows) for split, rows in splits.items()}
    assert counts["fields"]["unseen_families"] == 12
    assert counts["notched"]["unseen_families"] == 6 and counts["cracks"]["unseen_families"] == 4
    totals = {config: sum(found.values()) for config, found in counts.items()}
    assert totals == {"fields": 72, "notched": 38, "cracks": 28, "conversations": 2 * 72 + 38 + 28}
    assert counts["fields"]["train"] > counts["fields"]["test"] > 0


def test_no_plate_is_in_two_splits_and_unseen_families_are_in_one(folder):
    places: dict[str, set[str]] = {}
    splits, _ = rows_of(folder, "conversations")
    for split, rows in splits.items():
        families = {row["family"] for row in rows}
        assert families <= (set(UNSEEN) if split == "unseen_families" else set(SEEN))
        for row in rows:
            places.setdefault(row["document_sha256"], set()).add(split)
            places.setdefault(row["figures"][0]["image_sha256"], set()).add(split)
    assert all(len(found) == 1 for found in places.values())


def test_who_memorises_the_images_of_train_knows_no_answer_of_the_test(folder):
    splits, _ = rows_of(folder, "conversations")
    known = {
        (picture.tobytes(), row["query"]): row["answer"]
        for row in splits["train"]
        for picture in mirrored(np.asarray(row["images"][0]))
    }
    asked = [row for split in ("validation", "test", "unseen_families") for row in splits[split]]
    assert len(asked) > 40
    assert not any((np.asarray(row["images"][0]).tobytes(), row["query"]) in known for row in asked)
    assert all(
        (np.asarray(row["images"][0]).tobytes(), row["query"]) in known for row in splits["train"]
    )


def mirrored(pixels):
    return pixels, pixels[::-1], pixels[:, ::-1], pixels[::-1, ::-1]


def test_mirror_images_share_their_key_and_split():
    plate = np.triu(np.ones((8, 8)))
    found = {keys("any", 0, picture)["geometry_sha256"] for picture in mirrored(plate)}
    assert len(found) == 1
    assert keys("any", 0, plate.T[:4])["geometry_sha256"] not in found
    assert split_of({"geometry_sha256": "0"}) in ("train", "validation", "test")


def test_plate_made_alone_is_the_one_of_the_data_set(folder):
    splits, _ = rows_of(folder, "fields")
    asked = {
        row["query"]: row
        for rows in rows_of(folder, "conversations")[0].values()
        for row in rows
        if row["document"] == "holes 3" and "Calculate" in row["query"]
    }
    [there] = [
        row
        for rows in splits.values()
        for row in rows
        if (row["family"], row["index"]) == ("holes", 3)
    ]
    alone, talks = stress_rows("holes", seed=0, index=3, n=32)
    for name in ("stress_stdev", "stress_mean", "stress_median", "energy_peratom_mean"):
        assert there[name] == alone[name]
    assert asked[talks[0]["query"]]["answer"] == talks[0]["answer"]
    numbers = ", ".join(
        f"{alone[name]:.3f}" for name in ("stress_stdev", "stress_mean", "stress_median")
    )
    assert talks[0]["query"] == (
        "CalculateVonMisesStressStatistics <stress_stdev, stress_mean, stress_median>"
    )
    assert talks[0]["answer"] == f"[{numbers}]"
    assert talks[0]["prompt"][0]["content"][0]["type"] == "image"
    assert talks[1]["task"] == "CalculatePotentialEnergyStatistics"


def test_crack_row_tells_what_broke():
    families = ["notches", "lattice", "nacre-like bricks"]
    rows = [crack_rows(family, seed=0, index=1, n=32) for family in families]
    assert {talks[0]["answer"] for _, talks in rows} == {"yes", "no"}
    for row, talks in rows:
        cracked = talks[0]["answer"] == "yes"
        assert row["initiate"] == cracked == (row["diff_proportion"] > 0) == (row["damage"] > 1e-9)
        assert (row["peak_energy"] >= fracture.TOUGHNESS) == cracked
        assert row["von_mises_scale"] > 1  # MPa; 2 in a uniform plate without a notch
        assert len(row["epotfield_list"]) == row["frames"] == 10
        assert row["last_epotfield"] == row["epotfield_list"][-1] != row["start_epotfield"]


def test_notched_row_is_solved_once_and_tells_whether_a_crack_would_start():
    found = set()
    for index in range(8):
        row, [talk] = notched_rows("notches", seed=0, index=index, n=32)
        plate = draw_notched("notches", generator(0, "notched/notches", index), 32)
        assert row["initiate"] == grow(plate).initiated == (talk["answer"] == "yes")
        assert row["stress_mean"] == pytest.approx(solve(plate).von_mises[plate > 0].mean())
        assert talk["task"] == "CrackInitiation"
        found.add(row["initiate"])
    assert found == {0, 1}


def test_run_again_makes_only_what_is_missing_and_the_same_bytes(tmp_path, folder, monkeypatch):
    copy = tmp_path / "plates"
    shutil.copytree(folder, copy)
    before = contents(copy)
    [lost] = [chunk for chunk in chunks(PLAN) if chunk.kind == "cracks" and chunk.seen]
    (copy / ".progress" / lost.name).unlink()
    for path in (copy / "cracks").glob("train-*"):
        path.unlink()
    (copy / "conversations" / f".test-{lost.name}.parquet.tmp").write_bytes(b"half a sha")
    made = []

    def run(folder, plan, left, workers):
        made.extend(left)
        for chunk in left:
            make_chunk(folder, plan, chunk)

    monkeypatch.setattr(building, "run", run)
    files = build(copy, PLAN, "lab/plates", workers=1)
    assert made == [lost]
    assert contents(copy) == before
    assert files == sorted(before)


def test_another_plan_is_refused(folder):
    with pytest.raises(CephaloError, match="give the same options or another"):
        build(
            folder,
            Plan(samples=61, notched=32, cracks=24, seed=0, pixels=32),
            "lab/plates",
            workers=1,
        )


def test_card_tells_units_families_and_splits(folder):
    card = DatasetCard.load(folder / "README.md")
    assert card.data.license == "cc0-1.0"
    assert [config["config_name"] for config in card.data.configs] == [
        "conversations",
        "cracks",
        "fields",
        "notched",
    ]
    for text in (
        "| MPa |",
        "| kJ/m³ |",
        "| Voronoi foam (unseen) | 6 |",
        "| uniform bar | 8 |",
        "stretched along x by 0.2 % of its width",
        "--samples 60 --notched 32 --cracks 24",
    ):
        assert text in card.text
    assert (folder / "card" / "samples.png").stat().st_size > 10_000


def group_lives(group: int) -> bool:
    """Whether a process of a group runs; those that ended and wait to be collected do not."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True).stdout
    states = [line.split() for line in listed.splitlines()]
    return any(int(own) == group and state[0] != "Z" for own, state in states)


def test_killed_run_goes_on_and_arrives_on_the_hub(tmp_path, hub):
    out, home = tmp_path / "plates", tmp_path / "home"
    home.mkdir()
    command = [*COMMAND, "--out", str(out), "--samples", "400", "--notched", "0", "--cracks", "0"]
    command += ["--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, *command], start_new_session=True, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not list(out.glob(".progress/fields-*")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    while group_lives(process.pid) and time.monotonic() < deadline:  # its workers end with it
        time.sleep(0.05)
    assert not group_lives(process.pid)
    first = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    assert first and not (out / "README.md").exists()
    again = [warm_python(), *command, "--push", "alice/plates"]
    subprocess.run(again, env=hub.environment(home), check=True)
    assert {path: path.stat().st_mtime_ns for path in first} == first
    code = """
from datasets import load_dataset
rows = load_dataset("alice/plates", "conversations")
print({split: len(found) for split, found in rows.items()}, rows["test"][0]["images"][0].size)
"""
    printed = hub.run(code, home)
    assert "'unseen_families': 160" in printed and "(256, 256)" in printed
    counts = ast.literal_eval(printed[: printed.index("}") + 1])
    assert sum(counts.values()) == 2 * 480
