"""Manual labels of compound figures, `truth.json`.

Papers and captions stay in the benchmark. A label names a document, a page and a figure, and has
caption parts as offsets into the benchmark's caption.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

PATH = Path(__file__).with_name("truth.json")


@dataclass(frozen=True)
class LabelledPanel:
    """One panel.

    Attributes:
        letter: Letter of the panel, or `None`.
        bbox: Box in points on the displayed page. `None` if the extent is ambiguous; such a panel
            is not counted for boxes.
        parts: (start, end) offsets of the readings of the caption that count as correct. Empty if
            the caption does not describe the panel separately.
    """

    letter: str | None
    bbox: tuple[float, float, float, float] | None
    parts: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class LabelledFigure:
    """One figure. `set` is the folder of the benchmark. Without `panels` it is a simple figure."""

    set: str
    document: str
    publisher: str
    label: str
    page: int
    panels: tuple[LabelledPanel, ...]


@dataclass(frozen=True)
class Truth:
    """All labelled figures, and the publishers that are not used for development."""

    held_out: frozenset[str]
    figures: tuple[LabelledFigure, ...]


def read_truth(path: Path = PATH) -> Truth:
    """Read the labels."""
    content = json.loads(path.read_text(encoding="utf-8"))
    figures = []
    for entry in content["figures"]:
        panels = tuple(
            LabelledPanel(
                panel["letter"],
                tuple(panel["bbox"]) if panel["bbox"] else None,
                tuple((start, end) for start, end in panel["parts"]),
            )
            for panel in entry["panels"]
        )
        figures.append(LabelledFigure(**entry | {"panels": panels}))
    return Truth(frozenset(content["held_out"]), tuple(figures))


def write_truth(truth: Truth, path: Path = PATH) -> None:
    """Write the labels sorted, one figure per line."""
    figures = sorted(truth.figures, key=lambda figure: (figure.set, figure.document, figure.label))
    lines = ",\n".join(json.dumps(asdict(figure), ensure_ascii=False) for figure in figures)
    held_out = json.dumps(sorted(truth.held_out))
    path.write_text(f'{{"held_out": {held_out},\n"figures": [\n{lines}\n]}}\n', encoding="utf-8")


def with_figure(truth: Truth, figure: LabelledFigure) -> Truth:
    """Return `truth` with a figure added or replaced."""
    key = (figure.set, figure.document, figure.label)
    rest = [old for old in truth.figures if (old.set, old.document, old.label) != key]
    return replace(truth, figures=(*rest, figure))


def read_caption(bench: Path, figure: LabelledFigure) -> str:
    """Return the caption of a labelled figure in the benchmark.

    Raises:
        KeyError: If the benchmark has no such figure.
    """
    path = bench / figure.set / "truth" / f"{figure.document}.json"
    for entry in json.loads(path.read_text(encoding="utf-8"))["figures"]:
        if entry["label"] == figure.label:
            return entry["caption"]
    raise KeyError(f"{figure.document}: {figure.label}")
