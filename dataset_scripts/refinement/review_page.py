"""Write the page on which people accept, reject or edit conversations that the judges left
undecided."""

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import write_whole
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.conversations import turns_in
from cephalo.dataset_scripts.common.decisions import conversation_id
from cephalo.dataset_scripts.common.shards import read_rows
from cephalo.dataset_scripts.refinement.documents import read_figures, read_lines
from cephalo.dataset_scripts.refinement.forms import Talk, Turn
from cephalo.inference.images import open_image, shrunk

NAME = "undecided.html"
MOST_SHOWN = 300  # conversations; a page with more images loads slowly
IMAGE_EDGE = 1000  # pixels; small print of a figure is legible
COLUMNS = ["task", "query", "completion", "scores", "figures", "document"]


@dataclass(frozen=True)
class Case:
    """A conversation to decide about. `kept` is True if it is accepted without a decision."""

    id: str
    shard: str
    task: str
    document: str
    figures: tuple[str, ...]  # SHA-256 of the images
    labels: str
    turns: list[dict[str, str]]
    votes: list[dict[str, Any]]
    kept: bool


@dataclass(frozen=True)
class Group:
    """The cases about the same figures, with data URIs of the `images` and the figures'
    `captions`."""

    name: str
    images: list[str]
    captions: list[str]
    cases: list[Case]


def write_review_page(figures: Path, out: Path) -> str:
    """Write OUT/undecided.html with images of FIGURES. Returns a summary of one line."""
    groups: dict[tuple[str, ...], list[Case]] = {}
    total = shown = 0
    for case in cases(out):
        total += 1
        if shown < MOST_SHOWN:
            shown += 1
            groups.setdefault((case.shard, *case.figures), []).append(case)
    # Captions and answers are untrusted: everything is escaped.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("undecided.html.jinja").render(
        groups=[with_images(figures, group) for group in groups.values()], shown=shown, total=total
    )
    write_whole(out / NAME, page)
    more = f" (the first {shown} of them)" if shown < total else ""
    return f"{total} conversations for people to decide{more} → {out / NAME}"


def cases(out: Path) -> Iterator[Case]:
    """Yield undecided conversations, then those accepted although no judge's reply could be
    parsed."""
    for path in sorted((out / "undecided").glob("*.jsonl")):
        for line in read_lines(path):
            yield case_of(path.stem, line["id"], line, line["turns"], line["scores"], kept=False)
    for path in sorted((out / "conversations").glob("*.parquet")):
        for row in read_rows([path], COLUMNS, batch_rows=100):
            scores = json.loads(row["scores"])
            unread = scores.get("second_look", {}).get("outcome") == "unread"
            if not unread or "person" in scores:
                continue
            talk = talk_of(row)
            turns = [turn._asdict() for turn in talk.turns]
            number = conversation_id(row["figures"], row["task"], talk.turns)
            yield case_of(path.stem, number, row, turns, scores, kept=True)


def case_of(
    shard: str,
    number: str,
    row: Row,
    turns: list[dict[str, str]],
    scores: dict[str, Any],
    kept: bool,
) -> Case:
    """Build the case of a row or of an undecided line."""
    return Case(
        id=number,
        shard=shard,
        task=row["task"],
        document=row["document"],
        figures=tuple(figure["image_sha256"] for figure in row["figures"]),
        labels=", ".join(figure["label"] or "no label" for figure in row["figures"]),
        turns=turns,
        votes=scores.get("second_look", {}).get("votes", []),
        kept=kept,
    )


def talk_of(row: Row) -> Talk:
    """Return the conversation of a CONVERSATIONS row."""
    return Talk(tuple(Turn(*pair) for pair in turns_in(row)))


def with_images(figures: Path, group: list[Case]) -> Group:
    """Build a group with the images and captions of its figures; empty if their shard is
    missing."""
    first = group[0]
    shard = figures / "figures" / f"{first.shard}.parquet"
    rows = {}
    for row in read_figures(shard) if shard.exists() else ():
        if row["image_sha256"] in first.figures:
            rows[row["image_sha256"]] = row
    found = [rows[sha] for sha in first.figures if sha in rows]
    return Group(
        name=f"{first.document}, {first.labels}",
        images=[image_uri(row["image"]["bytes"]) for row in found],
        captions=[row["caption"] for row in found],
        cases=group,
    )


def image_uri(data: bytes) -> str:
    """Return an image as a data URI of a JPEG with at most IMAGE_EDGE pixels on its longer edge,
    empty if it cannot be decoded."""
    try:
        image = shrunk(open_image(io.BytesIO(data)), IMAGE_EDGE)
    except CephaloError:
        return ""
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode()
