# ruff: noqa: RUF001  (this module has signs and Greek letters)
"""Code tables: the Symbol font of Adobe, private codes of Adobe, and Greek fonts."""

# Codes of Adobe's Symbol font, from 0x21 and from 0xA1. Fonts with a Windows table have them from
# U+F021.
_SYMBOL_LOW = (
    "!∀#∃%&∋()*+,\u2212./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_"
    "\u203eαβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}\u223c"
)
_SYMBOL_HIGH = (
    "ϒ\u2032≤\u2044∞ƒ♣♦♥♠↔←↑→↓°±\u2033≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√·¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪"
    "\ufffd〉∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭"
)
SYMBOL = {0xF021 + k: ord(char) for k, char in enumerate(_SYMBOL_LOW)}
# Meaning of a Latin letter in a Greek font: the order of Symbol, or the alphabet of MathPi.
GREEK_FOR = {
    code - 0xF000: chr(greek) for code, greek in SYMBOL.items() if chr(code - 0xF000).isalpha()
}
IN_SYMBOL = {code: ord(greek) for code, greek in GREEK_FOR.items()}
for _k, _greek in enumerate("αβγδεζηθικλμνξοπρστυφχψω"):
    GREEK_FOR[ord("a") + _k] += _greek
GREEK_FOR[ord("U")] += "Ω"  # in Arbortext fonts
SYMBOL |= {0xF0A1 + k: ord(char) for k, char in enumerate(_SYMBOL_HIGH)}
# Private codes of Adobe: small capitals and old-style figures; pieces of brackets.
ADOBE = {0xF700 + code: code for code in range(0x21, 0x7B)}
ADOBE |= {0xF761 + k: ord("A") + k for k in range(26)}
ADOBE |= {0xF8E6 + k: ord(char) for k, char in enumerate("⏐⎯®©™⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪⎮⎞⎟⎠⎤⎥⎦⎫⎬⎭")}
