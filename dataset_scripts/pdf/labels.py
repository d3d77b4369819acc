"""Labels at the start of captions, in the words and marks of many journals and languages."""

import re

# Kinds of images that some documents number separately.
SORTS = (
    "graph|photo|photograph|image|picture|drawing|illustration|diagram|map|micrograph|exhibit"
    "|graphique|photographie|carte|grafik|diagramm|karte|grafico|immagine|mapa"
    "|imagen|imagem|foto|fotografía|fotografia|gráfico|gráfica|ilustración|ilustração"
)
# Small capitals are often set as a large first letter, a gap and smaller letters.
_KINDS = {
    "table": r"t\s?ables?|tab\.?|tabelle|tabla|tableau|tabela|tabella|表格?",
    "scheme": r"s\s?chemes?|esquema|schéma|schema",
    "chart": r"charts?",
    "plate": r"plates?",
    "algorithm": r"algorithm|listing|algorithmus|box",
    "figure": (
        r"f\s?igures?|f\s?igs?\.?|abbildung|abb\.?|bild|figuras?|figur|figuur|slika|şekil|kuva|gambar"
        r"|hình|rys(?:unek)?\.?|ryc(?:ina)?\.?|obr(?:ázek|ázok)?\.?|рис(?:унок)?\.?|фиг\.?"
        r"|мал(?:юнок)?\.?|σχήμα|εικόνα|afbeelding|afb\.?|joonis|attēls|图|圖|図|그림"
        # Inside a picture, these words label its parts without a closing mark.
        rf"|(?:{SORTS})(?=\s*\d{{1,3}}\s*(?:[.:|]|$))"
    ),
}
_PREFIXES = r"(?:extended\s+data|supplementary|supplemental|suppl\.?|supporting|online|appendix)\s+"
_PREFIX = rf"(?:{_PREFIXES})?"
_WORDS = "|".join(f"(?P<{kind}>{words})" for kind, words in _KINDS.items())
_NUMBER = (
    r"(?:(?-i:[A-Z]{1,2})[.\-]?\s?)?\d{1,3}(?:[.\-\u2013]\d{1,3})*(?:[a-z](?![a-z]))?"
    r"|(?-i:[IVXLC]{1,6})(?![A-Za-z])"
)
# Between the word and the number: "Fig. 1", "Figure-1", "Figure. 1", "Fig. (1)".
_JOINT = r"(?![a-z])[\s.]*(?:[\-\u2010\u2011]\s?)?"
_SUPPLEMENT = r"(?:\s?[\u2013\u2014-]\s?(?:figure|source data) supplement\s\d{1,3})?"  # eLife
LABEL = re.compile(
    rf"^(?P<label>(?P<word>{_PREFIX}(?:{_WORDS})){_JOINT}"
    rf"(?:\((?P<inner>{_NUMBER})\)|(?P<number>(?:{_NUMBER}){_SUPPLEMENT})(?![\w])))",
    re.I,
)
# Number before the word: "S1 Fig" for supporting figures, and some languages ("1. ábra").
LABEL_AFTER = (
    re.compile(
        r"^(?P<label>(?P<number>S\d{1,3})\s(?P<word>(?P<table>Table)|(?P<figure>Fig(?:ure)?)))\b"
    ),
    re.compile(
        r"^(?P<label>(?P<number>\d{1,3})\.?\s(?P<word>(?P<figure>ábra|pav\.|attēls|joonis)"
        r"|(?P<table>táblázat|lentelė|tabula|tabel)))(?!\w)"
    ),
)
# The only figure of a document often has no number: "Figure. The flow of the process."
LABEL_UNNUMBERED = re.compile(
    r"^(?P<label>(?P<word>(?P<figure>Figure|FIGURE|Figura|FIGURA|Abbildung)|(?P<scheme>Scheme|SCHEME))"
    r"(?P<number>))(?=\s?[.:|]\s?[\"'\u201c\u2018(]?[^\W\d_a-z])"
)
WORD_ALONE = re.compile(rf"{_PREFIX}(?:{_WORDS})", re.I)
LABEL_CJK = re.compile(r"^(?P<label>(?P<word>图|圖|図|表)\s*(?P<number>\d{1,3}(?:[.\-]\d+)*))")
CONTINUED = re.compile(
    r"^[\s.:]*[(\[]?(?:cont(?:inued|['\u2019]?d)?\.?(?![a-z])|suite\b|fortsetzung|continuación|续)[)\]]?[\s.:]*",
    re.I,
)
SEPARATOR = re.compile(r"^\s*(?P<mark>[.:|)\]\u2016\u2502\u2223\u2013\u2014-]|\s-\s)+\s*")


def match_label(text: str) -> re.Match | None:
    """Match the label at the start of a text.

    Examples are "Fig. 3", "Extended Data Figure 1", "图 2" and "Figure.". Returns `None` without a
    label.
    """
    found = LABEL_CJK.match(text) or LABEL.match(text)
    if found is None and (text[:1] == "S" or text[:1].isdigit()):
        found = next(filter(None, (label.match(text) for label in LABEL_AFTER)), None)
    return found or LABEL_UNNUMBERED.match(text)


def number_of(match: re.Match) -> str:
    """Return the number of a label in lower case without spaces: "2", "s1", "iv" or ""."""
    groups = match.groupdict()
    return re.sub(r"\s+", "", groups.get("inner") or groups["number"]).lower()


def kind_of(match: re.Match) -> str:
    """Return the kind: "figure", "table", "scheme", "chart", "plate" or "algorithm"."""
    word = match.group("word")
    if word in "图圖図":
        return "figure"
    if word.startswith("表"):
        return "table"
    groups = match.groupdict()
    return next(kind for kind in _KINDS if groups.get(kind))


def label_of(match: re.Match) -> str:
    """Return the label as printed, without the gap after a large first letter ("F IGURE 1")."""
    return re.sub(r"^([A-Z])\s(?=[A-Z]{2})", r"\1", match.group("label").strip())


def series_of(word: str) -> str:
    """Return a prefix for numbers of a separate series: "sup" for "Supplementary Fig. 1".

    Empty for the main series of a document.
    """
    word = word.lower()
    apart = re.match(_PREFIXES, word) or re.fullmatch(SORTS, word)
    return word[:3] if apart else ""
