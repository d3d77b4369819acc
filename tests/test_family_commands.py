"""`cephalo discuss` and `cephalo refine --teacher` with a checkpoint of each family.

What the commands ask is recorded first; a tiny model is taught to answer it, with thoughts before
each answer; then the commands run with that model and must say what it was taught.
"""

import json
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from family_samples import make_family
from figure_samples import write_figures
from moe_samples import TEXTS
from taught_talks import FAMILIES_AND_PAPER, PICTURES, Lesson, make_taught
from warm_python import kill, warm_python

from cephalo.apps.discuss.transcript import Transcript
from cephalo.cli.main import main
from cephalo.dataset_scripts.refinement import asking
from cephalo.inference import local

QUICK = ("qwen3_vl", "gemma3")
FAMILIES = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
    for name in FAMILIES_AND_PAPER
]
NEVER = re.compile("(?!)")
THOUGHTS = "Look close."


class Recorder:
    """Stands for a loaded model: keeps what it is asked and gives one answer after the other."""

    control = NEVER

    def __init__(self, answers: Sequence[str]) -> None:
        self.answers, self.lessons = list(answers), []

    def answer_batch(self, talks: Sequence[Any], **_: Any) -> list[local.Answer]:
        taken, self.answers = self.answers[: len(talks)], self.answers[len(talks) :]
        self.lessons += [
            Lesson(talk, answer, THOUGHTS) for talk, answer in zip(talks, taken, strict=True)
        ]
        return [local.Answer(answer, 9, 9, True, THOUGHTS) for answer in taken]


def lessons_of(command: list[str], answers: Sequence[str], monkeypatch: Any) -> list[Lesson]:
    """What a command asks a local model that gives these answers."""
    recorder = Recorder(answers)
    with monkeypatch.context() as patch:
        patch.setattr(local, "load", lambda name: recorder)
        patch.setattr(asking, "loaded", lambda name: recorder)  # else kept for the whole process
        main(command)
    assert not recorder.answers
    return recorder.lessons


def run(command: list[str], lessons: list[Lesson], family: str, model: Path) -> None:
    """Teach a model what a command will ask, and run the command."""
    texts = [
        part["text"]
        for lesson in lessons
        for message in lesson.messages
        for part in message["content"]
        if part["type"] == "text"
    ]
    texts += [lesson.answer for lesson in lessons] + [THOUGHTS]
    make_taught(model, family, lessons, texts)
    python = warm_python(("family_samples",))
    found = subprocess.run(
        [python, "-m", "cephalo.cli.main", *command], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr


TURNS = ("Rows of tablets in a soft matrix.", "They slide, so cracks turn.")
MINUTES = {
    "summary": "Tablets slide.",
    "claims": [{"text": "Tablets lie in rows.", "turn": 1, "quote": "Rows of tablets"}],
    "open_questions": ["How thick?"],
}


@pytest.mark.shows("discuss")
@pytest.mark.parametrize("family", FAMILIES)
def test_discuss(family, tmp_path, monkeypatch):
    """Two images, two rounds that see what was said before, and a report."""
    monkeypatch.chdir(tmp_path)
    for number, image in enumerate(PICTURES):
        image.save(f"{number}.png")
    role = {"name": "Scientist", "model": "m", "prompt": "Be brief.", "temperature": 0}
    panel = {
        "models": {"m": {"model": "taught"}},
        "rounds": 2,
        "max_tokens": 200,
        "roles": [{**role, "sees_images": True}],
        "moderator": {**role, "name": "Moderator"},
    }
    Path("panel.yaml").write_text(yaml.safe_dump(panel))
    command = ["discuss", "0.png", "1.png", "--question", "Why tough?", "--panel", "panel.yaml"]
    answers = (*TURNS, json.dumps(MINUTES))
    lessons = lessons_of([*command, "--out", "recorded"], answers, monkeypatch)
    kinds = [[part["type"] for part in lesson.messages[0]["content"]] for lesson in lessons]
    assert kinds[0].count("image") == 2 and kinds[2].count("image") == 0
    assert TURNS[0] in lessons[1].messages[0]["content"][-1]["text"]

    run([*command, "--out", "out"], lessons, family, tmp_path / "taught")
    said = Transcript.model_validate_json(Path("out/transcript.json").read_text())
    assert [turn.text for turn in said.turns] == list(TURNS)
    assert not said.failed_models() and {turn.finish_reason for turn in said.turns} == {"stop"}
    [claim] = said.report.claims
    assert (said.report.summary, claim.turn, claim.quote_found) == ("Tablets slide.", 1, True)
    assert all(turn.completion_tokens > 5 for turn in said.turns)
    assert THOUGHTS not in Path("out/transcript.html").read_text()


DESCRIPTIONS = (
    "The picture tells about stress and strain of a specimen in tension: grain edges are rough, a "
    "dark region lies above, and an arrow turns slowly to the outer side.",
    "Stress is set against strain for one specimen of the batch in tension: light, fine and "
    "regular lines run straight below, while thick ones stay faint and curved inside.",
)
COMPARED = {
    "question": "How do the two views of specimens in tension differ?",
    "answer": "In one view the stress and strain of the specimen end in a rough dark region, in "
    "the other fine regular lines run below, so the two tell of tension in a different way.",
}


@pytest.mark.shows("refine")
@pytest.mark.parametrize("family", FAMILIES)
def test_refine(family, tmp_path, monkeypatch):
    """Descriptions of two figures, and a comparison of both."""
    monkeypatch.chdir(tmp_path)
    write_figures(Path("figures"), documents=1, figures=2)
    command = ["refine", "figures", "--teacher", "taught", "--tasks", "describe,compare"]
    command += ["--temperature", "0", "--max-tokens", "200", "--max-retries", "0"]
    answers = [json.dumps({"description": text}) for text in DESCRIPTIONS]
    answers.append(json.dumps(COMPARED))
    lessons = lessons_of([*command, "--out", "recorded"], answers, monkeypatch)
    counts = [
        sum(part["type"] == "image" for part in lesson.messages[0]["content"]) for lesson in lessons
    ]
    assert counts == [1, 1, 2]
    run([*command, "--out", "out"], lessons, family, tmp_path / "taught")
    report = json.loads(Path("out/report.json").read_text())
    assert report["teacher"] == "taught"
    assert report["tasks"] == {
        "describe": {"accepted": 2, "rejected": 0},
        "compare": {"accepted": 1, "rejected": 0},
    }
    shards = Path("out/conversations").glob("*.parquet")
    rows = [row for path in shards for row in pq.read_table(path).to_pylist()]
    assert {row["answer"] for row in rows} == {*DESCRIPTIONS, COMPARED["answer"]}
    assert sorted(len(row["images"]) for row in rows) == [1, 1, 2]


RECIPES = {
    "merge": {
        "merge_method": "passthrough",
        "dtype": "float32",
        "slices": [{"sources": [{"model": name, "layer_range": [0, 4]}]} for name in ("0", "1")],
    },
    "moe": {
        "base_model": "0",
        "dtype": "float32",
        "experts": [
            {"source_model": name, "positive_prompts": [f"What is {name}?"]} for name in ("0", "1")
        ],
        "gates": {"steps": 5},
    },
}


@pytest.mark.parametrize(
    ("command", "family"),
    [
        ("merge", "qwen3_vl"),
        pytest.param("merge", "gemma3", marks=pytest.mark.slow),
        pytest.param("moe", "qwen3_vl", marks=pytest.mark.slow),
        pytest.param("moe", "gemma3", marks=pytest.mark.slow),
    ],
)
def test_two_at_once_and_a_killed_one_make_what_one_does(command, family, tmp_path):
    for seed in (0, 1):
        make_family(tmp_path / str(seed), family, TEXTS, seed)
    (tmp_path / "r.yml").write_text(yaml.safe_dump(RECIPES[command]))
    words = [warm_python(("family_samples",)), "-m", "cephalo.cli.main", command, "r.yml", "--out"]

    def start(out: str) -> subprocess.Popen:
        pipe = subprocess.PIPE
        return subprocess.Popen([*words, out], cwd=tmp_path, stdout=pipe, stderr=pipe, text=True)

    both = [start("out"), start("out")]
    said = [process.communicate(timeout=300) for process in both]
    codes = [process.returncode for process in both]
    assert 0 in codes
    for code, (out, error) in zip(codes, said, strict=True):
        last = (out if code == 0 else error).splitlines()[-1]
        assert ("into out" in last) if code == 0 else ("another run is writing to out" in last)
    killed = start("again")
    while not list(tmp_path.glob(".again.partial-*/*.safetensors")):
        assert killed.poll() is None
        time.sleep(0.001)
    kill(killed, ("family_samples",))
    assert not (tmp_path / "again").exists()
    assert start("again").wait(timeout=300) == 0
    assert not list(tmp_path.glob(".*.partial-*"))
    made = [tmp_path / name for name in ("out", "again")]
    names = sorted(path.name for path in made[0].glob("*.safetensors"))
    assert names and names == sorted(path.name for path in made[1].glob("*.safetensors"))
    assert all((made[0] / name).read_bytes() == (made[1] / name).read_bytes() for name in names)
