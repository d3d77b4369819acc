"""Figures with known panels, as input of the panel stage: published, typeset, drawn."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.panels.compound import draw_compound, read_compound
from benchmarks.panels.score import find_row
from benchmarks.panels.truth import LabelledFigure, LabelledPanel, read_caption, read_truth
from cephalo.dataset_scripts.pdf import document, panels

DRAWN_TOGETHER = 10  # drawn figures per source


@dataclass(frozen=True)
class PanelSource:
    """Figures that are read together: those of a document, or several drawn ones.

    `captions` are those of the ground truth. A drawn source has random generator states instead of
    a `path`.
    """

    set: str
    path: Path | None = None
    figures: tuple[LabelledFigure, ...] = ()
    captions: tuple[str, ...] = ()
    states: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class PanelInput:
    """A figure, its caption in the ground truth, and a function that finds its panels again."""

    figure: LabelledFigure
    caption: str
    find: Callable[[], list[panels.Panel]]


def published(bench: Path) -> Iterator[PanelSource]:
    """Yield the documents of publishers that are not held out."""
    truth = read_truth()
    own: dict[tuple[str, str], list[LabelledFigure]] = {}
    for figure in truth.figures:
        if figure.publisher not in truth.held_out:
            own.setdefault((figure.set, figure.document), []).append(figure)
    for (name, paper), figures in own.items():
        captions = tuple(read_caption(bench, figure) for figure in figures)
        path = bench / name / "pdf" / f"{paper}.pdf"
        yield PanelSource("published", path, tuple(figures), captions)


def typeset(bench: Path) -> Iterator[PanelSource]:
    """Yield born-digital typeset documents, with their figures of at least two panels."""
    folder = bench / "typeset" / "dev"
    for path in sorted(folder.glob("truth/*.json")):
        truth = json.loads(path.read_text(encoding="utf-8"))
        known = [figure for figure in truth["figures"] if len(figure.get("panels") or ()) > 1]
        if known and not truth.get("scanned"):
            figures = tuple(_typeset_figure(truth["id"], figure) for figure in known)
            captions = tuple(figure["caption"] for figure in known)
            yield PanelSource("typeset", folder / "pdf" / f"{truth['id']}.pdf", figures, captions)


def _typeset_figure(name: str, figure: dict) -> LabelledFigure:
    found = tuple(
        LabelledPanel(panel["letter"], tuple(panel["bbox"]))
        for panel in figure["panels"]
        if panel["bbox"]
    )
    return LabelledFigure("typeset", name, "typeset", figure["label"], figure["page"], found)


def drawn(count: int, seed: int) -> Iterator[PanelSource]:
    """Yield `count` drawn figures of a seed."""
    states = [(seed, index) for index in range(count)]
    for start in range(0, count, DRAWN_TOGETHER):
        yield PanelSource("drawn", states=tuple(states[start : start + DRAWN_TOGETHER]))


def read(source: PanelSource) -> Iterator[PanelInput]:
    """Yield the figures of a source that the extractor finds."""
    if source.path is None:
        for state in source.states:
            yield _drawn_input(state)
        return
    rows, finders = _record(source.path)
    for figure, caption in zip(source.figures, source.captions, strict=True):
        row = find_row(rows, figure, caption)
        if row is not None:
            yield PanelInput(figure, caption, finders[rows.index(row)])


def _drawn_input(state: tuple[int, int]) -> PanelInput:
    compound = draw_compound(np.random.default_rng(state))
    known = tuple(LabelledPanel(letter, box) for letter, box in compound.boxes.items())
    figure = LabelledFigure("drawn", str(state[0]), "drawn", str(state[1]), 0, known)
    return PanelInput(figure, compound.caption, lambda: read_compound(compound))


def _record(path: Path) -> tuple[list[dict], list[Callable[[], list[panels.Panel]]]]:
    """Return the rows of a document, with a function for each that finds its panels again."""
    finders: list[Callable[[], list[panels.Panel]]] = []

    def recording(images: list, lines: list, caption: str, draw: Callable) -> list[panels.Panel]:
        drawn_once = cache(draw)
        finders.append(lambda: panels.find_panels(images, lines, caption, drawn_once))
        return []

    with mock.patch.object(document, "find_panels", recording):
        rows = document.extract_document(path).rows
    if len(rows) != len(finders):
        raise RuntimeError(f"{path}: panels are not searched exactly once per row")
    return rows, finders
