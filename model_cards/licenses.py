"""Licences as in the rows: SPDX-like identifiers, "CC-BY" without a version."""

import re

# Licences of the Open Definition that papers and wikis use. Non-commercial and no-derivatives ones
# are known but not open, since a crop is a derivative.
OPEN = re.compile(r"(CC0|PDM|CC-BY(-SA)?)(-\d.*)?")
# Redistributable for non-commercial use only; published in separate configs.
NON_COMMERCIAL = re.compile(r"CC-BY-NC(-SA)?(-\d.*)?")
CREATIVE_COMMONS = re.compile(r"CC-(BY(?:-NC)?(?:-ND|-SA)?)-(\d\.\d)")

# How texts state a licence: by its URL, in short, or in words.
_URL = re.compile(
    r"creativecommons\.org/(?:licen[sc]es/(?P<terms>by(?:-nc)?(?:-nd|-sa)?)"
    r"(?:/(?P<version>\d\.\d))?|publicdomain/(?P<public>zero|mark)(?:/(?P<pd>\d\.\d))?)",
    re.I,
)
_SHORT = re.compile(
    r"\bCC[\s-]*(?P<terms>BY(?:[\s-]*NC)?(?:[\s-]*(?:ND|SA))?)(?:[\s-]*(?P<version>\d\.\d))?\b"
)
_ZERO = re.compile(r"\bCC[\s-]?0(?:[\s-]*(?P<version>1\.0))?\b|Creative Commons Zero")
_LONG = re.compile(
    r"Creative Commons (?:Attribution|\(?CC)(?P<rest>[^;]{0,60})",
    re.I,
)


def is_open(license: str | None) -> bool:
    """Return whether anyone may publish crops of a work under this licence."""
    return bool(OPEN.fullmatch(license or ""))


def is_non_commercial(license: str | None) -> bool:
    """Return whether anyone may publish crops of a work under this licence, non-commercially
    only."""
    return bool(NON_COMMERCIAL.fullmatch(license or ""))


def license_url(license: str | None) -> str | None:
    """Return the URL of a Creative Commons licence; None for any other, or without its version."""
    if license in ("CC0-1.0", "PDM-1.0"):
        kind = "zero" if license == "CC0-1.0" else "mark"
        return f"https://creativecommons.org/publicdomain/{kind}/1.0/"
    match = CREATIVE_COMMONS.fullmatch(license or "")
    return match and f"https://creativecommons.org/licenses/{match[1].lower()}/{match[2]}/"


def hub_license(license: str) -> str:
    """Return the Hub's identifier of a licence for the front matter, or "unknown"."""
    name = license.lower()
    if name in ("unknown", "cc0-1.0") or CREATIVE_COMMONS.fullmatch(license):
        return name
    return "cc" if CREATIVE_COMMONS.match(f"{license}-0.0") else "other"


def find_license(text: str) -> str | None:
    """Return an SPDX-like identifier of the Creative Commons licence that a text states, or
    None."""
    if "CC" not in text and "reative" not in text:
        return None
    squeezed = re.sub(r"(creativecommons)\s*\.\s*(org)\s*/\s*", r"\1.\2/", text)
    squeezed = re.sub(r"(creativecommons\.org/licen[sc]es/)\s+", r"\1", squeezed)
    match = _URL.search(squeezed)
    if match:
        if match.group("public"):
            return "CC0-1.0" if match.group("public").lower() == "zero" else "PDM-1.0"
        return _identifier(match.group("terms"), match.group("version"))
    if _ZERO.search(text):
        return "CC0-1.0"
    match = _SHORT.search(text)
    if match:
        terms = re.sub(r"[\s-]+", "-", match.group("terms"))
        return _identifier(terms, match.group("version"))
    match = _LONG.search(text)
    return _from_words(match.group("rest")) if match else None


def _identifier(terms: str, version: str | None) -> str:
    terms = terms.upper().strip("-")
    return f"CC-{terms}-{version}" if version else f"CC-{terms}"


def _from_words(rest: str) -> str:
    """Parse a licence after "Attribution"; `rest` is what follows: "-NonCommercial 3.0 Unported
    License"."""
    words = rest.lower()
    terms = "BY"
    if re.search(r"non[\s-]?commercial|\bnc\b", words):
        terms += "-NC"
    if re.search(r"no[\s-]?deriv|\bnd\b", words):
        terms += "-ND"
    elif re.search(r"share[\s-]?alike|\bsa\b", words):
        terms += "-SA"
    version = re.search(r"\b([1-4]\.\d)\b", words)
    return _identifier(terms, version.group(1) if version else None)
