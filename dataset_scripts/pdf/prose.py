"""The running text of a document, as passages that are fit to train on.

Left out: references, acknowledgements and other back matter, authors and addresses, captions,
tables, heads and feet of pages, and paragraphs that are formulas more than words.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile
from typing import Any

from cephalo.dataset_scripts.passages import sentences, text_rows
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf import scan
from cephalo.dataset_scripts.pdf.geometry import Box, overlap_y
from cephalo.dataset_scripts.pdf.joining import COMPOUND, DIVIDED
from cephalo.dataset_scripts.pdf.layout import Block, PageContent
from cephalo.dataset_scripts.pdf.mentions import column_of, is_running, paragraphs, reading_order
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.scripts import MARK, with_scripts
from cephalo.dataset_scripts.pdf.sentence_faults import is_damaged, set_right, without_heading
from cephalo.dataset_scripts.pdf.text import Line
from cephalo.dataset_scripts.pdf.text_layer import text_faults

GAP = "\ufffc"  # the object replacement character of Unicode

# Headings, without spaces, numbers and marks: "VII. R EFERENCES" is "references".
_BACK = re.compile(
    r"(?:notesand|literature)?references?(?:andnotes|cited|list)?|bibliography|(?:literature|works)cited|"
    r"r[ée]f[ée]rences(?:bibliographiques)?|bibliographie|literatur(?:verzeichnis)?|quellen|"
    r"bibliograf[ií]a|refer[eê]ncias(?:bibliogr[aá]ficas)?|参考文献|引用文献|文献|"
    r"acknowledge?ments?(?:andfunding)?|acknowledge?ments?|danksagung|remerciements|agradecimientos|"
    r"agradecimentos|致谢|謝辞|funding(?:information|sources?|statement)?|"
    r"authors?contributions?(?:statement)?|credit?authorshipcontributionstatement|"
    r"(?:declarationof)?(?:conflicts?of|competing)(?:financial)?interests?(?:statement)?|disclosures?|"
    r"(?:data|code|dataandcode|materials)availability(?:statement)?|availabilityofdata(?:andmaterials?)?|"
    r"ethics(?:statement|approval.*)?|supporting(?:information|materials?)|additionalinformation|"
    r"supplementa(?:ry|l)(?:materials?|information|data)|authorinformation|abouttheauthors?|"
    r"publishersnote|rightsandpermissions"
)
_BODY = re.compile(
    r"(?:appendix|appendices|annexe?|anhang|ap[eé]ndice|(?:online|materialsand|experimental)?methods|"
    r"abstract|summary|zusammenfassung|r[ée]sum[ée]|resumen|introduction|einleitung|introducci[oó]n|"
    r"results|discussion|conclusions?|experimental|background|theory)(?:.{0,60})"
)
_NUMBERING = re.compile(r"^\W*(?:[IVX]{1,5}|[A-Z]|\d{1,2}(?:\.\d{1,2})*)[.)]?\s+(?=\S{2,})")

_NOT_PROSE = re.compile(
    r"^\W*(?:authors?.? contributions?|funding|acknowledge?ments?|conflicts? of interest|"
    r"competing interests?|data availability|institutional review board|informed consent|"
    r"key ?words|index terms|(?:\*\s*)?correspond(?:ence|ing authors?)|received\b.{0,30}\d{4}|"
    r"citation|copyright|©|\(c\) \d{4}|publisher.?s note|academic editors?|how to cite|"
    r"(?:to )?cite this|abbreviations|edited by|reviewed by|e-?mail|open access|schlüsselwörter|"
    r"palabras clave|mots.cl[ée]s|available online|article history|"
    r"this (?:is an )?(?:open access )?article is|this work is licensed|supplementary materials?:|"
    r"theorem|table \d)",
    re.I,
)
_NOTICE = re.compile(
    r"creative ?commons|correspondence and requests|correspond(?:ing|ence) (?:author|to)|"
    r"all rights reserved|\blicensee\b|copyright \(?(?:c\)|©|\d{4})|© ?\d{4}|"
    r"(?:equally|jointly) to this work",
    re.I,
)
_CONTACT = re.compile(r"\S@\S+\.\w|https?://orcid")
_REFERENCE = re.compile(r"\bvol\. ?\d+.{0,20}\b(?:no|pp?)\. ?\d")
_INITIAL = re.compile(r"\b[A-Z]\.(?=[\s,;-]|[A-Z]\.)")
_INITIAL_LAST = re.compile(r"(?:\b[A-Z]|\(\w)\.$")
_CITATION = re.compile(
    r"(?<![\w.])(?P<before>[\w.]*)\s?\[\d{1,3}[a-z]?(?:\s?[,;\u2013\u2014-]\s?\d{1,3}[a-z]?)*\]"
)
_GOVERNS = re.compile(r"(?:see|in|of|by|from|to|and|or|with|at|on|as|refs?\.?|references?)", re.I)
_RAISED = re.compile(  # numbers of references, set raised: "was found.12,13 The"
    r"(?<=[a-z]{2}[.,;:)])\d{1,3}(?:[,\u2013\u2014-]\d{1,3})*(?=\s|$)"
    r"|(?<=[a-z]{4})\d{1,3}(?:[,\u2013\u2014-]\d{1,3})+(?=[\s.,;:)]|$)"
    r"|(?<=[a-z]{5})\d{1,3}(?=[.,;:]\s|[.]$)"
)
_ABSTRACT = re.compile(
    r"^(?:abstract|summary|zusammenfassung)\s*[.:\u2013\u2014-]?\s*(?=[A-Z])", re.I
)
_TITLE = re.compile(r"[A-Z\d].*[^.,;:!?\u3002-]\s*$")
_PLAIN_TITLE = re.compile(r"[-\u2013\u2022]?\s?[A-Z][^.;:!?\u3002]*[^.,;:!?\u3002-]\s*$")
_NUMBERED = re.compile(r"\d{1,2}(?:\.\d{1,2})*\.?\s+[A-Z][a-z]")
_FINISHED = re.compile(r"[.!?\u3002\uff01\uff1f][)\]\"'\u201d\u2019»]*$")
_LATIN = re.compile(r"[A-Za-zÀ-ÿ]")


@dataclass(frozen=True)
class Parameters:
    """What makes lines headings, and what makes a paragraph sentences."""

    heading: float = 1.05  # of the body's size; larger type ends the back matter
    heading_chars: int = 90  # a line of more is no heading
    heading_words: int = 14  # of the longest heading
    heading_rows: int = 4  # of the longest heading
    plain_heading: float = 0.6  # of the paragraph's width; a heading in its type is narrower
    heading_end: float = 1.5  # font sizes; a heading ends at least so far from the column's edge
    level: float = 0.5  # of a line's height, by which the cells in one row of a table overlap
    cell: float = 0.2  # of the page's width; a line that is wider is of another column
    least_chars: int = 60  # a paragraph of fewer has no whole sentence of use
    letters: float = 0.75  # of the characters; formulas and tables have fewer
    latin: float = 0.5  # of the letters; in other scripts words do not begin in lower case
    single: float = 0.2  # of the words are one sign; formulas have more
    lower: float = 0.5  # of the words begin in lower case; references and names have fewer
    initials: float = 0.06  # of the words; references have more
    hole: float = 3.0  # font sizes between two pieces of a row; a wide space is one
    short: float = 0.4  # of a paragraph's width, by which a row within a sentence ends early
    hole_rows: int = 4  # lines of a paragraph whose edges are known
    names: float = 0.35  # of the words begin in lower case; lists of names have fewer
    name_words: int = 4  # fewer are not judged


P = Parameters()


def find_passages(
    file: fast.Pages,
    pages: list[PageContent],
    blocks: list[list[Block]],
    body: TypeProfile,
    document: dict[str, Any],
) -> list[dict[str, Any]]:
    """The rows of TEXT of a document whose columns `document` has, in reading order.

    `file` are the pages as pdfium reads them, to see which characters are raised.
    """
    own = {"author": None, "source_url": None, "revision": None, **document}
    blocks = [_raise(file, page, groups, body) for page, groups in zip(pages, blocks, strict=True)]
    return text_rows(prose(pages, blocks, body), own)


def _raise(
    file: fast.Pages, page: PageContent, blocks: list[Block], body: TypeProfile
) -> list[Block]:
    """The blocks of a page, with superscripts in their running text."""
    lines = [line for block in blocks if is_running(block, body) for line in block.lines]
    with file.open(page.number) as opened:
        raised = with_scripts(opened, lines)
    return [
        replace(block, lines=[raised.get(id(line), line) for line in block.lines])
        for block in blocks
    ]


def prose(
    pages: list[PageContent], blocks: list[list[Block]], body: TypeProfile
) -> Iterator[tuple[int, str]]:
    """Runs of whole sentences of the running text, in order, with the page of their paragraph."""
    for page, paragraph in paragraphs(pages, _main_matter(pages, blocks, body), body):
        if scan.is_read(paragraph) and is_prose(paragraph):
            for run in whole_sentences(without_citations(paragraph)):
                if len(run) >= P.least_chars:  # less is a heading before its text
                    yield page, run


def _main_matter(
    pages: list[PageContent], blocks: list[list[Block]], body: TypeProfile
) -> list[list[Block]]:
    """The running text of every page in order, without headings and back matter.

    GAP ends a line within a sentence after which something else than text stands: a formula.
    """
    kept = []
    back = False
    for page, groups in zip(pages, blocks, strict=True):
        own: list[Block] = []
        between = False
        for block in reading_order(page, groups):
            lines, back = _body_lines(block, page, body, back)
            if not lines:
                between = between or "caption" not in block.lines[0].tags
                continue
            if between and own and column_of(own[-1], page) == column_of(block, page):
                last = own[-1].lines[-1]
                if not _FINISHED.search(last.text):
                    own[-1].lines[-1] = replace(last, text=last.text + GAP)
            own.append(replace(block, lines=with_holes(lines, body, page.lines)))
            between = False
        kept.append(own)
    return kept


def with_holes(lines: list[Line], body: TypeProfile, others: Sequence[Line] = ()) -> list[Line]:
    """The lines of a paragraph, with GAP at the end of each after which its row has a hole.

    A piece of a row that was read as something else, such as a formula, leaves one: within the row,
    before the right edge of all others, or in the content of the page, where it is among `others`,
    the lines of that.
    """
    left, right = min(one.box[0] for one in lines), max(one.box[2] for one in lines)
    many = len(lines) >= P.hole_rows
    starts = sorted((other.span[0], other.box) for other in others)
    found = list(lines)
    for place, (one, after) in enumerate(pairwise(lines)):
        level = overlap_y(one.box, after.box) > P.level * (one.box[3] - one.box[1])
        if level and after.box[0] >= one.box[0]:
            hole = many and after.box[0] - one.box[2] > P.hole * body.size
        else:
            short = right - one.box[2] > P.short * (right - left)
            late = after.box[0] - left > P.short * (right - left)
            hole = many and (short or late)
        between = starts[bisect_right(starts, (one.span[1], one.box)) :]
        between = takewhile(lambda other, end=after.span[0]: other[0] < end, between)
        area = left, min(one.box[1], after.box[1]), right, max(one.box[3], after.box[3])
        hole = hole or any(_is_in(box, area) for _, box in between)
        divided = one.text[-1:] in (DIVIDED, COMPOUND)  # which ends a row
        if hole and not divided and not _FINISHED.search(one.text):
            found[place] = replace(one, text=one.text + GAP)
    return found


def _is_in(box: Box, area: Box) -> bool:
    """Whether the middle of a box is in an area."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return area[0] < x < area[2] and area[1] < y < area[3]


def _body_lines(
    block: Block, page: PageContent, body: TypeProfile, back: bool
) -> tuple[list[Line], bool]:
    """The lines of a block that are running text, and whether back matter follows it.

    `back`: whether the block begins in back matter.
    """
    names = _is_names(" ".join(line.text for line in block.lines))
    running = is_running(block, body) and not names and not _NOT_PROSE.match(block.lines[0].text)
    heads = _headings(block, page, body) if running else set()
    lines: list[Line] = []
    for line in block.lines:
        letters = _letters(line.text)
        if letters and back and _BODY.fullmatch(letters):
            set_off = line.bold or line.size > P.heading * body.size or line.text.isupper()
            back = not set_off
        elif letters and not back and _BACK.fullmatch(letters) and _stands_alone(line, page):
            back = True
        elif running and not back and id(line) not in heads:
            lines.append(line)
        elif lines and not _FINISHED.search(lines[-1].text):
            lines[-1] = replace(lines[-1], text=lines[-1].text + GAP)
    return lines, back


def _stands_alone(line: Line, page: PageContent) -> bool:
    """Whether no short line stands beside a line in its column, as beside the head of a table.

    A long one is of a column that was not found: references are set in smaller type.
    """
    middle = (line.box[0] + line.box[2]) / 2
    left = max((a for a, _ in page.columns if a < middle), default=0.0)
    right = min((a for a, _ in page.columns if a > middle), default=page.width)
    return not any(
        other is not line
        and overlap_y(other.box, line.box) > P.level * (line.box[3] - line.box[1])
        and left - 1 < other.box[0] < right - 1
        and other.box[2] - other.box[0] < P.cell * page.width
        for other in page.lines + page.furniture
    )


def _letters(line: str) -> str:
    """The letters of a line as short as a heading, in lower case; "" for others."""
    if len(line) > P.heading_chars:
        return ""
    return re.sub(r"[\W\d_]+", "", _NUMBERING.sub("", line)).casefold()


def _headings(block: Block, page: PageContent, body: TypeProfile) -> set[int]:
    """The `id` of each line of a block that is a heading.

    These are lines set off by their type or a number, the rows of a heading at the top of the
    block, and a short row in the block's own type between two sentences.
    """
    found = {id(line) for line in block.lines if _is_heading(line, block, page, body)}
    main = _main_font(block)
    over = list(takewhile(lambda line: line.font != main, block.lines))
    title = " ".join(line.text for line in over)
    short = over and over[-1].box[2] < block.box[2] - P.heading_end * body.size
    if short and len(over) <= P.heading_rows and title[0].isupper() and not _FINISHED.search(title):
        found |= {id(line) for line in over if not {line.font, line.lead} & body.fonts}
    for before, line, after in zip(block.lines, block.lines[1:], block.lines[2:], strict=False):
        short = line.box[2] - line.box[0] < P.plain_heading * (block.box[2] - block.box[0])
        apart = _FINISHED.search(before.text) and after.text[:1].isupper()
        if short and apart and _PLAIN_TITLE.match(line.text):
            found.add(id(line))
    return found


def _is_heading(line: Line, block: Block, page: PageContent, body: TypeProfile) -> bool:
    """Whether a line of a paragraph is its heading: short, set off by its type or a number."""
    _, edge = page.columns[column_of(block, page)]
    short = line.box[2] < max(block.box[2], edge) - P.heading_end * body.size
    if not short or len(line.text.split()) > P.heading_words or not _TITLE.match(line.text):
        return False
    fonts = {line.font, line.lead}
    apart = not fonts & body.fonts or (len(block.lines) > 2 and _main_font(block) not in fonts)
    return apart or line.bold or bool(_NUMBERED.match(line.text))


def _main_font(block: Block) -> str:
    """The font of most lines of a block."""
    return Counter(line.font for line in block.lines).most_common(1)[0][0]


def is_prose(text: str) -> bool:
    """Whether a paragraph is sentences, and not names, addresses, references or formulas."""
    words = text.split()
    if len(text) < P.least_chars or _NOT_PROSE.match(text):
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
    """A text without the numbers of references, "[3, 5]" or raised behind a word.

    Those that are read as words stay: "as shown in [3]".
    """
    text = re.sub(rf"\s?{MARK}[^{MARK}]*{MARK}", "", text)
    text = _RAISED.sub("", _CITATION.sub(_cited, text))
    text = set_right(text)
    closed = re.sub(r"\s+([.,;:)])", r"\1", text)
    return re.sub(r"(?<!\.)\.\.(?!\.)", ".", closed)  # "Doe et al. [3]." → "Doe et al."


def _cited(match: re.Match[str]) -> str:
    before = match.group("before")
    attached = match.group()[len(before)] == "["
    index = len(before) == 1 and attached  # of a symbol: t[1]
    return match.group() if index or _GOVERNS.fullmatch(before) else before


def whole_sentences(text: str) -> list[str]:
    """The runs of sentences of a paragraph that are whole.

    A sentence that begins before the paragraph or ends after it is left out. One that lost a
    formula, holds a glyph that was not read, or is an address or a notice of rights, parts a run
    from the next.
    """
    parts = sentences(_ABSTRACT.sub("", text))
    if parts and parts[0][0].islower():
        parts = parts[1:]
    if parts and (not _FINISHED.search(parts[-1]) or _INITIAL_LAST.search(parts[-1])):
        parts = parts[:-1]
    runs: list[list[str]] = [[]]
    for part in parts:
        part = without_heading(part)
        faulty = GAP in part or is_damaged(part) or text_faults({"text": [part]})
        if faulty or _is_notice(part):
            runs.append([])
        else:
            runs[-1].append(part)
    return [" ".join(run) for run in runs if any(map(_FINISHED.search, run))]


def _is_notice(sentence: str) -> bool:
    """Whether a sentence tells of rights or correspondence, or is a list of names."""
    return bool(_NOTICE.search(sentence)) or _is_names(sentence)


def _is_names(text: str) -> bool:
    """Whether most words of a text begin as names do: authors, addresses, the cells of a table."""
    words = text.split()
    lower = sum(word[0].islower() for word in words)
    few = lower < P.names * len(words)
    return len(words) >= P.name_words and few and bool(_LATIN.search(text))
