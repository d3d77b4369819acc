"""Rate and memory of `cephalo refine` against a server of fixed latency.

    python -m cephalo.dataset_scripts.bench_refine

The server answers each request after the latency, whatever is in flight, so that the ideal time
is requests * latency / requests in flight. Each run is a process of its own.
"""

import io
import json
import math
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import typer

WORDS = [f"{first}{second}" for first in ("lay", "tab", "cra", "fib") for second in "abcdefghijklm"]
FIGURES = 4  # a document


def main(
    latency: Annotated[float, typer.Option(help="Seconds for one request.")] = 1.0,
    max_concurrency: Annotated[int, typer.Option(help="Requests in flight.")] = 64,
    documents: Annotated[int, typer.Option(help="Of the smaller corpus.")] = 15,
    times: Annotated[int, typer.Option(help="How many times as large the larger one is.")] = 4,
) -> None:
    """Refine a small and a large corpus and print rate and peak memory of both."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        server = get_context("spawn").Process(target=serve, args=[port, latency], daemon=True)
        server.start()
        wait_for(port)
        print("documents  requests  seconds  ideal  share of the ideal rate  CPU seconds  peak MB")
        for count in (documents, documents * times):
            figures = Path(folder) / f"figures-{count}"
            write_corpus(figures, count)
            facts, cpu, peak = refine(figures, port, max_concurrency)
            ideal = math.ceil(facts["requests"] / max_concurrency) * latency
            print(
                f"{count:9}  {facts['requests']:8}  {facts['seconds']:7.1f}  {ideal:5.1f}  "
                f"{ideal / facts['seconds']:23.1%}  {cpu:11.1f}  {peak:7.0f}",
                flush=True,
            )
        server.terminate()


def serve(port: int, latency: float) -> None:
    """Answer any chat completion after `latency` seconds, in any form that is asked for."""
    import asyncio

    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def answer(request: Request) -> JSONResponse:
        await request.body()
        await asyncio.sleep(latency)
        said = "The specimen shows " + " ".join(random.choices(WORDS, k=60)) + "."
        turn = {"question": "What does the specimen show?", "answer": said, "depth": "observe"}
        forms = {**turn, "description": said, "reasoning": [said]}
        forms |= {"questions": [turn], "turns": [turn, turn]}
        scores = dict.fromkeys(("correctness", "grounding", "clarity"), 5)
        forms |= {"reason": said, "verdict": "agrees", **scores}
        message = {"role": "assistant", "content": json.dumps(forms)}
        usage = {"prompt_tokens": 1000, "completion_tokens": 100}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return JSONResponse({"choices": [choice], "usage": usage})

    routes = [Route("/v1/chat/completions", answer, methods=["POST"])]
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=port, log_level="error")


def wait_for(port: int) -> None:
    """Return when something listens at a port."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.1)


def write_corpus(folder: Path, documents: int) -> None:
    """Write shards of FIGURES figures."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from cephalo.dataset_scripts import schema

    (folder / "figures").mkdir(parents=True)
    for document in range(documents):
        rows = [figure(document, number) for number in range(FIGURES)]
        table = pa.Table.from_pylist(rows, schema=schema.FIGURES.arrow_schema)
        pq.write_table(table, folder / "figures" / f"{document:06}.parquet")


def figure(document: int, number: int) -> dict[str, Any]:
    """One FIGURES row with a drawing as wide as one column of a journal at 200 dpi, or, every
    second one, as two, which the client shrinks."""
    from PIL import Image, ImageDraw

    chance = random.Random(f"{document} {number}")
    width, height = (1400, 1000) if number % 2 else (680, 500)
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        ends = [chance.randrange(size) for size in (width, height) * 2]
        draw.line(ends, fill=chance.choice(["red", "navy"]))
    png = io.BytesIO()
    image.save(png, "PNG")
    blank = dict.fromkeys(("title", "doi", "license", "author", "source_url", "revision"))
    return blank | {
        "image": {"bytes": png.getvalue(), "path": None},
        "caption": f"The specimen shows {' '.join(WORDS)}.",
        "label": f"Figure {number + 1}",
        "kind": "figure",
        "panels": [],
        "mentions": [" ".join(chance.choices(WORDS, k=150))],
        "figure_text": [],
        "text_faults": [],
        "document": f"{document}.pdf",
        "document_sha256": f"{document:064}",
        "page": number,
        "bbox": [0, 0, 1, 1],
        "caption_bbox": [0, 0, 1, 1],
        "width": width,
        "height": height,
        "dpi": 200,
        "image_sha256": f"{document:032}{number:032}",
        "phash": f"{document:016}",
    }


def refine(figures: Path, port: int, max_concurrency: int) -> tuple[dict[str, Any], float, float]:
    """Run `cephalo refine`; what its report says of the run, and the seconds of CPU and the peak
    memory in MB of the whole process."""
    out = figures.with_name(f"{figures.name}-out")
    command = [sys.executable, "-m", "cephalo.cli.main", "refine", str(figures), "--out", str(out)]
    command += ["--base-url", f"http://127.0.0.1:{port}/v1", "--model", "bench"]
    command += ["--max-concurrency", str(max_concurrency)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"cephalo refine failed: {' '.join(command)}")
    run = json.loads((out / "report.json").read_text())["run"]
    return run, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    typer.run(main)
