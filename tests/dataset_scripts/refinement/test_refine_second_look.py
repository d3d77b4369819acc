"""The second look: what judges see, what comes of it, and what people decide after that.
Teacher and judges are fake ones behind a real server."""

import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from refine_samples import MATERIALS, material_figures, refine, rows_of, set_aside
from teacher_server import (
    OWN_WORDS,
    TeacherServer,
    caption_of,
    error,
    faithful,
    truthful_judge,
    user_text,
)

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.common.decisions import read_decisions
from cephalo.dataset_scripts.common.schema import FIGURES
from cephalo.dataset_scripts.refinement.review_page import write_review_page
from cephalo.dataset_scripts.refinement.second_look import SecondLook, Verdict, Vote, majority

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
DESCRIBE = ["--tasks", "describe"]


def said_of(material: str, more: str = "") -> str:
    """An answer about a material, unlike those about the others."""
    words = " ".join(random.Random(material).sample(OWN_WORDS.split(), 25))
    return f"Tablets of {material} bend at layered borders: {words}.{more}"


BENCH = Path(__file__).parents[4] / "shared" / "bench"


@pytest.fixture
def figures(tmp_path) -> Path:
    return material_figures(tmp_path / "figures", documents=1)


@pytest.fixture
def server():
    with TeacherServer(faithful) as server:
        yield server


def is_judge(body: dict) -> bool:
    return "second reader" in body["messages"][0]["content"] or "response_format" not in body


def says(verdicts: dict[str, str], more: str = ""):
    """A teacher with an answer of its own for each material, and a judge who says of each material
    what `verdicts` has for it, else "agrees"."""

    def model(body: dict) -> str:
        material = re.search(r"Tablets of (\w+)", caption_of(body))[1]
        if not is_judge(body):
            return json.dumps({"description": said_of(material, more)})
        if "response_format" not in body:
            return f"{material} was looked at"
        verdict = verdicts.get(body["model"], verdicts.get(material, "agrees"))
        scores = dict.fromkeys(("correctness", "grounding", "clarity"), 4)
        return json.dumps({"reason": f"{material}: so it is.", "verdict": verdict, **scores})

    return model


def look(row: dict) -> dict:
    scores = row["scores"] if isinstance(row["scores"], dict) else json.loads(row["scores"])
    return scores["second_look"]


def test_a_judge_answers_without_seeing_the_answer_and_then_compares(
    figures, server, tmp_path, capsys
):
    server.model = says({"bone": "disagrees"})
    report = refine(figures, tmp_path / "out", server, *DESCRIBE)
    assert report["second_look"] == {"agrees": 2, "disagrees": 1}
    assert report["params"]["judges"] == ["fake"]
    told = capsys.readouterr().err
    assert "up to 3 questions to fake, and about 6 requests for verification by" in told
    assert [row["orig_caption"].split()[2] for row in rows_of(tmp_path / "out")] == [
        "nacre",
        "silk",
    ]
    [vote] = look(rows_of(tmp_path / "out")[0])["votes"]
    assert vote == {
        "judge": "fake",
        "verdict": "agrees",
        "reason": "nacre: so it is.",
        "answer": "nacre was looked at",
        "scores": {"correctness": 4, "grounding": 4, "clarity": 4},
    }
    [line] = set_aside(tmp_path / "out")
    assert line["failed"] == {"second_look": "bone: so it is."}
    assert look(line)["outcome"] == "disagrees"
    own = [body for body in server.requests if "response_format" not in body]
    compared = [body for body in server.requests if is_judge(body) and body not in own]
    assert len(own) == len(compared) == 3 and len(server.requests) == 9
    assert all("bend at layered" not in user_text(body) for body in own)
    assert all(body["messages"][1]["content"][0]["type"] == "image_url" for body in own)
    for body in compared:
        assert len(body["messages"][1]["content"]) == 1  # no image: its own answer tells of it
        assert "Answer to be checked: Tablets of" in user_text(body)
        assert "was looked at" in user_text(body)
    assert {body["temperature"] for body in own + compared} == {0.0}


def test_judges_overrule_doubts_and_never_what_is_of_form(figures, server, tmp_path):
    server.model = says({"bone": "disagrees", "silk": "undecided"}, " It is 77 nm wide.")
    refine(figures, tmp_path / "out", server, *DESCRIBE)
    [row] = rows_of(tmp_path / "out")
    assert look(row)["overruled"]["number"].startswith("77 nm: ")
    assert "- number: 77 nm" in "".join(server.texts())
    assert [sorted(line["failed"]) for line in set_aside(tmp_path / "out")] == [
        ["number", "second_look"],
        ["number"],
    ]
    assert not set_aside(tmp_path / "out", "undecided")
    server.model, before = says({}, " See Figure 3. It is 88 nm."), len(server.requests)
    refine(figures, tmp_path / "more", server, *DESCRIBE)
    assert len(server.requests) - before == 3  # no judge was asked
    assert set(set_aside(tmp_path / "more")[0]["failed"]) == {"number", "dangling_reference"}


def test_a_reply_that_nobody_can_read_leaves_it_to_the_checks(figures, server, tmp_path):
    good = says({})
    server.model = lambda body: "{}" if is_judge(body) else good(body)
    report = refine(figures, tmp_path / "out", server, *DESCRIBE)
    assert report["tasks"]["describe"] == {"accepted": 3, "rejected": 0}
    assert report["second_look"] == {"unread": 3}
    assert look(rows_of(tmp_path / "out")[0])["votes"][0]["verdict"] == "unread"
    assert "3 conversations for people" in write_review_page(figures, tmp_path / "out")
    bad = says({}, " It is 77 nm wide.")
    server.model = lambda body: "{}" if is_judge(body) else bad(body)
    refine(figures, tmp_path / "bad", server, *DESCRIBE)
    failed = [line["failed"] for line in set_aside(tmp_path / "bad")]
    assert [list(one) for one in failed] == [["number"]] * 3


def test_a_lost_reply_of_a_judge_is_asked_for_again(figures, server, tmp_path):
    server.model = says({})
    with TeacherServer(says({})) as judges:
        once = [*DESCRIBE, "--max-retries", "0", "--judge", "j", "--judge-base-url", judges.url]
        judges.faults = [error(500, "oops")]
        out = tmp_path / "out"
        assert refine(figures, out, server, *once)["second_look"] == {"agrees": 2, "unread": 1}
        assert len(rows_of(out)) == 3 and len(judges.requests) == 5
        assert refine(figures, out, server, *once)["second_look"] == {"agrees": 3}
        assert len(judges.requests) == 7 and len(server.requests) == 3
        assert refine(figures, out, server, *once)["run"]["done_before"] == 1


def test_a_low_score_is_a_disagreement():
    found = Verdict(reason="So it is.", verdict="agrees", correctness=5, grounding=2, clarity=4)
    second_look = SecondLook([], threshold=3)
    vote = second_look.read("j", found, "own")
    assert (vote.verdict, vote.reason) == ("disagrees", "grounding 2: So it is.")
    assert SecondLook([], threshold=2).read("j", found, "own").verdict == "agrees"


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ("agrees agrees disagrees", "agrees"),
        ("disagrees undecided disagrees", "disagrees"),
        ("agrees disagrees", "undecided"),
        ("agrees disagrees undecided", "undecided"),
        ("agrees unread unread", "agrees"),
        ("unread unread", "unread"),
    ],
)
def test_more_than_half_of_those_who_can_be_read_decide(votes, expected):
    assert majority([Vote("j", vote, "", "") for vote in votes.split()]) == expected


def test_several_judges_have_a_server_and_a_key_of_their_own(figures, server, tmp_path):
    verdicts = {"strict": "disagrees", "mild": "agrees", "third": "agrees"}
    with TeacherServer(says(verdicts)) as judges:
        server.model = says({})
        names = [word for name in verdicts for word in ("--judge", name)]
        more = [*DESCRIBE, *names, "--judge-base-url", judges.url]
        report = refine(figures, tmp_path / "out", server, *more)
        assert report["params"]["judges"] == ["strict", "mild", "third"]
        assert {head["authorization"] for head in server.headers} == {"Bearer sk-secret-key"}
        assert {head["authorization"] for head in judges.headers} == {"Bearer -"}
        assert len(server.requests) == 3 and len(judges.requests) == 3 * 3 * 2
    votes = look(rows_of(tmp_path / "out")[0])["votes"]
    assert [vote["verdict"] for vote in votes] == ["disagrees", "agrees", "agrees"]


def test_a_judge_who_knows_the_truth_keeps_the_good_and_catches_the_bad(server, tmp_path):
    """Right answers that the checks doubt, and wrong ones that they pass."""
    figures = material_figures(tmp_path / "figures", documents=1, figures=6)
    bad = {name: said_of(name) for name in MATERIALS[:3]}
    good = {name: said_of(name, " It is 77 nm wide.") for name in MATERIALS}
    judge = truthful_judge(bad.values())

    def model(body):
        if is_judge(body):
            return judge(body)
        name = re.search(r"Tablets of (\w+)", caption_of(body))[1]
        return json.dumps({"description": (good | bad)[name]})

    server.model = model
    report = refine(figures, tmp_path / "out", server, *DESCRIBE)
    assert report["tasks"]["describe"] == {"accepted": 3, "rejected": 3}
    kept = [row["orig_caption"].split()[2] for row in rows_of(tmp_path / "out")]
    assert kept == MATERIALS[3:6]


def test_the_next_run_applies_what_people_decided(figures, server, tmp_path):
    server.model = says(dict.fromkeys(MATERIALS, "undecided"))
    out = tmp_path / "out"
    report = refine(figures, out, server, *DESCRIBE)
    assert report["undecided"] == {"describe": 3} and rows_of(out) == []
    lines = set_aside(out, "undecided")
    edited = [{"question": "What is it?", "answer": "It is silk, by hand."}]
    decisions = [
        {"decision": "accept"},
        {"decision": "reject", "note": "not so"},
        {"decision": "edit", "turns": edited},
    ]
    given = tmp_path / "given.jsonl"
    given.write_text(
        "".join(
            json.dumps({"id": line["id"], "shard": "paper-0", **decision}) + "\n"
            for line, decision in zip(lines, decisions, strict=True)
        )
    )
    asked = len(server.requests)
    refine(figures, out, server, *DESCRIBE, "--decisions", str(given))
    rows = rows_of(out)
    assert [json.loads(row["scores"])["person"] for row in rows] == ["accepted", "edited"]
    assert rows[0]["answer"] == lines[0]["turns"][0]["answer"]
    assert (rows[1]["query"], rows[1]["answer"]) == tuple(edited[0].values())
    assert set_aside(out)[0]["failed"] == {"person": "not so"}
    assert not set_aside(out, "undecided")
    report = refine(figures, out, server, *DESCRIBE)  # it holds without being given again
    assert report["run"]["done_before"] == 1
    assert len(server.requests) == asked
    # Of two decisions the later counts.
    given.write_text(json.dumps({"id": lines[1]["id"], "shard": "paper-0", "decision": "accept"}))
    refine(figures, out, server, *DESCRIBE, "--decisions", str(given))
    assert len(rows_of(out)) == 3 and len(server.requests) == asked


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is not a decision: the line: Invalid JSON"),
        ('{"id": "1", "decision": "accept"}', "line 2 is not a decision: shard: Field required"),
        ('{"id": "1", "shard": "a", "decision": "maybe"}', "decision: Input should be 'accept'"),
        ('{"id": "1", "shard": "a", "decision": "edit"}', '"edit" needs "turns"'),
    ],
)
def test_decisions_that_are_none_are_one_line(tmp_path, line, message):
    given = tmp_path / "given.jsonl"
    given.write_text(f"\n{line}\n")
    with pytest.raises(CephaloError, match=re.escape(message)) as stop:
        read_decisions(given)
    assert "\n" not in str(stop.value)


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_person_decides_in_a_browser(figures, server, tmp_path):
    from playwright.sync_api import expect, sync_playwright

    out = tmp_path / "out"
    server.model = says(dict.fromkeys(MATERIALS, "undecided"), " It stays & holds.")
    refine(figures, out, server, *DESCRIBE, "--review")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda problem: complaints.append(str(problem)))
        page.goto((out / "undecided.html").as_uri())
        cases = page.locator(".case")
        expect(cases).to_have_count(3)
        expect(page.locator(".figure img")).to_have_count(3)
        page.keyboard.press("a")
        page.keyboard.press("r")
        expect(page.locator("#done")).to_have_text("2")
        page.keyboard.press("e")
        page.keyboard.press("Control+End")
        page.keyboard.type(" By hand.")
        page.keyboard.press("Escape")
        expect(cases.nth(2).locator(".verdict")).to_have_text("edited")
        page.reload()  # what is decided is remembered
        expect(page.locator("#done")).to_have_text("3")
        with page.expect_download() as download:
            page.keyboard.press("s")
        download.value.save_as(tmp_path / "decisions.jsonl")
        browser.close()
    assert complaints == []
    asked = len(server.requests)
    refine(figures, out, server, *DESCRIBE, "--decisions", str(tmp_path / "decisions.jsonl"))
    assert len(server.requests) == asked
    first, last = rows_of(out)
    assert first["answer"].endswith("It stays & holds.")
    assert last["answer"].endswith("It stays & holds. By hand.")
    assert set_aside(out)[0]["failed"] == {"person": "rejected"}


@pytest.mark.slow
@pytest.mark.skipif(not (BENCH / "refine").exists(), reason="needs ../shared/bench/refine")
def test_labelled_answers_with_a_judge_who_knows_the_truth(tmp_path):
    answers = BENCH / "refine" / "answers.jsonl"
    bad = [
        f"Answer to be checked: {' '.join(one.get('steps', []))} {one['turns'][0]['answer']}"
        for one in map(json.loads, answers.read_text(encoding="utf-8").splitlines())
        if one["verdict"] == "bad"
    ]
    with TeacherServer(truthful_judge(bad)) as judge:
        command = [sys.executable, BENCH / "refine" / "score_refine.py"]
        command += ["--cephalo", Path(sys.executable).with_name("cephalo")]
        command += ["--json", tmp_path / "score.json", answers, BENCH / "real" / "pdf", "--"]
        command += ["--judge", "truth", "--judge-base-url", judge.url]
        subprocess.run(command, check=True)
    score = json.loads((tmp_path / "score.json").read_text())
    assert score["recall_of_good"] >= 0.95 and score["bad_caught"] >= 0.95


def test_decisions_with_line_separators_are_kept(figures, server, tmp_path):
    """JSON may hold U+2028 and U+0085 as they are; a line of the file ends at a line feed."""
    server.model = says({})
    out = tmp_path / "out"
    refine(figures, out, server, *DESCRIBE)
    shard = next((out / "conversations").glob("*.parquet")).stem
    line = {"id": "0" * 16, "shard": shard, "decision": "reject", "note": "a\u2028b\u0085c"}
    for ascii_only in (True, False):
        more = tmp_path / "more.jsonl"
        more.write_text(json.dumps(line, ensure_ascii=ascii_only) + "\n", encoding="utf-8")
        refine(figures, out, server, *DESCRIBE, "--decisions", str(more))
        assert [one.note for one in read_decisions(out / "decisions.jsonl")] == [line["note"]]


def test_decisions_about_nothing_are_told(figures, server, tmp_path, capsys):
    server.model = says({})
    out, more = tmp_path / "out", tmp_path / "more.jsonl"
    refine(figures, out, server, *DESCRIBE)
    shard = next((out / "conversations").glob("*.parquet")).stem
    line = {"id": "0" * 16, "shard": shard, "decision": "reject"}
    more.write_text(json.dumps(line))
    refine(figures, out, server, *DESCRIBE, "--decisions", str(more))
    assert "1 decisions match no conversation" in capsys.readouterr().err
    more.write_text(json.dumps(line | {"shard": "another"}))
    with pytest.raises(
        SystemExit, match="is about 'another', which is not a shard of these figures"
    ):
        refine(figures, out, server, *DESCRIBE, "--decisions", str(more))
    assert len(read_decisions(out / "decisions.jsonl")) == 1


def test_replies_that_nobody_can_read_end_in_an_error(figures, server, tmp_path):
    server.model = lambda body: "no form at all"
    with pytest.raises(SystemExit, match=r"no reply could be parsed: .*; see all in .*report.html"):
        refine(figures, tmp_path / "out", server, *DESCRIBE, "--max-retries", "0")
    lines = set_aside(tmp_path / "out")
    assert lines and all("schema" in line["failed"] for line in lines)


def test_the_reason_why_no_question_got_an_answer_stands_in_the_line(figures, server, tmp_path):
    server.faults = [(502, {}, b"<html><title>Bad gateway</title></html>")] * 9
    told = r"no question got an answer: .* the server answers 502: a page of HTML, 'Bad gateway'"
    with pytest.raises(SystemExit, match=told):
        refine(figures, tmp_path / "out", server, *DESCRIBE, "--max-retries", "0")


def test_an_empty_answer_is_rejected_for_its_length(figures, server, tmp_path):
    server.model = lambda body: json.dumps({"description": "   "})
    refine(figures, tmp_path / "out", server, *DESCRIBE, "--no-verify", "--max-retries", "0")
    assert all("length" in line["failed"] for line in set_aside(tmp_path / "out"))


@pytest.mark.parametrize(
    "spoilt", [lambda data: b"no image", lambda data: data[:-20], lambda data: None]
)
def test_a_figure_whose_image_cannot_be_read_costs_that_figure(
    spoilt, figures, server, tmp_path, capsys
):
    [shard] = sorted((figures / "figures").glob("*.parquet"))
    rows = pq.read_table(shard).to_pylist()
    rows[1]["image"]["bytes"] = spoilt(rows[1]["image"]["bytes"])
    pq.write_table(pa.Table.from_pylist(rows, schema=FIGURES.arrow_schema), shard)
    server.model = says({})
    report = refine(figures, tmp_path / "out", server, *DESCRIBE)
    assert report["tasks"]["describe"]["accepted"] == 2
    told = f"{shard.name}, row 1: the image of Figure 2 of paper-0.pdf cannot be read; left out"
    assert capsys.readouterr().err.count(told) == 1


def test_what_a_model_answers_alike_without_the_image_is_set_aside(
    figures, server, tmp_path, capsys
):
    teacher = says({})

    def model(body: dict) -> str:
        if body["model"] != "blind":
            return teacher(body)
        if "response_format" not in body:
            return "Tablets bend." if "What is" in user_text(body) else "?"
        known = "bone" in user_text(body)
        return json.dumps({"reason": "Bone is known.", "same": known})

    server.model = model
    report = refine(figures, tmp_path / "out", server, *DESCRIBE, "--text-judge", "blind")
    assert "and about 6 short requests without images to blind" in capsys.readouterr().err
    assert report["params"]["text_judge"] == "blind"
    [line] = set_aside(tmp_path / "out")
    reason = "blind answered the same without the image: Bone is known."
    assert line["failed"] == {"without_image": reason}
    assert len(rows_of(tmp_path / "out")) == 2
    blind = [body for body in server.requests if body["model"] == "blind"]
    # Its own answer to a question that two figures of a paper share may come from the cache.
    assert sum("response_format" in body for body in blind) == 3
    assert all(len(body["messages"][1]["content"]) == 1 for body in blind)
    first = [user_text(body) for body in blind if "response_format" not in body]
    assert all("caption:" not in text and "bend at layered" not in text for text in first)
    server.model = lambda body: "{}" if body["model"] == "blind" else teacher(body)
    refine(figures, tmp_path / "unread", server, *DESCRIBE, "--text-judge", "blind")
    assert len(rows_of(tmp_path / "unread")) == 3
