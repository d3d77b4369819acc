"""Find chemical formulas and sample names in prose, and look them up in the source.

A formula consists of element symbols with at least one digit or one symbol of two letters: NaCl,
TiO2, Ti6Al4V, Ca2+. Capital letters alone (PVC, UV, CO) are accepted, since they are as often
abbreviations. Any other word of letters and digits (PA12, S3, C57BL) is a sample name and is looked
up in the same way.
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
_PLANE = re.compile(
    r"[(\[{](\d{3})[)\]}](?=[^.]{0,20}\b(?:plane|peak|reflect|face|facet|textur|orient))"
)
_GRADE = re.compile(r"\b(\d{3,4})L? (?:stainless|(?:series )?steels?\b|alumini?um alloy)")
_NO_METALS = {"H", "C", "N", "O", "F", "P", "S", "Cl", "Br", "I", "Se"}
# The power of a unit, "(5.7 mm)²", and multiples of π.
_NO_NAME = re.compile(r"\(?[cdkmnµμ]?m\)?\^?[23]|\(?\d*π\)?")
_PIECES = re.compile(r"[A-Z]?[a-z]+|[A-Z]|\d+|\S")


# Names of compounds, as prefixes of words; a text with the name supports the formula (IUPAC Red
# Book 2005, and names of minerals and phases).
NAMES = {
    "SiO2": "silica|quartz|silicon dioxide|silicon oxide|cristobalite",
    "TiO2": "titania|anatase|rutile|titanium dioxide|titanium oxide",
    "Al2O3": "alumina|corundum|sapphire|aluminium oxide|aluminum oxide",
    "ZrO2": "zirconia|zirconium oxide|zirconium dioxide",
    "CeO2": "ceria|cerium oxide|cerium dioxide",
    "MgO": "magnesia|magnesium oxide|periclase",
    "CaO": "lime|calcium oxide|calcia",
    "ZnO": "zinc oxide|zincite",
    "CuO": "copper oxide|cupric oxide",
    "Cu2O": "cuprous oxide|cuprite",
    "NiO": "nickel oxide",
    "Fe2O3": "hematite|haematite|maghemite|ferric oxide|rust",
    "Fe3O4": "magnetite",
    "FeO": "wustite|wüstite",
    "Fe3C": "cementite|iron carbide|pearlit|martensit",
    "CaCO3": "calcium carbonate|calcite|aragonite|vaterite|nacre|limestone",
    "Ca10(PO4)6(OH)2": "hydroxyapatite|apatite",
    "Ca5(PO4)3OH": "hydroxyapatite|apatite",
    "BaTiO3": "barium titanate",
    "SrTiO3": "strontium titanate",
    "SiC": "silicon carbide",
    "Si3N4": "silicon nitride",
    "BN": "boron nitride",
    "GaN": "gallium nitride",
    "AlN": "aluminium nitride|aluminum nitride",
    "TiN": "titanium nitride",
    "TiC": "titanium carbide",
    "WC": "tungsten carbide",
    "B4C": "boron carbide",
    "MoS2": "molybdenum disulfide|molybdenum disulphide|molybdenite",
    "WS2": "tungsten disulfide|tungsten disulphide",
    "MnO2": "manganese dioxide|manganese oxide",
    "MnS": "manganese sulfide|manganese sulphide",
    "FeS2": "pyrite",
    "NaCl": "sodium chloride|rock salt|table salt",
    "NaOH": "sodium hydroxide|caustic soda",
    "KOH": "potassium hydroxide",
    "HCl": "hydrochloric acid|hydrogen chloride",
    "H2SO4": "sulfuric acid|sulphuric acid",
    "HNO3": "nitric acid|nital",
    "H3PO4": "phosphoric acid",
    "HF": "hydrofluoric acid|hydrogen fluoride",
    "H2O2": "hydrogen peroxide|peroxide",
    "NH3": "ammonia",
    "CH4": "methane",
    "C2H5OH": "ethanol",
    "LiFePO4": "lithium iron phosphate",
    "LiCoO2": "lithium cobalt oxide",
    "Li2CO3": "lithium carbonate",
    "LiPF6": "lithium hexafluorophosphate",
    "LiF": "lithium fluoride",
    "LiC6": "graphit|lithiated carbon",
    "GaAs": "gallium arsenide",
    "InP": "indium phosphide",
    "CdS": "cadmium sulfide|cadmium sulphide",
    "CdSe": "cadmium selenide",
    "CdTe": "cadmium telluride",
    "CaF2": "fluorite|calcium fluoride",
    "NiTi": "nitinol|nickel-titanium",
    "Mg2Si": "magnesium silicide",
    "Ni3Al": "nickel aluminide|gamma prime",
    "TiAl": "titanium aluminide",
}
# Molecules and groups that any text on chemistry may mention: solvents, air, side groups.
COMMON = {"H2O", "O2", "N2", "H2", "CO2", "CH2", "CH3", "CF2", "CF3", "NH2", "NH3", "COOH"}
# With two compounds of at least so many elements in a source, a figure may show other compounds of
# the same system.
LEAST_OF_SYSTEM = 3
LEAST_ALLOYED = 4  # elements of an alloy whose phases may be written as formulas of its elements


def formulas(text: str) -> Iterator[str]:
    """Yield the formulas and sample names in `text`, with digits on the line and without
    charges."""
    for found in _WORD.findall(unicodedata.normalize("NFKC", text)):
        word = found.strip(".")
        if (word.islower() and word.isalpha()) or _NO_NAME.fullmatch(word):  # most words
            continue
        if word.count("(") != word.count(")") or re.fullmatch(r"\([^()]*\)", word):
            word = word.strip("()")
        named = any(map(str.isalpha, word)) and any(map(str.isdigit, word))
        if named or (is_compound(word) and re.search(r"[A-Z][a-z]", word)):
            yield word


def is_compound(word: str) -> bool:
    """Return whether a word consists of the symbols of at least two elements."""
    return sum(map(str.isupper, word)) > 1 and bool(_FORMULA.fullmatch(word))


def missing_formula(text: str, source: str) -> str | None:
    """Return the first formula of `text` that `source` does not support, or None.

    A source supports a formula by containing it, the name of the compound, or an alloy of at least
    LEAST_ALLOYED elements that include all of the formula's. Spaces within a formula are ignored,
    since PDF files may split it: "TiO 2".
    """
    wanted = (*formulas(text), *_planes_and_grades(text))
    source = unicodedata.normalize("NFKC", source) if wanted else ""
    for formula in wanted:
        if formula not in COMMON and not _holds(source, formula) and not _known(formula, source):
            return formula
    return None


def _holds(source: str, formula: str) -> bool:
    pattern = r"[\s_^{}]*".join(map(re.escape, _PIECES.findall(formula)))
    return bool(re.search(rf"(?<![A-Za-z\d]){pattern}(?![a-z]|\d)", source))


def _known(formula: str, source: str) -> bool:
    """Return whether a source contains the name of a compound, or an alloy of its and other
    elements."""
    if names := NAMES.get(formula):
        return bool(re.search(rf"\b(?:{names})", source, re.IGNORECASE))
    if not is_compound(formula):
        return False
    elements = set(re.findall(_ELEMENT, formula))
    compounds = sorted(set(filter(is_compound, formulas(source))))
    alloys = [set(re.findall(_ELEMENT, word)) for word in compounds]
    if len(elements) >= LEAST_OF_SYSTEM and alloys.count(elements) > 1:
        return True
    return any(elements < alloy and len(alloy) >= LEAST_ALLOYED for alloy in alloys) and not (
        elements & _NO_METALS
    )


def _planes_and_grades(text: str) -> Iterator[str]:
    """Yield crystal planes and grades of steel, which the source must contain literally."""
    for match in _PLANE.finditer(text):
        yield match.group(1)
    for match in _GRADE.finditer(text):
        yield match.group(1)
