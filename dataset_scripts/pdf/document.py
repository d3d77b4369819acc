"""Extract one document: from a PDF file to rows of the `figures` table."""

import gc
from collections import Counter
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.geometry import Box, grow, intersection, turn
from cephalo.dataset_scripts.common.inputs import file_sha256
from cephalo.dataset_scripts.common.pixels import (
    compact,
    darkest,
    encode_png,
    ink_box,
    perceptual_hash,
    pixel_hash,
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
from cephalo.dataset_scripts.pdf.pairing import Pair, figure_sides, in_order, pair_page, side_shares
from cephalo.dataset_scripts.pdf.panel_boxes import Picture
from cephalo.dataset_scripts.pdf.panels import Panel, find_panels
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.prose import find_passages
from cephalo.dataset_scripts.pdf.reading import read_pages
from cephalo.dataset_scripts.pdf.regions import Scene, build_scene
from cephalo.dataset_scripts.pdf.settings import Settings
from cephalo.dataset_scripts.pdf.sight import Problem
from cephalo.dataset_scripts.pdf.tables import find_tables, without_later_parts
from cephalo.dataset_scripts.pdf.text_layer import text_faults
from cephalo.dataset_scripts.pdf.uncaptioned import find_uncaptioned

EXTRACTOR_VERSION = 18  # increase it when the same file gives other rows
_INFORMATION = ("Title", "Author", "Subject", "Keywords", "doi", "DOI", "License", "WPS-ARTICLEDOI")
MAX_PAGES = 3000
MAX_BYTES = 1 << 30
MAX_MENTIONS = 50
MAX_FIGURE_LINES = 500


@dataclass(frozen=True)
class Parameters:
    """Limits for the image of a figure."""

    margin: float = 2.0  # points of white margin around the ink
    least_side: float = 12.0  # points; a narrower or lower region is not a figure
    least_pixels: int = 8  # smallest width and height of a crop
    filled: float = 0.9  # smallest share of a JPEG's area within its ink box, to keep it
    stretched: float = 0.03  # largest relative difference between the scales of a JPEG in x and y


P = Parameters()


@dataclass
class Extraction:
    """The result of extracting a document.

    Attributes:
        rows: Rows of the `figures` table.
        pages: Number of pages.
        passages: Rows of the `text` table, `None` if text was not requested.
        unread: Message about pages that need OCR.
        cut: Message about pages with more content than is read.
        garbled: Message about pages with many glyphs of unknown character.
        sentences: Number of sentences that were kept and dropped.
    """

    rows: list[Row]
    pages: int
    passages: list[Row] | None = None
    unread: str | None = None
    cut: str | None = None
    garbled: str | None = None
    sentences: Counter[str] = field(default_factory=Counter)


@contextmanager
def _without_collector() -> Generator[None]:
    """Disable the garbage collector for a document: reading makes many objects, but no cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_without_collector()  # as a decorator: the objects are freed before the collector is enabled
def extract_document(
    path: Path, settings: Settings | None = None, sha256: str | None = None
) -> Extraction:
    """Extract the figures of a PDF file.

    Args:
        path: PDF file.
        settings: Options of the extraction; the defaults if `None`.
        sha256: SHA-256 of the file, if known.

    Raises:
        UnreadableError: If the file is too large, has too many pages or is not read by pdfium.
    """
    if path.stat().st_size > MAX_BYTES:
        raise fast.UnreadableError(f"larger than {MAX_BYTES >> 20} MB")
    settings = settings or Settings()
    sha256 = sha256 or file_sha256(path)
    with fast.open_document(path) as document, closing(fast.Pages(document)) as pages:
        count = len(pages)
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
        rows: list[Row] = []
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
    told = gaps.describe_cut(), gaps.describe_garbled()
    return Extraction(rows, count, passages, unread, *told, sentences)


def _text_faults(row: Row) -> list[str]:
    """Return the faults of reading in the caption, with label and panels, and mentions of a row."""
    parts = [panel["caption"] or "" for panel in row["panels"]]
    caption = [row["caption"], row["label"], *parts]
    return text_faults({"caption": caption, "mentions": row["mentions"]})


@dataclass
class Decisions:
    """The decisions about a document. Lists have one entry per page and orientation.

    `scenes` has `None` for pages without a caption. `prior` is the log share of figures on each
    side of their captions, see `pair_page`.
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
    """Find the captions of each page and their regions.

    Args:
        contents: Content of each page.
        blocks: Blocks of text of each page.
        body: Type of the body text.
        uncaptioned: Whether to add large graphics without a caption, with an empty caption.
    """
    found = decide(contents, blocks, body, uncaptioned)
    pairs = without_later_parts(found.pairs)
    if not uncaptioned:
        return pairs
    scenes = [scene for scene in found.scenes if scene]  # of every page
    more = find_uncaptioned(scenes, found.pairs, body)
    return [sorted(own + new, key=_place) for own, new in zip(pairs, more, strict=True)]


def decide(
    contents: list[PageContent],
    blocks: list[list[Block]],
    body: TypeProfile,
    every_page: bool = False,
) -> Decisions:
    """Find captions and regions; with `every_page`, make scenes of pages without a caption too."""
    captions = find_captions(contents, blocks, body)
    scenes = [
        build_scene(content, own, body) if own or every_page else None
        for content, own in zip(contents, captions, strict=True)
    ]
    problems = [Problem(scene, scene.captions, {}) if scene else None for scene in scenes]
    sides: Counter[str | None] = Counter()
    for problem in filter(None, problems):
        sides += figure_sides(problem)
    prior = side_shares(sides)
    drawn = [pair_page(problem, prior) if problem else [] for problem in problems]
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
    """Return the top and left of a pair's caption, for sorting."""
    return pair.caption.box[1], pair.caption.box[0]


def _page_pairs(
    scene: Scene, drawn: list[Pair], prior: dict[str, float], told: set[tuple[str, str]]
) -> list[Pair]:
    """Return the figures, tables and listings of a page with captions, from top to bottom."""
    pairs = [pair for pair in drawn if pair.caption.kind != "table"]
    pairs += find_tables(scene, drawn)
    pairs += find_listings(scene, pairs, prior, told)
    return sorted(pairs, key=_place)


@dataclass
class Crop:
    """The image of a figure.

    Attributes:
        data: PNG or JPEG file.
        pixels: uint8 of shape (height, width, 3 for RGB or 1 for grey).
        box: Box on the displayed page, in points.
    """

    data: bytes
    pixels: np.ndarray
    box: Box
    dpi: int


def make_row(page: fast.Page, content: PageContent, pair: Pair, dpi: int, path: Path) -> Row | None:
    """Crop a figure of the PDF file `path` and return its row, or `None` if the crop is blank.

    `dpi` is the resolution of rendered images in dots per inch.
    """
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
    """Return the embedded JPEG of a figure if it fills the region, else `None`."""
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
    """Render the region of a figure, cropped to its ink. Return `None` if it is blank."""
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
    """Return the lines of text in a figure, from top to bottom."""
    lines = sorted(pair.lines, key=lambda line: (line.box[1], line.box[0]))
    texts = (line.text.strip() for line in lines if line.visible)
    return list(islice(filter(scan.is_read, filter(None, texts)), MAX_FIGURE_LINES))


def _panels(pair: Pair, content: PageContent, crop: Crop) -> list[Panel]:
    """Return the panels of a pair, in the frame of the page."""

    def draw(most: int) -> Picture:
        sides = content.width, content.height
        if content.quarters % 2:
            sides = sides[::-1]
        shown = turn(np.array([crop.box]), content.quarters, *sides)[0]
        step = -(-max(crop.pixels.shape[:2]) // most)
        grey = darkest(crop.pixels, step)
        return Picture(np.rot90(grey, -content.quarters), tuple(shown.tolist()))

    images = [image for atom in pair.atoms for image in atom.images]
    return find_panels(images, pair.lines, pair.caption.text, draw)


def _with_margin(
    ink: tuple[int, int, int, int], shape: tuple[int, ...], margin: int
) -> tuple[int, int, int, int]:
    """Add a margin in pixels to an ink box, within the image."""
    left, top, right, bottom = ink
    return (
        max(0, left - margin),
        max(0, top - margin),
        min(shape[1], right + margin),
        min(shape[0], bottom + margin),
    )


def displayed(box: Box, content: PageContent) -> Box:
    """Convert a box from the frame of the page to the displayed page, in points."""
    turned = turn(np.array([box]), -content.quarters, content.width, content.height)
    return tuple(turned[0].tolist())
