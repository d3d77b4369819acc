"""Papers that went from the input or changed there are named and left out, of every step."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pdf_samples import one_figure

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import run_command
from cephalo.dataset_scripts.common.inputs import DIGITS, leave_out_gone, told
from cephalo.dataset_scripts.common.tables import conversations_of_gone, find_tables


def shards(folder: Path) -> list[str]:
    return sorted(path.stem.rpartition("-")[0] for path in folder.glob("*.parquet"))


def test_removed_and_edited_papers_leave_every_step_and_come_back(tmp_path, capsys):
    papers, out, refined = tmp_path / "papers", tmp_path / "out", tmp_path / "refined"
    papers.mkdir()
    for seed, name in enumerate(("kept", "edited", "removed")):
        one_figure(papers / f"{name}.pdf", f"Creep of {name} steel at {seed} MPa.", seed=seed)

    def steps() -> str:
        run_command("extract", [str(papers), "--out", str(out), "--workers", "1"])
        command = [str(out), "--teacher", "caption", "--out", str(refined)]
        run_command("refine", command)
        return capsys.readouterr().err

    assert "left out" not in steps()
    old = (papers / "removed.pdf").read_bytes()
    (papers / "removed.pdf").unlink()
    one_figure(papers / "edited.pdf", "Fatigue of the edited steel.", seed=7)
    first = {path.name for path in (out / "figures").iterdir()}
    # Publishing before refining again: the old conversations are named and left out as well.
    run_command("extract", [str(papers), "--out", str(out), "--workers", "1"])
    said = capsys.readouterr().err
    assert "edited.pdf (edited), removed.pdf (removed)" in said
    assert [name.split("-")[0] for name in conversations_of_gone([out, refined])] == [
        "edited",
        "removed",
    ]
    assert [path.stem.split("-")[0] for path in find_tables([out, refined])["conversations"]] == [
        "kept"
    ]
    assert "left out 2 documents" in steps()
    for folder in (out / "figures", refined / "conversations"):
        assert shards(folder) == ["edited", "kept"]
    answers = [
        answer
        for shard in (refined / "conversations").glob("*.parquet")
        for answer in pq.read_table(shard)["answer"].to_pylist()
    ]
    assert sorted(answers) == ["Creep of kept steel at 0 MPa.", "Fatigue of the edited steel."]
    # Back again, it is not read anew.
    (papers / "removed.pdf").write_bytes(old)
    steps()
    assert (
        shards(out / "figures")
        == shards(refined / "conversations")
        == [
            "edited",
            "kept",
            "removed",
        ]
    )
    assert {path.name for path in (out / "figures").iterdir()} & first == {
        name for name in first if not name.startswith("edited")
    }


def shard(out: Path, name: str, sha256: str) -> Path:
    path = out / "figures" / f"{name}-{sha256[:DIGITS]}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"rows")
    return path


def test_other_folders_copies_and_unreadable_files_are_no_loss(tmp_path):
    a, b, out = tmp_path / "a", tmp_path / "b", tmp_path / "out"
    one, two, three = ("1" * 64, "2" * 64, "3" * 64)
    made = [shard(out, str(number), sha) for number, sha in enumerate((one, two, three))]
    assert leave_out_gone(out, [a], {a / "x.pdf": one, a / "y.pdf": two}, []) == []
    assert leave_out_gone(out, [b], {b / "copy.pdf": one, b / "z.pdf": three}, []) == []
    # `a` alone: x went there but has a copy in `b`, y cannot be read just now.
    assert leave_out_gone(out, [a], {}, [str(a / "y.pdf")]) == []
    assert all(path.exists() for path in made)
    # The copy went too, and z has a new name.
    assert leave_out_gone(out, [b], {b / "new.pdf": three}, []) == ["copy.pdf (removed)"]
    assert [path.exists() for path in made] == [False, True, True]
    assert json.loads((out / "inputs.json").read_text()) == {
        "2" * DIGITS: [str(a / "y.pdf")],
        "3" * DIGITS: [str(b / "new.pdf")],
    }
    (out / "inputs.json").write_text("[1]")
    with pytest.raises(CephaloError, match="is damaged; delete it"):
        leave_out_gone(out, [a], {}, [])


def test_many_are_counted():
    assert told(["a"]) == "left out 1 document that is no longer in the input: a"
    assert told([str(n) for n in range(12)]).endswith("8, 9 and 2 more")
