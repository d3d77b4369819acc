"""Quantities in prose: numbers with their units, and whether two of them agree.

"1,200 nm", "1.2 µm" and "1.2e-6 m" are one quantity; "3.14" agrees with "3.1416" and "3.142" with
"3.14" does not. Numbers in names (Ti6Al4V, C60, 2θ, 304 stainless steel, (110)), of figures and
in citations are no quantities.
"""

import re
import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache

from cephalo.dataset_scripts.refinement.number_words import read_written, written
from cephalo.dataset_scripts.refinement.units import RAISED, SUPERSCRIPTS, UNIT, Unit, unit

ABOUT = 0.1  # share of a value that "about" may be off, where its digits do not bind it closer
OVER = 0.25  # share of a value that "over" may exceed it, where its digits do not bind it closer
EXACT = 1e-9  # share by which floating-point conversions may be off

_DIGITS = (
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:\u2009\d{3})+(?:\.\d+)?|\d{1,3}(?: 000)+(?!\d)"
    r"|\d+(?:\.\d+)?|\.\d+"
)
_NUMBER = re.compile(
    # Not inside a name such as Ti6Al4V or X65, and not the tail of a longer number.
    r"(?<![\w.^])(?<!\d,)(?<![A-Za-z]\d/)(?:(?<![\w)\]])(?P<sign>-)\s?)?"
    rf"(?P<digits>{_DIGITS})(?P<glued>\s?\(\d{{1,2}}\)(?=\s?[Å°]))?"
    # "x 106" is what a PDF file makes of a raised 6; "x 100" is a hundred.
    r"(?:\)?\s?[\u00d7x·*∙]\s?10"
    rf"(?:\s?\^\s?\{{?(?P<power>-?\d{{1,2}})\}}?|(?P<super>[⁻⁺]?[{SUPERSCRIPTS}]{{1,2}})"
    r"|(?P<raised>\s?-\s?\d{1,2}|[1-9]\d?))(?!\d)"
    r"|[eE](?P<exponent>[-+]?\d{1,2})(?![\w.])"
    rf"|(?<=\b10)(?:\s?\^\s?\{{?(?P<alone>-?\d{{1,2}})\}}?|(?P<high>[⁻⁺]?[{SUPERSCRIPTS}]{{1,2}})"
    r"|(?P<flat>-[1-9](?![\d.]|\s?(?:-|to\b))))(?!\d))?"
)
_REFERENCE = re.compile(
    r"(?:\b(?:Fig(?:ure|s|ures)?|Table|Eqs?|Equations?|Refs?|References?|Scheme|Section|Sect|Sec|Chapter"
    r"|Panels?|Movie|Video|Step|Note|Chart|Plate|Supplementary|No|Nr)\b\.?\s?S?\(?(?:\d+[a-z]?(?:, ?|-| and | to ))*"
    r"|\[(?:\d+\s?[,-]\s?)*)$",
    re.IGNORECASE,
)
# Grades of steels and other alloys, standards, and catalogue numbers.
_GRADE = re.compile(
    r"\b(?:AISI|SAE|AA|UNS|EN|ISO|ASTM|DIN|JIS|GB|type|grade|Inconel|Incoloy|Hastelloy|Haynes|Nimonic"
    r"|Ren[eé]|CMSX|Invar|Tween|Span|Pluronic|Kapton|Nafion|PEG|PVP|PA|nylon|ATCC|CAS|JCPDS|PDF|ICDD"
    r"|Eagle|SU|Sylgard|LSM|Zeiss|alloy|steel|version|Windows|Group|space group)[\s-]?(?:no\.?|card)?\s?$",
    re.IGNORECASE,
)
_GRADED = re.compile(
    r"[LHN]?\s?(?:stainless|austenitic|duplex|maraging|alumin(?:i)?um alloys?|(?:series )?steels?\b"
    r"|alloys?\b|grade\b)",
    re.IGNORECASE,
)
_PLANE = re.compile(r"[(\[{<⟨]\s?(?:-?\d\s?){3,4}[)\]}>⟩]")
# Words before a hyphen that leave a number a number: "sub-100 nm".
_JOINING = {"sub", "non", "mid", "pre", "post", "to", "of", "by", "at", "ca", "near", "and", "or"}
_GAP = re.compile(
    r"\s*(?:-|to|and|or|,|, and|, or|versus|vs\.?|against|through|/|±|\+/-|\+-|:|;|→|compared (?:to|with)"
    r"|as opposed to|instead of|rather than|from)\s*\(?\s*"
)
_BEFORE = re.compile(
    r"(?:(?P<about>about|approximately|approx\.?|roughly|around|some|circa|ca\.?|close to|near|~|∼|≈|≃"
    r"|o[fn] the order of|in the order of|an estimated|in the range of)"
    r"|(?P<under>(?<!not )(?:nearly|almost|just under|just below|slightly (?:under|below|less than)|under"
    r"|below|less than|fewer than|smaller than|lower than|up to|at most|within|not quite|<|≤))"
    r"|(?P<over>over|more than|above|just over|just above|slightly (?:over|above|more than)|exceed(?:s|ing)?"
    r"|at least|greater than|larger than|higher than|beyond|well (?:over|above)|>|≥))\s*(?:an?\s|the\s)?$",
    re.IGNORECASE,
)
_CHANGE = re.compile(
    r"\b(?:by|drop|fall|rise|increase|decrease|reduction|difference|change|shift|gain|loss|gap|span"
    r"|increment|interval|offset|undercooling|supercooling|superheat)\s(?:of\s)?(?:\w+\s)?$",
    re.IGNORECASE,
)
_NOUN = re.compile(r"(?:\s(?:of|the|such|different|more)\b)*[\s-]\(?(?P<noun>[A-Za-zα-ω][\w-]*)")
_FUNCTION_WORDS = set(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "been",
        "between",
        "but",
        "by",
        "can",
        "do",
        "during",
        "each",
        "for",
        "from",
        "had",
        "has",
        "have",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "may",
        "no",
        "nor",
        "not",
        "of",
        "on",
        "only",
        "or",
        "over",
        "per",
        "respectively",
        "since",
        "so",
        "than",
        "that",
        "the",
        "their",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "to",
        "under",
        "until",
        "up",
        "upon",
        "versus",
        "via",
        "was",
        "were",
        "when",
        "where",
        "which",
        "while",
        "with",
        "within",
        "without",
        "after",
        "before",
        "against",
        "whereas",
        "because",
        "about",
        "both",
        "compared",
        "would",
        "will",
        "shows",
        "gives",
    ]
)
_TIMES = re.compile(r"\s?(?:[×✕]|x)(?![\w\s]*10)|[\s-]?(?:fold|times)\b", re.IGNORECASE)
_FACTOR_OF = re.compile(
    r"\bfactor (?:of|between)\s(?:\w+\s)?(?:[\d.]+ (?:and|to) )?$", re.IGNORECASE
)
_ORDERS = re.compile(r"[\s-]orders?[\s-]of[\s-]magnitude", re.IGNORECASE)
_ONE_ORDER = re.compile(r"\b(?:an?|one) order of magnitude|\btenfold\b", re.IGNORECASE)
_NAME_AFTER = re.compile(r"[A-Za-z_µθαβγ₀₁₂₃₄₅₆₇₈₉]|\.\d|-\d*[A-Z]\w*\d|-(?:[A-Z][a-z]?\d*-)+")
# "Two-dimensional" and the like name a kind of thing and count nothing.
_KIND = re.compile(
    r"-(?:dimensional|phase|point|electrode|probe|component|body|way|theta|side[ds]?|photon|fold sym"
    r"|ply|jet|bar\b|azo|amino|methyl|ethyl|propyl|pyrr|carene|terpineol|chloro|nitro|hydroxy|di|phenyl)"
)


@dataclass(frozen=True)
class Quantity:
    """A number as printed, at `start` to `end` of its text.

    `value` is in `unit`, which is None where the number has none. `place` is the value of one unit
    in the last significant digit. `approximate` is "about", "under" or "over" where the text says
    so. `kind` is "value"; "times" for how many times ("twice", "a factor of 3", "half of");
    "orders" for orders of magnitude; "spread" for what follows a ±. `noun` is the word after a
    number without a unit, in lower case: what is counted. `change` says that the text gives a
    difference ("by 20 °C").
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
        """The value in base units; that of a difference without the zero of its scale."""
        if self.unit is None:
            return self.value
        return self.value * self.unit.factor + (0.0 if self.change else self.unit.offset)

    @property
    def is_count(self) -> bool:
        """Whether this is a whole number without a unit, which can count things."""
        whole = self.value >= 0 and self.value % 1 == 0 and self.place >= 1
        return self.kind == "value" and self.unit is None and whole


@lru_cache(maxsize=1024)  # one source is asked about for every text on it
def parse(text: str) -> tuple[Quantity, ...]:
    """The quantities of a text in their order, those in digits and those in words."""
    folded = fold(text)
    found = [*_in_digits(folded), *_in_words(folded)]
    found.sort(key=lambda one: one.start)
    return tuple(_share_units(folded, found))


def agrees(said: Quantity, stated: Quantity) -> bool:
    """Whether `said` is what is `stated`, or that rounded, in the same or another unit.

    Prose gives the sign to a word ("decreases by 5"), so signs are not compared.
    """
    if not comparable(said, stated):
        return False
    same = not (said.unit and stated.unit) or said.unit.name == stated.unit.name
    if same and _is_share_of_one(said, stated):
        same = False
    claim, truth, place = said.value, stated.value, said.place
    if not same:
        change = said.change or stated.change
        claim, truth = (replace(one, change=change).base for one in (said, stated))
        place *= said.unit.factor if said.unit else 1.0
    claim, truth = abs(claim), abs(truth)
    if abs(truth - claim) <= EXACT * max(truth, claim):
        return True
    if not said.approximate and same and stated.place > said.place * (1 + EXACT):
        return False  # the source says less than is claimed
    return within(claim, truth, place, said.approximate)


def within(claim: float, truth: float, place: float, approximate: str) -> bool:
    """Whether a claim is the truth rounded to `place`, or as near as its "about" allows."""
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
    """The place to which somebody rounds who says "about": 10 of 190, 100 of 200, 5 of 35."""
    if not value:
        return place
    digits = round(value / place)
    while digits and digits % 10 == 0:
        digits //= 10
        place *= 10
    return place * 5 if digits % 5 == 0 else place


def comparable(one: Quantity, other: Quantity) -> bool:
    """Whether two quantities can be the same: of one dimension, or one without a unit."""
    kinds = {one.kind, other.kind}
    if "orders" in kinds:
        return len(kinds) == 1
    if "times" in kinds and (one.unit or other.unit):
        return all(each.unit is None or each.unit.dimension == "share" for each in (one, other))
    if not one.unit or not other.unit:
        return True
    if {one.unit.name, other.unit.name} == {"deg", "degC"}:  # "40 degrees"
        return one.value == other.value
    if one.unit.dimension != other.unit.dimension:
        return False
    bases = {one.unit.basis, other.unit.basis} - {None, ""}
    return len(bases) < 2


def _is_share_of_one(one: Quantity, other: Quantity) -> bool:
    """Whether one is a percentage and the other that as a fraction: 25 % and 0.25."""
    percent, bare = (one, other) if one.unit else (other, one)
    if not percent.unit or percent.unit.dimension != "share" or bare.unit:
        return False
    return bare.value < 1 or bare.kind == "times"


def fold(text: str) -> str:
    """`text` with one form for each of its many kinds of spaces, dashes and letters for micro.

    Every character stays in its place.
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
    plain = unicodedata.normalize("NFKC", character)
    return plain if len(plain) == 1 and character not in "℃µ²³¹" else character


RAISED_CHARACTERS = SUPERSCRIPTS + "⁻⁺₀₁₂₃₄₅₆₇₈₉"


def _in_digits(text: str) -> list[Quantity]:
    found: list[Quantity] = []
    planes = [match.span() for match in _PLANE.finditer(text)]
    position = 0
    while match := _NUMBER.search(text, position):
        position = match.end()
        before = text[max(match.start() - 48, 0) : match.start()]
        if any(start <= match.start() < end for start, end in planes):
            continue
        if _names(before, match, text):
            continue
        digits = re.sub(r"[, \u2009]", "", match["digits"])
        power = next(
            filter(
                None, match.group("power", "super", "raised", "exponent", "alone", "high", "flat")
            ),
            "0",
        )
        power = power.translate(RAISED).replace(" ", "")
        alone = match["alone"] or match["high"] or match["flat"]
        factor = 10.0 ** int(power)
        value = factor if alone else float(digits) * factor
        place = factor if alone else last_place(digits) * factor
        spaced = re.compile(r"[\s\u2009]?-?").match(text, match.end()).end()
        named = UNIT.match(text, spaced)
        if named and named.end() < len(text) and text[named.end()] in SUPERSCRIPTS:
            named = None
        known = unit(named.group()) if named else None
        if named and _is_decade(match, named, text):
            named = known = None
        if (
            not named
            and _NAME_AFTER.match(text, match.end())
            and not _TIMES.match(text, match.end())
        ):
            if not re.match(r"(?:th|st|nd|rd)\b", text[match.end() :]) and known is None:
                continue
            if re.match(r"(?:th|st|nd|rd)\b", text[match.end() :]):
                continue
        position = end = named.end() if named else match.end()
        one = Quantity(
            text[match.start() : end].strip(),
            match.start(),
            end,
            -value if match["sign"] else value,
            place,
            known,
            **_context(before, text, end, known, bool(named)),
        )
        found.append(one)
    return found


def _is_decade(match: re.Match, named: re.Match, text: str) -> bool:
    """Whether "1990s" is a decade and no time."""
    return named.group() == "s" and bool(
        re.fullmatch(r"(?:1[89]|20)\d0s", text[match.start() : named.end()])
    )


def _names(before: str, match: re.Match, text: str) -> bool:
    """Whether a number belongs to a name or a reference."""
    if _REFERENCE.search(before) or _GRADE.search(before):
        return True
    if re.search(r"[A-Za-zα-ωΑ-Ω]-$", before + (match["sign"] or "")) or (
        before[-1:] == "-" and before[-2:-1].isalnum() and not before[-2:-1].isdigit()
    ):
        word = re.search(r"([A-Za-zα-ωΑ-Ω]+)-$", before + (match["sign"] or ""))
        if word and word[1].lower() not in _JOINING:
            return True
    if re.match(r"\d{3,4}$", match["digits"]) and _GRADED.match(
        text, match.end() + (text[match.end() : match.end() + 1] == " ")
    ):
        return True
    after = text[match.end() : match.end() + 12]
    return bool(_KIND.match(after)) or bool(
        re.match(r"(?:,\d)+[,\d]*-[a-z]|-(?:[a-z]{0,3}yl|[A-Z])", after)
    )


def _context(
    before: str, text: str, end: int, known: Unit | None, united: bool
) -> dict[str, object]:
    """What the words around a number say of it."""
    facts: dict[str, object] = {}
    if near := _BEFORE.search(before):
        facts["approximate"] = near.lastgroup
    facts["change"] = bool(_CHANGE.search(before))
    if re.search(r"(?:±|\+/-|\+-)\s?$", before):
        facts["kind"] = "spread"
    if united:
        return facts
    if _ORDERS.match(text, end):
        facts["kind"] = "orders"
    elif _TIMES.match(text, end) or _FACTOR_OF.search(before):
        facts["kind"] = "times"
    elif (noun := _NOUN.match(text, end)) and noun["noun"].lower() not in _FUNCTION_WORDS:
        facts["noun"] = noun["noun"].lower()
    return facts


def _in_words(text: str) -> list[Quantity]:
    found = []
    for match in _ONE_ORDER.finditer(text):
        if match.group().lower() != "tenfold":
            found.append(
                Quantity(match.group(), match.start(), match.end(), 1.0, 1.0, kind="orders")
            )
    for match in written(text):
        value, times = read_written(match)
        before = text[max(match.start() - 48, 0) : match.start()]
        spaced = re.compile(r"[\s-]?").match(text, match.end()).end()
        named = None if times else UNIT.match(text, spaced)
        if named and len(named.group()) == 1:  # "two V" is no way to write a voltage
            named = None
        end = named.end() if named else match.end()
        if match.group().lower() == "one" and not named:
            if not (_TIMES.match(text, end) or _FACTOR_OF.search(before)):
                continue  # "one of them", "the first one"
        if _KIND.match(text, match.end()) or _ONE_ORDER.match(text, match.start()):
            continue
        known = unit(named.group()) if named else None
        facts = _context(before, text, end, known, bool(named))
        if times:
            facts["kind"] = "times"
        place = 1.0 if value % 1 == 0 else 0.1 * value
        found.append(Quantity(match.group(), match.start(), end, value, place, known, **facts))
    return found


def _share_units(text: str, found: list[Quantity]) -> list[Quantity]:
    """Give the unit at the end of a range or a list to all of it: "2, 6 and 20 mm", "5 ± 1 nm"."""
    for place in range(len(found) - 2, -1, -1):
        left, right = found[place], found[place + 1]
        if left.unit is None and right.unit and not left.noun and left.kind in ("value", "spread"):
            if left.end <= right.start and _GAP.fullmatch(text, left.end, right.start):
                found[place] = replace(left, unit=right.unit)
    for place in range(1, len(found)):
        left, right = found[place - 1], found[place]
        if right.kind == "spread" and right.unit is None and left.unit:
            found[place] = replace(right, unit=left.unit)
    return found


def last_place(digits: str) -> float:
    """The value of one unit in the last significant digit: 0.01 of "3.14", 100 of "1200".

    Zeros at the end of a whole number are taken as rounding up to its second digit.
    """
    if "." in digits:
        return 10.0 ** -len(digits.partition(".")[2])
    zeros = len(digits) - len(digits.rstrip("0"))
    return 10.0 ** min(zeros, max(len(digits) - 2, 0))
