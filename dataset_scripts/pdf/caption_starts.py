"""Find where captions start, and tell them apart from sentences that cite a figure.

The first model, "starts_alone", scores each candidate line separately. The second model, "starts",
also uses the style of the other candidates in the document and candidates with the same number.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from cephalo.dataset_scripts.common.geometry import Box, union
from cephalo.dataset_scripts.pdf.caption_extent import first_row, grow
from cephalo.dataset_scripts.pdf.caption_features import Growing, PageText, face_of
from cephalo.dataset_scripts.pdf.caption_places import lines_above, place_features
from cephalo.dataset_scripts.pdf.decisions import load_models
from cephalo.dataset_scripts.pdf.labels import (
    CONTINUED,
    SEPARATOR,
    SORTS,
    WORD_ALONE,
    kind_of,
    label_of,
    match_label,
    number_of,
    series_of,
)
from cephalo.dataset_scripts.pdf.text import Line

_CITES = re.compile(
    r"^\s*(?:[,;)]|\(?[a-z]\)?(?:[,\s\u2013-]+\(?[a-z]\)?)*\s+(?:show|illustr|present|and\b)"
    r"|(?:and|or|to|in|of|for|with|from|is|are|was|were|also|as|can|has|have|shows?|showed|"
    r"displays?|presents?|illustrates?|depicts?|gives?|lists?|reports?|summari[sz]es?|compares?|"
    r"demonstrates?|indicates?|reveals?|provides?|plots?|contains?|zeigt|zeigen|stellt|muestra|"
    r"presenta|und|y|e|et)\b)",
    re.I,
)
_CLOSES = re.compile(r"\)\s*[.,;]")  # the end of a citation in brackets
# End of an entry in a list of figures: leaders of any dot character and a page number.
_ENTRY_END = re.compile(
    r"(?:[.\u2026\u00b7\u2022\u2027\ua78f]\s*){5,}(?:\d{1,4}|[ivxlc]+)\s*$", re.I
)
# "(See legend on next page.)", in place of a caption on another page.
_ELSEWHERE = re.compile(
    r"^\W*(?:see|for)?\s*(?:the\s+)?(?:figure|fig\.?|caption|legend)s?\b.{0,40}"
    r"\b(?:next|following|previous|opposite|facing|preceding)\s+page\W*$"
    r"|^\W*see\s+(?:the\s+)?(?:next|following|previous|opposite|facing|preceding)\s+page\b.{0,40}$",
    re.I,
)
# A panel mark or a condition in brackets at the start of a caption.
_OPENING = re.compile(r"^(?:\([^()]{1,20}\)|[A-Za-z]\.?\))\s*[:.,]?\s*")
_SERIES = re.compile(r"\D*")  # prefix of a number: "s" of "s1", "" of "1"
_STYLE = ("word", "capitals", "mark", "weight", "size", "face")  # elements of `Candidate.style`
_AGREEING = ("mark", "weight", "face")  # elements with a feature of their own
# Features of the first model that the second model uses as well.
_SEEN_AGAIN = ("first_in_block", "graphics_above", "mark", "no_text", "one_row")


@dataclass(frozen=True)
class Parameters:
    """Which lines are scored as captions, and limits for comparing them."""

    smallest: float = 0.6  # ratio to the body size; smaller text is part of a picture
    citation: float = -8.0  # log-odds of the first row; below it no further rows are read
    unlikely: float = -3.0  # log-odds of the first model; below it, others must support it
    shared_face: float = 0.3  # share of the captions that continue in a face, for it to be usual
    apart: float = 12.0  # points between a label and its text if the figure is between them


P = Parameters()


@dataclass
class Candidate:
    """A line that begins like a caption, and the caption it would start.

    Attributes:
        kind: Kind of the figure, such as "figure" or "table".
        label: Label as printed, such as "Figure 3".
        number: Number in the label, in lower case, "" without one.
        head: Text of the first row after the label and its closing mark.
        continued: Whether the label says that the figure is continued.
        style: Typographic properties that captions of a document share, see `_STYLE`.
        growing: The rows of the caption.
        features: Features of the first model.
        score: Log-odds that the line starts a caption.
    """

    kind: str
    label: str
    number: str
    head: str
    continued: bool
    style: tuple
    growing: Growing
    features: dict[str, float] = field(default_factory=dict)
    score: float = 0.0

    @property
    def first(self) -> Line:
        """The line that begins with the label."""
        return self.growing.rows[0][0]

    @property
    def elsewhere(self) -> bool:
        """Whether the text only refers to the page that has the caption."""
        return bool(_ELSEWHERE.match(" ".join(self.pieces).strip()))

    @property
    def bare(self) -> bool:
        """Whether the label has no caption text."""
        return self.elsewhere or not any(self.pieces)

    @property
    def sort_alone(self) -> bool:
        """Whether the label is a generic word without a closing mark ("Image 3").

        Parts of a picture have such labels too, so a caption needs more evidence.
        """
        return bool(re.fullmatch(SORTS, self.style[0], re.I)) and not self.style[2]

    @property
    def pieces(self) -> list[str]:
        """The text of each row of the caption, without the label."""
        rest = [line.text for row in self.growing.rows[1:] for line in row]
        return [self.head, *rest]


def find_candidates(text: PageText) -> list[Candidate]:
    """Return the unscored candidates of a page, from top to bottom."""
    found = []
    for line in text.rows.lines:
        if line.size < P.smallest * text.profile.size:
            continue
        if match_label(line.text) or WORD_ALONE.fullmatch(line.text):
            candidate = _candidate(line, text)
            if candidate:
                found.append(candidate)
    return found


def _candidate(line: Line, text: PageText) -> Candidate | None:
    """Return the candidate that begins with a line, or `None` if it has no label."""
    row = first_row(line, text)
    match = match_label(" ".join(piece.text for piece in row))
    if match is None:
        return None
    rest = match.string[match.end() :]
    if _CLOSES.match(rest):
        return None
    mark = SEPARATOR.match(rest)
    closing = mark.group("mark")[:1] if mark else ""
    head = rest[mark.end() :] if mark else rest.strip()
    word = re.sub(r"\s+", " ", match.group("word")).lower()
    kind = kind_of(match)
    number = f"{series_of(word)}{number_of(match)}"
    continued = bool(CONTINUED.match(rest))
    style = word, match.group("word").isupper(), closing, False, _half(line.size), line.lead
    growing = Growing(kind, text, [row])
    candidate = Candidate(kind, label_of(match), number, head, continued, style, growing)
    candidate.features = _start_features(candidate, rest)
    if load_models()["starts_alone"].score(candidate.features) < P.citation:
        return candidate
    candidate.growing = grow(line, kind, text)
    weight = line.bold and line.lead != candidate.growing.last.font
    candidate.style = (*style[:3], weight, *style[4:])
    candidate.features = _start_features(candidate, rest)
    return candidate


def _half(size: float) -> float:
    """Round a font size to half a point."""
    return round(size * 2) / 2


def _start_features(candidate: Candidate, rest: str) -> dict[str, float]:
    """Return the features of the first model. `rest` is the first row after the label."""
    growing, line = candidate.growing, candidate.first
    head, closing = candidate.head, candidate.style[2]
    full = " ".join(candidate.pieces)
    said = _OPENING.sub("", head)
    lower = said == head and head[:1].islower()
    found = {
        "mark": bool(closing),
        "mark_bracket": closing == ")",
        "mark_upper": bool(closing) and not lower,
        "no_mark_upper": not closing and said[:1].isupper(),
        "lower": lower,
        "no_text": not full.strip(),
        "cites": not closing and bool(_CITES.match(rest)),
        "comma": rest[:1] in (",", ";"),
        "body_type": growing.text.is_body(line),
        "prefix": len(candidate.style[0].split()) > 1,
        "entry": bool(_ENTRY_END.search(full)),
        "continued": candidate.continued,
        "continued_table": candidate.continued and candidate.kind == "table",
        "one_row": len(growing.rows) == 1,
        "many_rows": min(max(len(growing.rows) - 8, 0) / 20, 2.0),
    }
    found |= place_features(growing, line)
    return {name: float(value) for name, value in found.items()}


def weigh_alone(candidates: list[Candidate]) -> None:
    """Score candidates with the first model, in place."""
    model = load_models()["starts_alone"]
    for candidate in candidates:
        candidate.score = model.score(candidate.features)


def usual_faces(candidates: list[Candidate]) -> dict[str, frozenset[tuple[str, float]]]:
    """Return the faces in which the likely captions of a document continue, by kind.

    A set is empty if fewer than three captions continue in the same face.
    """
    counts: dict[str, Counter] = defaultdict(Counter)
    totals: Counter[str] = Counter()
    for candidate in candidates:
        if candidate.score > 0 and len(candidate.growing.rows) > 1:
            rows = candidate.growing.rows[1:]
            totals[candidate.kind] += 1
            counts[candidate.kind].update({face_of(line) for row in rows for line in row})
    return {
        kind: frozenset(
            face for face, n in counts[kind].items() if n >= max(2, P.shared_face * totals[kind])
        )
        if totals[kind] > 2
        else frozenset()
        for kind in {candidate.kind for candidate in candidates}
    }


def weigh_together(candidates: list[Candidate]) -> None:
    """Score candidates with the second model, in place."""
    model = load_models()["starts"]
    found = document_features(candidates)
    for candidate, more in zip(candidates, found, strict=True):
        candidate.features |= more
    for candidate in candidates:
        alone = candidate.score
        candidate.score = model.score(candidate.features)
        # Without other captions, the document has no evidence to outweigh a low first score.
        if candidate.features.get("only_one") and alone < P.unlikely:
            candidate.score = min(candidate.score, alone)


def document_features(candidates: list[Candidate]) -> list[dict[str, float]]:
    """Return the features of the second model. Input scores are those of the first model."""
    families = defaultdict(list)
    for candidate in candidates:
        for family in {_family(candidate), (candidate.kind, "")}:
            families[family].append(candidate)
    main = {key: _main_style(family) for key, family in families.items()}
    numbers = defaultdict(list)
    for candidate in candidates:
        numbers[candidate.kind, candidate.number].append(candidate)
    good = {key for key, group in numbers.items() if any(c.score > 0 for c in group)}
    return [
        _own_features(candidate)
        | _agreement(candidate, [main[_family(candidate)], main[candidate.kind, ""]])
        | _rivals(candidate, numbers[candidate.kind, candidate.number])
        | {"alone_score": max(min(candidate.score, 6.0), -6.0) / 6}
        | {"follows_number": float((candidate.kind, _before(candidate.number)) in good)}
        for candidate in candidates
    ]


def _own_features(candidate: Candidate) -> dict[str, float]:
    """Return features of the candidate itself for the second model, besides its first score."""
    line, text = candidate.first, candidate.growing.text
    above = (
        len(other.text) > 20 and abs(other.size - line.size) < 0.08 * line.size
        for other in lines_above(text, line)
    )
    own = {name: candidate.features.get(name, 0.0) for name in _SEEN_AGAIN}
    return own | {
        "own_weight": float(candidate.style[3]),
        "own_face": float(line.lead != line.font),
        "fills_column": float(text.fills_column(line)),
        "text_above": float(any(above)),
    }


def _main_style(family: list[Candidate]) -> Counter:
    """Count the style elements and their values in the likely captions of a kind."""
    votes: Counter[str | tuple] = Counter()
    seen = set()
    for candidate in family:
        key = (candidate.style, candidate.number)
        if candidate.score > 0 and key not in seen:
            seen.add(key)
            votes["all"] += 1
            for part in zip(_STYLE, candidate.style, strict=True):
                votes[part] += 1
    return votes


def _family(candidate: Candidate) -> tuple[str, str]:
    """Return the kind and number prefix of a candidate. An appendix may have its own style."""
    series = _SERIES.match(candidate.number)
    assert series  # the pattern matches any string
    return candidate.kind, series[0]


def _agreement(candidate: Candidate, votes: list[Counter]) -> dict[str, float]:
    """Return how far a candidate agrees with the style of other likely captions.

    Values are shares minus 0.5, and 0 without other captions. `votes` are the counts for captions
    with the same number prefix and for all captions of the kind; the better agreement is used.
    """
    found = [own for own in (_shares(candidate, count) for count in votes) if own]
    if not found:
        return {"only_one": 1.0}
    return max(found, key=lambda own: own["agrees_all"])


def _shares(candidate: Candidate, votes: Counter) -> dict[str, float]:
    """Return the share of other captions with the same value, for each style element."""
    own = candidate.score > 0
    others = votes["all"] - own
    if others <= 0:
        return {}
    weight = min(others, 4) / 4
    parts = zip(_STYLE, candidate.style, strict=True)
    shares = {part[0]: (votes[part] - own) / others for part in parts}
    found = {f"agrees_{name}": weight * (shares[name] - 0.5) for name in _AGREEING}
    return found | {"agrees_all": weight * (min(shares.values()) - 0.5)}


def _rivals(candidate: Candidate, group: list[Candidate]) -> dict[str, float]:
    """Return how a candidate compares with candidates of the same number.

    Labels without text, references to a caption on another page, and continued figures are ignored.
    """
    others = [
        other
        for other in group
        if other is not candidate
        and other.continued == candidate.continued
        and (candidate.bare or not other.bare)
    ]
    if not others:
        return {"only_of_number": 1.0}
    best = max(other.score for other in others)
    behind = candidate.score < best
    return {"best_of_number": float(not behind), "rival_likely": float(behind and best > 0)}


def _before(number: str) -> str:
    """Return the preceding number: "s2" → "s1"; "" for the first."""
    match = re.fullmatch(r"(.*?)(\d+)", number)
    if not match or match.group(2) in ("0", "1"):
        return ""
    return f"{match.group(1)}{int(match.group(2)) - 1}"


def box_of_caption(growing: Growing) -> Box:
    """Return the box of a caption, or of the part with text.

    If the figure is between a label and its text, only the box of the text is returned.
    """
    rows = growing.rows
    far = growing.segment and (
        rows[growing.segment][0].box[1] - rows[growing.segment - 1][0].box[3] > P.apart
    )
    lines = [line for row in (growing.own if far else rows) for line in row]
    return union([line.box for line in lines])
