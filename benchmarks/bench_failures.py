"""Write a page of failures: each on its page, with the true box and ours, and the reason."""

import base64
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from jinja2 import Environment, FileSystemLoader

from cephalo.cli.files import write_whole
from cephalo.dataset_scripts.common.geometry import Box, grow, intersection, union
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf import rendering
from cephalo.dataset_scripts.review import small_jpeg

IOU = 0.8  # of a right box
SAME = 0.9  # similarity of texts from which two captions are the same
DPI = 100
MARGIN = 30.0  # points of the page around the boxes


@dataclass(frozen=True)
class Failure:
    """A figure or table that differs from the ground truth.

    `truth` and `ours` are the two figures, each None if there is none; `reason` is one line.
    """

    path: Path
    reason: str
    truth: dict | None
    ours: dict | None

    @property
    def page(self) -> int | None:
        """The page to show, 0-based; None if unknown."""
        return (self.ours or self.truth)["page"]

    def boxes(self) -> dict[str, Box]:
        """The boxes to draw on the page: of "truth" and of "ours"."""
        figures = {"truth": self.truth, "ours": self.ours}
        return {
            name: tuple(figure["bbox"])
            for name, figure in figures.items()
            if figure and figure.get("bbox") and figure["page"] == self.page
        }


@dataclass(frozen=True)
class View:
    """A part of a page: a data URI, its width in points, and the boxes in percent of its sides.

    A box is (left, top, width, height).
    """

    uri: str
    width: float
    boxes: dict[str, tuple[float, float, float, float]]


def find_failures(
    scorer: ModuleType, truths: dict[str, dict], rows: list[dict], folder: Path
) -> list[Failure]:
    """Return the failures of a set, by the measures of the benchmark's score.py.

    `rows` are predictions in its format; `folder` contains the PDF files.
    """
    failures = []
    for document, truth in truths.items():
        path = folder / f"{document}.pdf"
        own = [row for row in rows if row["pdf"] == path.name]
        for kind in ("figures", "tables"):
            found = [row for row in own if scorer.is_table(row) == (kind == "tables")]
            failures += _compare(scorer, path, truth.get(kind) or [], found)
    return failures


def _compare(
    scorer: ModuleType, path: Path, truths: list[dict], found: list[dict]
) -> list[Failure]:
    scores = scorer.score_doc(truths, found, SAME, IOU)
    pairs = scores["pair"]
    failures = []
    for index, row in enumerate(found):
        if index not in pairs:
            best = scores["R"][index].max() if truths else 0.0
            failures.append(Failure(path, f"invented: best caption {best:.2f}", None, row))
            continue
        truth = truths[pairs[index]]
        overlap = scores["I"][index, pairs[index]]
        if scorer.has_box(truth) and overlap < IOU:
            failures.append(Failure(path, f"box: IoU {overlap:.2f}", truth, row))
        if truth.get("label") and not scores["Lb"][index, pairs[index]]:
            reason = f"label: {truth['label']} was read as {row['label']}"
            failures.append(Failure(path, reason, truth, row))
    for index, truth in enumerate(truths):
        if index not in pairs.values():
            best = scores["R"][:, index].max() if found else 0.0
            failures.append(Failure(path, f"missed: best caption {best:.2f}", truth, None))
    return failures


def write_failures(page: Path, failures: list[Failure]) -> None:
    """Write the sheet as one self-contained HTML page."""
    # Captions and labels are untrusted: everything is escaped.
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    template = environment.get_template("bench_failures.html.jinja")
    write_whole(page, template.render(failures=[(one, view(one)) for one in failures]))


def view(failure: Failure) -> View | None:
    """Return the part of the page around the boxes, or None if there is nothing to show."""
    boxes = failure.boxes()
    if not boxes:
        return None
    with (
        fast.open_document(failure.path) as document,
        fast.open_page(document, failure.page) as page,
    ):
        part = intersection(grow(union(list(boxes.values())), MARGIN), fast.page_box(page))
        pixels, _ = rendering.render(page, part, DPI)
    wide, high = part[2] - part[0], part[3] - part[1]
    places = {
        name: (
            100 * (x0 - part[0]) / wide,
            100 * (y0 - part[1]) / high,
            100 * (x1 - x0) / wide,
            100 * (y1 - y0) / high,
        )
        for name, (x0, y0, x1, y1) in boxes.items()
    }
    uri = "data:image/jpeg;base64," + base64.b64encode(small_jpeg(pixels)).decode()
    return View(uri, wide, places)
