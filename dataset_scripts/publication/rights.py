"""Detect third-party rights in figures, as stated in captions.

A paper under an open licence may show another party's figure with permission. The permission is
limited to the paper: nobody else may redistribute the figure. Captions state it as a permission, a
source, a copyright, a credit, or an agency's licence.
"""

import re
from collections.abc import Iterator

from cephalo.model_cards.licenses import find_license, is_open

# What precedes the start of a sentence: a full stop, a bracket, a panel letter.
_START = r"(?:^|(?<=[.;:,(\[\])\u3002\uff08])|(?<=\b[a-z]\)))\s*"
_CAPITAL = r"[^\W\d_a-z\u00df-\u00f6\u00f8-\u00ff]"
_NAME = rf"{_CAPITAL}[\w.'\u2019-]*"
_YEAR = r"(?:19|20)\d\d"
_NUMBER = (
    r"\[\d{1,3}[a-z]?(?:\s*[,\u2013-]\s*\d{1,3})*\](?!\s*(?:to|zone|direction|ax[ie]s"
    r"|orient|plane))"
)
_REFERENCE = (
    r"(?:(?:(?i:the|la|le|el|a|der)\s)?(?i:refs?\b|references?\b|références?\b|referencias?\b"
    r"|referências?\b|referenz\b|lit\.)\.?\s*[\[(]?\d"
    rf"|{_NUMBER}|(?i:https?:|doi\b|www\.)"
    r"|(?i:(?:the|an?)\s(?:[\w-]+\s)?(?:work|paper|study|book|report|article|publication|thesis"
    r"|review|website|textbook)s?)\s(?:of|by|in)\b|(?i:the\sliterature)\b|(?i:wikipedia|wikimedia))"
)
_NAME_ALONE = rf"{_NAME}(?=\s*(?:$|[.,;)]))"
# "Smith et al.", "Gibson and Ashby", "Jones, J. (2001)", "Smith [4]"
_CITED = (
    rf"(?:{_REFERENCE}|{_NAME}[^;]{{0,50}}?(?:\b(?i:et\sal)\b|\b{_YEAR}|\[\d)"
    rf"|{_NAME},?\s(?:and|und|et|y|e|&)\s{_NAME})"
)
_FIGURE = (
    r"(?:fig(?:ure|s|\.)?s?|images?|pictures?|panels?|parts?|photos?|photographs?|micrographs?"
    r"|drawings?|diagrams?|schem(?:es?|atics?)|illustrations?|graph(?:ic)?s?|charts?|sketch(?:es)?"
    r"|maps?)"
)
# Of these a name alone is a source; the others also describe samples and values.
_SURELY_TAKEN = (
    r"(?:re-?produced|re-?printed|re-?published|re-?drawn|re-?used|adapted|adopted|modified"
    r"|borrowed)"
)
_TAKEN = rf"(?:{_SURELY_TAKEN}|taken|derived|extracted|obtained|copied)"
_SHOWN = rf"(?:{_TAKEN}|used|published|printed|shown|included|displayed|presented|based)"
_ORGANISATION = (
    r"(?:Elsevier|Springer|Wiley|Nature|Macmillan|Taylor|SAGE|Sage|Blackwell|Pergamon|Karger|Thieme"
    r"|AAAS|ACS|AIP|APS|IOP|RSC|IEEE|ASM|ASME|ASTM|SPIE|OSA|NASA|ESA|ESO|USGS|NOAA|NIST|CERN|CNRS"
    r"|DLR|Fraunhofer|Getty|\w+[\s-]Verlag|(?:[\w&.-]+\s){0,4}(?:Society|Press|Publish\w+|Verlag"
    r"|Universit\w+|Institut\w*|Association|Academy|Museum|Corporation|Company|Foundation|Ltd|Inc"
    r"|GmbH|LLC|B\.V|Agency|Librar\w+|Laborator\w+))\b"
)
_AUTHORS = r"(?:(?i:by|of|the)\s){0,3}(?i:authors?|author\(s\))\b"
_AGENCY = (
    r"(?i:shutterstock|istock(?:photo)?|getty\s?images|adobe\s?stock|alamy|depositphotos|dreamstime"
    r"|science\s?photo\s?library)\b"
)
_PERMISSION = r"(?i:permissions?|consent|authori[sz]ation|approval)"
_COPYRIGHT = r"(?:(?i:copyright(?:ed|s)?)\b|[©Ⓒⓒ])"
_HELD = rf"[\s:,]*(?:[©ⓒ]|\([cC]\))?[\s,]*\(?(?:{_YEAR}\b)?(?:[\u2013-]{_YEAR})?\)?[\s.,:]*"

# Claims about one figure, starting with what it was taken from or who permitted it.
_TAKINGS = (
    # "Reprinted (adapted) with permission", "Reproduced under licence from", "with the authors'"
    rf"(?i:\b{_SHOWN}\b[^;]{{0,150}}?\b(?:with|by|under)\s(?:[\w\u2019'-]+\s){{0,3}}?)"
    rf"(?:{_PERMISSION}(?!\s(?!(?:from|of|by|to|and|in|for|as|under|granted|number)\b)[a-z])"
    r"|(?i:licen[sc]e\s(?:from|by|n(?:o|umber)\b|\d)))",
    # "permission of Elsevier", "permission from the publisher", "permission of Dr. Smith"
    rf"\b{_PERMISSION}\s(?:(?i:was|were)\s)?(?i:(?:obtained|granted|received|given)\s)?"
    rf"(?i:by|from|of)\s(?:{_REFERENCE}|(?:the\s)?{_NAME}"
    r"|(?i:the\s(?:authors?|publishers?|copyright|journal|manufacturer|artists?)))",
    rf"(?i:\b{_PERMISSION}\s(?:to\s(?:re-?use|use|re-?produce|re-?print|re-?publish|publish|adapt)\b"
    r"|(?:was\s|were\s)?obtained\b|was\sgranted\sby\b|(?:from\s)?[A-Z]\w+\sobtained\b))",
    # "With permission.", "From [12], with permission"
    rf"{_START}(?:(?i:from|in)\s{_CITED}[^.;]{{0,80}}?)?(?i:with\s(?:the\s)?(?:kind\s)?permission)"
    r"(?=\s*(?:$|[.,;:)\[\d]|from\b|of\b))",
    rf"(?i:with\spermission)\s*(?:\(|from\s)?{_NUMBER}",
    r"(?i:reproduction)\s(?i:authori[sz]ed|permitted)\sby\b",
    # "Adapted from [12]", "Panels a-c adapted from ref. 4", "Redrawn after Ashby"
    rf"(?:{_START}|(?i:\b{_FIGURE}\b[^.;]{{0,30}}?\s))(?i:{_SURELY_TAKEN}(?:\sand\s\w+)?,?)\s"
    rf"(?:(?i:from|by|after)\s(?:{_CITED}|(?:the\s)?{_NAME})|(?i:courtesy)\b)",
    rf"(?:{_START}|(?i:\b{_FIGURE}\b[^.;]{{0,30}}?\s))(?i:{_TAKEN})\s(?i:from|after)\s{_CITED}",
    rf"(?i:\b{_FIGURE})(?:\s\(?[A-Za-z]\)?)?\s(?i:(?:is|are)\s)?(?i:from|after)\s{_CITED}",
    # "(After Ashby and Jones, 1980)", "Originally published in Nature"
    rf"{_START}(?i:after|based\son)\s(?:{_NUMBER}|{_NAME}(?:\s(?:and|&)\s{_NAME}|\s(?i:et\sal)\.?)?"
    rf",?\s\(?{_YEAR}\)?)\s*(?=$|[.,;)])",
    rf"(?i:\b(?:originally|first|previously)\s(?:published|appeared)\s(?:in|by))\s(?:the\s)?{_NAME}",
    # In German, French, Spanish, Portuguese and Italian
    r"(?i:\bmit\s(?:freundlicher\s|frdl\.\s)?(?:genehmigung|erlaubnis)|\bavec\s(?:la\s|l['\u2019]"
    r"|leur\s)?(?:aimable\s)?(?:permission|autorisation)|\bcon\s(?:el\s|la\s|il\s|l['\u2019])?"
    r"(?:debido\s)?(?:permiso|permesso|autori[sz]+a[cz]i[oó]ne?)\b|\bcom\s(?:a\s)?(?:devida\s)?"
    r"(?:permissão|autorização)\b|\b(?:mit|wiedergabe|nachdruck)\s[^.;]{0,30}erlaubnis"
    r"|\bper\sgentile\sconcessione|\bcort[eé][sz][ií]a\s(?:de|da|do|di)\b)",
    r"(?i:\b(?:abgedruckt|nachgedruckt|reproduziert|entnommen|übernommen|verändert"
    r"|modifiziert|adaptiert|umgezeichnet|abgewandelt|nachgezeichnet)\s(?:aus|von|nach))"
    rf"\s(?:(?i:der|dem|den)\s)?{_CITED}",
    r"(?i:\b(?:reproduite?|adaptée?|modifiée?|tirée?|extraite?|reprise?|redessinée?)s?"
    rf"\s(?:de\s|du\s|d['\u2019]après\s|d['\u2019]|à\spartir\sde\s))(?:{_CITED}|{_NAME_ALONE})",
    rf"(?i:\b(?:abbildung|bild|grafik)\s(?:aus|nach|von))\s{_CITED}",
    rf"{_START}(?i:d['\u2019]après|nach|aus|según|segundo|da)\s{_NAME}(?:\s(?:et|und|y|e)\s"
    rf"{_NAME}|\set\sal\.?)?,?\s\(?{_YEAR}\)?\s*(?=$|[.,;)])",
    r"(?i:\b(?:reproducid|reproduzid|adaptad|modificad|tomad|extra[íi]d|retirad|redibujad)[oa]s?"
    rf"\s(?:de|a\spartir\sde))\s(?:{_CITED}|{_NAME_ALONE})",
    r"(?i:\b(?:riprodott|adattat|modificat|tratt|ripres|ridisegnat)[oaie]\s(?:da|dal))"
    rf"\s{_CITED}",
    # In Chinese, Japanese, Korean and Russian
    r"许可(?:转载|改编|使用|复制|重印)"
    r"|(?:转载|改编|摘|引|轉載|改編)自"
    r"|許可を(?:得|え)|(?:より|から)(?:一部)?"
    r"(?:転載|引用|改変)|転載許可"
    r"|허가를\s?(?:받|얻)|에서\s(?:인용|발췌|수정)",
    r"(?i:\b\u0441\s(?:любезного\s)?разрешения|\b(?:адаптирован|воспроизведен|перепечатан|заимствован"
    r"|взят)[оаы]?\s(?:из|по|\u0441))\b",
)
# Claims that may follow those: a copyright holder, a credit.
_HOLDERS = (
    # "Copyright 2012, American Chemical Society", "© 2014 Elsevier", "Copyright owned by Nature"
    rf"{_COPYRIGHT}{_HELD}(?:(?i:owned|held|protected|material)[\s,]+)?(?!{_AUTHORS})"
    rf"(?:(?i:by|of|the)\s){{0,2}}(?!{_AUTHORS}){_NAME}",
    rf"\([cC]\)[\s,]*{_YEAR}?[\s,]*(?:(?i:by|the)\s){{0,2}}{_ORGANISATION}",
    r"(?i:\b(?:all\s)?rights\sreserved|\balle\srechte\svorbehalten|\btous\sdroits\sréservés"
    r"|\bderechos\sreservados|\bdireitos\sreservados|\btutti\si\sdiritti\sriservati"
    r"|版权(?:所有|归)|著作権)",
    rf"(?i:\burheberrecht|\bdroits\sd['\u2019]auteur|\bderechos\sde\sautor)[\s:©]*(?:{_YEAR})?"
    rf"[\s,:]*{_NAME}",
    # "Courtesy of J. Doe", "Image courtesy NASA", "Courtesy: MIT"
    rf"(?i:\bcourtesy)(?:\sof\b|\s?:\s?{_NAME}|\s{_NAME})",
    # "Photo credit: NASA", "Bildnachweis: DLR", "Credits: CNRS/J. Dupont"
    rf"(?i:\b(?:{_FIGURE}\scredits?|bildnachweis|bildquelle|cr[ée]dits?\sphotos?"
    rf"|créditos?|crediti))[\s:]+{_NAME}",
    rf"{_START}(?i:cr[ée]dits?)\s?:\s?{_NAME}",
    # "Photo: J. Smith.", "Photo by Max Mustermann", "Image: Science Photo Library"
    rf"{_START}(?i:photos?|photographs?|photographie|fotos?|fotografie|bild|image)\s?(?::|(?i:by)\b)\s?"
    rf"(?:{_CAPITAL}\.\s?)+{_NAME}",
    rf"{_START}(?i:photos?|photographs?|fotos?|images?)\s(?i:by)\s{_NAME}",
    rf"{_START}(?i:fotos?|photos?)\s?:\s?{_CAPITAL}[a-z\u00df-\u00ff]+\s{_CAPITAL}[a-z\u00df-\u00ff]+\s*"
    r"(?=$|[.,;)/])",
    # "Source: Smith et al. (2012)", "Fuente: NASA"
    rf"{_START}(?i:sources?|quelle|fuente|fonte)\s?:\s?(?:{_CITED}|(?i:the\s)?{_ORGANISATION})",
    # "The image was kindly provided by Dr. Smith", "Illustration by Jane Doe"
    rf"(?i:\b(?:kindly|generously)\s(?:provided|supplied|donated)\sby)\s(?:(?i:the)\s)?{_NAME}",
    rf"(?i:\b{_FIGURE}\s(?:(?:is|was|are|were)\s)?(?:provided|supplied|donated)\sby)\s"
    rf"(?:(?i:the)\s)?{_NAME}",
    rf"(?i:\b(?:artwork|illustrations?|drawings?)\sby)\s{_NAME}",
    r"(?i:\blicen[sc]e\s(?:number|no\.?)\s?:?\s?\d{8,})",
    rf"(?i:\blicen[sc]ed\sfrom\b)\s{_NAME}",
    _AGENCY,
)
_TAKING = re.compile("|".join(f"(?:{claim})" for claim in _TAKINGS))
_CLAIM = re.compile("|".join(f"(?:{claim})" for claim in (*_TAKINGS, *_HOLDERS)))
# "(c)" is a panel letter if there is a "(b)"; it must be followed by an organization.
_SIGN_WITH_YEAR = re.compile(rf"\([cC]\)\s*{_YEAR}[\s,]+(?!{_AUTHORS}){_NAME}")
_PANEL_B = re.compile(r"\([bB]\)|\b[bB]\)")
_SIGN = re.compile(r"\([cC]\)")
# Authorities and committees permit the work, not the figure, unless the figure is said to be taken.
_PERMITTED = re.compile(rf"\b{_PERMISSION}")
_SAID_TAKEN = re.compile(rf"(?i:\b{_SURELY_TAKEN})")
_OF_WORK = re.compile(
    r"(?i:committee|\bethic|review board|authorit|ministr|\bgovernment|\bparks?\b|\bland ?owner"
    r"|\bpatients?\b|\bparticipants?\b|\bcomit[ée]|\bautorid|beh\u00f6rde|\bgobierno)"
)
_HOLDER = 60  # characters after the word within which the holder of a permission is named
MAX_CAPTION = 20_000  # characters that are searched
_SPOKEN = 80  # characters of a claim that are returned
_LICENCE = 1000  # characters after a claim within which its licence is named


def third_party(caption: str) -> str | None:
    """Return the words of a caption that state a third party's rights in the figure, or None.

    A figure taken from a work under an open licence ("Reproduced from Canepa et al., licensed under
    CC BY 4.0") may be redistributed; a statement about one panel does not cover another.
    """
    caption = " ".join(caption[:MAX_CAPTION].split())  # runs of white space take cubic time
    for claim, told in claims(caption):
        if not is_open(find_license(told)):
            return claim[:_SPOKEN].strip(" ,([")
    return None


def claims(caption: str) -> Iterator[tuple[str, str]]:
    """Yield the claims of a caption, each with its own words and the text that may name its
    licence: up to the next claim, at most `_LICENCE` characters."""
    found = [match for match in _CLAIM.finditer(caption) if not is_of_work(caption, match)]
    if not _PANEL_B.search(caption):
        found += _SIGN_WITH_YEAR.finditer(caption)
    found.sort(key=re.Match.start)
    starts = [match.start() for match in found if _TAKING.match(caption, match.start())]
    for match in found:
        end = next((start for start in starts if start > match.start()), len(caption))
        claimed = caption[match.start() : match.start() + _SPOKEN]
        yield claimed, caption[match.start() : min(end, match.start() + _LICENCE)]


def is_of_work(caption: str, claim: re.Match[str]) -> bool:
    """Return whether a claim is an authority's permission for the work that the figure shows."""
    permitted = _PERMITTED.search(claim.group())
    if permitted is None or _SAID_TAKEN.search(claim.group()):
        return False
    end = claim.start() + permitted.end()
    return bool(_OF_WORK.search(re.split("[.;]", caption[end : end + _HOLDER])[0]))
