"""Conversations that people edit in `cephalo review`, and what the later steps make of them."""

import json
import logging
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from figure_samples import write_figures
from import_samples import read, turns, write_image

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main
from cephalo.dataset_scripts.common.decisions import read_decisions
from cephalo.dataset_scripts.importing.run import import_source
from cephalo.dataset_scripts.publication.dataset_folder import build_dataset
from cephalo.dataset_scripts.searching.index import open_index
from cephalo.dataset_scripts.workbench.catalogue import Catalogue
from cephalo.dataset_scripts.workbench.talks import decide_talk, talks_about

HOSTILE = "<img src=x onerror=alert(1)> \u202e"


@pytest.fixture
def own(tmp_path) -> Path:
    """Two imported images, each with questions."""
    rows = []
    for number in range(2):
        write_image(tmp_path / f"{number}.png", number)
        said = [f"Which phase is {number}?", "Ferrite.", "Sure?", "Yes."]
        people = ("human", "gpt") * 2
        turns_ = [{"from": who, "value": text} for who, text in zip(people, said, strict=True)]
        rows.append({"image": f"{number}.png", "conversations": turns_})
    (tmp_path / "t.json").write_text(json.dumps(rows))
    import_source(tmp_path / "t.json", tmp_path / "own", None, {})
    return tmp_path / "own"


def pairs(*texts: str) -> list[dict[str, str]]:
    names = ("question", "answer")
    return [dict(zip(names, texts[at : at + 2], strict=True)) for at in range(0, len(texts), 2)]


def test_imported_conversations_are_edited_and_rejected(own, tmp_path, caplog):
    """The shard stays as it is; export and publish have what people left, and count the rest."""
    caplog.set_level(logging.INFO, logger="cephalo")
    bench = Catalogue(own, "ann")
    bench.scan()
    [talk] = talks_about(own, bench.entry(0))
    assert talk["turns"] == pairs("Which phase is 0?", "Ferrite.", "Sure?", "Yes.")
    after = pairs("Which phase is bright?", HOSTILE, "Sure?", "No.")
    decide_talk(own, bench.entry(0), "ann", talk["id"], "edit", after)
    [again] = talks_about(own, bench.entry(0))
    assert (again["turns"], again["before"], again["decided"]) == (after, talk["turns"], "edit")
    [other] = talks_about(own, bench.entry(1))
    decide_talk(own, bench.entry(1), "ann", other["id"], "reject")
    bench.close()
    [edit, reject] = read_decisions(own / "decisions.jsonl")
    assert (edit.by, edit.decision, edit.shard) == ("ann", "edit", "import-00000-imported")
    assert [one.model_dump() for one in edit.before] == talk["turns"]
    assert (reject.decision, reject.turns) == ("reject", None) and reject.at is not None
    assert turns(read(own, "conversations")[0])[0] == "Which phase is 0?"

    main(["export", str(own), "--to", "sharegpt", "--out", str(tmp_path / "exported")])
    [row] = json.loads((tmp_path / "exported" / "sharegpt.json").read_text())
    said = [message["content"] for message in row["messages"]]
    assert said == ["<image>\nWhich phase is bright?", HOSTILE, "Sure?", "No."]
    assert "1 conversations that were rejected in review" in caplog.text
    published = build_dataset([own], "my-lab/made")
    assert "left out 1 rows of conversations: a person rejected it" in caplog.text
    assert "a person rejected it" in (published / "README.md").read_text()
    shards = published.glob("conversations/*.parquet")
    rows = [one for shard in shards for one in pq.read_table(shard).to_pylist()]
    assert [turns(one) for one in rows] == [["Which phase is bright?", HOSTILE, "Sure?", "No."]]
    assert rows[0]["answer"] == f"{HOSTILE}\n\nQ: Sure?\n\nA: No."
    assert json.loads(rows[0]["scores"])["person"] == "edited"


def test_search_finds_answers_as_edited(own):
    bench = Catalogue(own, "ann")
    bench.scan()

    def found(text: str) -> int:
        with open_index(own, own) as index:
            index.update()
            return len(index.find(text, 9)[0])

    assert (found("ferrite"), found("cementite")) == (2, 0)
    [talk] = talks_about(own, bench.entry(0))
    after = pairs("Which phase?", "Cementite.", "Sure?", "Yes.")
    decide_talk(own, bench.entry(0), "ann", talk["id"], "edit", after)
    assert (found("ferrite"), found("cementite")) == (1, 1)
    bench.close()


def test_an_edit_of_an_edit_after_refinement(tmp_path):
    """Refinement makes the conversation of the figure again, under its first identifier."""
    folder, refined = write_figures(tmp_path / "made", documents=1, figures=2), tmp_path / "refined"
    refine = ["refine", str(folder), "--teacher", "caption", "--out", str(refined)]
    main(refine)
    bench = Catalogue(folder, "ann", refined)
    bench.scan()

    def edit(*texts: str) -> None:
        [talk] = talks_about(refined, bench.entry(0))
        decide_talk(refined, bench.entry(0), "ann", talk["id"], "edit", pairs(*texts))

    def answers() -> list[str]:
        return sorted(turns(row)[1] for row in read(refined, "conversations"))

    first = answers()
    edit("What is this?", "Specimen 1 under a tension of 5 MPa.")
    main(refine)
    assert answers()[0] == "Specimen 1 under a tension of 5 MPa."
    [talk] = talks_about(refined, bench.entry(0))
    assert (talk["state"], talk["decided"]) == ("accepted", None)
    edit("What is this?", "Specimen 1 in tension.")
    [decision] = read_decisions(refined / "decisions.jsonl")
    assert decision.earlier == [talk["id"]] and decision.id != talk["id"]
    assert decision.before[0].answer in first
    # Exported before it is refined again, and after.
    main(["export", str(folder), str(refined), "--to", "llava", "--out", str(tmp_path / "before")])
    exported = (tmp_path / "before" / "llava.json").read_text()
    assert "Specimen 1 in tension." in exported and "5 MPa" not in exported
    main(refine)
    assert "Specimen 1 in tension." in answers()
    bench.close()


def test_an_edit_back_takes_the_decision_back_and_bad_ones_are_told(own):
    bench = Catalogue(own, "ann")
    bench.scan()
    entry = bench.entry(0)
    [talk] = talks_about(own, entry)
    for bad, words in [
        (pairs("Which?", "That."), "an edited conversation keeps its number of questions"),
        (pairs("Which?", "", "Sure?", "Yes."), "answer: String should have at least 1 char"),
        (pairs("W", "Ferrite.", "Sure?", "Yes."), "question: String should have at least 2 char"),
        (pairs("Which?", "x" * 20_001, "Sure?", "Yes."), "answer: String should have at most"),
        (pairs("Which?", "\ud800", "Sure?", "Yes."), "answer: "),
        (["Which?", "x"], "the conversation: "),
        (None, "keeps its number of questions"),
        ("x" * 5, "the conversation: "),
    ]:
        with pytest.raises(CephaloError, match=words):
            decide_talk(own, entry, "ann", talk["id"], "edit", bad)
    assert not (own / "decisions.jsonl").exists()
    long = pairs(*["\x01" * 19_000] * 4)  # six characters each, as JSON has them
    with pytest.raises(CephaloError, match="more than 200,000 characters"):
        decide_talk(own, entry, "ann", talk["id"], "edit", long)
    edited = pairs("Which?", "Ferrite.", "Sure?", "Yes.")
    decide_talk(own, entry, "ann", talk["id"], "edit", edited)
    assert len(read_decisions(own / "decisions.jsonl")) == 1
    decide_talk(own, entry, "ann", talk["id"], "edit", talk["turns"])
    assert read_decisions(own / "decisions.jsonl") == []
    assert talks_about(own, entry) == [talk]
    bench.close()
