"""Numbers in prose, with their units, and whether a text holds them.

"1,200 nm", "1.2 µm" and "1.2e-6 m" are one quantity; "3.14" is supported by "3.1416" and
not the other way round; "twenty-five" is 25.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

# SI prefixes, and the units that we take them before (SI brochure, 9th edition, tables 2 to 8).
PREFIXES = {
    **{"f": -15, "p": -12, "n": -9, "µ": -6, "u": -6, "m": -3, "c": -2, "d": -1},
    **{"": 0, "k": 3, "M": 6, "G": 9, "T": 12},
}
SCALED = ("m", "g", "s", "Pa", "N", "J", "W", "V", "A", "Hz", "eV", "L", "l", "mol", "Ω", "K", "T")
# Units without prefixes that we compare: the name, and what it is called else.
PLAIN = {
    "%": ("%", "percent", "per cent", "wt%", "wt.%", "vol%", "vol.%", "at%", "at.%", "mol%"),
    "°C": ("°C", "ºC", "℃"),
    "°": ("°", "º", "degrees", "deg"),
    "h": ("h", "hours", "hour"),
    "min": ("min", "minutes", "minute"),
    "Å": ("Å", "Å", "angstrom", "angstroms"),
}
WORDS = {
    "nanometers": "nm",
    "nanometres": "nm",
    "micrometers": "µm",
    "micrometres": "µm",
    "microns": "µm",
    "millimeters": "mm",
    "millimetres": "mm",
    "centimeters": "cm",
    "centimetres": "cm",
    "megapascals": "MPa",
    "gigapascals": "GPa",
    "kelvin": "K",
    "seconds": "s",
    "volts": "V",
}
UNITS = {
    **{
        prefix + unit: (unit.lower() if unit == "L" else unit, power)
        for unit in SCALED
        for prefix, power in PREFIXES.items()
    },
    **{name: (unit, 0) for unit, names in PLAIN.items() for name in names},
}
UNITS |= {word: UNITS[unit] for word, unit in WORDS.items()}

_UNIT = "|".join(re.escape(name) for name in sorted(UNITS, key=len, reverse=True))
_NUMBER = re.compile(
    # Not inside a name such as Ti6Al4V or X65, and not the tail of a longer number.
    r"(?<![\w.])(?<!\d,)(?:(?<![\w)\]])(?P<sign>-)\s?)?"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    # "x 106" is what a PDF file makes of a raised 6; "x 100" is a hundred.
    r"(?:\s?[\u00d7x·*]\s?10(?:\s?\^\s?\{?(?P<power>-?\d{1,2})\}?|(?P<raised>-\d{1,2}|[1-9]\d?))(?!\d)"
    r"|[eE](?P<exponent>[-+]?\d{1,2}))?"
    # With an exponent or a divisor after it, a unit is part of another one.
    rf"(?:\s?-?(?P<unit>{_UNIT})(?:(?P<compound>\s?[\^/·⋅*]|-?\d)|(?![A-Za-z])))?"
    r"(?(compound)|(?!\d|\.\d|[A-Za-wyzµ]))"
)
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL_VALUES = {word: number for number, word in enumerate(_ONES.split())}
_SMALL_VALUES |= {word: 10 * number for number, word in enumerate(_TENS.split(), start=2)}
_LARGE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_SMALL = "|".join(sorted(_SMALL_VALUES, key=len, reverse=True))
_WRITTEN = re.compile(
    rf"\b(?:{_SMALL})(?:[\s-]+(?:and\s+)?(?:{_SMALL}|{'|'.join(_LARGE)}))*\b", re.IGNORECASE
)
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")


@dataclass(frozen=True)
class Quantity:
    """A number as printed, with the value of one unit in its last significant digit.

    `unit` is a base unit and `scale` what it is multiplied by: (5, "m", 1e-6) for 5 µm. `unit` is
    None where the number has none that we know.
    """

    printed: str
    value: float
    place: float
    unit: str | None = None
    scale: float = 1.0


def quantities(text: str) -> Iterator[Quantity]:
    """The numbers of `text`, in digits and in words."""
    text = plain(text)
    for match in _NUMBER.finditer(text):
        digits = match["digits"].replace(",", "")
        factor = 10.0 ** int(match["power"] or match["raised"] or match["exponent"] or 0)
        known = match["unit"] and not match["compound"]
        unit, power = UNITS[match["unit"]] if known else (None, 0)
        value = float(digits) * factor * (-1 if match["sign"] else 1)
        yield Quantity(match.group().strip(), value, last_place(digits) * factor, unit, 10.0**power)
    for match in _WRITTEN.finditer(text):
        yield Quantity(match.group(), written_value(match.group()), 1.0)


def missing_quantity(text: str, source: str) -> str | None:
    """The first number of `text` that `source` does not hold, as printed; None if it holds all.

    Whole numbers up to ten without a unit count things, and pass.
    """
    known = source_quantities(source)
    for claimed in quantities(text):
        counts = claimed.unit is None and claimed.value in range(11) and claimed.place >= 1
        if not counts and not any(supports(other, claimed) for other in known):
            return claimed.printed
    return None


@lru_cache(maxsize=256)  # one source is asked about for every text on it
def source_quantities(source: str) -> tuple[Quantity, ...]:
    """All numbers of a source."""
    return tuple(quantities(source))


def supports(known: Quantity, claimed: Quantity) -> bool:
    """Whether `claimed` is `known`, or `known` rounded, in the same unit or with none named.

    Prose gives the sign to a word ("decreases by 5"), so signs are not compared.
    """
    if known.unit and claimed.unit:
        if known.unit != claimed.unit:
            return False
        known_scale, claimed_scale = known.scale, claimed.scale
    else:
        known_scale = claimed_scale = 1.0
    truth, claim = abs(known.value) * known_scale, abs(claimed.value) * claimed_scale
    rounded = claimed.place * claimed_scale
    exact = 1e-9 * max(truth, claim)
    if known.place * known_scale > rounded * (1 + 1e-9):  # the source says less than is claimed
        return abs(truth - claim) <= exact
    return abs(truth - claim) <= rounded / 2 + exact


def plain(text: str) -> str:
    """`text` with one form for each of its many kinds of spaces, dashes and raised digits."""
    text = re.sub(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))", "", text)
    text = re.sub(r"[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda match: "^" + match.group().translate(_RAISED), text)
    text = re.sub(
        r"[\u2010-\u2014\u2212]", "-", unicodedata.normalize("NFKC", text).replace("μ", "µ")
    )
    return re.sub(r"(?<![\d.\u00d7x·*])(?<![\u00d7x·*] )10\^(-?\d{1,2})(?!\d)", r"1e\1", text)


def last_place(digits: str) -> float:
    """The value of one unit in the last significant digit: 0.01 of "3.14", 100 of "1200".

    Zeros at the end of a whole number are taken as rounding up to its second digit.
    """
    if "." in digits:
        return 10.0 ** -len(digits.partition(".")[2])
    zeros = len(digits) - len(digits.rstrip("0"))
    return 10.0 ** min(zeros, max(len(digits) - 2, 0))


def written_value(words: str) -> float:
    """The number that English words name: "one hundred and twenty-five" is 125."""
    total = current = 0
    for word in re.findall(r"[a-z]+", words.lower()):
        if word in _LARGE:
            current = max(current, 1) * _LARGE[word]
            if word != "hundred":
                total, current = total + current, 0
        else:
            current += _SMALL_VALUES.get(word, 0)
    return float(total + current)
