"""Parse units of measurement in prose with pint: symbols, words, and compounds.

"mA g-1", "mA/g", "mA·g⁻¹" and "milliamperes per gram" are one unit; "S m-1" and "S cm-1" are not.
wt%, at%, vol% and mol% are four units, and "%" may be any of them.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, lru_cache
from threading import Lock

from pint import UnitRegistry
from pint.facets.plain import PlainUnit as PintUnit

SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
RAISED = str.maketrans(SUPERSCRIPTS + "⁻⁺", "0123456789-+")

# Units that pint lacks: hardness scales, charging rates, the electromagnetic unit, lengths of
# nucleic acids.
DEFINITIONS = (
    "vickers = [vickers]",
    "rockwell_c = [rockwell_c]",
    "brinell = [brinell]",
    "c_rate = 1 / hour",
    "emu = 1e-3 * ampere * meter ** 2",
    "base_pair = [base_pair]",
)

# Symbols, their names in pint, and the prefixes that we accept before them.
_SCALED = {
    "m": ("meter", "fpnµumcdk"),
    "g": ("gram", "fpnµumk"),
    "s": ("second", "fpnµum"),
    "Pa": ("pascal", "µumkMGTh"),
    "N": ("newton", "npµumkM"),
    "J": ("joule", "fpnµumkMG"),
    "W": ("watt", "fpnµumkMGT"),
    "V": ("volt", "nµumkM"),
    "A": ("ampere", "fpnµumk"),
    "Hz": ("hertz", "mkMGT"),
    "eV": ("electron_volt", "µumkMGT"),
    "L": ("liter", "fpnµumcd"),
    "l": ("liter", "nµumcd"),
    "mol": ("mole", "fpnµumk"),
    "Ω": ("ohm", "nµumkMGT"),
    "ohm": ("ohm", "mkM"),
    "K": ("kelvin", "nµum"),
    "T": ("tesla", "pnµum"),
    "F": ("farad", "fpnµum"),
    "S": ("siemens", "pnµum"),
    "Wh": ("watt_hour", "µumkMGT"),
    "Ah": ("ampere_hour", "nµum"),
    "bar": ("bar", "mk"),
    "M": ("molar", "fpnµum"),
    "cal": ("calorie", "k"),
    "Da": ("dalton", "kM"),
    "Bq": ("becquerel", "kMGT"),
    "Gy": ("gray", "µumk"),
    "rad": ("radian", "µum"),
    "Oe": ("oersted", "k"),
    "emu": ("emu", "µum"),
    "gf": ("gram_force", "mk"),
    "bp": ("base_pair", "kM"),
}
_PREFIXES = {
    **{"f": "femto", "p": "pico", "n": "nano", "µ": "micro", "u": "micro", "m": "milli"},
    **{"c": "centi", "d": "deci", "h": "hecto", "k": "kilo", "M": "mega", "G": "giga"},
    "T": "tera",
}
_PLAIN = {
    "h": "hour",
    "hr": "hour",
    "hrs": "hour",
    "min": "minute",
    "sec": "second",
    "d": "day",
    "Å": "angstrom",
    "℃": "degC",
    "°C": "degC",
    "°F": "degF",
    "°": "degree",
    "C": "c_rate",  # of a battery; the coulomb has a prefix or is part of a compound
    "mC": "millicoulomb",
    "µC": "microcoulomb",
    "nC": "nanocoulomb",
    "pC": "picocoulomb",
    "atm": "atmosphere",
    "Torr": "torr",
    "torr": "torr",
    "mTorr": "millitorr",
    "mmHg": "mmHg",
    "psi": "psi",
    "ksi": "ksi",
    "rpm": "revolutions_per_minute",
    "ppm": "ppm",
    "ppb": "1e-3 * ppm",
    "HV": "vickers",
    "HRC": "rockwell_c",
    "HB": "brinell",
    "mph": "mile / hour",
    "sccm": "centimeter ** 3 / minute",
    "cc": "centimeter ** 3",
    # Potentials against a reference electrode have its name as a subscript.
    **{
        prefix + "V" + electrode: name
        for prefix, name in (("", "volt"), ("m", "millivolt"))
        for electrode in ("SCE", "SHE", "NHE", "RHE", "MSE", "Ag/AgCl")
    },
    "√m": "meter ** 0.5",
    "dB": "decibel",
    "Gauss": "gauss",
    "kG": "kilogauss",
    "kb": "kilobase_pair",
    "Kb": "kilobase_pair",
}
# Units in words, in the singular; plurals are added below, and prefixes for the first ones.
_SCALED_WORDS = {
    **{name: name for name in ("second", "meter", "gram", "liter", "pascal", "newton", "joule")},
    **{
        name: name for name in ("watt", "volt", "ampere", "hertz", "mole", "ohm", "kelvin", "tesla")
    },
    **{name: name for name in ("farad", "siemens", "coulomb", "molar", "calorie", "dalton", "bar")},
    **{"metre": "meter", "gramme": "gram", "litre": "liter", "amp": "ampere"},
    **{"electronvolt": "electron_volt", "electron volt": "electron_volt"},
    **{"watt-hour": "watt_hour", "watt hour": "watt_hour", "ampere-hour": "ampere_hour"},
    **{"ampere hour": "ampere_hour", "amp-hour": "ampere_hour", "amp hour": "ampere_hour"},
}
_PLAIN_WORDS = {
    **{name: name for name in ("minute", "hour", "day", "week", "month", "year", "inch", "foot")},
    **{name: name for name in ("decibel", "atmosphere", "radian", "tonne", "pixel", "degree")},
    **{"ton": "tonne", "micron": "micrometer", "angstrom": "angstrom", "ångström": "angstrom"},
    **{"ångstrom": "angstrom", "degree celsius": "degC", "degree centigrade": "degC"},
    **{"degree fahrenheit": "degF", "celsius": "degC", "deg": "degree", "rev": "turn"},
    **{"wavenumber": "1 / centimeter", "part per million": "ppm"},
    "part per billion": "1e-3 * ppm",
    **{"base pair": "base_pair", "kilobase": "kilobase_pair"},
}
_PLURALS = {"inch": "inches", "foot": "feet", "hertz": "hertz", "siemens": "siemens"}
_WORD_PREFIXES = ("femto", "pico", "nano", "micro", "milli", "centi", "kilo", "mega", "giga")
# Spellings of shares by what they are a share of, "" if unspecified.
_SHARES = {
    "": r"%|per ?cent(?:age)?(?: points?)?\b",
    "weight": r"(?:wt\.?|w/w|weight|mass)[ -]?(?:%|per ?cent)|m%|%(?= ?\(?w/w)"
    r"|(?:%|per ?cent) by (?:weight|mass)",
    "atom": r"at(?:om(?:ic)?)?\.?[ -]?(?:%|per ?cent)",
    "volume": r"vol(?:ume)?\.?[ -]?(?:%|per ?cent)|(?:%|per ?cent) by volume|%(?= ?\(?v/v)",
    "mole": r"mol(?:e|ar)?\.?[ -]?(?:%|per ?cent)",
    "humidity": r"% ?RH\b|% relative humidity",
}


@dataclass(frozen=True)
class Unit:
    """A unit known to pint.

    A value v is `v * factor + offset` in base units. `basis` is what a share is a share of:
    "weight", "atom", "volume", "mole", "humidity"; "" for "%", and None for other units.
    """

    name: str
    pint: PintUnit = field(compare=False)
    dimension: str
    factor: float
    offset: float = 0.0
    basis: str | None = None


def _symbols() -> dict[str, str]:
    scaled = {
        prefix + symbol: _PREFIXES[prefix] + name if prefix else name
        for symbol, (name, prefixes) in _SCALED.items()
        for prefix in ("", *prefixes)
    }
    return scaled | _PLAIN


def _words() -> dict[str, str]:
    words = {}
    for names, prefixes in ((_SCALED_WORDS, ("", *_WORD_PREFIXES)), (_PLAIN_WORDS, ("",))):
        for word, name in names.items():
            for form in (word, _PLURALS.get(word, plural(word))):
                words |= {prefix + form: prefix + name for prefix in prefixes}
    return words


def plural(words: str) -> str:
    """Return the plural of a unit's name: "parts per million", "degrees celsius"."""
    first, space, rest = words.partition(" ")
    if first in ("degree", "part"):
        return f"{first}s{space}{rest}"
    return f"{words}s"


_SYMBOLS, _NAMES = _symbols(), _words()


def _alternatives(names: Iterable[str]) -> str:
    """Return a pattern for the longest match among some names. It is a trie, so that a text is
    matched against all names at once."""
    ends = defaultdict(list)
    for name in names:
        if name:
            ends[name[0]].append(name[1:])
    if not ends:
        return ""
    rest = "|".join(re.escape(first) + _alternatives(after) for first, after in ends.items())
    return f"(?:{rest})" + ("?" if "" in names else "")


_EXPONENT = rf" -[1-3](?![\d.])|\^?\{{?-?(?:1/2|0\.5|\d)\}}?(?!\d)|[⁻]?[{SUPERSCRIPTS}]"
_DEGREES = r"[°º◦˚] ?[CF](?![A-Za-z])|oC(?![A-Za-z])|deg\.? ?C(?![A-Za-z])"
_SYMBOL = rf"(?:{_DEGREES}|(?:{_alternatives(_SYMBOLS)}))"
_WORD = rf"(?i:(?:square|cubic|inverse|reciprocal) )?(?i:{_alternatives(_NAMES)})"
_AHEAD = rf"(?: ?-[1-3](?![\d.])|\^?\{{?-|⁻|\^|[{SUPERSCRIPTS}])"
_FACTOR = (
    rf"(?:{_WORD}(?: (?:squared|cubed))?(?![A-Za-z])"
    rf"|HV ?\d{{0,2}}(?:\.\d)?(?!\w)"
    # "mAhg-1" and "Ks-1" are printed without a space.
    rf"|{_SYMBOL}(?:(?:{_EXPONENT})|(?![A-Za-z{SUPERSCRIPTS}])|(?={_SYMBOL}{_AHEAD})))"
)
# Two symbols with a space between are one unit if the second has an exponent, or if listed here.
_JOINED = (
    r"(?: ?[·⋅∙*•] ?|(?<=Pa)[ .]?(?=s\b)|(?<=N) (?=m\b)|(?<=[WA]) ?(?=h\b)"
    r"|(?<=Pa) ?(?=√|m(?:1/2|0\.5))"
    rf"|[ .]?(?={_SYMBOL}{_AHEAD}))"
)
_GROUP = rf" ?/ ?\({_FACTOR}(?: ?[ ·⋅∙*•] ?{_FACTOR}){{1,3}}\)"  # W/(m K)
_PER = (
    r"(?: ?/ ?\(?|[ -]per[ -]|,? (?:(?:in|for|of) )?(?:each|every)(?: single)? | an? (?=[a-z]{3}))"
)
_SHARE = "|".join(f"(?P<{basis or 'plain'}>{form})" for basis, form in reversed(_SHARES.items()))
UNIT = re.compile(
    rf"(?P<share>{_SHARE})(?![A-Za-z])|{_FACTOR}(?:{_JOINED}{_FACTOR}|{_GROUP}|{_PER}{_FACTOR}){{0,5}}"
)
_READ = re.compile(rf"(?P<per>{_PER})?(?:{_JOINED}| )?(?P<factor>{_FACTOR})(?P<closed>\))?")
_SPLIT = re.compile(
    rf"^(?i:(?P<power>square|cubic|inverse|reciprocal) )?"
    rf"(?:(?P<vickers>HV)(?: ?[\d.]*)|(?P<degrees>{_DEGREES})|(?P<symbol>{_alternatives(_SYMBOLS)})"
    rf"(?P<exponent>{_EXPONENT})?$|(?P<word>(?i:{_alternatives(_NAMES)}))"
    r"(?: (?P<after>squared|cubed))?)"
)
_POWERS = {"square": 2, "cubic": 3, "squared": 2, "cubed": 3, "inverse": -1, "reciprocal": -1}


_making = Lock()  # units of two registries are not comparable, and answers are parsed in threads


def registry() -> UnitRegistry:
    """Return pint's registry with our definitions, created when the first unit is parsed (0.3
    s)."""
    with _making:
        return _registry()


@cache
def _registry() -> UnitRegistry:
    units = UnitRegistry(autoconvert_offset_to_baseunit=True, cache_folder=None)
    for definition in DEFINITIONS:
        units.define(definition)
    return units


@lru_cache(maxsize=4096)
def unit(text: str) -> Unit | None:
    """Return the unit that `text`, folded by `quantities.fold`, names, or None."""
    match = UNIT.fullmatch(text)
    if not match:
        return None
    if match["share"]:
        basis = next(name for name in _SHARES if match[name or "plain"])
        known = registry().Unit("percent")
        return Unit(f"{basis} %".strip(), known, "share", 0.01, basis=basis)
    factors, opened = [], False
    for part in _READ.finditer(text.replace("W/mK", "W/(m K)")):
        name, power = _factor(part["factor"])
        opened = opened or (part["per"] or "").endswith("(")
        factors.append((name, -power if part["per"] or opened else power))
        opened = opened and not part["closed"]
    if factors[1:] or factors[0][1] != 1:
        factors = [(name.replace("degC", "delta_degC"), power) for name, power in factors]
        factors = [("coulomb" if name == "c_rate" else name, power) for name, power in factors]
    return _unit(" * ".join(f"({name}) ** {power:g}" for name, power in factors))


@lru_cache(maxsize=1024)
def _unit(expression: str) -> Unit | None:
    units = registry()
    if re.fullmatch(r"\(deg[CF]\) \*\* 1", expression):
        name = expression[1:5]
        zero, one = (units.Quantity(value, name).to("kelvin").magnitude for value in (0, 1))
        return Unit(name, units.Unit(name), "[temperature]", one - zero, zero)
    value = units.parse_expression(expression)
    base = value.to_base_units()
    dimension = str(value.dimensionality)
    name = f"{value.units:~}" if value.magnitude == 1 else f"{value:~}"
    if expression == "(ppm) ** 1" or expression.startswith("(1e-3 * ppm)"):
        return Unit(name, value.units, "share", float(base.magnitude), basis="")
    if dimension == "dimensionless":
        dimension = "angle" if "deg" in expression or "rad" in expression else expression
    return Unit(name, value.units, dimension, float(base.magnitude))


def _factor(text: str) -> tuple[str, float]:
    """Return pint's name of one symbol or word, and its exponent."""
    match = _SPLIT.match(text)
    assert match is not None, text  # UNIT matched it as a factor
    if match["vickers"]:
        return "vickers", 1
    if match["degrees"]:
        return ("degF" if match["degrees"].endswith("F") else "degC"), 1
    if match["word"]:
        power = _POWERS[(match["power"] or match["after"] or "square").lower()]
        named = match["power"] or match["after"]
        return _NAMES[match["word"].lower()], power if named else 1
    exponent = (match["exponent"] or "1").translate(RAISED).strip("^{} ")
    return _SYMBOLS[match["symbol"]], float(Fraction(exponent))
