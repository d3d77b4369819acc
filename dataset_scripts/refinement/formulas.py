"""Chemical formulas and names of samples in prose, and whether a text holds them.

A formula here is letters of elements with at least one digit or one element of two letters: NaCl,
TiO2, Ti6Al4V, Ca2+. Capital letters alone (PVC, UV, CO) are as often abbreviations and pass. Any
other word of letters and digits (PA12, S3, C57BL) names a sample and is looked for in the same way.
"""

import re
import unicodedata
from collections.abc import Iterator

ELEMENTS = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb
Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu
Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db
Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""

_ELEMENT = "|".join(sorted(ELEMENTS.split(), key=len, reverse=True))
_COUNT = r"(?:\d+(?:\.\d+)?|[xyzn](?![a-z]))?"
_GROUP = rf"(?:{_ELEMENT}){_COUNT}"
_FORMULA = re.compile(rf"(?:{_GROUP}|\((?:{_GROUP})+\){_COUNT})+")
_WORD = re.compile(r"(?<![\w.])[A-Za-z(][\w().]*\w\)?")
_PIECES = re.compile(r"[A-Z]?[a-z]+|[A-Z]|\d+|\S")


def formulas(text: str) -> Iterator[str]:
    """The formulas and names of samples in `text`, with digits on the line and without charges."""
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text)):
        word = match.group().strip(".")
        if word.count("(") != word.count(")") or re.fullmatch(r"\([^()]*\)", word):
            word = word.strip("()")
        named = any(map(str.isalpha, word)) and any(map(str.isdigit, word))
        if named or (is_compound(word) and re.search(r"[A-Z][a-z]", word)):
            yield word


def is_compound(word: str) -> bool:
    """Whether a word is made of the symbols of at least two elements."""
    return sum(map(str.isupper, word)) > 1 and bool(_FORMULA.fullmatch(word))


# Formulas of what has a name of its own: a source that speaks of the one speaks of the other
# (CRC Handbook of Chemistry and Physics; groups and repeat units of the polymers).
NAMED = {
    formula: re.compile(rf"\b(?:{names})", re.IGNORECASE)
    for formula, names in (
        ("SiO2", "silica|quartz|glass"),
        ("TiO2", "titania|rutile|anatase"),
        ("Al2O3", "alumina|corundum|sapphire"),
        ("ZrO2", "zirconia|YSZ"),
        ("MgO", "magnesia|periclase"),
        ("CeO2", "ceria"),
        ("Fe2O3", "hematite|haematite|rust"),
        ("Fe3O4", "magnetite"),
        ("Fe3C", "cementite|pearlit|steel|ferrit"),
        ("CaCO3", "calcite|aragonite|vaterite|nacre|limestone|calcium carbonate"),
        ("Ca10(PO4)6(OH)2", "hydroxyapatite|apatite|bone|enamel"),
        ("NaCl", "sodium chloride|brine|seawater|salt water"),
        ("CF2", "PVdF|polyvinylidene|vinylidene|PTFE|Teflon|fluoropolymer"),
        ("CF3", "TFSI|triflate|fluoropolymer|PFSA|Nafion"),
        ("CH2", "polymer|PVdF|polyethylene|chain|lipid|oil|alkyl|organic|cellulose|chitosan"),
        ("CH3", "polymer|polypropylene|methyl|chain|lipid|oil|alkyl|organic"),
        ("NH2", "chitosan|chitin|amine|amino|protein|peptide|polyamide"),
        ("Li2S", "lithium.*sul(?:ph|f)|MoS2"),
        ("LiF", "LiPF6|solid electrolyte interface|SEI"),
        ("Li2CO3", "solid electrolyte interface|SEI|lithium carbonate"),
        ("H2SO4", "sulph?uric acid"),
        ("HNO3", "nitric acid"),
        ("H2O2", "hydrogen peroxide"),
        ("H2O", "."),
        ("CO2", "."),
        ("O2", "."),
        ("N2", "."),
        ("H2", "."),
    )
}


def missing_formula(text: str, source: str) -> str | None:
    """The first formula of `text` that `source` neither holds nor names, None if it has all.

    A PDF file may set a formula in pieces, "TiO 2": spaces between its pieces do not matter.
    """
    source = unicodedata.normalize("NFKC", source)
    for formula in formulas(text):
        if formula in NAMED and NAMED[formula].search(source):
            continue
        pattern = r"[\s_^{}]*".join(map(re.escape, _PIECES.findall(formula)))
        if not re.search(rf"(?<![A-Za-z]){pattern}(?![a-z]|\d)", source):
            return formula
    return None
