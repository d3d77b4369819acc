"""A folder to review with figures known and hostile, and `cephalo review` running on it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from figure_samples import figure_row, write_figures
from pdf_samples import one_figure

from cephalo.dataset_scripts.common.inputs import DIGITS, file_sha256
from cephalo.dataset_scripts.common.schema import FIGURES

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
HOSTILE = "</script><script>document.title='stolen'</script><img src=x onerror=alert(1)>"
PAPER = "a-paper.pdf"


def write_folder(folder: Path, hostile: bool = True) -> Path:
    """Two documents of three figures, one whose texts are hostile, and one with a page."""
    write_figures(folder, documents=2, figures=3)
    if hostile:
        bad = figure_row(7, 1, caption=HOSTILE, label=HOSTILE, kind=HOSTILE, title=HOSTILE)
        bad |= {"document": HOSTILE, "license": HOSTILE, "text_faults": [HOSTILE]}
        bad["panels"] = [{"letter": HOSTILE, "bbox": [72, 72, 90, 90], "caption": HOSTILE}]
        write_shard(folder / "figures" / "z-hostile.parquet", bad)
    paper = folder.with_name(f"{folder.name}-{PAPER}")
    box = one_figure(paper)
    sha256 = file_sha256(paper)
    row = figure_row(9, 1, document_sha256=sha256, page=0, bbox=box, panels=[])
    row["document"] = PAPER
    write_shard(folder / "figures" / f"a-paper-{sha256[:DIGITS]}.parquet", row)
    (folder / "inputs.json").write_text(json.dumps({sha256[:DIGITS]: [str(paper)]}))
    return folder


def write_shard(path: Path, *rows: dict[str, Any]) -> None:
    """Write FIGURES rows whole."""
    aside = path.with_suffix(".tmp")
    pq.write_table(pa.Table.from_pylist(list(rows), schema=FIGURES.arrow_schema), aside)
    aside.rename(path)


class Answer(NamedTuple):
    """What a request gave."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Review:
    """A running `cephalo review`."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process, self.address = process, address

    def ask(self, path: str, body: Any = None, **headers: str) -> Answer:
        """The answer to GET, or with a body to POST; `path` may be a whole address."""
        url = path if path.startswith("http") else self.address + path
        data = None if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(url, data, kind | named)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def list(self, **wanted: str) -> list[dict[str, Any]]:
        """The figures that filters let through."""
        query = urllib.parse.urlencode(wanted)
        ids = self.ask(f"api/list?{query}").json["ids"]
        return self.ask(f"api/figures?ids={','.join(map(str, ids))}").json["figures"] if ids else []

    def decide(self, number: int, what: str, after: Any) -> Answer:
        """Record a decision."""
        return self.ask("api/decide", {"id": number, "what": what, "after": after})

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def reviewing(folder: Path, figures: int, *options: str) -> Iterator[Review]:
    """`cephalo review` on a folder, once it has read so many figures."""
    command = [sys.executable, "-m", "cephalo.cli.main", "review", str(folder), "--by", "ann"]
    process = subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout and process.stderr
    try:
        line = process.stdout.readline()
        assert "http://" in line, process.stderr.read()
        review = Review(process, next(word for word in line.split() if word.startswith("http")))
        while review.ask("api/state").json["figures"] < figures:
            assert process.poll() is None
        yield review
    finally:
        process.terminate()
        process.communicate()
