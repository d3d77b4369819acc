"""Read figures and paragraphs of a page, from Parsoid's HTML or a page saved by a browser.

https://www.mediawiki.org/wiki/Specs/HTML describes the markup.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from lxml import etree, html  # pyright: ignore[reportAttributeAccessIssue]  # compiled

from cephalo.cli.addresses import is_web_address
from cephalo.model_cards.licenses import find_license

MIN_SIDE = 64  # pixels; an image smaller in both directions is an icon or a flag
MAX_FIGURES = 500
MAX_NAME = 240  # bytes of a file's name on a wiki
MAX_TEXT = 20_000  # characters of a caption or a paragraph
BEFORE, AFTER = 1, 2  # paragraphs around a figure that become its mentions


def _has(*classes: str) -> str:
    """Return an XPath condition: the element has one of these classes."""
    spaced = "concat(' ', normalize-space(@class), ' ')"
    return " or ".join(f"contains({spaced}, ' {name} ')" for name in classes)


# Elements that contain an image: tag, class if required, and where the caption is. MediaWiki used
# div.thumb before version 1.40, as do wikis of that time and pages saved then; one that contains a
# row of images with their own captions is not an image itself.
_HOLDERS = {
    ("figure", ""): etree.XPath(".//figcaption"),
    ("li", "gallerybox"): etree.XPath(f".//*[{_has('gallerytext')}]"),
    ("div", "tsingle"): etree.XPath(f".//*[{_has('thumbcaption')}]"),
    ("div", "thumb"): etree.XPath(
        f".//*[{_has('thumbcaption')}][not(ancestor::*[{_has('tsingle')}])]"
    ),
    ("td", "infobox-image"): etree.XPath(f".//*[{_has('infobox-caption')}]"),
}
_DROPPED = etree.XPath(
    "//script | //style | //link | //template | //nav | //*[@role='navigation' or @role='note']"
    "| //*[contains(translate(@style, ' ', ''), 'display:none')]"
    "| //*[contains(@typeof, 'mw:Extension/ref')]"
    + f"| //*[{_has('reference', 'mw-ref', 'references', 'reflist', 'refbegin', 'navbox')}]"
    + f"| //*[{_has('navbox-styles', 'vertical-navbox', 'sistersitebox', 'side-box')}]"
    + f"| //*[{_has('magnify')}]"
    + f"| //*[{_has('mw-editsection', 'noprint', 'hatnote', 'metadata', 'ambox', 'error')}]"
    + f"| //*[{_has('mbox-small', 'toc', 'printfooter', 'catlinks', 'sr-only', 'Inline-Template')}]"
)
_MATH = etree.XPath(
    f"//*[{_has('mwe-math-element')}] | //math[not(ancestor::*[{_has('mwe-math-element')}])]"
)
_RAISED = str.maketrans("0123456789+-\u2212", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻")
_FILE = re.compile(r"(?:^\.?/|/wiki/)[^/:]+:([^?#]+)")
_REVISION = re.compile(r"/revision/(\d+)|[?&]oldid=(\d+)")


@dataclass
class WebFigure:
    """An image of a page with its caption.

    `source` is the image's address in the page, `name` the wiki's file name ("Nacre.jpg") or None.
    `mentions` are the surrounding paragraphs.
    """

    source: str
    name: str | None
    caption: str
    mentions: list[str] = field(default_factory=list)


@dataclass
class Article:
    """The content of a page. `title` to `license` are the page's own metadata."""

    title: str | None = None
    address: str | None = None
    revision: str | None = None
    license: str | None = None
    figures: list[WebFigure] = field(default_factory=list)
    paragraphs: list[str] = field(default_factory=list)


def read_article(data: bytes) -> Article:
    """Parse a page without fetching anything it references and without running its scripts."""
    parser = html.HTMLParser(encoding=_encoding(data), remove_comments=True, remove_pis=True)
    try:
        tree = html.document_fromstring(data, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):
        return Article()
    article = _read_head(tree)
    _clean(tree)
    article.figures, article.paragraphs = _read_body(tree)
    return article


def _encoding(data: bytes) -> str | None:
    """Return UTF-8 if the bytes are valid; else None, and the parser uses the declaration of the
    page."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return None
    return "utf-8"


def _read_head(tree: html.HtmlElement) -> Article:
    """Read the metadata of a page, without figures and paragraphs."""
    title = tree.xpath("string(//h1)") or tree.xpath("string(//head/title)")
    links = tree.xpath("//link[@rel='canonical' or @rel='dc:isVersionOf']/@href")
    stated = [tree.get("about", ""), *tree.xpath("//a[contains(@href, 'oldid=')]/@href")[:1]]
    revision = next(filter(None, map(_REVISION.search, stated)), None)
    return Article(
        title=" ".join(title.split())[:400] or None,
        address=next(filter(None, map(_web_address, links)), None),
        revision=next(filter(None, revision.groups())) if revision else None,
        license=find_license(" ".join(tree.xpath("//link[@rel='license']/@href"))),
    )


def _web_address(href: str) -> str | None:
    whole = f"https:{href}" if href.startswith("//") else href
    return whole if is_web_address(whole) else None


def _clean(tree: html.HtmlElement) -> None:
    """Remove elements that readers do not see; write formulas as TeX and superscripts as such."""
    for element in _DROPPED(tree):
        if element.getparent() is not None:
            element.drop_tree()
    for element in _MATH(tree):
        if element.getparent() is not None:
            tex = element.xpath("string(.//annotation[@encoding='application/x-tex'])")
            tex = tex or element.xpath("string(descendant-or-self::math/@alttext)")
            tex = re.sub(r"^\s*\{\\(?:displaystyle|textstyle)\s*(.*)\}\s*$", r"\1", tex, flags=re.S)
            element.tail = f"${tex.strip()}${element.tail or ''}" if tex else element.tail
            element.drop_tree()
    for element in tree.iter("sup"):
        text = element.text_content().strip()
        if re.fullmatch(r"[+\u2212-]?\d*[+\u2212-]?", text) and not len(element):
            element.text = text.translate(_RAISED)
    for element in tree.iter("br", "li", "div", "p", "dd", "dt", "td"):
        element.tail = " " + (element.tail or "")  # otherwise the words of two lines would join


def _read_body(tree: html.HtmlElement) -> tuple[list[WebFigure], list[str]]:
    """Return the figures in order, each with the paragraphs of its section, and all paragraphs."""
    figures, paragraphs = [], []
    starts = [0]  # of each section, its first paragraph
    places: list[tuple[int, int]] = []  # of each figure: its section, the paragraphs before it
    for element in tree.iter():
        if element.tag in ("h2", "h3", "h4", "h5", "h6"):
            starts.append(len(paragraphs))
        elif element.tag == "p" and not _inside(element):
            text = plain_text(element)
            if text:
                paragraphs.append(text)
        elif len(figures) < MAX_FIGURES and (figure := _figure(element)):
            figures.append(figure)
            places.append((len(starts) - 1, len(paragraphs)))
    starts.append(len(paragraphs))
    for figure, (section, place) in zip(figures, places, strict=True):
        first = max(starts[section], place - BEFORE)
        figure.mentions = paragraphs[first : min(starts[section + 1], place + AFTER)]
    return figures, paragraphs


def _inside(element: html.HtmlElement) -> bool:
    """Return whether a paragraph is part of a caption or a table."""
    return any(
        above.tag in ("figure", "table", "li", "figcaption")
        or "thumbcaption" in above.get("class", "").split()
        for above in element.iterancestors()
    )


def _figure(element: html.HtmlElement) -> WebFigure | None:
    """Return the image and caption of an element that contains both, or None."""
    classes = ("", *element.get("class", "").split())
    caption = next(filter(None, (_HOLDERS.get((element.tag, name)) for name in classes)), None)
    if caption is None:
        return None
    text = " ".join(map(plain_text, caption(element)[:1]))
    images = element.xpath(".//img[@src]")
    if not text or len(images) != 1 or _is_frameless(element) or _has_sound(element):
        return None
    [image] = images
    sides = [
        int(image.get(side)) for side in ("width", "height") if image.get(side, "").isdecimal()
    ]
    if sides and max(sides) < MIN_SIDE:
        return None
    targets = [image.get("resource", ""), *image.xpath("ancestor::a[1]/@href")]
    found = next(filter(None, map(_FILE.search, targets)), None)
    file = unquote(found.group(1)).replace("_", " ") if found else None
    if file and (len(file.encode(errors="replace")) > MAX_NAME or set(file) & set("|#<>[]{}\n")):
        file = None  # not a title of MediaWiki
    return WebFigure(image.get("src"), file, text)


def _has_sound(element: html.HtmlElement) -> bool:
    return element.find(".//video") is not None or element.find(".//audio") is not None


def _is_frameless(element: html.HtmlElement) -> bool:
    """Return whether the page shows an image without its caption."""
    kinds = element.get("typeof", "").split()
    return any(kind in ("mw:File", "mw:File/Frameless", "mw:Image") for kind in kinds)


def plain_text(element: html.HtmlElement) -> str:
    """Return the text of an element in one line, without reference marks such as "[1]"."""
    text = re.sub(r"\[(?:\d+|[a-z]|citation needed)\]", "", element.text_content())
    return " ".join(text.split())[:MAX_TEXT]


def text_of(fragment: str) -> str:
    """Return the text of an HTML fragment in one line."""
    if not fragment.strip():
        return ""
    try:
        tree = html.fromstring(f"<div>{fragment[:MAX_TEXT]}</div>")
    except (etree.ParserError, etree.XMLSyntaxError):
        return ""
    etree.strip_elements(tree, "script", "style", with_tail=False)
    return plain_text(tree)
