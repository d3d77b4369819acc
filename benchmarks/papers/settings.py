"""Typst settings of a layout's page, text and captions, with the functions that use them."""

from pathlib import Path
from random import Random

from benchmarks.papers.graphics import Studio
from benchmarks.papers.languages import SHARED
from benchmarks.papers.layout import Layout
from benchmarks.papers.markup import quoted, to_plain, to_typst
from benchmarks.papers.writer import Writer

_PRELUDE = Path(__file__).with_name("prelude.typ")
# Width and height of a logo in the running head, in points.
_LOGO = 34, 18


def settings(layout: Layout, title: str, studio: Studio, writer: Writer, rng: Random) -> str:
    """Return the start of a paper's Typst source: everything before the first printed content."""
    page, body = layout.page, layout.body
    left, top, right, bottom = page.margins
    gap = (body.leading - 1 + body.gap) * body.size
    hyphenate = str(body.hyphenate).lower()
    lines = [
        _style(layout),
        _PRELUDE.read_text(encoding="utf-8"),
        f"#set page(width: {page.width}pt, height: {page.height}pt, columns: {page.columns})",
        f"#set page(margin: (left: {left:.1f}pt, top: {top:.1f}pt))",
        f"#set page(margin: (right: {right:.1f}pt, bottom: {bottom:.1f}pt))",
        f"#set page({_running(layout, title, studio, writer, rng)})",
        f"#set columns(gutter: {page.gutter}pt)",
        f"#set text(font: {quoted(body.face)}, size: {body.size}pt)",
        f'#set text(lang: "{body.language}", hyphenate: {hyphenate})',
        # All lines of one size have the same height, in any font.
        "#set text(top-edge: 0.8em, bottom-edge: -0.2em)",
        "#set text(fill: if coded { rgb(roles.body, 0, 0) } else { black })",
        f"#set par(leading: style.body-leading, spacing: {gap:.2f}pt)",
        f"#set par(justify: {str(body.justified).lower()}, first-line-indent: {body.indent}em)",
        "#set smartquote(enabled: false)",
    ]
    if page.line_numbers:
        number = 'text(size: 7pt, inked("furniture", 0)[#n])'
        lines.append(f"#set par.line(numbering: n => {number})")
    return "\n".join(lines)


def _style(layout: Layout) -> str:
    """Return the dictionary used by the functions of the prelude."""
    body, look = layout.body, layout.caption
    size = look.size * body.size
    loose = max(0.0, body.leading * look.leading - 1)
    # Another serif font. Chinese and Japanese captions keep a font with their characters.
    other = body.sans if body.language in ("zh", "ja") else "Libertinus Serif"
    faces = {"sans": body.sans, "other": other}
    style = {
        "caption-size": f"{size:.2f}pt",
        "caption-leading": f"{loose * size:.2f}pt",
        "caption-font": quoted(faces.get(look.face, body.face)),
        "caption-shape": quoted("italic" if look.face == "italic" else "normal"),
        "caption-align": quoted(look.align),
        "body-leading": f"{(body.leading - 1) * body.size:.2f}pt",
        "hyphenate": str(body.hyphenate).lower(),
        "text-height": f"{layout.page.text_height:.2f}pt",
    }
    return "#let style = (" + ", ".join(f"{key}: {value}" for key, value in style.items()) + ")"


def _running(layout: Layout, title: str, studio: Studio, writer: Writer, rng: Random) -> str:
    """Return header and footer as page arguments."""
    page = layout.page
    number = '#context counter(page).display("1")'
    journal = f"{rng.choice(SHARED.journals)} {rng.randint(1, 90)} (20{rng.randint(10, 25)})"
    authors = writer.authors().split(",")[0] + " et al."
    head = to_typst(rng.choice([to_plain(title)[:60], journal, authors]))
    if page.running_head == "none":
        head = ""
    if page.page_number == "head":
        head = f"{head} #h(1fr) {number}"
    if page.running_head == "logo":
        wide, high = _LOGO
        logo = studio.decoration(wide, high, raster=rng.random() < 0.6)
        head = f"#box(width: {wide}pt, height: {high}pt)[{logo.code}] #h(1fr) {head}"
    elif page.running_head == "rule":
        head = f"#set block(spacing: 3pt)\n#block[{head}]#line(length: 100%, stroke: 0.5pt)"
    side = {"foot": "center", "outside": "right"}.get(page.page_number)
    foot = f"align({side}, {_small(number)})" if side else "none"
    return f"header: {_small(head) if head else 'none'}, footer: {foot}"


def _small(code: str) -> str:
    return f'text(size: 0.85em, hyphenate: false, inked("furniture", 0)[{code}])'
