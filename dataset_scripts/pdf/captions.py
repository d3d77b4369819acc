"""Captions: found by their label and their place, in the style that a document keeps to."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from cephalo.dataset_scripts.pdf.geometry import Box, overlap_x, overlap_y, union
from cephalo.dataset_scripts.pdf.layout import Block, BodyStyle, PageContent
from cephalo.dataset_scripts.pdf.text import Line

_KINDS = {
    "table": r"tables?|tab\.?|tabelle|tabla|tableau|tabela|表格?",
    "scheme": r"schemes?|esquema|schéma",
    "chart": r"charts?",
    "plate": r"plates?",
    "algorithm": r"algorithm|listing|algorithmus|box",
    "figure": r"figures?|figs?\.?|abbildung|abb\.?|figura|figuras|рис(?:унок)?\.?|图|圖|図",
}
_PREFIX = (
    r"(?:(?:extended\s+data|supplementary|supplemental|suppl\.?|supporting|online|appendix)\s+)?"
)
_WORDS = "|".join(f"(?P<{kind}>{words})" for kind, words in _KINDS.items())
_NUMBER = (
    r"(?:[A-Z]{1,2}[.\-]?\s?)?\d{1,3}(?:[.\-\u2013]\d{1,3})*(?:[a-z](?![a-z]))?"
    r"|[IVXLC]{1,6}(?![A-Za-z])"
)
LABEL = re.compile(
    rf"^(?P<label>(?P<word>{_PREFIX}(?:{_WORDS}))\s*(?P<number>{_NUMBER}))(?![\w])", re.I
)
_LABEL_CJK = re.compile(r"^(?P<label>(?P<word>图|圖|図|表)\s*(?P<number>\d{1,3}(?:[.\-]\d+)*))")
_CONTINUED = re.compile(
    r"^[\s.:]*[(\[]?(?:cont(?:inued|['\u2019]?d)?\.?|fortsetzung|continuación|续)[)\]]?[\s.:]*",
    re.I,
)
_SEPARATOR = re.compile(r"^\s*(?P<mark>[.:|)\]\u2016\u2502\u2223\u2013\u2014-]|\s-\s)+\s*")
_CITES = re.compile(
    r"^\s*(?:[,;)]|\(?[a-z]\)?(?:[,\s\u2013-]+\(?[a-z]\)?)*\s+(?:show|illustr|present|and\b)"
    r"|(?:and|or|to|in|of|for|with|from|is|are|was|were|also|as|can|has|have|shows?|showed|"
    r"displays?|presents?|illustrates?|depicts?|gives?|lists?|reports?|summari[sz]es?|compares?|"
    r"demonstrates?|indicates?|reveals?|provides?|plots?|contains?|zeigt|zeigen|stellt|muestra|"
    r"presenta|und|y|e|et)\b)",
    re.I,
)


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
    sources: list[Line] = field(default_factory=list)


def match_label(text: str) -> re.Match | None:
    """The label at the start of a text ("Fig. 3", "Extended Data Figure 1", "图 2"), or None."""
    return _LABEL_CJK.match(text) or LABEL.match(text)


def kind_of(match: re.Match) -> str:
    """ "figure", "table", "scheme", "chart", "plate" or "algorithm"."""
    word = match.group("word")
    if word in "图圖図":
        return "figure"
    if word.startswith("表"):
        return "table"
    return next(kind for kind in _KINDS if match.group(kind))


def find_captions(
    pages: list[PageContent], blocks: list[list[Block]], body: BodyStyle
) -> list[Caption]:
    """The captions of a document, in the order of its pages.

    A line that begins with a label is a candidate. Of the candidates, those win that share the
    style (word, closing mark, weight, size) of most of the document's captions.
    """
    candidates = [
        candidate
        for page, groups in zip(pages, blocks, strict=True)
        for candidate in _candidates(page, groups, body)
    ]
    kept = []
    families = defaultdict(list)
    for candidate in candidates:
        families[candidate.kind].append(candidate)
    for family in families.values():
        kept += _choose(family)
    kept.sort(key=lambda caption: (caption.page, caption.box[1], caption.box[0]))
    return kept


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
            kept += [c for c in group if c is not best and c.continued and c.score > 0]
    return kept


def _candidates(page: PageContent, blocks: list[Block], body: BodyStyle) -> list[Caption]:
    found = []
    for block in blocks:
        for index, line in enumerate(block.lines):
            match = match_label(line.text)
            if match:
                found.append(_candidate(page, block, index, match, body, blocks))
    return found


def _candidate(page, block, index, match, body, blocks) -> Caption:
    line = block.lines[index]
    rest = line.text[match.end() :]
    continued = _CONTINUED.match(rest)
    if continued:
        rest = rest[continued.end() :]
    mark = _SEPARATOR.match(rest)
    closing = mark.group("mark") if mark else ""
    text = rest[mark.end() :] if mark else rest.strip()
    cjk = match.re is _LABEL_CJK
    lines = _grow(block, index, page, blocks)
    bold = line.bold and line.lead != lines[-1].font
    score = 0.0
    if closing:
        score += 2 if text[:1].isupper() or not text or not text[0].islower() else 0.5
    elif _CITES.match(rest) or (text[:1].islower() and not bold):
        score -= 4
    elif cjk:
        score += 1 if rest[:1].isspace() else -2
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
    full = join_text([text] + [other.text for other in lines[1:]])
    return Caption(
        kind_of(match),
        match.group("label").strip(),
        f"{word.split()[0][:3] if ' ' in word else ''}{number}".lower(),
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


def _grow(block: Block, index: int, page: PageContent, blocks: list[Block]) -> list[Line]:
    """The lines of the caption that begins at `index` of a block.

    The block ends it: another size, a wider gap, another label; so does a change of font and
    weight from the caption's own, after a line that does not reach the right edge.
    """
    lines = [block.lines[index]]
    first = lines[0]
    # A stretched or tabbed first line comes in pieces.
    pieces = [
        other
        for group in blocks
        for other in group.lines
        if other is not first
        and overlap_y(other.box, first.box) > 0.7 * (first.box[3] - first.box[1])
        and 0 <= other.box[0] - first.box[2] < 2.5 * first.size
        and abs(other.size - first.size) < 0.15 * first.size
        and not match_label(other.text)
    ]
    for piece in sorted(pieces, key=lambda line: line.box[0])[:1]:
        if len(match_label(first.text).group()) + 3 >= len(first.text):
            lines.append(piece)
    rest = block.lines[index + 1 :]
    if len(lines) > 1 and not rest:
        group = next(group for group in blocks if lines[1] in group.lines)
        rest = group.lines[group.lines.index(lines[1]) + 1 :]
    step = None
    for line in rest:
        if match_label(line.text) and not _full(lines[-1], block):
            break
        last = lines[-1]
        distance = line.box[3] - last.box[3]
        if step is not None and distance > 1.25 * step:
            break
        if distance > 0.5 * first.size:
            step = distance if step is None else min(step, distance)
        if overlap_x(line.box, last.box) < 0:
            break
        lines.append(line)
    return lines


def join_text(parts: list[str]) -> str:
    """Join lines of text into one, undoing hyphenation at the line ends."""
    text = ""
    for part in parts:
        part = part.strip()
        if not part:
            continue
        if not text:
            text = part
        elif text[-1] in "\xad\x02\ufffe" or (re.search(r"[^\W\d_]-$", text) and part[0].islower()):
            text = text[:-1] + part
        elif "\u2e80" < text[-1] < "\uffa0" and "\u2e80" < part[0] < "\uffa0":
            text += part
        else:
            text += " " + part
    return re.sub(r"[\x00-\x1f\xad\ufffe\uffff\u200b]", "", text).strip()
