"""Evaluate calculations that an answer shows: "64.7 / 12.8 = 5.05".

Both sides of an equals sign are evaluated with bare numbers and in base units, since an answer may
write "12 V / 4 A = 3 Ω" and "5 mm × 4 = 20000 µm". The tolerance of rounded numbers is propagated
through the expression.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from cephalo.dataset_scripts.refinement.quantities import ABOUT, Quantity, fold, parse

WRONG = 0.03  # share beyond the rounding above which a result is wrong rather than loosely rounded
MOST_NUMBERS = 16  # of an expression
MOST_DEPTH = 12  # of brackets
LARGEST_POWER = 40.0

_SIGN = re.compile(
    r"\s*(?:(?:(?P<equal>≈|≃|≅|~|=|(?:\b(?:equals?|makes|yields|comes to)|, which is)\b)"
    r"|(?P<loose>,? ?\b(?:that is|is|are|gives?|or|i\.e\.|so)\b,?))\s*"
    r"(?:(?:about|roughly|approximately|around|some|nearly|almost)\b|[≈~])?"
    r"|(?P<power>\^\s?\{?(?P<exponent>-?\d{1,2}(?:\.\d{1,3})?)\}?|(?P<raised>[²³⁴]))"
    r"|(?P<root>√)|(?P<function>(?:sqrt|ln|log10|log|exp|sin|cos|tan|a(?:rc)?sin)\b)"
    r"|(?P<times>[\u00d7·*∙⋅✕]|x(?=\s?[\d(])|\btimes\b|\bmultiplied by\b)"
    r"|(?P<over>/|\u00f7|\bdivided by\b)|(?P<plus>\+|\bplus\b)"
    r"|(?P<minus>\bminus\b|\bless\b(?! than)|(?<=[\s)])-(?=[\s(])|(?<=[\d)%])-(?=[\d(]))"
    r"|(?P<open>[(\[])|(?P<close>[)\]])|(?P<pi>(?P<pis>\d{1,3}(?:\.\d{1,3})?)?\s?(?:π|\bpi\b)))\s*"
)
_RAISED = {"²": 2.0, "³": 3.0, "⁴": 4.0}
_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "√": math.sqrt,
    "sqrt": math.sqrt,
    "ln": math.log,
    "log": math.log10,
    "log10": math.log10,
    "exp": math.exp,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "asin": math.asin,
    "arcsin": math.asin,
}
_BEFORE_MINUS = ("number", "close", "power", "minus")
_DEGREES = ("sin", "cos", "tan")


@dataclass(frozen=True)
class Token:
    """A number or a sign of an expression."""

    kind: str  # number, equal, power, function, times, over, plus, minus, open, close
    text: str = ""
    number: Quantity | None = None
    value: float = 0.0  # of π, and of an exponent


@dataclass(frozen=True)
class Working:
    """An expression and its result.

    `numbers` are those of both sides. `agrees` is whether both are equal within rounding; `holds`
    is False only if they differ by far more than that.
    """

    text: str
    numbers: tuple[Quantity, ...]
    result: tuple[Quantity, ...]
    agrees: bool
    holds: bool


@lru_cache(maxsize=256)  # used by two checks
def workings(text: str) -> tuple[Working, ...]:
    """Return the calculations in a text, in order."""
    found = []
    for run in _runs(fold(text)):
        signs = [token for token in run if token.kind in ("equal", "loose")]
        for (left, right), sign in zip(pairwise(_sides(run)), signs, strict=True):
            working = _working(left, right)
            # Prose after "is" or "or" may continue: a disagreement is not a wrong calculation.
            if working and (working.agrees or sign.kind == "equal"):
                found.append(working)
    return tuple(found)


def _runs(text: str) -> Iterator[list[Token]]:
    """Yield the runs of signs and numbers between the words of a text.

    Most texts have too few numbers for a calculation and yield nothing.
    """
    numbers = {one.start: one for one in parse(text) if one.kind != "orders"}
    if len(numbers) < 2:  # one on each side
        return
    run: list[Token] = []
    place = 0
    while place < len(text):
        if one := numbers.get(place):
            if run and one.text.startswith("-") and run[-1].kind in _BEFORE_MINUS:
                # The parser reads "15 - 1.6" as a number with a sign.
                run += [Token("minus", "-")] * (run[-1].kind != "minus")
                one = replace(one, text=one.text[1:].strip(), value=-one.value)
            run.append(Token("number", one.text.strip(), one))
            place = max(one.end, place + 1)
        elif (sign := _SIGN.match(text, place)) and sign.end() > place:
            run.append(_token(sign))
            place = _not_past(sign, numbers)
        elif text[place].isspace():
            place += 1
        else:
            if run:
                yield run
            run = []
            place += 1
            while place < len(text) and text[place].isalnum() and place not in numbers:
                place += 1  # skip the whole word
    if run:
        yield run


def _not_past(sign: re.Match, numbers: dict[int, Quantity]) -> int:
    """Return the end of a sign, or the start of a number with its own sign in the white space after
    it."""
    starts = [start for start in range(sign.start() + 1, sign.end()) if start in numbers]
    return starts[0] if starts else sign.end()


def _token(sign: re.Match) -> Token:
    if sign["power"]:
        value = _RAISED[sign["raised"]] if sign["raised"] else float(sign["exponent"])
        return Token("power", sign["power"], value=value)
    if sign["pi"]:
        return Token("number", sign["pi"], value=math.pi * float(sign["pis"] or 1))
    if sign["root"] or sign["function"]:
        return Token("function", sign["root"] or sign["function"])
    kind = next(name for name in _KINDS if sign[name])
    return Token(kind, sign[kind].strip())


_KINDS = ("equal", "loose", "times", "over", "plus", "minus", "open", "close")


def _sides(run: list[Token]) -> list[list[Token]]:
    sides: list[list[Token]] = [[]]
    for token in run:
        if token.kind in ("equal", "loose"):
            sides.append([])
        else:
            sides[-1].append(token)
    return sides


def _working(left: list[Token], right: list[Token]) -> Working | None:
    """Evaluate both sides of an equals sign. Returns None if one is not an expression."""
    left, right = _balanced(left), _balanced(right, from_end=False)
    numbers = [_numbers(side) for side in (left, right)]
    if not all(numbers) or len(numbers[0]) + len(numbers[1]) > MOST_NUMBERS:
        return None
    if all(len(side) == 1 for side in (left, right)) and not _converts(*left, *right):
        return None
    pairs = [_pair(left, right, in_units) for in_units in (False, True)]
    pairs = [pair for pair in pairs if pair]
    if not pairs:
        return None
    text = f"{_shown(left)} = {_shown(right)}"
    return Working(
        text,
        tuple(numbers[0]),
        tuple(numbers[1]),
        agrees=any(_near(*pair, 0.0) for pair in pairs),
        holds=any(_near(*pair, WRONG) for pair in pairs),
    )


def _converts(left: Token, right: Token) -> bool:
    """Return whether two numbers are a unit conversion: "2 h = 120 min"."""
    one, other = left.number, right.number
    if not (one and other and one.unit and other.unit):
        return False
    return one.unit.dimension == other.unit.dimension and one.unit.name != other.unit.name


def _balanced(side: list[Token], from_end: bool = True) -> list[Token]:
    """Return a side without brackets that extend beyond it: "(64.7 / 12.8 = 5.05)"."""
    opened, extra = [], set()
    for place, token in enumerate(side):
        if token.kind == "open":
            opened.append(place)
        elif token.kind == "close":
            if opened:
                opened.pop()
            else:
                extra.add(place)
    extra |= set(opened)
    if not extra:
        return side
    if from_end:  # what precedes an open bracket is another expression
        return side[max(extra) + 1 :]
    return side[: min(extra)]


def _numbers(side: list[Token]) -> list[Quantity]:
    return [token.number for token in side if token.number]


def _shown(side: list[Token]) -> str:
    text = " ".join(token.text for token in side)
    return re.sub(r"(?<=[(\[√]) | (?=[)\]^²³⁴])", "", text)


def _near(left: tuple[float, float], right: tuple[float, float], more: float) -> bool:
    """Return whether two values agree within their tolerances, possibly as a percentage and a
    fraction."""
    (a, slack_a), (b, slack_b) = left, right
    for factor in (1.0, 100.0, 0.01):
        difference = abs(abs(a * factor) - abs(b))
        if difference <= slack_a * factor + slack_b + (more + 1e-9) * abs(b):
            return True
    return False


def _pair(
    left: list[Token], right: list[Token], in_units: bool
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    values = [_with_slack(side, in_units) for side in (left, right)]
    return (values[0], values[1]) if values[0] and values[1] else None


def _with_slack(side: list[Token], in_units: bool) -> tuple[float, float] | None:
    """Return the value of an expression and its tolerance from the rounding of its numbers, or
    None."""
    numbers = [_size(token, in_units) for token in side]
    value = _evaluate(side, numbers)
    if value is None:
        return None
    slack = 0.0
    for place, token in enumerate(side):
        if token.number is None:
            continue
        moved = list(numbers)
        moved[place] += _rounding(token.number, in_units)
        other = _evaluate(side, moved)
        slack += abs(other - value) if other is not None else 0.0
    return value, slack


def _size(token: Token, in_units: bool) -> float:
    one = token.number
    if one is None:
        return token.value
    return one.base if in_units else one.value


def _rounding(one: Quantity, in_units: bool) -> float:
    """Return half a unit in the last place of a number; whole numbers of one digit are exact."""
    if one.is_count and abs(one.value) < 10:
        return 0.0
    slack = max(0.5 * one.place, ABOUT / 2 * abs(one.value) if one.approximate else 0.0)
    return slack * (one.unit.factor if in_units and one.unit else 1.0)


def _evaluate(side: list[Token], numbers: list[float]) -> float | None:
    """Return the value of an expression, or None if it is invalid or has no value."""
    try:
        value, end = _sum(side, numbers, 0, 0)
    except (ValueError, ZeroDivisionError, OverflowError, IndexError):
        return None
    return value if end == len(side) and math.isfinite(value) else None


def _sum(side: list[Token], numbers: list[float], place: int, depth: int) -> tuple[float, int]:
    if depth > MOST_DEPTH:
        raise ValueError("brackets are too deep")
    sign = -1.0 if side[place].kind == "minus" else 1.0
    value, place = _product(side, numbers, place + (sign < 0), depth)
    value *= sign
    while place < len(side) and side[place].kind in ("plus", "minus"):
        more, end = _product(side, numbers, place + 1, depth)
        value += more if side[place].kind == "plus" else -more
        place = end
    return value, place


def _product(side: list[Token], numbers: list[float], place: int, depth: int) -> tuple[float, int]:
    value, place = _power(side, numbers, place, depth)
    while place < len(side) and side[place].kind in ("times", "over", "open", "function"):
        implied = side[place].kind in ("open", "function")  # "2 (3 + 4)"
        more, end = _power(side, numbers, place + (not implied), depth)
        value = value / more if side[place].kind == "over" else value * more
        place = end
    return value, place


def _power(side: list[Token], numbers: list[float], place: int, depth: int) -> tuple[float, int]:
    value, place = _atom(side, numbers, place, depth)
    while place < len(side) and side[place].kind == "power":
        exponent = numbers[place]
        if abs(exponent) > LARGEST_POWER:
            raise ValueError("the power is too high")
        value = value**exponent
        if isinstance(value, complex):
            raise ValueError("a root of a negative number")
        place += 1
    return value, place


def _atom(side: list[Token], numbers: list[float], place: int, depth: int) -> tuple[float, int]:
    token = side[place]
    if token.kind == "number":
        return numbers[place], place + 1
    if token.kind == "open":
        value, place = _sum(side, numbers, place + 1, depth + 1)
        if side[place].kind != "close":
            raise ValueError("a bracket is not closed")
        return value, place + 1
    if token.kind == "function":
        value, end = _power(side, numbers, place + 1, depth + 1)
        bare = all(one.number is None or one.number.unit is None for one in side[place:end])
        if token.text in _DEGREES and not bare and not _is_angle(side[place:end]):
            raise ValueError("no angle")
        if token.text in _DEGREES and _in_degrees(side[place:end], value):
            value = math.radians(value)
        return _FUNCTIONS[token.text](value), end
    raise ValueError("no number")


def _is_angle(part: list[Token]) -> bool:
    units = [one.number.unit for one in part if one.number and one.number.unit]
    return any(unit.dimension == "angle" for unit in units)


def _in_degrees(part: list[Token], value: float) -> bool:
    """Return whether an angle is a bare number of degrees: one that is not a usual radian."""
    units = [one.number.unit for one in part if one.number and one.number.unit]
    return abs(value) > 2 * math.pi or (bool(units) and units[0].name == "deg" and abs(value) > 1.6)
