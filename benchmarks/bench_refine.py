"""Measure CPU time, rate and memory of `cephalo refine` with a server of fixed latency.

    python -m benchmarks.bench_refine

The server answers each request after the latency, independent of the load, so that the ideal rate
is the number of requests in flight divided by the latency. Each run is a separate process. Its rate
is that of the requests in the middle of the run, between its first and last tenth, since the
duration of start and end does not grow with the number of figures. Its CPU time is that of the
whole process minus that of a run with one request.
"""

import io
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import typer

WORDS = [f"{first}{second}" for first in ("lay", "tab", "cra", "fib") for second in "abcdefghijklm"]
FIGURES = 4  # per document
LATENCY = 1.0  # seconds of a request
EDGE = 0.1  # share of a run at its start and at its end that its rate excludes
MOST_CPU = 4.0  # milliseconds per request
LEAST_SHARE = 0.97  # of the ideal rate at 64 in flight
LEAST_RATE = 200.0  # requests per second at 256 in flight
MOST_MEMORY = 600.0  # MB


@dataclass(frozen=True)
class Measured:
    """The result of a run: `rate` in requests per second, `cpu` in milliseconds per request,
    `memory` in MB at its peak."""

    requests: int
    rate: float
    cpu: float
    memory: float


def main(
    documents: Annotated[
        int, typer.Option(help="Number of documents for the runs with 64 requests in flight.")
    ] = 40,
    figures: Annotated[
        Path | None,
        typer.Option(
            help="Output of `cephalo extract` to ask about, instead of generated figures."
        ),
    ] = None,
) -> None:
    """Refine with and without verification, with 64 and 256 in flight; print results and bars."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        arrivals = folder / "arrivals"
        server = get_context("spawn").Process(target=serve, args=[port, arrivals], daemon=True)
        server.start()
        wait_for(port)
        write_corpus(folder / "one", 1)
        start = refine(folder / "one", folder / "out", port, 1, ["--max-requests", "1"])[1]
        print("in flight  verified  requests  requests/s  of the ideal  CPU ms/request  peak MB")
        for in_flight, options in ((64, []), (64, ["--no-verify"]), (256, [])):
            corpus = figures or folder / f"figures-{in_flight}"
            if not corpus.exists():
                write_corpus(corpus, documents * in_flight // 64)
            out = folder / f"out-{in_flight}{len(options)}"
            arrivals.write_text("")
            run = refine(corpus, out, port, in_flight, options)
            found = measure(run, start, [float(line) for line in arrivals.read_text().split()])
            share = found.rate * LATENCY / in_flight
            print(
                f"{in_flight:9}  {'no' if options else 'yes':8}  {found.requests:8}  "
                f"{found.rate:10.1f}  {share:12.1%}  {found.cpu:14.2f}  {found.memory:7.0f}"
                f"  {missed(found, in_flight)}",
                flush=True,
            )
        server.terminate()
    print(
        f"bars: at most {MOST_CPU:g} ms of CPU per request and {MOST_MEMORY:g} MB; at least "
        f"{LEAST_SHARE:.0%} of the ideal rate with 64 in flight, and {LEAST_RATE:g} requests a "
        "second with 256"
    )


def missed(found: Measured, in_flight: int) -> str:
    """Format the bars that a run missed; empty if it met all."""
    share = found.rate * LATENCY / in_flight
    slow = share < LEAST_SHARE if in_flight == 64 else found.rate < LEAST_RATE
    bars = {"rate": slow, "CPU": found.cpu > MOST_CPU, "memory": found.memory > MOST_MEMORY}
    names = [name for name, over in bars.items() if over]
    return f"missed: {', '.join(names)}" if names else ""


def measure(
    run: tuple[dict[str, Any], float, float], start: float, arrivals: list[float]
) -> Measured:
    """Return the results of `refine` without the CPU seconds of a start; `arrivals` are the times,
    in seconds, of its requests."""
    facts, cpu, memory = run
    requests = facts["requests"]
    edge = int(EDGE * len(arrivals))
    middle = sorted(arrivals)[edge : len(arrivals) - edge]
    rate = (len(middle) - 1) / (middle[-1] - middle[0])
    return Measured(requests, rate, 1000 * (cpu - start) / max(requests, 1), memory)


def free_port() -> int:
    """Return an unused port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def serve(port: int, arrivals: Path) -> None:
    """Answer any chat completion after LATENCY, in any requested form. The file `arrivals` has the
    time of each, in seconds, one per line."""
    import asyncio

    from aiohttp import web

    times = arrivals.open("a", buffering=1)

    async def answer(request: web.Request) -> web.Response:
        times.write(f"{time.monotonic()}\n")
        async for _ in request.content.iter_any():  # read and discarded
            pass
        await asyncio.sleep(LATENCY)
        said = "The specimen shows " + " ".join(random.choices(WORDS, k=60)) + "."
        turn = {"question": "What does the specimen show?", "answer": said, "depth": "observe"}
        forms = {**turn, "description": said, "reasoning": [said]}
        forms |= {"questions": [turn], "turns": [turn, turn]}
        scores = dict.fromkeys(("correctness", "grounding", "clarity"), 5)
        forms |= {"reason": said, "verdict": "agrees", **scores}
        message = {"role": "assistant", "content": json.dumps(forms)}
        usage = {"prompt_tokens": 1000, "completion_tokens": 100}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response({"choices": [choice], "usage": usage})

    application = web.Application()
    application.add_routes([web.post("/v1/chat/completions", answer)])
    web.run_app(application, host="127.0.0.1", port=port, print=None, access_log=None)


def wait_for(port: int) -> None:
    """Return when a server listens at a port."""
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

    from cephalo.dataset_scripts.common import schema

    (folder / "figures").mkdir(parents=True)
    for document in range(documents):
        rows = [figure(document, number) for number in range(FIGURES)]
        table = pa.Table.from_pylist(rows, schema=schema.FIGURES.arrow_schema)
        pq.write_table(table, folder / "figures" / f"{document:06}.parquet")


def figure(document: int, number: int) -> dict[str, Any]:
    """Return one FIGURES row with a drawing as wide as one column of a journal at 200 dpi or, every
    second one, as two, which the client resizes."""
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


def refine(
    figures: Path, out: Path, port: int, in_flight: int, options: list[str]
) -> tuple[dict[str, Any], float, float]:
    """Run `cephalo refine`; return its report of the run, and the CPU seconds and the peak memory
    in MB of the whole process."""
    command = [sys.executable, "-m", "cephalo.cli.main", "refine", str(figures), "--out", str(out)]
    command += ["--base-url", f"http://127.0.0.1:{port}/v1", "--model", "bench", *options]
    command += ["--max-concurrency", str(in_flight)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"cephalo refine failed: {' '.join(command)}")
    run = json.loads((out / "report.json").read_text())["run"]
    return run, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    typer.run(main)
