"""Documents that are read once and processed many times, for ablations."""

import pickle
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path

import pypdfium2.raw as pdfium

from benchmarks.bench_extract import KINDS
from cephalo.dataset_scripts.pdf import document as deciding
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.captions import Caption, find_captions
from cephalo.dataset_scripts.pdf.document import displayed, extract_document, find_pairs
from cephalo.dataset_scripts.pdf.layout import Block, PageContent, set_layout
from cephalo.dataset_scripts.pdf.mentions import find_mentions
from cephalo.dataset_scripts.pdf.metadata import read_metadata
from cephalo.dataset_scripts.pdf.pairing import Pair
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.prose import find_passages
from cephalo.dataset_scripts.pdf.reading import read_pages
from cephalo.dataset_scripts.pdf.settings import Settings

# Modules by the first step that uses their parameters.
READING = ("gutters", "text")
LAYOUT = ("furniture", "layout", "profile")
CAPTIONS = (
    "caption_extent",
    "caption_features",
    "caption_places",
    "caption_resuming",
    "caption_starts",
    "captions",
    "rows",
)
PICTURES = ("document", "embedded")
DPI = 72  # of the images
_NAMES = {"document": "", "document_sha256": ""}  # columns of the text rows

LaidOut = tuple[list[PageContent], TypeProfile, list[list[Block]]]


def read(pdf: Path) -> list[PageContent]:
    """Return the pages of a PDF file."""
    with fast.open_document(pdf) as document, closing(fast.Pages(document)) as pages:
        return read_pages(pages, pdfium.FPDF_GetPageCount(document))[0]


class Opened:
    """A document that is read and laid out once, for many decisions."""

    def __init__(self, pdf: Path) -> None:
        self.pdf = pdf

    @cached_property
    def _read(self) -> bytes:
        """The pages as read, pickled because layout and pairing modify them."""
        return pickle.dumps(read(self.pdf), protocol=pickle.HIGHEST_PROTOCOL)

    @cached_property
    def _laid_out(self) -> LaidOut:
        """The pages after layout."""
        pages = pickle.loads(self._read)
        return pages, *set_layout(pages)

    @cached_property
    def _tags(self) -> list[tuple[set[str], frozenset[str]]]:
        """The tags of all lines after layout."""
        pages = self._laid_out[0]
        return [(line.tags, frozenset(line.tags)) for page in pages for line in page.lines]

    def _untouched(self) -> LaidOut:
        """Return the pages after layout, without tags of an earlier pairing."""
        for tags, before in self._tags:
            tags.clear()
            tags.update(before)
        return self._laid_out

    @cached_property
    def _captions(self) -> list[list[Caption]]:
        """The captions under the weights and parameters of the first call."""
        pages, profile, blocks = self._untouched()
        return find_captions(pages, blocks, profile)

    @contextmanager
    def _known_captions(self) -> Iterator[LaidOut]:
        """Use `_captions` unchanged in the decisions about figures."""
        pages, profile, blocks = self._laid_out
        known = self._captions
        self._untouched()
        for caption in (caption for own in known for caption in own):
            for line in caption.lines:
                line.tags.add("caption")
        deciding.find_captions = lambda *_: [[replace(c) for c in own] for own in known]
        try:
            yield pages, profile, blocks
        finally:
            deciding.find_captions = find_captions

    def captions(self) -> list[tuple]:
        """Return all properties of the captions that later steps use."""
        pages, profile, blocks = self._untouched()
        return [
            (c.kind, c.label, c.number, c.text, c.box, c.page, [id(line) for line in c.lines])
            for own in find_captions(pages, blocks, profile)
            for c in own
        ]

    def rows(self) -> list[dict]:
        """Return predictions with other weights, in the format of the benchmark's scorer."""
        return self._rows(self._untouched())

    def _rows(self, laid_out: LaidOut) -> list[dict]:
        pages, profile, blocks = laid_out
        found = find_pairs(pages, blocks, profile)
        return [self._row(page, pair) for page, pair in _each(pages, found)]

    def _row(self, page: PageContent, pair: Pair) -> dict:
        return {
            "pdf": self.pdf.name,
            "label": pair.caption.label,
            "caption": pair.caption.text,
            "page": page.number,
            "bbox": list(displayed(pair.box, page)),
            **({"type": "table"} if pair.caption.kind == "table" else {}),
        }

    def results(self, module: str) -> tuple[list[dict] | None, object]:
        """Return results that parameters of `module` may change: predictions, and others.

        Predictions are `None` if they cannot change.
        """
        makers: dict[str, Callable[[LaidOut], object]] = {
            "metadata": self._metadata,
            "mentions": _mentions,
            "prose": self._passages,
        }
        if module in PICTURES:
            return None, self._pictures()
        if module in makers:
            with self._known_captions() as laid_out:
                return None, makers[module](laid_out)
        if module == "uncaptioned":
            with self._known_captions() as (pages, profile, blocks):
                found = find_pairs(pages, blocks, profile, uncaptioned=True)
                return None, [self._row(page, pair) for page, pair in _each(pages, found)]
        if module in READING or module in LAYOUT:
            pages = read(self.pdf) if module in READING else pickle.loads(self._read)
            laid_out = pages, *set_layout(pages)
            return self._rows(laid_out), [make(laid_out) for make in makers.values()]
        if module in CAPTIONS:
            return self.rows(), None
        with self._known_captions() as laid_out:
            return self._rows(laid_out), None

    def _metadata(self, laid_out: LaidOut) -> dict:
        return asdict(read_metadata(*laid_out[:2], {}))

    def _passages(self, laid_out: LaidOut) -> list[dict]:
        pages, profile, blocks = laid_out
        own = {**_NAMES, **self._metadata(laid_out)}
        with fast.open_document(self.pdf) as document, closing(fast.Pages(document)) as file:
            return find_passages(file, pages, blocks, profile, own)

    def _pictures(self) -> list[tuple]:
        settings = Settings(kinds=KINDS, dpi=DPI, uncaptioned=True)
        rows = extract_document(self.pdf, settings).rows
        return [(row["label"], row["bbox"], row["image_sha256"]) for row in rows]


def _mentions(laid_out: LaidOut) -> dict[str, list[str]]:
    pages, profile, blocks = laid_out
    found = find_mentions(pages, blocks, profile)
    return {str(key): list(map(str, own)) for key, own in found.items()}


def _each(pages: list[PageContent], found: list[list[Pair]]) -> Iterator[tuple[PageContent, Pair]]:
    for page, own in zip(pages, found, strict=True):
        yield from ((page, pair) for pair in own if pair.caption.kind in KINDS)
