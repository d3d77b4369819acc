"""Recognize numbers in names and references, which are not quantities: Ti-6Al-4V, 304 stainless,
(110)."""

import re

_NUMBERS = r"(?:\d+[a-z]?(?:, ?|-| and | to ))*"
_REFERENCE = re.compile(
    r"(?:\b(?:Fig(?:ure|s|ures)?|Table|Eqs?|Equations?|Refs?|References?|Scheme|Section|Sect|Sec"
    r"|Chapter|Panels?|Movie|Video|Step|Note|Chart|Plate|Supplementary|No|Nr)"
    rf"\b\.?\s?S?\(?{_NUMBERS}|\[(?:\d+\s?[,-]\s?)*)$",
    re.IGNORECASE,
)
# Grades of steels and other alloys, standards, products and catalogs.
_GRADE = re.compile(
    r"\b(?:AISI|SAE|AA|UNS|EN|ISO|ASTM|DIN|JIS|GB|type|grade|Inconel|Incoloy|Hastelloy|Haynes"
    r"|Nimonic|Ren[eé]|CMSX|Invar|Tween|Span|Pluronic|Kapton|Nafion|PEG|PVP|PA|nylon|ATCC|CAS"
    r"|JCPDS|PDF|ICDD|Eagle|SU|Sylgard|LSM|Zeiss|alloy|steel|version|Windows|Group|space group)"
    r"[\s-]?(?:no\.?|card)?\s?$",
    re.IGNORECASE,
)
_GRADED = re.compile(
    r"\s?[LHN]?\s?(?:stainless|austenitic|duplex|maraging|alumini?um alloys?|(?:series )?steels?\b"
    r"|alloys?\b|grade\b)",
    re.IGNORECASE,
)
_SLASHED = re.compile(r"[A-Za-z]\w*\d\w*(?:/\w+)*/$")  # strains and codes: BJ01/2011/55
_FACTOR = re.compile(r"[\u03c0\u03a0] ?/ ?$")  # in a formula: "π/4 d²"
PLANE = re.compile(r"[(\[{<\u27e8]\s?(?:-?\d\s?){3,4}[)\]}>\u27e9]")
_GREEK = r"A-Za-z\u0391-\u03c9"
_HYPHENED = re.compile(rf"(?P<word>[{_GREEK}]+)-$|[^\W\d]-$|[₀-₉]-$")
# Words before a hyphen after which a number can be a quantity: "sub-100 nm".
_JOINING = {"sub", "non", "mid", "pre", "post", "to", "of", "by", "at", "ca", "near", "and", "or"}
# 6Al, 2θ, 3D, 2-theta, 2,2-diphenyl and 4-terpineol; a hyphen before a digit is a range.
_GLUED = re.compile(r"[A-Za-z_µ\u03b1-\u03c9₀-₉]|\.\d|-\d*[A-Z]\w*\d|-(?:[A-Z][a-z]?\d*-)+")
_LOCANT = re.compile(r"(?:,\d)+[,\d]*-[a-z]|-(?:[a-z]{0,3}yl|[A-Z])")
# "Two-dimensional" and similar words name a kind and count nothing.
_KIND = re.compile(
    r"-(?:dimensional|phase|point|electrode|probe|component|body|way|theta|side[ds]?|photon"
    r"|fold sym|ply|jet|bar\b|azo|amino|methyl|ethyl|propyl|pyrr|carene|terpineol|chloro|nitro"
    r"|hydroxy|di|phenyl)"
)
_ORDINAL = re.compile(r"(?:th|st|nd|rd)\b")


def is_in_name(text: str, start: int, end: int, digits: str) -> bool:
    """Return whether the number at `start` to `end` of a folded text is part of a name or
    reference.

    `digits` are those of the number, with its sign if it has one.
    """
    before = text[max(start - 48, 0) : start] + ("-" if text[start] == "-" else "")
    if "/" in before[-3:] and (_SLASHED.search(before) or _FACTOR.search(before)):
        return True
    if _REFERENCE.search(before) or _GRADE.search(before):
        return True
    hyphened = "-" in before[-2:] and _HYPHENED.search(before)
    if hyphened and (hyphened["word"] or "").lower() not in _JOINING:
        return True
    if len(digits) in (3, 4) and digits.isdigit() and _GRADED.match(text, end):
        return True
    return is_kind(text, end) or bool(_LOCANT.match(text, end))


def is_kind(text: str, end: int) -> bool:
    """Return whether the number that ends there names a kind: "two-dimensional"."""
    return bool(_KIND.match(text, end))


def is_glued(text: str, end: int) -> bool:
    """Return whether letters directly follow a number, as in names: 6Al, 2θ, 3D, 5th."""
    return bool(_GLUED.match(text, end) or _ORDINAL.match(text, end))
