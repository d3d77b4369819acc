"""Captions: found by their label and their place, in the style that a document keeps to."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass

from cephalo.dataset_scripts.pdf.geometry import Box, overlap_y, union
from cephalo.dataset_scripts.pdf.joining import join_text
from cephalo.dataset_scripts.pdf.labels import (
    CONTINUED,
    LABEL_CJK,
    SEPARATOR,
    WORD_ALONE,
    kind_of,
    match_label,
    series_of,
)
from cephalo.dataset_scripts.pdf.layout import Block, BodyStyle, PageContent
from cephalo.dataset_scripts.pdf.text import Line

_CITES = re.compile(
    r"^\s*(?:[,;)]|\(?[a-z]\)?(?:[,\s\u2013-]+\(?[a-z]\)?)*\s+(?:show|illustr|present|and\b)"
    r"|(?:and|or|to|in|of|for|with|from|is|are|was|were|also|as|can|has|have|shows?|showed|"
    r"displays?|presents?|illustrates?|depicts?|gives?|lists?|reports?|summari[sz]es?|compares?|"
    r"demonstrates?|indicates?|reveals?|provides?|plots?|contains?|zeigt|zeigen|stellt|muestra|"
    r"presenta|und|y|e|et)\b)",
    re.I,
)


# The end of an entry in a list of figures: leaders, which may be dots of many kinds, and a page.
_ENTRY_END = re.compile(
    r"(?:[.\u2026\u00b7\u2022\u2027\ua78f]\s*){5,}(?:\d{1,4}|[ivxlc]+)\s*$", re.I
)
_SMALLEST = 0.66  # of the body size; smaller text is part of a picture


@dataclass
class Caption:
    """A caption on a page.

    `text` is without the label; `label` as printed, without the closing mark. `box` is in the
    page's frame. `style` is what the captions of one document share.
    """

    kind: str
    label: str
    number: str
    text: str
    box: Box
    page: int
    lines: list[Line]
    style: tuple
    score: float
    continued: bool = False


def find_captions(
    pages: list[PageContent], blocks: list[list[Block]], body: BodyStyle
) -> list[list[Caption]]:
    """The captions of each page of a document, from top to bottom.

    A line that begins with a label is a candidate. Of the candidates, those win that share the
    style (word, closing mark, weight, size) of most of the document's captions.
    """
    candidates = [
        _candidates(page, groups, body) for page, groups in zip(pages, blocks, strict=True)
    ]
    families = defaultdict(list)
    for own in candidates:
        for candidate in own:
            families[candidate.kind].append(candidate)
    kept = {id(caption) for family in families.values() for caption in _choose(family)}
    chosen = [[caption for caption in own if id(caption) in kept] for own in candidates]
    bare = {id(caption) for family in families.values() for caption in _bare_labels(family, kept)}
    return [
        found or [caption for caption in own if id(caption) in bare]
        for found, own in zip(chosen, candidates, strict=True)
    ]


def _bare_labels(family: list[Caption], kept: set[int]) -> list[Caption]:
    """Labels without a text that stand once, on another page than the caption of their number."""
    told = {caption.number: caption for caption in family if id(caption) in kept and caption.text}
    numbers = defaultdict(list)
    for caption in family:
        if not caption.text and id(caption) not in kept and caption.number in told:
            numbers[caption.number].append(caption)
    return [
        group[0]
        for number, group in numbers.items()
        if len(group) == 1 and group[0].page != told[number].page
    ]


def _choose(family: list[Caption]) -> list[Caption]:
    """Of the candidates of one kind, the captions: one for each number, in one style."""
    votes: Counter[tuple] = Counter()
    seen = set()
    for caption in family:
        key = (caption.style, caption.number)
        if caption.score > 0 and key not in seen:
            seen.add(key)
            votes[caption.style] += min(caption.score, 4)
    if not votes:
        return []
    main = votes.most_common(1)[0][0]
    numbers = defaultdict(list)
    for caption in family:
        agree = sum(a == b for a, b in zip(caption.style, main, strict=True)) / len(main)
        caption.score += 4 * agree - 3
        numbers[caption.number].append(caption)
    kept = []
    for group in numbers.values():
        best = max(group, key=lambda caption: caption.score)
        if best.score > 0:
            kept.append(best)
            # A volume of several articles has several of the same number.
            strong = main[2] or main[3]
            rest = [
                c
                for c in group
                if c is not best and c.score > 0 and (c.continued or (strong and c.style == main))
            ]
            # "Table 2 (continued)" says nothing that the table's caption does not.
            kept += [c for c in rest if c.kind != "table"]
    return kept


def _candidates(page: PageContent, blocks: list[Block], body: BodyStyle) -> list[Caption]:
    found = []
    for block in blocks:
        for index, line in enumerate(block.lines):
            if line.size < _SMALLEST * body.size:
                continue
            head = [line]
            if WORD_ALONE.fullmatch(line.text):  # "Figure  5.  Text" in a stretched line
                head += _beside(line, _of_size(page.lines, line.size), page)
            match = match_label(" ".join(part.text for part in head))
            if match:
                found.append(_candidate(page, block, index, match, head, body))
    found.sort(key=lambda caption: (caption.box[1], caption.box[0]))
    return found


def _candidate(page, block, index, match, head, body) -> Caption:
    line = block.lines[index]
    rest = match.string[match.end() :]
    continued = CONTINUED.match(rest)
    mark = SEPARATOR.match(rest)
    closing = mark.group("mark") if mark else ""
    text = rest[mark.end() :] if mark else rest.strip()
    cjk = match.re is LABEL_CJK
    kind = kind_of(match)
    lines = grow(line, kind, page, body)
    bold = line.bold and line.lead != lines[-1].font
    score = 0.0
    if closing:
        score += 2 if text[:1].isupper() or not text or not text[0].islower() else 0.5
    elif _CITES.match(rest) or (text[:1].islower() and not bold):
        score -= 4
    elif cjk:
        score += 1 if rest[:1].isspace() or not rest else -2
    score += 1.5 if (line.bold and not lines[-1].bold) or line.lead != line.font else 0
    score += 1 if line.size < 0.95 * body.size else 0
    if not text:
        score += 0.5
    if index > 0:
        above = block.lines[index - 1]
        score -= 3 if above.size > 0.97 * line.size and _full(above, block) else 0.5
    else:
        score += 1
    word = re.sub(r"\s+", " ", match.group("word")).lower()
    style = (
        word,
        match.group("word").isupper(),
        closing[:1],
        bold,
        round(line.size * 2) / 2,
        line.lead,
    )
    number = re.sub(r"\s+", "", match.group("number"))
    full = join_text([text] + [other.text for other in lines if other not in head])
    score -= 8 if _ENTRY_END.search(full) else 0
    return Caption(
        kind,
        match.group("label").strip(),
        f"{series_of(word)}{number}".lower(),
        full,
        union([other.box for other in lines]),
        page.number,
        lines,
        style,
        score,
        bool(continued),
    )


def _full(line: Line, block: Block) -> bool:
    """Whether a line runs to the right edge of its block, so that the next one continues it."""
    return line.box[2] > block.box[2] - 2 * line.size


def grow(first: Line, kind: str, page: PageContent, body: BodyStyle) -> list[Line]:
    """The lines of the caption that begins with `first`, in reading order.

    Rows are added downwards while they have the caption's size, keep its distance of baselines
    and its width, and do not begin with a label of their own.
    """
    following = [
        line
        for line in page.lines
        if line is not first and "furniture" not in line.tags and line.box[3] > first.box[1]
    ]
    size = first.size
    pool = _of_size(following, size)
    row = [first, *_beside(first, pool, page)]
    lines = list(row)
    if len(row) == 1 and _is_label_only(first.text):
        # A label on its own line may be set in another size than the text below it.
        near = _row_below(row, _of_size(following, size, 0.4), *_span(lines), 2.5 * size, size)
        size = near[0].size if near else size
        pool = _of_size(following, size)
    usual = max(1.2, body.leading / body.size) * size
    step = None
    while True:
        left, right = _span(lines)
        base = max(line.box[3] for line in row)
        reach = 1.25 * (step or 1.1 * usual) if len(lines) > 1 or size == first.size else 2.5 * size
        below = _row_below(row, pool, left, right, reach, size)
        if not below:
            return lines
        head = below[0]
        if len(below) == 1 and _is_stray(head, left):
            return lines
        full = row[-1].box[2] > right - 2.5 * size
        if match_label(head.text) and not (full and len(lines) > 1):
            return lines
        fonts = {line.font for line in lines}
        if not full and head.font in body.fonts and not fonts & body.fonts:
            return lines
        if kind == "table" and _is_table_row(below, row, lines, page, size):
            return lines
        distance = max(line.box[3] for line in below) - base
        if distance > 0.5 * size:
            step = distance if step is None else min(step, distance)
        row = below
        lines += below


def _is_stray(line: Line, left: float) -> bool:
    """Whether a line under a caption from `left` is a page number, or the name of an axis."""
    return line.box[0] > left + 2 * line.size and len(line.text) < 4 and line.text.isalnum()


def _of_size(lines: list[Line], size: float, slack: float = 0.12) -> list[Line]:
    return [line for line in lines if abs(line.size - size) < slack * size]


def _span(lines: list[Line]) -> tuple[float, float]:
    return min(line.box[0] for line in lines), max(line.box[2] for line in lines)


def _is_label_only(text: str) -> bool:
    match = match_label(text)
    return match is not None and not re.sub(r"[\W_]+", "", text[match.end() :])


def _is_table_row(
    below: list[Line], row: list[Line], lines: list[Line], page: PageContent, size: float
) -> bool:
    """Whether `below`, under the row of a table's caption, is the table's head already.

    A rule parts them, or the row above it is not full, or it stands in cells.
    """
    if _is_label_only(" ".join(line.text for line in lines)):
        return False
    top, base = row[-1].box[3] - 0.3 * size, below[0].box[3]
    left, right = _span(lines)
    rules = page.boxes[page.boxes[:, 3] - page.boxes[:, 1] < 2.5]
    between = (rules[:, 1] > top) & (rules[:, 3] < base - 0.3 * size)
    between &= (rules[:, 0] < right) & (rules[:, 2] > left) & (rules[:, 2] - rules[:, 0] > 3 * size)
    if between.any():
        return True
    wider = max(line.box[2] for line in below) > row[-1].box[2] + 2.5 * size
    cells = [
        line
        for line in page.lines
        if overlap_y(line.box, below[0].box) > 0.5 * size
        and line not in below
        and below[-1].box[2] + 1.5 * size < line.box[0] < right
    ]
    wider = wider and _had_room(row[-1], below[0], right)
    return wider or bool(cells)


def _had_room(line: Line, following: Line, right: float) -> bool:
    """Whether the first word of `following` would have fitted at the end of `line`.

    Then the text did not go on from line to line. The edge is `right`, or that of `following`.
    """
    edge = max(right, following.box[2])
    return line.box[2] + 0.25 * line.size + following.first_word < edge


def _beside(first: Line, pool: list[Line], page: PageContent) -> list[Line]:
    """Pieces that continue a first line on its baseline: a stretched line, a tabbed label."""
    column = next((c for c in page.columns if c[0] - 2 < first.box[0] < c[1]), (0, page.width))
    edge = max(column[1] + 2, first.box[2])
    found, last = [], first
    for line in sorted(pool, key=lambda line: line.box[0]):
        gap = line.box[0] - last.box[2]
        level = overlap_y(line.box, first.box) > 0.6 * (first.box[3] - first.box[1])
        if not level or gap < -1 or match_label(line.text):
            continue
        near = gap < 0.7 * first.size and line.box[2] < edge + first.size
        if near or (line.continues(last) and gap < 5 * first.size):
            found.append(line)
            last = line
    return found


def _row_below(
    row: list[Line], pool: list[Line], left: float, right: float, reach: float, size: float
) -> list[Line]:
    """The lines of the next row of a caption between `left` and `right`, from left to right.

    Where the page's content goes on from line to line, that decides; else the place does.
    """
    base = max(line.box[3] for line in row)
    near = [
        line
        for line in pool
        if 0.5 * size < line.box[3] - base < reach
        and line not in row
        and min(line.box[2], right) - max(line.box[0], left) > 0
    ]
    if not near:
        return []
    head = [line for line in near if line.continues(row[-1])]
    if not head:
        top = min(line.box[3] for line in near)
        level = [line for line in near if line.box[3] < top + 0.5 * size]
        alone = len(row) == 1 and right - left < 8 * size  # a label on a line of its own
        head = [
            line
            for line in level
            if line.box[0] > left - size and (alone or line.box[2] < right + size)
        ]
        head = sorted(head, key=lambda line: line.box[0])[:1]
    if not head:
        return []
    kept = head[:1]
    for line in sorted(near, key=lambda line: line.box[0]):
        last = kept[-1]
        level = overlap_y(line.box, last.box) > 0.5 * (last.box[3] - last.box[1])
        gap = line.box[0] - last.box[2]
        within = line.box[2] < right + size
        if level and gap > -1 and within and (line.continues(last) or gap < 0.7 * size):
            kept.append(line)
    return kept
