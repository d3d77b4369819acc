"""Every family answers in `chat`, `serve` and the rest, with thoughts kept apart from answers."""

import base64
import io
import json
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from served_model import free_port, wait_until_healthy
from taught_talks import (
    ANSWERS,
    FAMILIES_AND_PAPER,
    PICTURES,
    QUESTIONS,
    make_taught,
    talk_of,
    thoughts_of,
)
from warm_python import warm_python

from cephalo.apps.demo.talk import Talk
from cephalo.cli.errors import CephaloError
from cephalo.eval.answers import Answer, ask
from cephalo.eval.questions import Question as Asked
from cephalo.inference import local
from cephalo.inference.local_model import LocalModel
from cephalo.inference.questions import Picture, Question, Sampling, Usage
from cephalo.inference.thoughts import UNFINISHED

QUICK = ("qwen3_vl", "mistral3")
FAMILIES = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
    for name in FAMILIES_AND_PAPER
]


@pytest.fixture(scope="module", params=FAMILIES)
def family(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def taught(family, tmp_path_factory) -> Path:
    """A model that was taught a talk, with its pictures beside it."""
    folder = tmp_path_factory.mktemp(family)
    for number, image in enumerate(PICTURES):
        image.save(folder / f"{number}.png")
    return make_taught(folder / "model", family)


@pytest.fixture(scope="module")
def cephalo(taught) -> local.Cephalo:
    return local.load(taught)


def command(*words: object) -> list[str]:
    """`cephalo`, in a process that knows of the parts of processors that are missing here."""
    return [warm_python(("family_samples",)), "-m", "cephalo.cli.main", *map(str, words)]


@pytest.mark.shows("chat", "reloaded")
def test_chat(family, taught):
    typed = "".join(f"/image {taught.parent / f'{n}.png'}\n" for n in range(len(PICTURES)))
    typed += "".join(f"{question}\n" for question in QUESTIONS)
    found = subprocess.run(command("chat", taught), input=typed, capture_output=True, text=True)
    assert (found.stdout.splitlines(), found.stderr) == (list(ANSWERS), "")


@pytest.mark.shows("serve")
def test_serve(family, taught):
    with served(taught) as chat:
        for turn, answer in enumerate(ANSWERS):
            message = chat(turn)["choices"][0]["message"]
            assert message["content"] == answer
            assert (message.get("reasoning_content") or None) == (
                None if turn else thoughts_of(family)
            )
        deltas = [chunk["choices"][0]["delta"] for chunk in chat(0, stream=True)]
        assert "".join(delta.get("content") or "" for delta in deltas) == ANSWERS[0]
        thoughts = "".join(delta.get("reasoning_content") or "" for delta in deltas)
        assert (thoughts.strip() or None) == thoughts_of(family)


@contextmanager
def served(model: Path) -> Iterator[Any]:
    """A function that asks the server of a model for the answer of a turn."""
    port = free_port()
    process = subprocess.Popen(
        command("serve", model, "--port", port),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )

    def chat(turn: int, **settings: Any) -> Any:
        messages = [
            {**message, "content": [part_of(part) for part in message["content"]]}
            for message in talk_of(turn)
        ]
        body = json.dumps({"model": str(model), "messages": messages, **settings}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/chat/completions",
            body,
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            text = answer.read().decode()
        if not settings.get("stream"):
            return json.loads(text)
        lines = [line.removeprefix("data: ") for line in text.split("\n\n")]
        return [json.loads(line) for line in lines if line.startswith("{")]

    try:
        wait_until_healthy(port, process)
        yield chat
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def part_of(part: dict[str, Any]) -> dict[str, Any]:
    """A part of a message in OpenAI's form."""
    if part["type"] == "text":
        return part
    data = base64.b64encode(png(part["image"])).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}


def png(image: Any) -> bytes:
    """The bytes of an image's file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_a_teacher_an_evaluation_and_the_demo_are_given_the_answer(taught, cephalo):
    images = [png(image) for image in PICTURES]
    asked = Question("", (*(Picture("", image) for image in images), QUESTIONS[0]))
    model = LocalModel(cephalo, "taught", Usage())
    [reply] = model.generate([asked], Sampling(temperature=0))
    assert (reply.text, reply.finish_reason) == (ANSWERS[0], "stop")
    question = Asked(QUESTIONS[0], tuple(images), ANSWERS[0])
    assert ask(cephalo, [question], 64) == [Answer(ANSWERS[0])]
    paths = [str(taught.parent / f"{number}.png") for number in range(len(PICTURES))]
    shown = [turns[-1] for turns, _ in Talk({"taught": cephalo}, {}).ask(QUESTIONS[0], paths, [])]
    assert all(ANSWERS[0].startswith("".join(turn.answers).strip()) for turn in shown)
    assert shown[-1].answers == (ANSWERS[0],)


def test_pictures_of_a_few_pixels_are_answered_alone_as_in_a_batch(cephalo):
    """In some families such a picture is one token."""
    small = Image.new("RGB", (20, 20), "red")
    talks = []
    for images in ([small], [small.resize((1, 1))], [small, small.resize((28, 9))]):
        parts = [*({"type": "image", "image": image} for image in images)]
        parts.append({"type": "text", "text": QUESTIONS[0]})
        talks.append([{"role": "user", "content": parts}])
    alone = [cephalo.answer_batch([talk], max_new_tokens=8)[0] for talk in talks]
    assert alone == cephalo.answer_batch(talks, max_new_tokens=8)


def test_thoughts_without_an_end_are_no_answer(family, cephalo):
    if thoughts_of(family) is None:
        return
    [cut] = cephalo.answer_batch([talk_of(0)], max_new_tokens=4)
    assert (cut.text, cut.cut_in_thoughts) == ("", True)
    question = Asked(QUESTIONS[0], tuple(map(png, PICTURES)), ANSWERS[0])
    assert ask(cephalo, [question], 4) == [Answer("", UNFINISHED)]
    with pytest.raises(CephaloError, match="tokens ran out while it was thinking; raise"):
        cephalo.conversation().ask(QUESTIONS[0], PICTURES, max_new_tokens=4)
