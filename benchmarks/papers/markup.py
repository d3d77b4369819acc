"""Text with a few inline tags, converted to Typst source and to plain text.

Text of the generated papers is a string with HTML-like tags: `<b>`, `<i>`, `<sc>` (small capitals),
`<sub>`, `<sup>`, `<hl>` (highlighted), `<red>` and `<blue>` (coloured words), `<frac>a|b</frac>`,
and `<p>` for a paragraph break. A literal `<` does not occur.
"""

import re

_TAG = re.compile(r"<(/?)(\w+)>")
_OPEN = {
    "b": "#strong[",
    "i": "#emph[",
    "sc": "#smallcaps[",
    "sub": "#sub(typographic: false)[",
    "sup": "#super(typographic: false)[",
    "hl": "#highlight(fill: rgb(255, 236, 120))[",
    "red": "#tint(rgb(200, 20, 20))[",
    "blue": "#tint(rgb(20, 40, 190))[",
}
_FRACTION = re.compile(r"<frac>([^|<]*)\|([^<]*)</frac>")


def quoted(text: str) -> str:
    """Return `text` as a Typst string literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def to_typst(text: str) -> str:
    """Return Typst markup for `text`."""
    out, at = [], 0
    # Fractions are set as maths: the bar is a path, and the terms are separate lines.
    text = _FRACTION.sub(lambda m: f"<frac>{m[1]}|{m[2]}</frac>", text)
    for tag in _TAG.finditer(text):
        out.append(_run(text[at : tag.start()]))
        at = tag.end()
        closing, name = tag.groups()
        if name == "frac":
            if closing:
                top, under = _unrun(out.pop()).split("|")
                out.append(f"$frac({quoted(top)}, {quoted(under)})$")
        elif name == "p":
            out.append("#parbreak();")
        else:
            out.append("];" if closing else _OPEN[name])
    out.append(_run(text[at:]))
    return "".join(out)


def to_plain(text: str) -> str:
    """Return `text` without tags, with a space at a paragraph break."""
    text = _FRACTION.sub(r"\1/\2", text).replace("<p>", " ")
    return re.sub(r"\s+", " ", _TAG.sub("", text)).strip()


def _run(text: str) -> str:
    return f"#{quoted(text)};" if text else ""


def _unrun(run: str) -> str:
    return run[2:-2]
