"""Extract the running text of a document line by line, without headings and back matter.

GAP marks the end of a line if something is missing before the next line of the sentence, such as a
formula or the unread end of a column. A sentence is never continued across GAP.
"""

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile

from cephalo.dataset_scripts.common.geometry import Box, overlap_y
from cephalo.dataset_scripts.pdf.joining import COMPOUND, DIVIDED
from cephalo.dataset_scripts.pdf.layout import Block, PageContent
from cephalo.dataset_scripts.pdf.mentions import END, column_of, is_running, reading_order
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.scripts import GAP
from cephalo.dataset_scripts.pdf.text import Line, is_bold

# Headings without spaces, numbers and marks: "VII. R EFERENCES" is "references".
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

NOT_PROSE = re.compile(
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
_TITLE = re.compile(r"[A-Z\d].*[^.,;:!?\u3002-]\s*$")
_PLAIN_TITLE = re.compile(r"[-\u2013\u2022]?\s?[A-Z][^.;:!?\u3002]*[^.,;:!?\u3002-]\s*$")
_NUMBERED = re.compile(r"\d{1,2}(?:\.\d{1,2})*\.?\s+[A-Z][a-z]")
_NUMBERED_ROW = re.compile(r"\d{1,2}(?:\.\d{1,2}){1,3}\.?\s+[A-Z]")  # "3.3. Risk Group Analysis."
FINISHED = re.compile(r"[.!?\u3002\uff01\uff1f][)\]\"'\u201d\u2019»]*$")
# Words that are capitalised only at the start of a sentence.
BEGINNING = re.compile(
    r"(?:The|This|These|Those|That|It|Its|We|Our|They|Their|There|Then|Thus|Hence|However|Moreover"
    r"|Furthermore|Therefore|Although|While|When|Where|Whereas|Which|Because|Since|If|As|At|By|For"
    r"|From|In|On|Of|To|With|Here|Finally|First|Second|Next|Note|Such|Both|Each|Some|Many|Most"
    r"|Another|An|And|But|Or|Let|Given|Using|Based|Similarly|Additionally|Recently)\s"
)
_CAPITAL = re.compile(r"[A-Z][a-z]{2,}(?= [a-z])")
_CITED = re.compile(r"(?:Fig|Tab|Sec|Eq|App|Ref|Scheme|Chart|Part|Supp|Ext)[a-z]*\b")
# "B. Nakagawa²": a row of names before the paragraph that they wrote.
_AUTHORS = re.compile(
    r"(?:(?:[A-Z]\.[ -]?){1,3}[^\W\d_][\w\u2019'-]{1,30}"
    r"[\d\u00b9\u00b2\u00b3\u2070-\u2079,*\u2020\u2021\u00a7\ufdd0 ]{0,9}(?:and |& )?){1,12}"
)
# Title of a float without a caption: "Ex. 11 Half-diminished", "Box 2. Terms".
_FLOAT = re.compile(
    r"(?:Ex|Example|Box|Algorithm|Listing|Plate|Map|Photo|Movie|Video|Exhibit|Panel)\.?\s\d{1,3}[a-z]?"
    r"[.:]?\s+[A-Z]"
)
_REST = re.compile(r"[a-z]{2,} ")  # continuation of a sentence at the start of a block
_LATIN = re.compile(r"[A-Za-zÀ-ÿ]")


@dataclass(frozen=True)
class Parameters:
    """Limits for headings, and for gaps between two lines."""

    heading: float = 1.05  # ratio to the body size; larger type ends the back matter
    heading_chars: int = 90  # largest number of characters of a heading
    heading_words: int = 14  # largest number of words of a heading
    heading_rows: int = 4  # largest number of rows of a heading
    heading_letters: int = 4  # a heading has more letters
    heading_capitals: int = 8  # letters; fewer capitals are an abbreviation or a formula
    plain_heading: float = 0.6  # share of the paragraph's width; a heading in body type is narrower
    heading_end: float = 1.5  # font sizes; smallest distance of a heading from the column edge
    level: float = 0.5  # share of a line's height by which cells of a table row overlap
    cell: float = 0.2  # share of the page's width; a wider line is in another column
    hole: float = 3.0  # font sizes between two pieces of a row; a wide space is 1
    short: float = 0.4  # share of a paragraph's width by which a row with a hole is shorter
    hole_rows: int = 4  # smallest number of lines of a paragraph with known edges
    same_size: float = 0.2  # points; tolerance of the sizes in a paragraph
    across: float = 0.3  # share of a paragraph's width that a row across it may leave uncovered
    beyond: float = 5.0  # font sizes by which a row across columns exceeds a paragraph
    next_row: float = 1.3  # largest baseline distance within a paragraph, in leadings
    names: float = 0.35  # share of words in lower case; lists of names have fewer
    name_words: int = 4  # smallest number of words to judge


P = Parameters()


def main_matter(
    pages: list[PageContent],
    blocks: list[list[Block]],
    body: TypeProfile,
    known: frozenset[str] = frozenset(),
) -> list[list[Block]]:
    """Return the running text of each page in order, without headings and back matter.

    `known` has the words that are capitalised only at the start of a sentence. GAP ends a line
    within a sentence that is followed by something other than text, such as a formula. END ends a
    line that is followed by a heading, or by a sentence that begins in another block.
    """
    kept: list[list[Block]] = []
    back = False
    last: Block | None = None  # last block of running text, on this page or an earlier one
    for page, groups in zip(pages, blocks, strict=True):
        own: list[Block] = []
        between = headed = False
        for block in reading_order(page, groups):
            lines, back = _body_lines(block, page, body, back)
            if not lines:
                between = between or "caption" not in block.lines[0].tags
                headed = headed or _heads(block, page, body)
                continue
            if last and _FLOAT.match(lines[0].text) and not FINISHED.search(last.lines[-1].text):
                continue  # it is within a sentence
            new = replace(block, lines=with_holes(lines, body, page.lines))
            headed = headed or block.lines[0] is not lines[0]
            same = own and column_of(own[-1], page) == column_of(block, page)
            finished = last and FINISHED.search(last.lines[-1].text)
            first = new.lines[0].text
            if last and (headed or _begins(first, known)):
                _end_sentence(last, END)
            elif last and not finished and _is_aside(new, last):
                _end_sentence(last, GAP)
            elif last and finished and (_REST.match(first) or _heads_row(new.lines[0])):
                last.lines[-1] = replace(last.lines[-1], text=last.lines[-1].text + END)
            elif last and between and same:
                _end_sentence(last, GAP)
            own.append(new)
            last, between, headed = new, False, False
        kept.append(own)
    for page, own in zip(pages, kept, strict=True):
        _end_lost(page, own, body)
    return kept


def _end_sentence(block: Block, mark: str) -> None:
    """Append GAP or END to a block that ends within a sentence."""
    last = block.lines[-1]
    if not FINISHED.search(last.text):
        block.lines[-1] = replace(last, text=last.text + mark)


def _begins(text: str, known: frozenset[str]) -> bool:
    """Return whether a text begins a sentence or heading, judged by its first word's capital."""
    word = _CAPITAL.match(text)
    return bool(BEGINNING.match(text)) or bool(
        word and word[0].lower() in known and not _CITED.match(text)
    )


def _heads_row(line: Line) -> bool:
    """Return whether a block begins with a heading in its first row, by its number or its face."""
    faced = line.lead != line.font and line.text[:1].isupper()
    return faced or bool(_NUMBERED_ROW.match(line.text))


def _is_aside(block: Block, last: Block) -> bool:
    """Return whether a block is a box of other type beside the text."""
    fonts = {line.font for line in block.lines}
    return len(block.lines) > 1 and fonts.isdisjoint({line.font for line in last.lines})


def _heads(block: Block, page: PageContent, body: TypeProfile) -> bool:
    """Return whether a block that is not running text is a heading, flush left or centred."""
    if len(block.lines) > P.heading_rows or "caption" in block.lines[0].tags:
        return False
    first = block.lines[0]
    left, right = page.columns[column_of(block, page)]
    aside = first.box[0] - left, abs(first.box[0] + first.box[2] - left - right) / 2
    title = len(_letters(first.text)) > P.heading_letters and _TITLE.match(first.text)
    set_off = first.bold or first.size > P.heading * body.size or _NUMBERED.match(first.text)
    return bool(title and set_off and min(map(abs, aside)) < P.heading_end * body.size)


def _end_lost(page: PageContent, blocks: list[Block], body: TypeProfile) -> None:
    """Append GAP if the last sentence of a block continues in no block.

    It continues in the content stream, in the rest of its last row, or in a row that was merged
    with text in another column.
    """
    starts = {line.span[0]: line for line in page.lines}
    kept = {line.span[0] for block in blocks for line in block.lines}
    others = [line for line in page.lines if line.span[0] not in kept]
    for block in blocks:
        last = block.lines[-1]
        if FINISHED.search(last.text):
            continue
        if any(_is_across(line, block, body) or _is_beside(line, last, page) for line in others):
            _end_sentence(block, GAP)
        near = range(last.span[1] + 1, last.span[1] + 5)  # as in `Line.continues`
        after = next((starts[k] for k in near if k in starts), None)
        if after is None or after.span[0] in kept or after.font != last.font:
            continue
        divided = last.text[-1:] in (DIVIDED, COMPOUND)
        if (after.text[:1].islower() or divided) and abs(after.size - last.size) < P.same_size:
            _end_sentence(block, GAP)


def _is_across(line: Line, block: Block, body: TypeProfile) -> bool:
    """Return whether a line is the next row of a block but extends far beyond its edges."""
    x0, _, x1, y1 = block.box
    step = line.box[3] - y1
    covers = line.box[0] < x0 + body.size and line.box[2] > x1 - P.across * (x1 - x0)
    beyond = line.box[0] < x0 - P.beyond * body.size or line.box[2] > x1 + P.beyond * body.size
    return bool(covers and beyond and 0 < step < P.next_row * body.leading)


def _is_beside(line: Line, last: Line, page: PageContent) -> bool:
    """Return whether a line is in the last row of a block, to its right, in its column."""
    level = overlap_y(line.box, last.box) > P.level * (last.box[3] - last.box[1])
    edge = max((b for a, b in page.columns if a < last.box[2]), default=page.width)
    words = _REST.match(line.text.lstrip(" ,;)"))  # not a formula number or line number
    return bool(level and words and last.box[2] <= line.box[0] < edge)


def with_holes(lines: list[Line], body: TypeProfile, others: Sequence[Line] = ()) -> list[Line]:
    """Return the lines of a paragraph, with GAP at the end of each line followed by a hole.

    A piece of a row that was read as something else, such as a formula, leaves a hole: within the
    row, before the common right edge, or in the content stream, if the piece is in `others`.
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
        begin = bisect_right(starts, (one.span[1], one.box))
        between = starts[begin : bisect_left(starts, (after.span[0],))]
        area = left, min(one.box[1], after.box[1]), right, max(one.box[3], after.box[3])
        hole = hole or any(_is_in(box, area) for _, box in between)
        divided = one.text[-1:] in (DIVIDED, COMPOUND)  # which ends a row
        if hole and not divided and not FINISHED.search(one.text):
            found[place] = replace(one, text=one.text + GAP)
    return found


def _is_in(box: Box, area: Box) -> bool:
    """Return whether the centre of a box is in an area."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return area[0] < x < area[2] and area[1] < y < area[3]


def _body_lines(
    block: Block, page: PageContent, body: TypeProfile, back: bool
) -> tuple[list[Line], bool]:
    """Return the lines of a block that are running text, and whether back matter follows.

    `back`: whether the block begins in back matter.
    """
    names = is_names(" ".join(line.text for line in block.lines))
    running = is_running(block, body) and not names and not NOT_PROSE.match(block.lines[0].text)
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
        elif lines and not FINISHED.search(lines[-1].text):
            lines[-1] = replace(lines[-1], text=lines[-1].text + GAP)
    return lines, back


def _stands_alone(line: Line, page: PageContent) -> bool:
    """Return whether no short line is beside a line in its column, as in the head of a table.

    A long line belongs to a column that was not detected: references are in smaller type.
    """
    middle = (line.box[0] + line.box[2]) / 2
    left = max((a for a, _ in page.columns if a < middle), default=0.0)
    right = min((a for a, _ in page.columns if a > middle), default=page.width)
    return not any(
        other.span != line.span
        and overlap_y(other.box, line.box) > P.level * (line.box[3] - line.box[1])
        and left - 1 < other.box[0] < right - 1
        and other.box[2] - other.box[0] < P.cell * page.width
        for other in page.lines + page.furniture
    )


def _letters(line: str) -> str:
    """Return the letters of a line as short as a heading, in lower case, else ""."""
    if len(line) > P.heading_chars:
        return ""
    return re.sub(r"[\W\d_]+", "", _NUMBERING.sub("", line)).casefold()


def _headings(block: Block, page: PageContent, body: TypeProfile) -> set[int]:
    """Return the `id` of each line of a block that is a heading.

    These are lines set off by their type or a number, the rows of a heading at the top of the
    block, and a short row in body type between two sentences.
    """
    found = {id(line) for line in block.lines if _is_heading(line, block, page, body)}
    main = _main_font(block)
    over = list(takewhile(lambda line: line.font != main, block.lines))
    if is_bold(main) and main not in body.fonts:
        over = list(takewhile(_is_bold, block.lines))
    title = " ".join(line.text for line in over)
    rest = block.lines[len(over) :]
    short = over and over[-1].box[2] < block.box[2] - P.heading_end * body.size
    whole = all(map(_is_bold, over)) and not any(line.bold for line in rest[:1])
    title_like = title[:1].isupper() and not FINISHED.search(title)
    if (short or whole) and len(over) <= P.heading_rows and title_like:
        found |= {id(line) for line in over if not {line.font, line.lead} & body.fonts}
    for before, line, after in zip(block.lines, block.lines[1:], block.lines[2:], strict=False):
        short = line.box[2] - line.box[0] < P.plain_heading * (block.box[2] - block.box[0])
        apart = FINISHED.search(before.text) and after.text[:1].isupper()
        if short and apart and _PLAIN_TITLE.match(line.text):
            found.add(id(line))
    names = list(takewhile(lambda line: _AUTHORS.fullmatch(line.text.strip()), block.lines))
    if len(names) < len(block.lines) and block.lines[len(names)].text[:1].isupper():
        found |= set(map(id, names))
    for line, after in pairwise(block.lines):  # "**Samples.** All of the", and the next row
        if after.text[:1].islower() and id(after) not in found:
            found.discard(id(line))
    return found


def _is_heading(line: Line, block: Block, page: PageContent, body: TypeProfile) -> bool:
    """Return whether a line of a paragraph is a heading: short, set off by type or number."""
    _, edge = page.columns[column_of(block, page)]
    short = line.box[2] < max(block.box[2], edge) - P.heading_end * body.size
    if not short or len(line.text.split()) > P.heading_words or not _TITLE.match(line.text):
        return False
    fonts = {line.font, line.lead}
    apart = not fonts & body.fonts or (len(block.lines) > 2 and _main_font(block) not in fonts)
    larger = line.size > P.heading * body.size and len(block.lines) <= P.heading_rows
    capitals = line.text.isupper() and sum(map(str.isalpha, line.text)) > P.heading_capitals
    return apart or larger or line.bold or capitals or bool(_NUMBERED.match(line.text))


def _is_bold(line: Line) -> bool:
    """Return whether a line is bold at its start and in its middle."""
    return line.bold and is_bold(line.font)


def _main_font(block: Block) -> str:
    """Return the most frequent font of the lines of a block."""
    return Counter(line.font for line in block.lines).most_common(1)[0][0]


def is_names(text: str) -> bool:
    """Return whether most words look like names: authors, addresses, cells of a table."""
    words = text.split()
    lower = sum(word[0].islower() for word in words)
    few = lower < P.names * len(words)
    return len(words) >= P.name_words and few and bool(_LATIN.search(text))
