"""One document: from a PDF file to rows of the `figures` table."""

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from functools import reduce
from itertools import islice
from pathlib import Path

import numpy as np
import pypdfium2.raw as pdfium

from cephalo.dataset_scripts.common.geometry import Box, grow, intersection, turn
from cephalo.dataset_scripts.common.inputs import file_sha256
from cephalo.dataset_scripts.common.pixels import (
    compact,
    encode_png,
    ink_box,
    perceptual_hash,
    pixel_hash,
    thin,
)
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf import rendering, scan
from cephalo.dataset_scripts.pdf.captions import Caption, find_captions
from cephalo.dataset_scripts.pdf.elsewhere import pair_across_pages
from cephalo.dataset_scripts.pdf.embedded import lone_picture, looks_like, read_jpeg
from cephalo.dataset_scripts.pdf.layout import Block, PageContent, set_layout
from cephalo.dataset_scripts.pdf.listings import find_floats, find_listings, whole_figures
from cephalo.dataset_scripts.pdf.mentions import citation_key, find_mentions
from cephalo.dataset_scripts.pdf.metadata import read_metadata, read_xmp
from cephalo.dataset_scripts.pdf.pairing import Pair, pair_page, side_shares
from cephalo.dataset_scripts.pdf.panel_boxes import Picture
from cephalo.dataset_scripts.pdf.panels import Panel, find_panels
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.prose import find_passages
from cephalo.dataset_scripts.pdf.reading import read_pages
from cephalo.dataset_scripts.pdf.regions import Scene, build_scene
from cephalo.dataset_scripts.pdf.settings import KINDS, Settings
from cephalo.dataset_scripts.pdf.tables import find_tables
from cephalo.dataset_scripts.pdf.text_layer import text_faults
from cephalo.dataset_scripts.pdf.uncaptioned import find_uncaptioned

EXTRACTOR_VERSION = 16  # raise it when the same file would give other rows
_INFORMATION = ("Title", "Author", "Subject", "Keywords", "doi", "DOI", "License", "WPS-ARTICLEDOI")
MAX_PAGES = 3000
MAX_BYTES = 1 << 30
MAX_MENTIONS = 50
MAX_FIGURE_LINES = 500


@dataclass(frozen=True)
class Parameters:
    """What makes a region a figure's picture."""

    margin: float = 2.0  # points of paper left around the ink
    least_side: float = 12.0  # points; a region thinner than that is no figure
    least_pixels: int = 8  # a crop thinner than that shows nothing
    filled: float = 0.9  # of a JPEG's area that its ink takes; else the crop is cut to the ink
    stretched: float = 0.03  # by which the scales of a JPEG differ across and down, at most


P = Parameters()


@dataclass
class Extraction:
    """What a document gave: rows of the `figures` table, its number of pages, and rows of the
    `text` table, None if they were not asked for, with how many `sentences` were kept and left out.

    `unread` is one line about pages that were not read without OCR, `cut` one about pages with
    more on them than is read."""

    rows: list[dict]
    pages: int
    passages: list[dict] | None = None
    unread: str | None = None
    cut: str | None = None
    sentences: Counter[str] = field(default_factory=Counter)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Leave the search for cycles until after a document: reading makes many objects, no cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_without_collector()  # around the call, so that what was made is gone when it looks again
def extract_document(
    path: Path, settings: Settings | None = None, sha256: str | None = None
) -> Extraction:
    """Read the figures of a PDF file.

    Raises fast.UnreadableError with a reason where pdfium does not read the file.
    """
    if path.stat().st_size > MAX_BYTES:
        raise fast.UnreadableError(f"larger than {MAX_BYTES >> 20} MB")
    settings = settings or Settings()
    sha256 = sha256 or file_sha256(path)
    with fast.open_document(path) as document, closing(fast.Pages(document)) as pages:
        count = pdfium.FPDF_GetPageCount(document)
        if count < 1:
            raise fast.UnreadableError("it has no pages")
        if count > MAX_PAGES:
            raise fast.UnreadableError(f"{count} pages; the limit is {MAX_PAGES}")
        contents, gaps = read_pages(pages, count)
        unread = gaps.check_read()
        body, blocks = set_layout(contents)
        pairs = find_pairs(contents, blocks, body, settings.uncaptioned)
        information = {key: fast.metadata(document, key) for key in _INFORMATION}
        whole = asdict(read_metadata(contents, body, information, read_xmp(path)))
        mentions = find_mentions(contents, blocks, body)
        rows = []
        for content, own in zip(contents, pairs, strict=True):
            own = in_order([pair for pair in own if pair.caption.kind in settings.kinds])
            if not own:
                continue
            with pages.open(content.number) as page:
                for pair in own:
                    row = make_row(page, content, pair, settings.dpi, path)
                    if not row:
                        continue
                    key = citation_key(pair.caption.kind, pair.caption.number)
                    whole_ones = filter(scan.is_read, mentions.get(key, []))
                    row["mentions"] = list(islice(whole_ones, MAX_MENTIONS))
                    row["text_faults"] = _text_faults(row)
                    row |= {"document": path.name, "document_sha256": sha256, **whole}
                    rows.append(row)
        passages = None
        sentences: Counter[str] = Counter()
        if settings.text:
            document = {"document": path.name, "document_sha256": sha256, **whole}
            passages = find_passages(pages, contents, blocks, body, document, sentences)
    return Extraction(rows, count, passages, unread, gaps.describe_cut(), sentences)


def in_order(pairs: list[Pair]) -> list[Pair]:
    """The pairs of a page from top to bottom, those of one kind in the order of their numbers.

    The end of a column is lower on the page than the beginning of the next.
    """
    ordered = list(pairs)
    for kind in KINDS:
        places = [
            place
            for place, pair in enumerate(pairs)
            if pair.caption.kind == kind and pair.caption.number.isdecimal()
        ]
        own = sorted((pairs[place] for place in places), key=lambda one: int(one.caption.number))
        for place, pair in zip(places, own, strict=True):
            ordered[place] = pair
    return ordered


def _text_faults(row: dict) -> list[str]:
    """What of a row's caption, with its label and panels, and mentions was not read as printed."""
    parts = [panel["caption"] or "" for panel in row["panels"]]
    caption = [row["caption"], row["label"], *parts]
    return text_faults({"caption": caption, "mentions": row["mentions"]})


@dataclass
class Decisions:
    """What was decided about a document; the lists have an entry for each page in one orientation.

    `scenes` is None for pages without a caption. `prior`: how often the figures lie on each side
    of their captions, see `pair_page`.
    """

    captions: list[list[Caption]]
    scenes: list[Scene | None]
    prior: dict[str, float]
    pairs: list[list[Pair]]


def find_pairs(
    contents: list[PageContent],
    blocks: list[list[Block]],
    body: TypeProfile,
    uncaptioned: bool = False,
) -> list[list[Pair]]:
    """Captions with their regions, for each of `contents`, which have these `blocks` of text.

    With `uncaptioned`, also large graphics that no caption claims, under an empty one.
    """
    found = decide(contents, blocks, body, uncaptioned)
    if not uncaptioned:
        return found.pairs
    more = find_uncaptioned(found.scenes, found.pairs, body)
    return [sorted(own + new, key=_place) for own, new in zip(found.pairs, more, strict=True)]


def decide(
    contents: list[PageContent],
    blocks: list[list[Block]],
    body: TypeProfile,
    every_page: bool = False,
) -> Decisions:
    """Find the captions and their regions; with `every_page`, scenes of pages without too."""
    captions = find_captions(contents, blocks, body)
    scenes = [
        build_scene(content, own, body) if own or every_page else None
        for content, own in zip(contents, captions, strict=True)
    ]
    first = [pair_page(scene) if scene else [] for scene in scenes]
    figures = [pair for own in first for pair in own if pair.caption.kind != "table"]
    prior = side_shares(Counter(pair.side for pair in figures))
    drawn = [pair_page(scene, prior) if scene else [] for scene in scenes]
    told = whole_figures([pair.caption for own in drawn for pair in own])
    pairs = [
        _page_pairs(scene, own, prior, told) if scene else []
        for scene, own in zip(scenes, drawn, strict=True)
    ]
    pairs = pair_across_pages(contents, scenes, captions, pairs)
    for scene, own in zip(scenes, pairs, strict=True):
        if scene:
            own += find_floats(scene, own, prior, told)
            own.sort(key=_place)
    return Decisions(captions, scenes, prior, pairs)


def _place(pair: Pair) -> tuple[float, float]:
    return pair.caption.box[1], pair.caption.box[0]


def _page_pairs(
    scene: Scene, drawn: list[Pair], prior: dict[str, float], told: set[tuple[str, str]]
) -> list[Pair]:
    """Figures, tables and listings of a page with their captions, from top to bottom.

    `drawn` are those with graphics, `prior` the log-shares of the sides, `told` the figures of the
    document that need no text.
    """
    pairs = [pair for pair in drawn if pair.caption.kind != "table"]
    pairs += find_tables(scene, drawn)
    pairs += find_listings(scene, pairs, prior, told)
    return sorted(pairs, key=_place)


@dataclass
class Crop:
    """A figure's picture. `data` are its bytes as PNG or JPEG.

    `pixels`: uint8 (height, width, channels), three for RGB and one for grey levels.
    `box` is what `pixels` show of the displayed page, in points.
    """

    data: bytes
    pixels: np.ndarray
    box: Box
    dpi: int


def make_row(
    page: fast.Page, content: PageContent, pair: Pair, dpi: int, path: Path
) -> dict | None:
    """Crop a pair of the document at `path` and fill its row; None where nothing is to be seen."""
    crop = keep_jpeg(page, content, pair, path) or render_crop(page, content, pair, dpi)
    if crop is None:
        return None
    here = pair.caption.page == page.number
    return {
        "image": {"bytes": crop.data, "path": None},
        "caption": pair.caption.text,
        "label": pair.caption.label,
        "kind": pair.caption.kind,
        "panels": [
            {
                "letter": panel.letter,
                "bbox": list(displayed(panel.box, content)) if panel.box else None,
                "caption": panel.caption,
            }
            for panel in _panels(pair, content, crop)
        ],
        "figure_text": _figure_text(pair),
        "page": page.number,
        "bbox": list(crop.box),
        "caption_bbox": list(displayed(pair.caption.box, content)) if here else None,
        "width": crop.pixels.shape[1],
        "height": crop.pixels.shape[0],
        "dpi": crop.dpi,
        "image_sha256": pixel_hash(crop.pixels),
        "phash": perceptual_hash(crop.pixels),
        "source_url": None,
        "revision": None,
    }


def keep_jpeg(page: fast.Page, content: PageContent, pair: Pair, path: Path) -> Crop | None:
    """The figure's own JPEG, where it is one and fills its box; None else."""
    box = lone_picture(pair, content)
    if box is None or min(box[2] - box[0], box[3] - box[1]) < P.least_side:
        return None
    found = read_jpeg(page, box)
    if found is None:
        return None
    data, pixels = found
    height, width = pixels.shape[:2]
    ink = ink_box(pixels)
    filled = ink and (ink[2] - ink[0]) * (ink[3] - ink[1]) > P.filled * width * height
    across, down = width / (box[2] - box[0]), height / (box[3] - box[1])
    even = abs(across / down - 1) < P.stretched
    if not filled or min(height, width) < P.least_pixels or not even:
        return None
    if not looks_like(page, box, data, pixels, path):
        return None
    return Crop(data, pixels, box, max(1, round(72.0 * across)))


def render_crop(page: fast.Page, content: PageContent, pair: Pair, dpi: int) -> Crop | None:
    """The figure as pdfium draws it, cut to its ink; None if it has none."""
    box = intersection(grow(displayed(pair.box, content), P.margin), fast.page_box(page))
    if min(box[2] - box[0], box[3] - box[1]) < P.least_side:
        return None
    pixels, used = rendering.render(page, box, dpi)
    ink = ink_box(pixels)
    if ink is None:
        return None
    scale = 72.0 / used
    left, top, right, bottom = _with_margin(ink, pixels.shape, round(P.margin / scale))
    pixels = compact(pixels[top:bottom, left:right])
    if min(pixels.shape[:2]) < P.least_pixels:
        return None
    tight = (
        box[0] + left * scale,
        box[1] + top * scale,
        box[0] + right * scale,
        box[1] + bottom * scale,
    )
    return Crop(encode_png(pixels), pixels, tight, used)


def _figure_text(pair: Pair) -> list[str]:
    """The lines of text in a figure, from top to bottom."""
    lines = sorted(pair.lines, key=lambda line: (line.box[1], line.box[0]))
    texts = (line.text.strip() for line in lines if line.visible)
    return list(islice(filter(scan.is_read, filter(None, texts)), MAX_FIGURE_LINES))


def _panels(pair: Pair, content: PageContent, crop: Crop) -> list[Panel]:
    """Panels of a pair, in the frame of the page."""

    def draw(most: int) -> Picture:
        sides = content.width, content.height
        if content.quarters % 2:
            sides = sides[::-1]
        shown = turn(np.array([crop.box]), content.quarters, *sides)[0]
        step = -(-max(crop.pixels.shape[:2]) // most)
        darkest = reduce(np.minimum, np.moveaxis(thin(crop.pixels, step), 2, 0))
        return Picture(np.rot90(darkest, -content.quarters), tuple(shown.tolist()))

    images = [image for atom in pair.atoms for image in atom.images]
    return find_panels(images, pair.lines, pair.caption.text, draw)


def _with_margin(
    ink: tuple[int, int, int, int], shape: tuple[int, ...], margin: int
) -> tuple[int, int, int, int]:
    left, top, right, bottom = ink
    return (
        max(0, left - margin),
        max(0, top - margin),
        min(shape[1], right + margin),
        min(shape[0], bottom + margin),
    )


def displayed(box: Box, content: PageContent) -> Box:
    """A box of the page's frame on the displayed page."""
    turned = turn(np.array([box]), -content.quarters, content.width, content.height)
    return tuple(turned[0].tolist())
