"""One document: from a PDF file to rows of the `figures` table."""

import gc
import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import reduce
from itertools import islice
from pathlib import Path

import numpy as np
import pypdfium2.raw as pdfium

from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf import rendering, scan
from cephalo.dataset_scripts.pdf.captions import Caption, find_captions
from cephalo.dataset_scripts.pdf.embedded import lone_picture, looks_like, read_jpeg
from cephalo.dataset_scripts.pdf.geometry import Box, grow, intersection, turn
from cephalo.dataset_scripts.pdf.graphics import read_graphics
from cephalo.dataset_scripts.pdf.layout import (
    Block,
    BodyStyle,
    PageContent,
    body_style,
    document_columns,
    find_blocks,
    find_text_area,
    mark_furniture,
    to_contents,
)
from cephalo.dataset_scripts.pdf.legends import give_legends
from cephalo.dataset_scripts.pdf.listings import find_listings
from cephalo.dataset_scripts.pdf.mentions import citation_key, find_mentions
from cephalo.dataset_scripts.pdf.metadata import read_metadata
from cephalo.dataset_scripts.pdf.page_breaks import continue_captions
from cephalo.dataset_scripts.pdf.pairing import Pair, pair_page
from cephalo.dataset_scripts.pdf.panel_boxes import Picture
from cephalo.dataset_scripts.pdf.panels import Panel, find_panels
from cephalo.dataset_scripts.pdf.prose import find_passages
from cephalo.dataset_scripts.pdf.regions import Scene, build_scene
from cephalo.dataset_scripts.pdf.tables import find_tables
from cephalo.dataset_scripts.pdf.text import drop_unseen, read_lines
from cephalo.dataset_scripts.pdf.uncaptioned import find_uncaptioned

EXTRACTOR_VERSION = 7  # raise it when the same file would give other rows
_INFORMATION = ("Title", "Subject", "Keywords", "doi", "DOI", "License", "WPS-ARTICLEDOI")
KINDS = ("figure", "scheme", "chart", "plate", "table")
MAX_PAGES = 3000
MAX_BYTES = 1 << 30
MAX_MENTIONS = 50
MARGIN = 2.0  # points of paper left around the ink
MIN_SIDE = 12.0  # points; a region thinner than that is no figure


@dataclass(frozen=True)
class Settings:
    """What decides the rows besides the file: dots per inch of the crops, kinds to keep, whether
    figures without a caption are kept, and whether the running text is."""

    dpi: int = 200
    kinds: tuple[str, ...] = ("figure", "scheme", "chart", "plate")
    uncaptioned: bool = False
    text: bool = False


@dataclass
class Extraction:
    """What a document gave: rows of the `figures` table, its number of pages, and rows of the
    `text` table, None where they were not asked for.

    `unread` is one line about pages that are scans and were not read for want of OCR."""

    rows: list[dict]
    pages: int
    passages: list[dict] | None = None
    unread: str | None = None


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    with (
        _without_collector(),
        fast.open_document(path) as document,
        closing(fast.Pages(document)) as pages,
    ):
        count = pdfium.FPDF_GetPageCount(document)
        if count < 1:
            raise fast.UnreadableError("it has no pages")
        if count > MAX_PAGES:
            raise fast.UnreadableError(f"{count} pages; the limit is {MAX_PAGES}")
        contents, unread = read_pages(pages, count)
        body = body_style(contents)
        blocks, pairs = find_pairs(contents, body, settings.uncaptioned)
        information = {key: fast.metadata(document, key) for key in _INFORMATION}
        whole = asdict(read_metadata(contents, body, information))
        mentions = find_mentions(contents, blocks, body)
        rows = []
        for content, own in zip(contents, pairs, strict=True):
            own = [pair for pair in own if pair.caption.kind in settings.kinds]
            if not own:
                continue
            with pages.open(content.number) as page:
                for pair in own:
                    row = make_row(page, content, pair, settings.dpi)
                    if not row:
                        continue
                    key = citation_key(pair.caption.kind, pair.caption.number)
                    whole_ones = filter(scan.is_read, mentions.get(key, []))
                    row["mentions"] = list(islice(whole_ones, MAX_MENTIONS))
                    row |= {"document": path.name, "document_sha256": sha256, **whole}
                    rows.append(row)
        passages = None
        if settings.text:
            document = {"document": path.name, "document_sha256": sha256, **whole}
            passages = find_passages(contents, blocks, body, document)
    return Extraction(rows, count, passages, unread)


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


def read_pages(source: fast.Pages, count: int) -> tuple[list[PageContent], str | None]:
    """Text lines and graphics of every page; a damaged page counts as empty.

    A page with captions in two orientations comes twice, in two frames. Also returns one line about
    scans that were not read, None where there are none. Raises UnreadableError
    where most pages are scans that cannot be read without the OCR extra.
    """
    pages = []
    unread = 0
    for number in range(count):
        try:
            with source.open(number) as page:
                graphics = read_graphics(page)
                lines = read_lines(page, graphics.hidden)
                scanned = scan.is_scan(page, lines, graphics)
                picture = scan.draw(page) if scanned and scan.is_legible(lines) else None
                if not scanned:
                    source.keep(page)
                    lines = drop_unseen(lines, page, graphics.boxes)
            # Only now, since pdfium holds the picture of a scan as long as its page is open.
            if picture:
                lines, graphics = scan.read_scan(page, picture, lines, graphics)
            unread += scanned and picture is None
            pages += to_contents(number, page.width, page.height, lines, graphics)
        except fast.UnreadableError:
            pages.append(
                PageContent(number, 1, 1, 0, [], [], np.zeros((0, 4)), np.zeros(0, np.uint8))
            )
    return pages, scan.check_read(unread, count)


def find_pairs(
    contents: list[PageContent], body: BodyStyle, uncaptioned: bool = False
) -> tuple[list[list[Block]], list[list[Pair]]]:
    """Blocks of text, and captions with their regions, for each of `contents`.

    With `uncaptioned`, also large graphics that no caption claims, under an empty one.
    """
    document_columns(contents, body)
    mark_furniture(contents, body)
    find_text_area(contents)
    blocks = [find_blocks(content, body) for content in contents]
    captions = find_captions(contents, blocks, body)
    continue_captions(contents, captions, body)
    scenes = [
        _scene(content, own, body) if own or uncaptioned else None
        for content, own in zip(contents, captions, strict=True)
    ]
    first = [
        pair_page(scene, own, body) if own else []
        for scene, own in zip(scenes, captions, strict=True)
    ]
    prior = _side_prior([pair for own in first for pair in own])
    pairs = []
    for scene, own in zip(scenes, captions, strict=True):
        found = pair_page(scene, own, body, prior) if own else []
        figures = [pair for pair in found if pair.caption.kind != "table"]
        tables = find_tables(scene.page, own, scene.blocks, found, body) if own else []
        own_pairs = figures + tables
        own_pairs += find_listings(scene.page, own, scene.blocks, own_pairs, body) if own else []
        pairs.append(sorted(own_pairs, key=_place))
    pairs = give_legends(captions, pairs)
    if uncaptioned:
        more = find_uncaptioned(scenes, pairs, body)
        pairs = [sorted(own + new, key=_place) for own, new in zip(pairs, more, strict=True)]
    return blocks, pairs


def _place(pair: Pair) -> tuple[float, float]:
    return pair.caption.box[1], pair.caption.box[0]


def _scene(content: PageContent, captions: list[Caption], body: BodyStyle) -> Scene:
    for caption in captions:
        for line in caption.lines:
            line.tags.add("caption")
    # Without the captions' lines the last line of a figure no longer passes for running text.
    blocks = find_blocks(content, body)
    return build_scene(content, blocks, [caption.box for caption in captions], body)


def _side_prior(pairs: list[Pair]) -> dict[str, float]:
    """Weights of the sides, from how often the document's figures lie there."""
    count = Counter(pair.side for pair in pairs)
    total = sum(count.values())
    return {
        side: 3.0 * np.log((count[side] + 0.5) / (total + 1)) / 2
        for side in ("above", "below", "left", "right")
    }


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


def make_row(page: fast.Page, content: PageContent, pair: Pair, dpi: int) -> dict | None:
    """Crop a pair and fill its row; None where nothing is to be seen there."""
    crop = keep_jpeg(page, content, pair) or render_crop(page, content, pair, dpi)
    if crop is None:
        return None
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
        "page": page.number,
        "bbox": list(crop.box),
        "caption_bbox": list(displayed(pair.caption.box, content)),
        "width": crop.pixels.shape[1],
        "height": crop.pixels.shape[0],
        "dpi": crop.dpi,
        "image_sha256": rendering.pixel_hash(crop.pixels),
        "phash": rendering.perceptual_hash(crop.pixels),
        "author": None,
        "source_url": None,
        "revision": None,
    }


def keep_jpeg(page: fast.Page, content: PageContent, pair: Pair) -> Crop | None:
    """The figure's own JPEG, where it is one and fills its box; None else."""
    box = lone_picture(pair, content)
    if box is None or min(box[2] - box[0], box[3] - box[1]) < MIN_SIDE:
        return None
    found = read_jpeg(page, box)
    if found is None:
        return None
    data, pixels = found
    height, width = pixels.shape[:2]
    ink = rendering.ink_box(pixels)
    filled = ink and (ink[2] - ink[0]) * (ink[3] - ink[1]) > 0.9 * width * height
    across, down = width / (box[2] - box[0]), height / (box[3] - box[1])
    if not filled or min(height, width) < 8 or not 0.97 < across / down < 1.03:
        return None
    if not looks_like(page, box, pixels):
        return None
    return Crop(data, pixels, box, max(1, round(72.0 * across)))


def render_crop(page: fast.Page, content: PageContent, pair: Pair, dpi: int) -> Crop | None:
    """The figure as pdfium draws it, cut to its ink; None where there is none."""
    box = intersection(grow(displayed(pair.box, content), MARGIN), fast.page_box(page))
    if box[2] - box[0] < MIN_SIDE or box[3] - box[1] < MIN_SIDE:
        return None
    pixels, used = rendering.render(page, box, dpi)
    ink = rendering.ink_box(pixels)
    if ink is None:
        return None
    scale = 72.0 / used
    left, top, right, bottom = _with_margin(ink, pixels.shape, round(MARGIN / scale))
    pixels = rendering.compact(pixels[top:bottom, left:right])
    if min(pixels.shape[:2]) < 8:
        return None
    tight = (
        box[0] + left * scale,
        box[1] + top * scale,
        box[0] + right * scale,
        box[1] + bottom * scale,
    )
    return Crop(rendering.encode_png(pixels), pixels, tight, used)


def _panels(pair: Pair, content: PageContent, crop: Crop) -> list[Panel]:
    """Panels of a pair, in the frame of the page."""

    def draw(most: int) -> Picture:
        sides = content.width, content.height
        if content.quarters % 2:
            sides = sides[::-1]
        shown = turn(np.array([crop.box]), content.quarters, *sides)[0]
        step = -(-max(crop.pixels.shape[:2]) // most)
        darkest = reduce(np.minimum, np.moveaxis(crop.pixels[::step, ::step], 2, 0))
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
