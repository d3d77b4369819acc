# ruff: noqa: RUF001  (this module handles accents and signs)
"""Repair characters that a PDF file stores in pieces, and detect damaged sentences.

Accents, degree signs and ligatures are composed where possible. Sentences that lost words or a
formula, or contain a heading, are detected, so that they can be dropped.
"""

import re
import unicodedata

# Spacing accents and the combining characters of the same accents.
_ACCENTS = {"´": "\u0301", "`": "\u0300", "ˆ": "\u0302", "˜": "\u0303", "¨": "\u0308"}
_ACCENTS |= {
    "˙": "\u0307",
    "˚": "\u030a",
    "ˇ": "\u030c",
    "¸": "\u0327",
    "˘": "\u0306",
    "¯": "\u0304",
}
_SIGNS = "".join(_ACCENTS)
_BEFORE_LETTER = re.compile(rf"(?<=[a-zA-Z])([{_SIGNS}])([a-zıA-Z])(?=[a-z])")
# Words after a name such as "Najafi", which is not a divided word such as "signifi cant".
_AFTER_NAME = (
    r"(?:and|or|et|in|on|of|at|as|by|for|to|with|from|is|are|was|were|has|have|had|who|also|used"
    r"|found|show(?:s|ed)?|reported|proposed|suggested|described|studied|developed)\b"
)
_LIGATURE = re.compile(
    r"\b((?!(?:sci|wi|hi|lo)fi\b)[A-Za-zÀ-ÿ]+f(?:i|l|fi|fl)) "
    rf"(?!{_AFTER_NAME})(?=[a-zà-ÿ]{{2}})"
)
# "f luoride", but not "f into" with f for a function or frequency.
_PARTED = re.compile(
    r"\bf (?!in(?:cl|cr|deed|dep|dic|duc|f|itia|j|side|stead|t|v)|im|iff\b"
    r"|large|last|leads|left|less|lets?\b|like|linear|local|long)(?=[il][a-zà-ÿ]{2,})"
)
# Brackets that contained citations; but "(CF)" is an abbreviation, and "fit()" a function.
_EMPTY = re.compile(
    r"\s?\((?:\s{0,3}(?:[Ee]\.g\.|[Ii]\.e\.|cf\.?|Cf\.|[Ss]ee|[Aa]lso|[Bb]ut|[Aa]nd|[Ff]or|example"
    r"|[Rr]eviews?|[Rr]eferences|therein|[,;]))+\s{0,3}\)|(?:\s|(?<=\())\(\s{0,3}\)|\s\[\]"
)
_DEGREE = re.compile(
    r"(?<=\d)\s?[\u25e6\u25cb\u02da]\s?(?=[CFK]\b|[,.;:)\u2212-]|$)|(?<=\d)[\u25e6\u25cb\u02da](?=\s)"
)
# Footer on the first page of APS papers: "0031-9007/21/127(17)/175502(6)".
_ISSN = re.compile(r"\b\d{4}-\d{3}[\dX]/\d{2,4}/\d{1,4}\(\d{1,3}\)/[\dA-Z]{1,12}\(\d{1,4}\)\s?")
_FORMULA_LETTERS = re.compile(r"[\U0001d400-\U0001d7ff]+")
_QUOTES = re.compile(r"\u2018\u2018|\u2019\u2019|``|''")  # quotes of typewriters and TeX
_QUOTE_OF = {"\u2018": "“", "\u2019": "”", "`": "“", "'": "”"}
# Missing spaces that were too narrow to detect: "32 °C(n = 10)", "0.5 °Cd⁻¹", "particles(<10 nm)",
# "400Myr", "2000μatm", "fluxes(Bhat et al., 2010".
_NARROW = re.compile(
    r"(?<=\d °C)(?=\(|[a-z]⁻)|(?<=[a-z]{4})(?=\([<>]\s?\d)|(?<=\d)(?=(?:Ma|Myr|Gyr|kyr|[μµ]atm)\b)"
    r"|(?<=[a-z]{3})(?=\([A-Z][a-z]+(?: et al\.,? | & [A-Z][a-z]+, | and [A-Z][a-z]+, |, )\d{4})"
)
_ROOT = re.compile(r"(?<=√) (?=\w)")
_ORDINAL = re.compile(r"(?<=\d) (?=(?:st|nd|rd|th)\b)")
_PRIME = re.compile(r"(?<=[A-Za-zα-ω\d]) (?=[\u2032\u2033])")
_PLUS_MINUS = re.compile(r"(?<=[\d)%A-Za-z])(\s?)\+[\u2212\u2013](\s?)(?=\d)")  # stacked signs
# A row end after a sign: "10 mg/ ml", "interviews\u2014 which", "http:// www".
_ROW_END = re.compile(
    r"(?<=\w/) (?=\w)|(?<=\w\u2014) (?=\w)|(?<=\d\u2013) (?=\d)|(?<=[a-z]\u2013) (?=[A-Z])"
    r"|(?<=\d[\u2032']) (?=-[A-Za-z])"  # "5' -ATG", and "sp² -hybridized", "O₂ –swimming":
    r"|(?<=[⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉]) (?=[-\u2013][a-z\d])"
    r"|(?<=\d°\d\d\u2032) (?=\d\d[\u2032\u2033.])"  # of coordinates
    # "L10− 4R5", "B7– B9", "MNP- capture", "μC· cm⁻²"; but "inter- and intracellular"
    r"|(?<=\w\d[\u2212\u2013-]) (?=[A-Z\d])|(?<=[A-Z]{2}[\u2013-]) (?=[a-z]{2,})"
    r"(?!(?:and|or|to|nor|versus|vs|but)\b)|(?<=[A-Za-z]\u00b7) (?=[A-Za-z])"
    r"|(?<=[a-z]{3}[\u2212\u2013]) (?=[a-z]{3,})(?!(?:and|nor|but)\b)"  # "electrode− electrolyte"
)
_ADDRESS = re.compile(
    r"((?:https?:|www\.)\S{0,300}[/._=&?\u2013-]) (?=[\w?=&-]{1,300}[./_?=&-][\w/])"
    r"|(?<=:/) (?=/)|(?<=://) (?=\w)"
)
# "Th" as a single glyph, which text layers encode as "+" or "3": "+e method".
_TH = re.compile(
    r"(?:^|(?<=\s))(?:[+3](?=(?:ymus|is|ese|us|ere|rough|roughout|ree|en|at|ose|ey|eir|an|erefore"
    r"|ird|ough)\b)"
    # But "Figure 3e", "Figs. 2d and 3e, f".
    r"|(?<!Figure )(?<!Figures )(?<!Fig\. )(?<!Figs\. )(?<!and )(?<!, )[+3](?=e\b))"
)
_BEFORE_BRACKET = re.compile(r"([_^](?:\{[^{}]{0,40}\}|\w{1,16}|\*)) (?=\(\S{1,3}\))")  # "F_T (x)"
_NUCLEUS = re.compile(r"((?:^|[\s(/])[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}) (?=[A-Z][a-z]?(?:[ ,;.)–-]|$))")
_ARGUMENT = re.compile(r"(?<=[⁰¹²³⁴⁵⁶⁷⁸⁹]) (?=\(\d)|(?<=\.\.\.) (?=[\])])")  # "χ² (1)", "[... ]"
_ACCENTED = re.compile(r"(?<=\b[A-Z]) (?=[à-öø-ÿ][a-zà-ÿ])")  # "R ätzel"
# Signs on the baseline that belong to a script: "cm−²", "O²−", "T−₁", "a_n−₁".
_MINUS_BEFORE = re.compile(r"(?<=[A-Za-z\d)])\u2212(?=[⁰¹²³⁴⁵⁶⁷⁸⁹])")
_MINUS_BEHIND = re.compile(r"(?<=[A-Za-z)\]₀₁₂₃₄₅₆₇₈₉][¹²³⁴])\u2212(?=[\s,.;:)\u2013-]|$)")
_INDEX_LESS = re.compile(r"_(\w)\u2212([₀₁₂₃₄₅₆₇₈₉]+)")
_MINUS_BELOW = re.compile(r"(?<=[A-Za-zα-ω])\u2212(?=[₀₁₂₃₄₅₆₇₈₉])")
_PLAIN_DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_DASH = re.compile(r"(?<=[A-Za-z]{3})\u2212(?=[A-Za-z]{3})")  # not a difference: "protein−protein"
_SCRIPT_WORD = re.compile(r"(?<=\})(?=(?:and|or|in|of|is|was|were|with|the|for|to|are|from)\b)")
_BULLET = re.compile(r"(?:^|(?<=[.;:] ))[\u2022\u25aa\u25cf\u2023]\s+")

_OPERATORS = "=≤≥<>≈≃≡∈∉⊂⊆∪∩⊕⊗→↦∝±×·∼⪯⊑∧∨"
_LOST_OPERAND = re.compile(
    rf"[{_OPERATORS}]\s+(?:[A-Z][a-z]{{3,}}|[,;]|\.\s*$)|(?:^|[,;(]\s?)[=≤≥≈∈⊂∪∩]|\(\s*[,;]|\?\?"
)
_ISOTOPE = r"(?:[⁰¹²³⁴⁵⁶⁷⁸⁹]{2,3}[A-Z][a-z]?|[¹²³]H|[³⁴]He|[⁶⁷]Li)\b"
_ALONE = re.compile(
    rf"(?:^|\s)(?!{_ISOTOPE})[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+\S{{0,2}}(?:\s|$)|[ˆ˜¨˚ˇ¸˘¯˙]|´(?![s\s])|\s´"
    r"|(?:^|\s)[\u0300-\u036f\u20d0-\u20ff]"  # an accent on a space, without its symbol
)
# "Q>": the transposed Q, with the code of the sign in its font.
# A missing symbol or display formula: "no pole in the.", "is given by where", "In Fig. the".
_LOST_SYMBOL = re.compile(
    # A missing display formula: "equals to where x is", "is written as with k the".
    r"\b(?:equals?(?: to)?|(?:is|are|be) (?:given|defined|expressed|written|calculated|described"
    r"|determined|obtained|estimated) (?:by|as|from|through)) (?:where|with|in which) "
    r"(?:\w|the|\w+[_^(]\S*)\s"
    # The brackets of a function without its argument, "the signal, ut()"; an index of a sign, as in
    # nested indices: "d_{x}²−_{y}²".
    r"|(?<![\w.])[A-Za-zα-ω]{1,2}\(\)|[\u2212+=]_\{?[a-z]"
    r"|\bgiven \w+ by where\b|\b(?:equations?|expressions?|formulas?): (?:where|with)\b"
    r"|\b(?:the|our|their)[.,;](?=\s|$)|\bgiven by (?:\[[\d, \u2013-]{1,20}\] )?where\b"
    r"|\bFigs?\. (?:the|is|are|shows?)\b"
)
# "hx_{t}i": angle brackets encoded as letters; a footnote mark; leaders of a table of contents; a
# stroke through the adjacent sign; a lost apostrophe.
_BRACKETS_LOST = re.compile(
    r"(?<!\w)h[A-Za-z]\w{0,3}[_^(]\S{0,20}i(?!\w)|^\^\{?[*\u2020\u2021\u00a7\u00b6]|\.{5}|(?:\s\.){4}"
    r"|[^=]\u0338|(?<!\w)(?:was|were|is|are|do|does|did|ca|wo|could|would|should|has|have)nt(?!\w)"
)
_TRANSPOSED = re.compile(r"(?<![\w<])[A-ZΑ-Ω]>(?=[A-ZΑ-Ω\s,.)])")
_BROKEN_SIGN = re.compile(r"(?:^|\s)[“”‘’\"](?=\s\S+[\s,;.)])(?=\s?-?\d)")  # "x “ 0"
# A sentence that begins within another one, whose end is lost.
_WITHIN = re.compile(
    r"[a-z]{2},? (?:The|This|These|Those|We|Our|They|Their|There|Then|Thus|Hence|However|Moreover"
    r"|Furthermore|Therefore|Although|While|When|Where|Whereas|Which|Because|Since|Neither|Both"
    r"|Each|Some|Many|Most|Such|Another|Here|Finally|It|Its|Whether) [a-z]"
)
# Brackets, and list marks such as "1)" or "iv)", which have no opening bracket.
_BRACKET = re.compile(r"[(\[]|(?P<mark>(?<![\w(])(?:\d{1,2}|[a-z]|[ivx]{1,4}))?\)|\]")
# Sentence starts. "In" and "As" are also indium and arsenic: "the alloy of Ga and In has".
_BEGINS = (
    r"(?:(?:The|This|These|We|When|For|To|It)\s[a-z]"
    r"|In\s(?:an?|the|this|these|those|our|order|addition|contrast|particular|general|fact|all|both"
    r"|each|some|such|most|many|other|recent|summary|practice|principle|what|which)\b"
    r"|As\s(?:an?|the|this|we|can|shown|seen|noted|stated|expected|discussed|mentioned|described"
    r"|already|before|such|well)\b)"
)
# A heading that runs into the text: "5. RESULTS We", "3.2.2. Partial coherence The".
_HEADING = re.compile(
    r"^(?:(?:[A-Z]|S?\d{1,2})(?:\.\d{1,2}){0,3}\.?\s+)(?:[A-Z][\w-]*)(?:\s[\w-]+){0,6}?\s"
    rf"(?={_BEGINS}|(?:A|An|Our|At|On|If|Here)\s[a-z])"
    r"|^(?:[A-Z]\.|S?\d{1,2}(?:\.\d{1,2}){0,3}\.?)\s+(?:[A-Z]{2}[A-Z-]*\s)+(?=[A-Z][a-z]+\s[a-z])"
    r"|\b(?:APPENDIX|REFERENCES|ACKNOWLEDGE?MENTS|INTRODUCTION|CONCLUSIONS?|DISCUSSION)\s+[A-Z]"
    r"|^(?:Lemma|Theorem|Proposition|Corollary|Definition|Proof|Remark)\b[ \d.]*$"
)
_NUMBERED = re.compile(
    r"^(?:\d{1,2}(?:\.\d{1,2})+\.?\s+[A-Z]|\d{1,2}\.\s[a-z]|(?:19|20)\d\d\s[A-Z][a-z]+\s[a-z]|\d{1,3}\s(?:Where|Here|The|This|In|We|It)\b|\([a-z])"
    # Part of a caption, "(A-J) Binding of"; a reference, "K. Cong et al., Gaps are".
    r"|^\([A-Z](?:[,\u2013-]\s?[A-Z])?\)\s[A-Z]"
    r"|^(?:[A-Z]\.\s?-?){1,3}[A-Z][\w'\u2019-]+ et al\., [A-Z]"
)
# The rest of a sentence that was divided after an abbreviation: "19) originally", "1\u20132, we".
_REST = re.compile(
    r"^(?:\(\w[\w.-]{0,12}\),\s|\d[\d,\s\u2013-]*\)\s?[a-z(]"
    r"|\d{1,3}(?:\s?\u2013\s?\d{1,3})?, [a-z]|[a-z]\)\s[a-z])"
)
_CUT = re.compile(
    r"(?:\b(?:Cor|Props?|Thms?|Lem|Defs?|Secs?|Eqs?|[Ee]quations?|Figs?|Tabs?|Refs?|Apps?|Nos?"
    r"|Vol|pp|vs|e\.g|i\.e)\.|(?:^|\s)\(|\)\s\d{1,2}\.)$"
)
# Both sides are equal: a bar or accent that distinguished them is lost.
_SAME = re.compile(r"(?<!\S)(\S{1,20}) = \1(?=[\s,.;)]|$)")
# A heading in capitals that runs into its paragraph.
_CAPITALS = re.compile(
    r"^(?:■\s(?:[A-Z\d][A-Z\d-]*\s)+(?=[A-Z][a-z])|(?:[A-Z]{2}[A-Z-]*\s){3,}(?=[A-Z][a-z]*\s[a-z])|(?:[A-Z]{5}[A-Z-]*\s){2,}(?=[A-Z][a-z]))"
)
# "Regions of the basin When calculating": a name would not continue in lower case.
_RUN_ON = re.compile(rf"^(?:[A-Z][\w-]*(?:\s[\w()/-]+){{0,12}}|[^.]{{1,300}},)\s(?={_BEGINS})")
# A heading number in the first row of a paragraph: "3.3. Risk Group Analysis. To analyse".
_HEADING_NUMBER = re.compile(
    r"^(?:\d{1,2}(?:\.\d{1,2}){1,3}|[A-Z]\.\d{1,2}(?:\.\d{1,2})?)\.?\s(?=[A-Z][^.!?]{2,100}[.:]\s[A-Z(])"
)
_UNEQUAL = re.compile(r"(?<=\s)/=(?=\s)")  # in TeX, a slash and an equals sign
_MARKS = re.compile(r"[,;](?=\.(?:\s|$))")
# Text around reference numbers: "by Staelens (²³, and)", "the architecture from,".
_AROUND = re.compile(
    r"\([\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+,\s|&,|\sand\)|\b(?:from|of|with)[,;]"
)
# Errors of text layers: "$ 5 %" for "≥ 5 %"; in old scans "re~pective1y", "chloride^.'^", "the
# ratio r,, is".
_MISREAD = re.compile(r"(?:^|[\s(,;])\$ \d|~[a-z.,']|\^[.'~]|[a-z]~|,,|[a-z]{4}1[a-z)]*(?![\w-])")
_ET_AL = re.compile(r"(?<=[a-zà-ÿ])et al\.")
_STAR = re.compile(r"(?<=[α-ω]) (?=[*\u2217])")
_NUMBER_ONLY = re.compile(r"^\W*(?:[A-Z]|S?\d{1,4})(?:\.\d{1,3})*\W*$")
_WORD = re.compile(r"[^\W\d_]{2,}")
MOST_SIGNS = 0.4  # share of the tokens; a sentence with more is a formula
FEWEST_TOKENS = 6  # smallest number of tokens for this test


def set_right(text: str) -> str:
    """Compose accents, join ligatures and remove empty brackets in a text."""
    text = _QUOTES.sub(lambda match: _QUOTE_OF[match[0][0]], _plain_letters(_ISSN.sub("", text)))
    text = _BEFORE_LETTER.sub(_composed, text)
    text = _PARTED.sub("f", _LIGATURE.sub(r"\1", text))
    text = _EMPTY.sub("", text)
    text = _DEGREE.sub("°", _ET_AL.sub(" et al.", _STAR.sub("", text)))
    text = _PLUS_MINUS.sub(r"\1±\2", _ROW_END.sub("", text))
    text = _NARROW.sub(" ", _MARKS.sub("", _UNEQUAL.sub("≠", text)))
    text = _BEFORE_BRACKET.sub(r"\1", _TH.sub("Th", _ROOT.sub("", text)))
    text = _ADDRESS.sub(lambda match: match[1] or "", _NUCLEUS.sub(r"\1", text))
    text = _SCRIPT_WORD.sub(" ", _ACCENTED.sub("", _ARGUMENT.sub("", text)))
    text = _DASH.sub("\u2013", _with_minus(text))
    return _BULLET.sub("", _PRIME.sub("", _ORDINAL.sub("", text)))


def _plain_letters(text: str) -> str:
    """Compose accents, and replace mathematical alphanumeric symbols by plain letters."""
    text = _FORMULA_LETTERS.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    return unicodedata.normalize("NFC", text)


def _with_minus(text: str) -> str:
    """Raise or lower each minus like the digits that it belongs to."""
    text = _MINUS_BEHIND.sub("⁻", _MINUS_BEFORE.sub("⁻", text))
    text = _INDEX_LESS.sub(
        lambda match: f"_{{{match[1]}\u2212{match[2].translate(_PLAIN_DIGITS)}}}", text
    )
    return _MINUS_BELOW.sub("₋", text)


def _composed(match: re.Match[str]) -> str:
    """Return a letter with its accent, or the match unchanged if there is no such letter."""
    letter = match[2].replace("ı", "i")
    both = unicodedata.normalize("NFC", letter + _ACCENTS[match[1]])
    return both if len(both) == 1 else match.group()


def without_heading(sentence: str) -> str:
    """Remove a heading or broken sentence that runs into a sentence."""
    return _RUN_ON.sub("", _CAPITALS.sub("", sentence))


def without_number(paragraph: str) -> str:
    """Remove the number of a heading in the first row of a paragraph."""
    return _HEADING_NUMBER.sub("", paragraph)


def is_damaged(sentence: str) -> bool:
    """Return whether a sentence lost words or a formula, or contains fragments or a heading."""
    if _NUMBER_ONLY.match(sentence) or _NUMBERED.match(sentence) or _HEADING.search(sentence):
        return True
    if (
        _WITHIN.search(sentence)
        or _REST.match(sentence)
        or _CUT.search(sentence)
        or _SAME.search(sentence)
    ):
        return True
    if (
        _LOST_SYMBOL.search(sentence)
        or _BRACKETS_LOST.search(sentence)
        or _TRANSPOSED.search(sentence)
        or _AROUND.search(sentence)
        or _MISREAD.search(sentence)
    ):
        return True
    if _LOST_OPERAND.search(sentence) or _ALONE.search(sentence) or _BROKEN_SIGN.search(sentence):
        return True
    return _unbalanced(sentence) or _is_formula(sentence)


def _unbalanced(sentence: str) -> bool:
    """Return whether brackets are unbalanced.

    Intervals such as "[0, 1)" have one round and one square bracket.
    """
    open_ones = 0
    for bracket in _BRACKET.finditer(sentence):
        if bracket.group() in "([":
            open_ones += 1
        elif open_ones:  # "(see Fig. 1)" ends in a bracket, not a list mark
            open_ones -= 1
        elif not bracket["mark"]:
            return True
    return open_ones > 0


def _is_formula(sentence: str) -> bool:
    """Return whether the share of signs and single letters in a sentence is too large."""
    tokens = sentence.split()
    if len(tokens) < FEWEST_TOKENS:
        return False
    signs = sum(not _WORD.search(token) and not token[:1].isdigit() for token in tokens)
    signs -= sum(token in ("a", "A", "I", "&", "–", "—") for token in tokens)
    return signs > MOST_SIGNS * len(tokens)
