"""`cephalo serve` answers OpenAI's client, streamed and whole; bad requests get a 400."""

import base64
import io
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from phi3_v_samples import BRIGHT, DARK, QUESTION
from PIL import Image
from served_model import free_port, wait_until_healthy
from warm_python import warm_python

from cephalo.cli.main import main


@pytest.fixture(scope="module")
def taught(taught_models) -> Path:
    return taught_models / "model"


@pytest.fixture(scope="module")
def client(taught) -> Iterator[openai.OpenAI]:
    port = free_port()
    command = [warm_python(), "-m", "cephalo.cli.main", "serve", str(taught), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_until_healthy(port, process)
        yield openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="-", max_retries=0)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def part(image: Image.Image) -> dict:
    png = io.BytesIO()
    image.save(png, "PNG")
    data = base64.b64encode(png.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}


def messages(*images: Image.Image, text: str = QUESTION) -> list[dict]:
    content = [*map(part, images), {"type": "text", "text": text}]
    return [{"role": "user", "content": content}]


@pytest.mark.parametrize(
    ("images", "answer"),
    [((), "Only text."), ((BRIGHT,), "Bright nacre."), ((BRIGHT, DARK), "Bright, then dark.")],
)
def test_whole_answers(client, taught, images, answer):
    found = client.chat.completions.create(model=str(taught), messages=messages(*images))
    assert found.choices[0].message.content == answer
    assert found.choices[0].finish_reason == "stop"
    assert found.usage.prompt_tokens > 27 * len(images)


def test_streamed_answers_and_stop_words(client, taught):
    ask = {"model": str(taught), "messages": messages(DARK)}
    chunks = list(client.chat.completions.create(**ask, stream=True))
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == "Dark steel." and sum(map(bool, pieces)) > 1
    found = client.chat.completions.create(**ask, stop=["steel"])
    assert found.choices[0].message.content == "Dark "  # without the stop string, as OpenAI's
    chunks = list(client.chat.completions.create(**ask, stop=["rk st", "zz"], stream=True))
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == "Da" and chunks[-1].choices[0].finish_reason == "stop"
    chunks = list(client.chat.completions.create(**ask, stop=["steel. And"], stream=True))
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == "Dark steel."
    found = client.chat.completions.create(**ask, max_completion_tokens=1)
    assert found.choices[0].finish_reason == "length"
    found = client.chat.completions.create(**ask, frequency_penalty=0.5)
    assert found.choices[0].message.content


def test_a_temperature_samples_and_a_seed_decides_what(client, taught):
    def answers(question: str = "steel nacre bone", **more: float) -> list[str]:
        ask = {"model": str(taught), "messages": messages(text=question), "max_tokens": 16}
        replies = (client.chat.completions.create(**ask, seed=seed, **more) for seed in range(3))
        return [reply.choices[0].message.content for reply in replies]

    assert answers(QUESTION) == answers(QUESTION, temperature=0) == ["Only text."] * 3
    assert len({*answers()}) == 1
    sampled = answers(temperature=2.0)
    assert len({*sampled}) == 3 and sampled == answers(temperature=2.0)
    with pytest.raises(openai.BadRequestError, match="temperature 1e-05: give 0, or"):
        answers(temperature=1e-5)


def test_an_answer_ends_with_the_context(client, taught):
    """Whatever `max_tokens` says."""
    found = client.chat.completions.create(
        model=str(taught),
        messages=messages(text="steel " * 8150),
        max_tokens=100,
        extra_body={"logit_bias": {"40": 100}},  # without an end
    )
    assert found.choices[0].finish_reason == "length"
    assert found.usage.total_tokens == 8192 and 0 < found.usage.completion_tokens < 100


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"type": "image_url", "image_url": {"url": __file__}}], "must be a data URL"),
        ([{"type": "image_url", "image_url": {"url": "data:image/png;base64,!"}}], "base64"),
        (
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
            "not a valid image",
        ),
        ([part(Image.new("RGB", (1, 10_000)))], "too thin"),
        ("Go.<|end|>", "control token <|end|>"),
        ("steel " * 9000, "the model reads 8,192"),
        ("steel " * 1_400_000, "8,400,000 characters"),
        (None, "messages.0.content"),
    ],
)
def test_bad_requests(client, taught, content, message):
    with pytest.raises(openai.BadRequestError) as refusal:
        client.chat.completions.create(
            model=str(taught), messages=[{"role": "user", "content": content}]
        )
    assert message in refusal.value.body["message"]


def test_the_served_model_is_listed_and_another_is_refused_in_openais_form(client, taught):
    assert [model.id for model in client.models.list()] == [str(taught)]
    for more in ({"model": "gpt-4"}, {"model": str(taught), "best_of": 2}):
        with pytest.raises(openai.BadRequestError) as refusal:
            client.chat.completions.create(
                model=more.pop("model"), messages=messages(), extra_body=more
            )
        assert refusal.value.body["type"] == "invalid_request_error"


def test_an_address_in_use_is_refused_before_loading(tmp_path):
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(SystemExit, match="cephalo: error: cannot listen at 127"),
    ):
        main(["serve", str(tmp_path), "--port", str(taken.getsockname()[1])])
