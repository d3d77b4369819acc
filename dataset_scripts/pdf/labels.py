"""Labels: how a caption begins, in the words and marks of many journals and languages."""

import re

# Sorts of figures, which some documents count apart from the others.
_SORTS = "graph|photo|photograph|image|illustration|diagram|map|carte|karte|mapa"
_KINDS = {
    "table": r"tables?|tab\.?|tabelle|tabla|tableau|tabela|表格?",
    "scheme": r"schemes?|esquema|schéma",
    "chart": r"charts?",
    "plate": r"plates?",
    "algorithm": r"algorithm|listing|algorithmus|box",
    "figure": (
        r"figures?|figs?\.?|abbildung|abb\.?|figuras?|figur|figuur|slika|şekil|kuva|gambar|hình"
        r"|rys(?:unek)?\.?|obr(?:ázek)?\.?|рис(?:унок)?\.?|图|圖|図|그림"
        # Inside a picture these words are labels of its parts, and no mark follows them.
        rf"|(?:{_SORTS})(?=\s*\d{{1,3}}\s*[.:|])"
    ),
}
_PREFIX = (
    r"(?:(?:extended\s+data|supplementary|supplemental|suppl\.?|supporting|online|appendix)\s+)?"
)
_WORDS = "|".join(f"(?P<{kind}>{words})" for kind, words in _KINDS.items())
_NUMBER = (
    r"(?:(?-i:[A-Z]{1,2})[.\-]?\s?)?\d{1,3}(?:[.\-\u2013]\d{1,3})*(?:[a-z](?![a-z]))?"
    r"|(?-i:[IVXLC]{1,6})(?![A-Za-z])"
)
LABEL = re.compile(
    rf"^(?P<label>(?P<word>{_PREFIX}(?:{_WORDS}))(?![a-z])\s*(?P<number>{_NUMBER}))(?![\w])", re.I
)
WORD_ALONE = re.compile(rf"{_PREFIX}(?:{_WORDS})", re.I)
LABEL_CJK = re.compile(r"^(?P<label>(?P<word>图|圖|図|表)\s*(?P<number>\d{1,3}(?:[.\-]\d+)*))")
CONTINUED = re.compile(
    r"^[\s.:]*[(\[]?(?:cont(?:inued|['\u2019]?d)?\.?|fortsetzung|continuación|续)[)\]]?[\s.:]*",
    re.I,
)
SEPARATOR = re.compile(r"^\s*(?P<mark>[.:|)\]\u2016\u2502\u2223\u2013\u2014-]|\s-\s)+\s*")


def match_label(text: str) -> re.Match | None:
    """The label at the start of a text ("Fig. 3", "Extended Data Figure 1", "图 2"), or None."""
    return LABEL_CJK.match(text) or LABEL.match(text)


def kind_of(match: re.Match) -> str:
    """ "figure", "table", "scheme", "chart", "plate" or "algorithm"."""
    word = match.group("word")
    if word in "图圖図":
        return "figure"
    if word.startswith("表"):
        return "table"
    return next(kind for kind in _KINDS if match.group(kind))


def series_of(word: str) -> str:
    """What tells labels apart that have the same number: "sup" for "Supplementary Fig. 1".

    Empty for the main series of a document.
    """
    apart = " " in word or re.fullmatch(_SORTS, word)
    return word.split()[0][:3] if apart else ""
