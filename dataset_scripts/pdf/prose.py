"""The running text of a document as passages suitable for training.

Excluded are references, acknowledgements and other back matter, authors and addresses, captions,
tables, running heads and feet, and paragraphs with more formulas than words.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.passages import sentences, text_rows
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf import scan
from cephalo.dataset_scripts.pdf.joining import NO_WORDS, Vocabulary, settle_in_order
from cephalo.dataset_scripts.pdf.layout import Block, PageContent
from cephalo.dataset_scripts.pdf.line_numbers import without_line_numbers
from cephalo.dataset_scripts.pdf.main_matter import (
    FINISHED,
    GAP,
    NOT_PROSE,
    is_names,
    main_matter,
)
from cephalo.dataset_scripts.pdf.mentions import is_running, paragraphs, reading_order
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.raised_citations import with_cited
from cephalo.dataset_scripts.pdf.round_citations import (
    cites_in_round_brackets,
    without_round_citations,
)
from cephalo.dataset_scripts.pdf.run_in import without_run_in
from cephalo.dataset_scripts.pdf.scripts import MARK, with_scripts
from cephalo.dataset_scripts.pdf.sentence_faults import (
    is_damaged,
    set_right,
    without_heading,
    without_number,
)
from cephalo.dataset_scripts.pdf.text import Line
from cephalo.dataset_scripts.pdf.text_layer import text_faults
from cephalo.dataset_scripts.pdf.words import (
    is_lost,
    is_mangled,
    is_misread,
    vocabulary_of,
    with_degrees,
    with_initial,
    with_ligatures,
    with_spaces,
    without_lost_spaces,
    without_open_hyphens,
    without_parted_hyphens,
)

_NOTICE = re.compile(
    r"creative ?commons|(?:information|material) is available free of charge|"
    r"correspondence and requests|correspond(?:ing|ence) (?:author|to)|"
    r"all rights reserved|\blicensee\b|copyright \(?(?:c\)|©|\d{4})|© ?\d{4}|"
    r"(?:equally|jointly) to this work|declared? (?:that )?(?:there (?:are|were) |they have )?no "
    r"(?:potential |known )?(?:conflicts? of|competing)",
    re.I,
)
_CONTACT = re.compile(r"\S@[^\s@]{1,250}\.\w|https?://orcid")
_REFERENCE = re.compile(r"\bvol\. ?\d+.{0,20}\b(?:no|pp?)\. ?\d")
_INITIAL = re.compile(r"\b[A-Z]\.(?=[\s,;-]|[A-Z]\.)")
_INITIAL_LAST = re.compile(r"(?:\b[A-Z]|\(\w)\.$")
_NUMBERS = r"\[[1-9]\d{0,2}[a-z]?(?:\s?[,;\u2013\u2014-]\s?[1-9]\d{0,2}[a-z]?)*\]"
_CITATION = re.compile(  # references start at 1: "[0, 1]" is an interval
    r"(?<![\w.])(?P<before>[\w.]*)(?P<space>\s?)"
    rf"{_NUMBERS}(?:\s?[,;\u2013\u2014-]\s?{_NUMBERS})*"
)
_VALUE = re.compile(
    r"[=\u2208\u2209\u00d7\u2286\u2282\u2265\u2264<>~\u2248]\s*$|\b(?:interval|range|domain)\s*$"
)
_CLOSED = "\ufdd1"  # placeholder for a citation, until spaces are closed
_GOVERNS = re.compile(r"(?:see|in|of|by|from|to|and|or|with|at|on|as|refs?\.?|references?)", re.I)
_RAISED = re.compile(  # superscript reference numbers: "was found.12,13 The"
    r"(?<=[a-z]{2}[.,;:)])\d{1,3}(?:[,\u2013\u2014-]\d{1,3})*(?=\s|$)"
    r"|(?<=[a-z]{4})\d{1,3}(?:[,\u2013\u2014-]\d{1,3})+(?=[\s.,;:)]|$)"
    r"|(?<=[a-z]{5})\d{1,3}(?=[.,;:]\s|[.]$)"
)
_ABSTRACT = re.compile(
    r"^(?:abstract|summary|zusammenfassung)\s*[.:\u2013\u2014-]?\s*(?=[A-Z])", re.I
)
_LATIN = re.compile(r"[A-Za-zÀ-ÿ]")


@dataclass(frozen=True)
class Parameters:
    """Limits for paragraphs of sentences."""

    least_chars: int = 60  # a shorter paragraph has no useful sentence
    letters: float = 0.75  # share of the characters; formulas and tables have fewer
    cover_pages: int = 3  # pages of a document; in a shorter one each page may have its own fonts
    least_run: int = 2  # sentences between two dropped ones; a single one refers to these
    most_lost: float = 0.5  # share of sentences dropped, above which the rest is dropped
    latin: float = 0.5  # share of the letters; other scripts have no lower case
    single: float = 0.2  # largest share of one-character words; formulas have more
    lower: float = 0.5  # share of words in lower case; references and names have fewer
    initials: float = 0.06  # largest share of initials among words; references have more
    end_lines: int = 3  # lines of the end of a paragraph, at the top of a column
    end_chars: int = 20  # characters of those; a label has fewer
    caption_size: float = 0.97  # ratio to the body size; bold labels and headings may be as large


P = Parameters()


def find_passages(
    file: fast.Pages,
    pages: list[PageContent],
    blocks: list[list[Block]],
    body: TypeProfile,
    document: Row,
    told: Counter[str] | None = None,
) -> list[Row]:
    """Return the rows of the `text` table of a document, in reading order.

    `document` has the columns of the document, `file` its open pages, for superscripts. `told`
    counts the sentences: "kept", "cut off" by the edge of their paragraph, "damaged", "misread" by
    OCR, "remnants" of a paragraph with dropped sentences, and "notices".
    """
    own = {"author": None, "source_url": None, "revision": None, **document}
    blocks = [with_ends(groups, body) for groups in without_captions(blocks, body)]
    blocks = [
        _set_right(file, page, groups, body) for page, groups in zip(pages, blocks, strict=True)
    ]
    running = (block for groups in blocks for block in groups if is_running(block, body))
    cited = with_cited(line for block in running for line in block.lines)
    blocks = [[_replaced(block, cited) for block in groups] for groups in blocks]
    return text_rows(prose(pages, blocks, body, told), own)


def _set_right(
    file: fast.Pages, page: PageContent, blocks: list[Block], body: TypeProfile
) -> list[Block]:
    """Return the blocks of a page, with scripts and without run-in headings in running text."""
    if not any(is_running(block, body) for block in blocks):
        return blocks
    with file.open(page.number) as opened, fast.open_text(opened) as textpage:
        plain = [
            replace(block, lines=without_run_in(textpage, block.lines))
            if is_running(block, body)
            else block
            for block in blocks
        ]
        lines = [line for block in plain if is_running(block, body) for line in block.lines]
        scripts = with_scripts(opened, textpage, lines)
    return [_replaced(block, scripts) for block in plain]


def _replaced(block: Block, lines: dict[int, Line]) -> Block:
    """Return a block with replaced lines. `lines` maps the `id` of a line to its replacement."""
    return replace(block, lines=[lines.get(id(line), line) for line in block.lines])


def without_captions(blocks: list[list[Block]], body: TypeProfile) -> list[list[Block]]:
    """Remove the ends of captions that continue in another column.

    They are in the type of captions: smaller than the body, in another font, and used mostly for
    captions.
    """
    captions: Counter[tuple[str, float]] = Counter()
    others: Counter[tuple[str, float]] = Counter()
    for block in (block for groups in blocks for block in groups):
        counts = captions if any("caption" in line.tags for line in block.lines) else others
        for line in block.lines:
            counts[_type(line)] += len(line.text)
    own = {kind for kind, count in captions.items() if count > others[kind]}
    most = P.caption_size * body.size
    own = {(font, size) for font, size in own if font not in body.fonts and size < most}

    def is_rest(block: Block) -> bool:
        kinds = Counter(map(_type, block.lines))
        return is_running(block, body) and kinds.most_common(1)[0][0] in own

    return [[block for block in groups if not is_rest(block)] for groups in blocks]


def with_ends(blocks: list[Block], body: TypeProfile) -> list[Block]:
    """Mark the ends of paragraphs at the top of a column as running text.

    A few short lines cannot be told from a label by their position. They begin in lower case and
    body type, and end like a sentence.
    """
    return [
        replace(block, paragraph=True)
        if not block.paragraph
        and len(block.lines) <= P.end_lines
        and block.lines[0].lead in body.fonts
        and block.lines[0].text[:1].islower()
        and sum(len(line.text) for line in block.lines) > P.end_chars
        and FINISHED.search(block.lines[-1].text)
        else block
        for block in blocks
    ]


def _type(line: Line) -> tuple[str, float]:
    """Return the font and size of a line, in points."""
    return line.font, round(line.size, 1)


def prose(
    pages: list[PageContent],
    blocks: list[list[Block]],
    body: TypeProfile,
    told: Counter[str] | None = None,
) -> Iterator[tuple[int, str]]:
    """Yield runs of whole sentences of the running text in order, with the page of each."""
    told = Counter() if told is None else told
    blocks = without_line_numbers(blocks)
    vocabulary = vocabulary_of(line.text for line in _in_order(pages, blocks, body))
    matter = main_matter(pages, without_cover(blocks, body), body, vocabulary.known)
    scans = {page.number for page in pages if any(map(scan.is_recognised, page.lines))}
    _settle(pages, matter, body, vocabulary)
    found = paragraphs(pages, matter, body)
    round_brackets = cites_in_round_brackets(paragraph for _, paragraph in found)
    for page, paragraph in found:
        if round_brackets:
            paragraph = without_round_citations(paragraph)
        if scan.is_read(paragraph) and is_prose(paragraph):
            text = with_ligatures(without_citations(paragraph), vocabulary)
            text = without_open_hyphens(without_parted_hyphens(text, vocabulary), vocabulary)
            text = with_spaces(without_lost_spaces(text, vocabulary), vocabulary)
            text = with_degrees(text, vocabulary)
            text = with_initial(without_number(text), vocabulary)
            lost = told["damaged"] + told["misread"]
            runs = whole_sentences(text, told, vocabulary, page in scans)
            lost = told["damaged"] + told["misread"] - lost
            for run in without_remnants(runs, lost, told):
                if len(run) >= P.least_chars:  # shorter runs are headings
                    yield page, run


def without_cover(blocks: list[list[Block]], body: TypeProfile) -> list[list[Block]]:
    """Remove the cover page that a repository adds to a paper.

    Its running text is in fonts that no other page uses.
    """
    fonts = [
        {line.font for block in groups if is_running(block, body) for line in block.lines}
        for groups in blocks
    ]
    later = set().union(*fonts[1:])
    if len(blocks) < P.cover_pages or not later or not fonts[0] or fonts[0] & later:
        return blocks
    return [[], *blocks[1:]]


def _in_order(pages: list[PageContent], blocks: list[list[Block]], body: TypeProfile) -> list[Line]:
    """Return the lines of the running text in reading order."""
    running = [[block for block in groups if is_running(block, body)] for groups in blocks]
    ordered = map(reading_order, pages, running)
    return [line for groups in ordered for block in groups for line in block.lines]


def _settle(
    pages: list[PageContent],
    matter: list[list[Block]],
    body: TypeProfile,
    vocabulary: Vocabulary,
) -> None:
    """Decide the hyphens at the line ends of the running text."""
    lines = _in_order(pages, matter, body)
    settled = dict(zip(map(id, lines), settle_in_order(lines, vocabulary), strict=True))
    after = {id(line): other.text for line, other in pairwise(lines)}
    for block in (block for groups in matter for block in groups):
        last = block.lines[-1]
        lost = is_lost(last.text, after.get(id(last), ""), vocabulary)
        block.lines[:] = [settled.get(id(line), line) for line in block.lines]
        if lost:
            block.lines[-1] = replace(last, text=f"{last.text}{GAP}")


def is_prose(text: str) -> bool:
    """Return whether a paragraph is sentences rather than names, references or formulas."""
    words = text.split()
    if len(text) < P.least_chars or NOT_PROSE.match(text):
        return False
    if _CONTACT.search(text) or _REFERENCE.search(text):
        return False
    letters = sum(map(str.isalpha, text))
    if letters < P.letters * (len(text) - len(words) + 1):
        return False
    if len(_LATIN.findall(text)) < P.latin * letters:
        return True
    alone = sum(len(word.strip(".,;:()")) == 1 for word in words)
    lower = sum(word[0].islower() for word in words)
    initials = len(_INITIAL.findall(text))
    count = len(words)
    worded = alone < P.single * count and lower > P.lower * count
    return worded and initials < P.initials * count


def without_citations(text: str) -> str:
    """Remove reference numbers: "[3, 5]" or superscripts after a word.

    Numbers that are part of the sentence are kept: "as shown in [3]".
    """
    text = " ".join(text.split())  # avoids quadratic time for long runs of spaces
    text = re.sub(rf"\s?{MARK}[^{MARK}]*{MARK}", _CLOSED, text)
    text = _RAISED.sub(_CLOSED, _CITATION.sub(_cited, text))
    # In French, ":" and ";" are preceded by a space.
    closed = re.sub(rf"\s+(?=[,)]|\.(?!\d))|(?<=\d)\s(?=\.\d)|\s*{_CLOSED}\s*(?=[.,;:)])", "", text)
    closed = re.sub(r"(?<=\()[\s,;]+|(?<=\w)[,;](?=\))", "", closed.replace(_CLOSED, ""))
    closed = set_right(closed)
    return re.sub(r"(?<!\.)\.\.(?!\.)", ".", closed)  # "Doe et al. [3]." → "Doe et al."


def _cited(match: re.Match[str]) -> str:
    """Return the replacement of a citation: nothing, or the brackets if they are not one."""
    before = match.group("before")
    index = len(before) == 1 and not match.group("space")  # index of a symbol: t[1]
    value = _VALUE.search(match.string[max(0, match.start() - 12) : match.start("space")])
    if value and value.group().strip().isalpha():  # "the interval [1, 2]", but "this range [28]"
        value = "," in match.group()
    return match.group() if index or value or _GOVERNS.fullmatch(before) else before + _CLOSED


def whole_sentences(
    text: str,
    told: Counter[str] | None = None,
    vocabulary: Vocabulary = NO_WORDS,
    recognised: bool = False,
) -> list[str]:
    """Return the runs of complete sentences of a paragraph.

    Sentences that begin before the paragraph or end after it are dropped. So are sentences that
    lost a formula, contain an unread glyph, or are an address or notice; if the text is
    `recognised`, also those that OCR may have misread. These separate two runs. `told` counts the
    sentences, see `find_passages`.
    """
    told = Counter() if told is None else told
    parts = sentences(_ABSTRACT.sub("", text).lstrip(" .,;:)"))
    if parts and parts[0][0].islower():
        parts = parts[1:]
        told["cut off"] += 1
    if parts and (not FINISHED.search(parts[-1]) or _INITIAL_LAST.search(parts[-1])):
        parts = parts[:-1]
        told["cut off"] += 1
    runs: list[list[str]] = [[]]
    for part in parts:
        part = without_heading(part).lstrip(" .,;:)")
        faulty = GAP in part or is_damaged(part) or text_faults({"text": [part]})
        faulty = faulty or is_mangled(part, vocabulary)
        misread = not faulty and recognised and is_misread(part, vocabulary)
        if faulty or misread or _is_notice(part):
            told["damaged" if faulty else "misread" if misread else "notices"] += 1
            runs.append([])
        else:
            told["kept"] += 1
            runs[-1].append(part)
    return [" ".join(run) for run in runs if any(map(FINISHED.search, run))]


def without_remnants(runs: list[str], lost: int, told: Counter[str]) -> list[str]:
    """Return the runs of a paragraph that remain coherent after `lost` sentences were dropped.

    A single sentence refers to the dropped ones next to it, and a paragraph of formulas has only
    fragments left. `told` counts the sentences, see `find_passages`.
    """
    if not lost:
        return runs
    counts = [len(sentences(run)) for run in runs]
    whole = [run for run, count in zip(runs, counts, strict=True) if count >= P.least_run]
    kept = sum(count for count in counts if count >= P.least_run)
    if lost > P.most_lost * (kept + lost):
        whole, kept = [], 0
    told["kept"] -= sum(counts) - kept
    told["remnants"] += sum(counts) - kept
    return whole


def _is_notice(sentence: str) -> bool:
    """Return whether a sentence is a notice of rights or correspondence, or a list of names."""
    return bool(_NOTICE.search(sentence)) or is_names(sentence)
