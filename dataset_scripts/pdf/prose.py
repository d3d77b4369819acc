"""The running text of a document, as passages that are fit to train on.

Left out: references, acknowledgements and other back matter, authors and addresses, captions,
tables, heads and feet of pages, and paragraphs that are formulas more than words.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cephalo.dataset_scripts.passages import sentences, text_rows
from cephalo.dataset_scripts.pdf import scan
from cephalo.dataset_scripts.pdf.layout import Block, BodyStyle, PageContent
from cephalo.dataset_scripts.pdf.mentions import paragraphs, reading_order

# Headings, without spaces, numbers and marks: "VII. R EFERENCES" is "references".
_BACK = re.compile(
    r"(?:notesand|literature)?references?(?:andnotes|cited|list)?|bibliography|(?:literature|works)cited|"
    r"r[ée]f[ée]rences(?:bibliographiques)?|bibliographie|literatur(?:verzeichnis)?|quellen|"
    r"bibliograf[ií]a|refer[eê]ncias(?:bibliogr[aá]ficas)?|参考文献|引用文献|文献|"
    r"acknowledge?ments?(?:andfunding)?|acknowledge?ments?|danksagung|remerciements|agradecimientos|"
    r"agradecimentos|致谢|謝辞|funding(?:information|sources?|statement)?|"
    r"authors?contributions?(?:statement)?|credit?authorshipcontributionstatement|"
    r"(?:declarationof)?(?:conflicts?of|competing)(?:financial)?interests?(?:statement)?|disclosures?|"
    r"(?:data|code|dataandcode|materials)availability(?:statement)?|availabilityofdata(?:andmaterials?)?|"
    r"ethics(?:statement|approval.*)?|supporting(?:information|materials?)|additionalinformation|"
    r"supplementa(?:ry|l)(?:materials?|information|data)|abbreviations|nomenclature|orcid|"
    r"authorinformation|abouttheauthors?|keywords|contents|tableofcontents|highlights|"
    r"publishersnote|openaccess|rightsandpermissions"
)
_BODY = re.compile(
    r"(?:appendix|appendices|annexe?|anhang|ap[eé]ndice|(?:online|materialsand|experimental)?methods|"
    r"abstract|summary|zusammenfassung|r[ée]sum[ée]|resumen|introduction|einleitung|introducci[oó]n|"
    r"results|discussion|conclusions?|experimental|background|theory)(?:.{0,60})"
)
_NUMBERING = re.compile(r"^\W*(?:[IVX]{1,5}|[A-Z]|\d{1,2}(?:\.\d{1,2})*)[.)]?\s+(?=\S{2,})")

_NOT_PROSE = re.compile(
    r"^\W*(?:authors?.? contributions?|funding|acknowledge?ments?|conflicts? of interest|"
    r"competing interests?|data availability|institutional review board|informed consent|"
    r"key ?words|index terms|(?:\*\s*)?correspond(?:ence|ing authors?)|received\b.{0,30}\d{4}|"
    r"citation|copyright|©|\(c\) \d{4}|publisher.?s note|academic editors?|how to cite|"
    r"(?:to )?cite this|abbreviations|edited by|reviewed by|e-?mail|open access|schlüsselwörter|"
    r"palabras clave|mots.cl[ée]s|available online|article history|"
    r"this (?:is an )?(?:open access )?article is|this work is licensed|supplementary materials?:|"
    r"theorem|table \d)",
    re.I,
)
_CONTACT = re.compile(r"\S@\S+\.\w|https?://orcid")
_INITIAL = re.compile(r"\b[A-Z]\.(?=[\s,;-]|[A-Z]\.)")
_CITATION = re.compile(r"\s?\[\d{1,3}[a-z]?(?:\s?[,;\u2013\u2014-]\s?\d{1,3}[a-z]?)*\]")
_RAISED = re.compile(  # numbers of references, set raised: "was found.12,13 The"
    r"(?<=[a-z]{2}[.,;:)])\d{1,3}(?:[,\u2013\u2014-]\d{1,3})*(?=\s|$)"
    r"|(?<=[a-z]{4})\d{1,3}(?:[,\u2013\u2014-]\d{1,3})+(?=[\s.,;:)]|$)"
)
_ABSTRACT = re.compile(
    r"^(?:abstract|summary|zusammenfassung)\s*[.:\u2013\u2014-]?\s*(?=[A-Z])", re.I
)
_FINISHED = re.compile(r"[.!?\u3002\uff01\uff1f][)\]\"'\u201d\u2019»]*$")
_LATIN = re.compile(r"[A-Za-zÀ-ÿ]")


def find_passages(
    pages: list[PageContent],
    blocks: list[list[Block]],
    body: BodyStyle,
    document: dict[str, Any],
) -> list[dict[str, Any]]:
    """The rows of TEXT of a document whose columns `document` has, in reading order."""
    own = {"author": None, "source_url": None, "revision": None, **document}
    return text_rows(prose(pages, blocks, body), own)


def prose(
    pages: list[PageContent], blocks: list[list[Block]], body: BodyStyle
) -> Iterator[tuple[int, str]]:
    """The paragraphs of the running text that are prose, whole sentences each, with their pages."""
    for page, paragraph in paragraphs(pages, _main_matter(pages, blocks), body):
        if scan.is_read(paragraph) and is_prose(paragraph):
            text = whole_sentences(without_citations(paragraph))
            if text:
                yield page, text


def _main_matter(pages: list[PageContent], blocks: list[list[Block]]) -> list[list[Block]]:
    """The blocks without the lines of references and other back matter."""
    kept: list[list[Block]] = []
    back = False
    for page, groups in zip(pages, blocks, strict=True):
        kept.append([])
        for block in reading_order(page, groups):
            lines = []
            for line in block.lines:
                heading = _heading(line.text)
                if heading and _BACK.fullmatch(heading):
                    back = True
                elif heading and back and _BODY.fullmatch(heading):
                    back = False
                elif not back:
                    lines.append(line)
            if lines:
                kept[-1].append(replace(block, lines=lines))
    return kept


def _heading(line: str) -> str:
    """The letters of a line as short as a heading, in lower case; "" for others."""
    if len(line) > 90:
        return ""
    return re.sub(r"[\W\d_]+", "", _NUMBERING.sub("", line)).casefold()


def is_prose(text: str) -> bool:
    """Whether a paragraph is sentences, and not names, addresses, references or formulas."""
    words = text.split()
    if _NOT_PROSE.match(text) or _CONTACT.search(text) or len(text) < 60:
        return False
    letters = sum(map(str.isalpha, text))
    if letters < 0.75 * (len(text) - len(words) + 1):
        return False
    if len(_LATIN.findall(text)) < 0.5 * letters:
        return True
    alone = sum(len(word.strip(".,;:()")) == 1 for word in words)
    lower = sum(word[0].islower() for word in words)
    initials = len(_INITIAL.findall(text))
    return alone < 0.2 * len(words) and lower > 0.5 * len(words) and initials < 0.06 * len(words)


def without_citations(text: str) -> str:
    """A text without the numbers of references, "[3, 5]" or raised behind a word."""
    return _RAISED.sub("", _CITATION.sub("", text))


def whole_sentences(text: str) -> str:
    """A paragraph without a sentence that began before it or does not end in it."""
    text = _ABSTRACT.sub("", text)
    parts = sentences(text)
    if parts and parts[0][0].islower():
        parts = parts[1:]
    if parts and not _FINISHED.search(parts[-1]):
        parts = parts[:-1]
    return " ".join(parts)
