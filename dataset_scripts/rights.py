"""Rights of third parties in figures, as captions name them.

A paper under an open licence may show a figure of another's with permission. That permission is
the paper's own: nobody else may pass the figure on.
"""

import re

from cephalo.model_cards.licenses import find_license, is_open

_TAKEN = (
    r"(?:re-?produced|re-?printed|re-?published|re-?drawn|re-?used|adapted|adopted|modified|taken"
    r"|borrowed|derived)"
)
_OF_IMAGES = (
    r"(?:figures?|images?|pictures?|panels?|photos?|photographs?|micrographs?|drawings?|diagrams?"
    r"|schematics?|illustrations?|graphics?|plots?|maps?|data|\([a-z]\))"
)
_CLAIMS = (
    # "Reprinted with permission from Ref. 12", "with the consent of Elsevier"
    r"(?i:\b(?:with|by|under)\s(?:the\s)?(?:kind\s|written\s)?(?:permissions?|consent"
    r"|authori[sz]ation)\b)(?!\sto\b)[^.;]{0,60}",
    r"(?i:\bpermissions?\s(?:was\s|were\s)?(?:obtained|granted|received|from|of)\b)[^.;]{0,60}",
    # "Adapted from [12]" at the beginning of a sentence, of a clause or of brackets
    rf"(?:^|(?<=[.;:([,\]])|(?<=\)))\s*(?:[Ff]igure\s+|[Ii]mage\s+)?(?i:{_TAKEN})(?:\s+and\s+\w+)?"
    r"\s(?i:from|after)\b[^.;]{0,60}",
    # "The image was taken from the work of Smith et al."
    rf"(?i:\b{_OF_IMAGES}\s+(?:[\w()]+\s+){{0,3}}{_TAKEN}\s+from)\b[^.;]{{0,60}}",
    # "Copyright 2012, American Chemical Society", "© 2014 Elsevier"
    r"(?i:copyright\b|\u00a9|\(c\)(?=\s*(?:19|20)\d\d))\s*(?:\u00a9|\(c\))?\s*(?:(?:19|20)\d\d)?[,.]?\s*"
    r"(?:by\s+)?(?!(?i:the\s+)?(?i:authors?|author\(s\))\b)[A-Z][^.;]{0,60}",
    r"(?i:\bcourtesy\s+of|\b(?:image|photo|picture|figure)\s+credits?\s*:|\ball rights reserved)"
    r"[^.;]{0,60}",
    r"(?i:mit (?:freundlicher )?genehmigung|avec (?:l['\u2019])?(?:aimable )?"
    r"(?:permission|autorisation)|con (?:el )?permiso de|com permiss\u00e3o)[^.;]{0,60}",
)
_CLAIM = re.compile("|".join(f"(?:{claim})" for claim in _CLAIMS))
MAX_CAPTION = 20_000  # characters that are looked at
_SPOKEN = 80  # characters of a claim that are returned


def third_party(caption: str) -> str | None:
    """The words of a caption by which a third party has rights in the figure, or None.

    A caption that names an open licence for what it took ("Reproduced from Canepa et al., licensed
    under CC BY 4.0") leaves the figure free.
    """
    caption = " ".join(caption[:MAX_CAPTION].split())  # runs of white space take cubic time
    claim = _CLAIM.search(caption)
    if claim is None or is_open(find_license(caption)):
        return None
    return " ".join(claim.group().split())[:_SPOKEN].strip(" ,([")
