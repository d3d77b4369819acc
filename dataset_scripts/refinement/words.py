"""Split prose into sentences, clauses and words, and reduce words to stems.

Two words are equal if they have the same stem: "conductivity" and "conducts", "rising" and "rises".
Names and formulas (HAT-CN, LiFePO4/C) are indexed as a whole and in parts.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

import snowballstemmer

STEM = 7  # compared letters: "crystalline" and "crystallises" are equal
_STEMMER = snowballstemmer.stemmer("english")
_ONE_AT_A_TIME = Lock()  # stemmers are not thread-safe, and answers are checked in threads

# Words of any prose; sharing them does not indicate a common subject.
_PROSE = """
a about above according across after again against all almost along already also although always
am among an and another any appear appears approximately are around as at away back based be
became because become becomes been before behind being below between both but by called came can
cannot case clear clearly come comes compare compared comparison consist consists could
corresponding corresponds did display displays do does done down due during each either else even
ever every exhibit exhibits far few fig figs figure figures first followed following for found
from further furthermore gave get gets give given gives go goes had hardly has have having hence
here how however i if image images in indicate indicated indicates indicating into is it its
itself just keep kind know known large last
least left let lie lies like likewise look looks made mainly make makes many may mean means might
moreover most much must namely near nearly need next no nor not now observe observed obtained of
off often on once
one only onto or other others our out over own paper part parts per picture picture plot plots
plotted possible
present presented question rather reach reached reaches really reason respectively result
resulting results right roughly said same say says second see
seem seems seen set several shall she should show showing shown shows side simply since so some
something still such suggest suggested suggesting suggests take taken takes tell tells than that the
their them then there thereby therefore these they thing third this those though thus to together
too towards turn two under until up upon us use used uses using value values various very via
was way we
well were what when whereas where whether which while who whole whom whose why will with within
without would yes yet you your
"""

_WORD = re.compile(
    r"[^\W\d_](?:[\w+·]|[/.'\u2019\u2010-\u2013-](?=[^\W_]))*[+\u2212]?|\d+(?:[.,]\d+)*"
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*$")
_PARTS = re.compile(r"[/·'\u2019\u2010-\u2013-]")
_SENTENCE = re.compile(r"[.!?]+[\"”)†‡*]*\s+(?=[\"“(\[]?[^\Wa-z_])|\n+")
# A full stop after these does not end a sentence: abbreviations and initials, but not units ("5
# C.").
_ABBREVIATED = re.compile(
    r"(?:\b(?:Figs?|figs?|Eqs?|Refs?|var|St|vs|e\.g|i\.e|ca|approx|al|No|sp|spp|cf|Dr|Tab)"
    r"|(?<![\d%] )\b[A-Z])\.$"
)
_CLAUSE = re.compile(
    r";|:(?=\s)|\s[\u2013\u2014]\s|,?\s(?:while|whereas|but|although|though|because|since"
    r"|and then|so that)\s"
    r"|,\s(?:and|so|which|yet|or|as|where)\s|\sand\s(?:that|then)\s"
)


# Synonyms: Greek letters, trivial names of oxides, abbreviations of methods.
_ALIASES = {
    **{
        "alpha": "\u03b1",
        "beta": "\u03b2",
        "gamma": "\u03b3",
        "delta": "δ",
        "theta": "θ",
        "omega": "ω",
    },
    **{"silica": "SiO2", "titania": "TiO2", "alumina": "Al2O3", "zirconia": "ZrO2"},
    **{"magnesia": "MgO", "ceria": "CeO2", "hematite": "Fe2O3", "magnetite": "Fe3O4"},
    **{"water": "H2O", "cementite": "Fe3C", "calcite": "CaCO3"},
    **{"scanning": "SEM", "transmission": "TEM", "impedance": "EIS", "diffraction": "XRD"},
    **{"diffractogram": "XRD", "voltammogram": "CV", "voltammetry": "CV"},
}
_IRREGULAR = {"spectra": "spectrum", "axes": "axis", "analyses": "analysis", "nuclei": "nucleus"}
_IRREGULAR |= {"men": "male", "man": "male", "women": "female", "woman": "female"}
# Elements by name, which are synonyms of their symbols.
ELEMENTS = {
    name: symbol.lower()
    for name, symbol in (
        pair.split(":")
        for pair in [
            "hydrogen:H",
            "lithium:Li",
            "boron:B",
            "carbon:C",
            "nitrogen:N",
            "oxygen:O",
            "fluorine:F",
            "sodium:Na",
            "magnesium:Mg",
            "aluminum:Al",
            "aluminium:Al",
            "silicon:Si",
            "phosphorus:P",
            "sulfur:S",
            "sulphur:S",
            "chlorine:Cl",
            "potassium:K",
            "calcium:Ca",
            "titanium:Ti",
            "vanadium:V",
            "chromium:Cr",
            "manganese:Mn",
            "iron:Fe",
            "cobalt:Co",
            "nickel:Ni",
            "copper:Cu",
            "zinc:Zn",
            "gallium:Ga",
            "germanium:Ge",
            "arsenic:As",
            "selenium:Se",
            "bromine:Br",
            "yttrium:Y",
            "zirconium:Zr",
            "niobium:Nb",
            "molybdenum:Mo",
            "ruthenium:Ru",
            "rhodium:Rh",
            "palladium:Pd",
            "silver:Ag",
            "cadmium:Cd",
            "indium:In",
            "tin:Sn",
            "antimony:Sb",
            "tellurium:Te",
            "iodine:I",
            "cesium:Cs",
            "barium:Ba",
            "lanthanum:La",
            "cerium:Ce",
            "terbium:Tb",
            "hafnium:Hf",
            "tantalum:Ta",
            "tungsten:W",
            "rhenium:Re",
            "iridium:Ir",
            "platinum:Pt",
            "gold:Au",
            "mercury:Hg",
            "lead:Pb",
            "bismuth:Bi",
            "uranium:U",
        ]
    )
}


class Word(NamedTuple):
    """A word at `start` of its text, with its stems."""

    text: str
    start: int
    stems: frozenset[str]


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """Return the stem of a word, in lower case."""
    with _ONE_AT_A_TIME:
        found = _STEMMER.stemWord(word.lower())
    # "injury" and "injured"
    return found[: -1 if found.endswith("i") and len(found) > STEM - 2 else STEM][:STEM]


# "Hardly" and "hardness" share a stem.
_INFLECTED = (word for word in _PROSE.split() if not word.endswith("ly"))
COMMON = frozenset(_PROSE.split()) | frozenset(map(stem, _INFLECTED))


@lru_cache(maxsize=100_000)
def stems_of(word: str) -> frozenset[str]:
    """Return the stems of a word and of the parts of a name; empty for a word of any prose."""
    word = _IRREGULAR.get(word, word)
    if _NUMBER.match(word):
        return frozenset([word.replace(",", "")])
    found = {part for part in _PARTS.split(word) if part}
    if len(found) > 1 and any(not part.islower() for part in found):
        found.add(word)
    found |= {_ALIASES[part.lower()] for part in found if part.lower() in _ALIASES}
    found |= {ELEMENTS[part.lower()].upper() for part in found if part.lower() in ELEMENTS}
    return (
        frozenset(
            stem(part) if part.isalpha() and part[1:].islower() else part.lower()
            for part in found
            if part.lower() not in COMMON
            and (len(part) > 1 or part.isupper() or not part.isascii())
        )
        - COMMON
    )


@lru_cache(maxsize=2048)  # sentences and clauses of a source, which is compared with many texts
def words(text: str) -> tuple[Word, ...]:
    """Return the words and numbers of a text in order, with their stems."""
    return tuple(
        Word(word := match.group(), match.start(), stems_of(word)) for match in _WORD.finditer(text)
    )


def texts_of_words(text: str) -> list[str]:
    """Return the words and numbers of a text in order, without their stems."""
    return _WORD.findall(text)


@lru_cache(maxsize=2048)  # also whole sources, for which `words` would need ten times the memory
def stems(text: str) -> frozenset[str]:
    """Return the stems of all specific words of a text, and its numbers."""
    return frozenset().union(*map(stems_of, set(texts_of_words(text))))


# Words of any measurement, which do not distinguish one from another.
UNSPECIFIC = stems(
    """
    amount area average case change composite content current data decrease deliver density device
    experiment range group height high higher highest increase initial intensity level location long
    low lower lowest material maximum maximal mean measured measurement method minimum number
    occurs order peak period point position pressure process property quantity rate ratio remain
    sample series size small specimen speed start begin state step still stronger structure study
    system temperature test time total treatment type volume weight width years hour minute day
    final further retained located centered attributed due only about around observed
    black blue brown colour color gray green grey orange purple red white yellow dark bright
    """
)


@lru_cache(maxsize=1024)
def subject(text: str) -> frozenset[str]:
    """Return the stems that describe the subject of a text, without numbers and words of any
    measurement."""
    return frozenset(one for one in stems(text) if not one[0].isdigit()) - UNSPECIFIC


@lru_cache(maxsize=2048)
def content(text: str) -> frozenset[str]:
    """Return the stems of a text with at least three letters, without numbers."""
    return frozenset(one for one in stems(text) if len(one) > 2 and not one[0].isdigit())


@lru_cache(maxsize=1024)
def sentences(text: str) -> tuple[str, ...]:
    """Split a text into sentences."""
    found, start = [], 0
    for end in _SENTENCE.finditer(text):
        if _ABBREVIATED.search(text, max(0, end.start() - 10), end.start() + 1):
            continue
        found.append(text[start : end.end()])
        start = end.end()
    found.append(text[start:])
    return tuple(one.strip() for one in found if one.strip())


@lru_cache(maxsize=4096)
def clauses(sentence: str) -> tuple[str, ...]:
    """Split a sentence into clauses, at punctuation and conjunctions."""
    return tuple(one.strip() for one in _CLAUSE.split(sentence) if one and one.strip(" ,."))


@lru_cache(maxsize=4096)
def clause_around(sentence: str, start: int) -> tuple[int, int]:
    """Return the start and end of the clause of a sentence that contains a position."""
    ends = [one.start() for one in _CLAUSE.finditer(sentence)]
    before = max((end for end in ends if end <= start), default=0)
    return before, min((end for end in ends if end > start), default=len(sentence))


@lru_cache(maxsize=1024)  # each answer is compared with every passage of its source
def folded(text: str) -> str:
    """Return `text` in lower case, with single spaces and without punctuation."""
    return " ".join(re.findall(r"\w+", text.lower()))


def found_in(pattern: re.Pattern[str], texts: Iterable[str]) -> str | None:
    """Return the first match of `pattern`, at most 80 characters, or None."""
    return first(match.group()[:80] for text in texts if (match := pattern.search(text)))


def named(found: Iterable[str]) -> str:
    """Format up to three stems, the longest first."""
    return ", ".join(sorted(found, key=lambda one: (-len(one), one))[:3])


def first(details: Iterable[str | None]) -> str | None:
    """Return the first that is not None."""
    return next((detail for detail in details if detail is not None), None)


_DEFINES = ("indicates", "denotes", "means", "stands for", "represents", "refers to")
_DEFINED = re.compile(
    r"(?<![\w-])(?P<before>(?:[\w-]+\s){1,6})\((?P<short>[A-Z]{2,5})s?\)"
    rf"|\b(?P<named>[A-Z]{{2,5}})\s(?:{'|'.join(_DEFINES)})"
    r"\s(?:the\s)?(?P<after>(?:[\w-]+\s){1,6})"
)


@lru_cache(maxsize=256)  # each source is compared with many answers
def spelled_out(passages: tuple[str, ...]) -> tuple[str, ...]:
    """Return the passages with abbreviations that they define followed by their words."""
    meanings = {}
    for passage in passages:
        if "(" not in passage and not any(verb in passage for verb in _DEFINES):
            continue
        for found in _DEFINED.finditer(passage):
            short = found["short"] or found["named"]
            parts = re.split(r"[\s-]+", (found["before"] or found["after"]).strip())
            parts = parts[-len(short) :] if found["short"] else parts[: len(short)]
            if "".join(part[0] for part in parts).lower() == short.lower():
                meanings[short] = " ".join(parts)
    if not meanings:
        return passages
    pattern = re.compile(r"(?<![\w(])(" + "|".join(map(re.escape, meanings)) + r")\b")
    return tuple(
        pattern.sub(lambda match: f"{match.group()} {meanings[match.group()]}", passage)
        for passage in passages
    )
