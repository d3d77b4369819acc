"""Parse quantities in prose (numbers with their units), and compare them.

"1,200 nm", "1.2 µm" and "1.2e-6 m" are one quantity; "3.14" agrees with "3.1416", but "3.142" does
not agree with "3.14". Numbers in names (Ti6Al4V, C60, 2θ, 304 stainless steel, (110)), in
references to figures and in citations are not quantities.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from cephalo.dataset_scripts.refinement.number_context import context, is_factor, is_times
from cephalo.dataset_scripts.refinement.number_words import read_written, written
from cephalo.dataset_scripts.refinement.numbered_names import PLANE, is_glued, is_in_name, is_kind
from cephalo.dataset_scripts.refinement.units import RAISED, SUPERSCRIPTS, UNIT, Unit, unit

ABOUT = 0.1  # relative tolerance of "about", unless the digits are more precise
OVER = 0.25  # share by which a value may exceed "over", unless the digits are more precise
EXACT = 1e-9  # relative error of floating-point conversions

_DIGITS = (  # longer numbers are not quantities
    r"\d{1,3}(?:,\d{3}){1,5}(?:\.\d{1,15})?|\d{1,3}(?:\u2009\d{3}){1,5}(?:\.\d{1,15})?"
    r"|\d{1,3}(?: 000){1,4}(?!\d)|\d{1,15}(?:\.\d{1,15})?(?!\d)|\.\d{1,15}(?!\d)"
)
_NUMBER = re.compile(
    # Not inside a name such as Ti6Al4V or X65, and not the end of a longer number.
    r"(?<![\w.^])(?<!\^-)(?<!\d,)(?<![A-Za-z]\d/)(?:(?<![\w)\]])(?P<sign>-)\s?)?"
    rf"(?P<digits>{_DIGITS})(?P<glued>\s?\(\d{{1,2}}\)(?=\s?[Å°]))?"
    # "x 106" is a superscript 6 that the PDF file lost; "x 100" is a hundred.
    r"(?:\)?\s?[\u00d7x·*∙]\s?10"
    rf"(?:\s?\^\s?\{{?(?P<power>-?\d{{1,2}})\}}?|(?P<super>[⁻⁺]?[{SUPERSCRIPTS}]{{1,2}})"
    r"|(?P<raised>\s?-\s?\d{1,2}|[1-9]\d?))(?!\d)"
    r"|[eE](?P<exponent>[-+]?\d{1,2})(?![\w.])"
    rf"|(?<=\b10)(?:\s?\^\s?\{{?(?P<alone>-?\d{{1,2}})\}}?|(?P<high>[⁻⁺]?[{SUPERSCRIPTS}]{{1,2}})"
    r"|(?P<flat>-[1-9](?![\d.]|\s?(?:-|to\b))))(?!\d))?"
)
_DIGIT = re.compile(r"\d")
_AHEAD = 3  # characters of a number before its first digit: "- .5"
GAP = re.compile(
    r"\s*(?:-|(?:down |up )?to|and|or|(?:out )?of|,|, and|, or"
    r"|versus|vs\.?|against|through|/|±|\+/-|\+-|:|;|→"
    r"|compared (?:to|with)|as opposed to|instead of|rather than|from)\s*[(+]?\s*"
)
_OUT_OF = re.compile(r" (?:out )?of (?:the |all )?")
_FOLD = re.compile(r"[\s-]?folds?\b")
_SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_SCALE = re.compile(rf" (?P<scale>{'|'.join(_SCALES)})\b", re.IGNORECASE)
_DECADE = re.compile(r"(?:1[89]|20)\d0s")
_TO = ("-", " to ", " or ")  # "three to four times"
_ONE_ORDER = re.compile(r"\b(?:an?|one) order of magnitude", re.IGNORECASE)
_OF_A = re.compile(r"\s(?:of )?an? ")
_SPACE = re.compile(r"[\s\u2009]?-?")
_BEFORE = 48  # characters before a number that describe it


@dataclass(frozen=True)
class Quantity:
    """A number as printed, at `start` to `end` of its text.

    Attributes:
        value: In `unit`.
        place: Value of one unit in the last significant digit.
        unit: None for a bare number.
        approximate: "about", "under", "over" or "".
        kind: "value"; "times" for multiples ("twice", "a factor of 3", "half of"); "orders" for
            orders of magnitude; "spread" after ±.
        noun: Lower-case word after a number without a unit: what is counted.
        change: Whether it is a difference ("by 20 °C").
    """

    text: str
    start: int
    end: int
    value: float
    place: float
    unit: Unit | None = None
    approximate: str = ""
    kind: str = "value"
    noun: str = ""
    change: bool = False

    @property
    def base(self) -> float:
        """The value in base units, without the offset of the scale if it is a difference."""
        return self.scaled + (self.unit.offset if self.unit and not self.change else 0.0)

    @property
    def scaled(self) -> float:
        """The value in base units, as a difference."""
        return self.value * self.unit.factor if self.unit else self.value

    @property
    def is_count(self) -> bool:
        """Whether this is a whole number without a unit, which can be a count."""
        whole = self.value >= 0 and self.value % 1 == 0 and self.place >= 1
        return self.kind == "value" and self.unit is None and whole


@lru_cache(maxsize=4096)  # each paper is compared with every text about its figures
def parse(text: str) -> tuple[Quantity, ...]:
    """Return the quantities of a text in order, in digits and in words."""
    folded = fold(text)
    found = list(_in_digits(folded))
    ends = {one.end for one in found}
    # The "million" of "4 million" is not a separate number.
    found += [one for one in _in_words(folded) if one.end not in ends]
    found.sort(key=lambda one: one.start)
    return tuple(_share_units(folded, found))


def without_quantities(text: str) -> str:
    """Remove the quantities from a text, since their units do not describe its subject."""
    for one in reversed(parse(text)):
        if one.unit or one.kind == "times":
            text = text[: one.start] + " " + text[one.end :]
    return text


def agrees(said: Quantity, stated: Quantity) -> bool:
    """Return whether `said` equals `stated` or is a rounding of it, possibly in another unit.

    Signs are not compared, since prose expresses them in words ("decreases by 5").
    """
    if not comparable(said, stated):
        return False
    same = not (said.unit and stated.unit) or said.unit.name == stated.unit.name
    same = same or _is_degrees(said, stated)
    if same and _is_share_of_one(said, stated):
        same = False
    claim, truth, place = said.value, stated.value, said.place
    if not same:
        change = said.change or stated.change
        claim, truth = (one.scaled if change else one.base for one in (said, stated))
        place *= said.unit.factor if said.unit else 1.0
    claim, truth = abs(claim), abs(truth)
    if abs(truth - claim) <= EXACT * max(truth, claim):
        return True
    if not said.approximate and same and stated.place > said.place * (1 + EXACT):
        return False  # the source is less precise than the claim
    return within(claim, truth, place, said.approximate)


def within(claim: float, truth: float, place: float, approximate: str) -> bool:
    """Return whether a claim is the truth rounded to `place`, or within the tolerance of
    "about"."""
    slack = 0.5 * place * (1 + EXACT)
    if not approximate:
        return abs(truth - claim) <= slack
    coarse = coarse_place(claim, place)
    near = max(slack, min(0.5 * coarse, ABOUT * claim)) + EXACT * claim
    far = max(slack, min(coarse, OVER * claim)) + EXACT * claim
    if approximate == "under":
        return claim - far <= truth <= claim + near
    if approximate == "over":
        return claim - near <= truth <= claim + far
    return abs(truth - claim) <= near


def coarse_place(value: float, place: float) -> float:
    """Return the place to which a value is usually rounded after "about": 10 for 190, 100 for 200,
    5 for 35."""
    if not value:
        return place
    digits = round(value / place)
    while digits and digits % 10 == 0:
        digits //= 10
        place *= 10
    return place * 5 if digits % 5 == 0 else place


def digits_of(one: Quantity) -> float:
    """Return the number of significant digits without trailing zeros; a trailing 5 counts as
    half."""
    if not one.value:
        return 0.0
    count = round(abs(one.value) / one.place)
    while count and count % 10 == 0:
        count //= 10
    digits = len(str(count))
    return digits - 0.5 if count % 5 == 0 and digits > 1 else float(digits)


def comparable(one: Quantity, other: Quantity) -> bool:
    """Return whether two quantities can be equal: same dimension, or one without a unit."""
    kinds = {one.kind, other.kind}
    if "orders" in kinds:
        return len(kinds) == 1
    if "times" in kinds and (one.unit or other.unit):
        return all(each.unit is None or each.unit.dimension == "share" for each in (one, other))
    if not one.unit or not other.unit:
        return True
    if one.unit.dimension != other.unit.dimension:
        return _is_degrees(one, other)
    bases = {one.unit.basis, other.unit.basis} - {None, ""}
    return len(bases) < 2


def _is_degrees(one: Quantity, other: Quantity) -> bool:
    """Return whether one is in unspecified degrees and the other in °C."""
    names = tuple(each.unit.name for each in (one, other) if each.unit)
    return names in _DEGREE_NAMES and "egree" in one.text + other.text


_DEGREE_NAMES = (("deg", "degC"), ("degC", "deg"))


def _is_share_of_one(one: Quantity, other: Quantity) -> bool:
    """Return whether one is a percentage and the other a fraction: 25 % and 0.25."""
    percent, bare = (one, other) if one.unit else (other, one)
    if not percent.unit or percent.unit.dimension != "share" or bare.unit:
        return False
    return bare.value < 1 or bare.kind == "times"


def fold(text: str) -> str:
    """Normalize the variants of spaces, dashes and the micro sign in `text`.

    The length does not change.
    """
    return text if text.isascii() else "".join(map(_fold_character, text))


@lru_cache(maxsize=8192)
def _fold_character(character: str) -> str:
    if character in "\u2009\u202f\u2007":
        return "\u2009"  # groups digits
    if character in "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63":
        return "-"
    if character in "μ" or character.isspace():
        return "µ" if character == "μ" else " "
    if character in RAISED_CHARACTERS:
        return character
    plain = unicodedata.normalize("NFKC", character).replace("\u03bc", "\u00b5")
    return plain if len(plain) == 1 and character not in "℃µ²³¹" else character


RAISED_CHARACTERS = SUPERSCRIPTS + "⁻⁺₀₁₂₃₄₅₆₇₈₉"


def _in_digits(text: str) -> Iterator[Quantity]:
    planes = [match.span() for match in PLANE.finditer(text)]
    position = 0
    while match := _next_number(text, position):
        start, position = match.start(), match.end()
        if any(first <= start < last for first, last in planes):
            continue
        if is_in_name(text, start, match.end(), match["digits"]):
            continue
        scaled = _SCALE.match(text, match.end())
        after = scaled.end() if scaled else match.end()
        named = _unit_at(text, start, after_space(text, after))
        if not named and is_glued(text, match.end()) and not is_times(text, match.end()):
            continue
        position = end = named.end() if named else after
        value, place = _value(match)
        scale = _SCALES[scaled["scale"].lower()] if scaled else 1.0
        yield Quantity(
            text[start:end].strip(),
            start,
            end,
            value * scale,
            place * scale,
            unit(named.group()) if named else None,
            **context(text[max(start - _BEFORE, 0) : start], text, end, bool(named)),
        )


def _next_number(text: str, position: int) -> re.Match | None:
    """Return the first match of _NUMBER from `position`. Searching for a digit first is faster."""
    digit = _DIGIT.search(text, position)
    return _NUMBER.search(text, max(position, digit.start() - _AHEAD)) if digit else None


def _value(match: re.Match) -> tuple[float, float]:
    """Return the value of a match of _NUMBER, and the value of one unit in its last place."""
    powers = match.group("power", "super", "raised", "exponent", "alone", "high", "flat")
    factor = 10.0 ** int(next(filter(None, powers), "0").translate(RAISED).replace(" ", ""))
    if any(match.group("alone", "high", "flat")):  # 10^-3
        return factor, factor
    digits = re.sub(r"[, \u2009]", "", match["digits"])
    return float(digits) * factor * (-1 if match["sign"] else 1), last_place(digits) * factor


def after_space(text: str, place: int) -> int:
    """Return where the unit of a number that ends at `place` may start."""
    space = _SPACE.match(text, place)
    return space.end() if space else place


def _unit_at(text: str, start: int, place: int) -> re.Match | None:
    """Return the unit at `place` of a number that starts at `start`; "1990s" has none."""
    named = UNIT.match(text, place)
    if not named or text[named.end() : named.end() + 1] in tuple(SUPERSCRIPTS):
        return None
    return None if _DECADE.fullmatch(text, start, named.end()) else named


def _in_words(text: str) -> Iterator[Quantity]:
    for match in _ONE_ORDER.finditer(text):
        yield Quantity(match.group(), match.start(), match.end(), 1.0, 1.0, kind="orders")
    for match in written(text):
        start, end = match.span()
        value, times = read_written(match)
        before = text[max(start - _BEFORE, 0) : start]
        place = after_space(text, end)
        if times and (part := _OF_A.match(text, end)):  # "a third of an hour"
            place, times = part.end(), False
        named = None if times else UNIT.match(text, place)
        if named and len(named.group()) == 1:  # "two V" is not a way to write a voltage
            named = None
        times = times or (match["part"] is not None and not named)
        lone = match.group().lower() == "one" and not named
        if lone and not (is_times(text, end) or is_factor(before)):
            continue  # "one of them", "the first one"
        if is_kind(text, end) or _ONE_ORDER.match(text, start):
            continue
        end = named.end() if named else end
        told = context(before, text, end, bool(named))
        if times:
            told["kind"] = "times"
        known = unit(named.group()) if named else None
        exact = 1.0 if value % 1 == 0 else 0.1 * value
        yield Quantity(match.group(), start, end, value, exact, known, **told)


def _share_units(text: str, found: list[Quantity]) -> list[Quantity]:
    """Apply the unit at the end of a range or list to all its numbers: "2, 6 and 20 mm", "5 ± 1
    nm"."""
    folds = False
    for place in range(len(found) - 2, -1, -1):
        left, right = found[place], found[place + 1]
        folds = _FOLD.match(text, right.end) or (folds and right.kind == "times")
        open_left = left.unit is None and right.unit and left.kind in ("value", "spread")
        whole = place and _OUT_OF.fullmatch(text, found[place - 1].end, left.start)
        if (
            open_left and whole and right.unit and right.unit.dimension == "share"
        ):  # "38 of 180, or 21 %"
            continue
        if open_left and GAP.fullmatch(text, left.end, right.start):
            left = found[place] = replace(left, unit=right.unit, noun="")
        scale = _SCALE.search(text, right.start, right.end)
        plain = left.kind == "value" and left.unit == right.unit and not _SCALE.search(left.text)
        if scale and plain and GAP.fullmatch(text, left.end, right.start):  # "3 to 5 million"
            factor = _SCALES[scale["scale"].lower()]
            found[place] = replace(left, value=left.value * factor, place=left.place * factor)
        listed = left.kind == "value" and not left.unit and right.kind == "times"
        if listed and folds and GAP.fullmatch(text, left.end, right.start):
            found[place] = replace(left, kind="times", noun="")  # "1.5, 1.4 and 1.2-fold"
        elif left.is_count and right.kind == "times" and text[left.end : right.start] in _TO:
            found[place] = replace(left, kind="times", noun="", approximate="over")
            found[place + 1] = replace(right, approximate="under")
    for place in range(1, len(found)):
        left, right = found[place - 1], found[place]
        if right.kind == "spread" and right.unit is None and left.unit:
            found[place] = replace(right, unit=left.unit)
    return found


def last_place(digits: str) -> float:
    """Return the value of one unit in the last significant digit: 0.01 for "3.14", 100 for "1200".

    Trailing zeros of a whole number count as rounding, up to its second digit.
    """
    if "." in digits:
        return 10.0 ** -len(digits.partition(".")[2])
    zeros = len(digits) - len(digits.rstrip("0"))
    return 10.0 ** min(zeros, max(len(digits) - 2, 0))
