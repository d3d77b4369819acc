"""Licences as rows name them: like SPDX identifiers, "CC-BY" where no version is told."""

import re

# The licences of the Open Definition among those that papers and wikis carry. Non-commercial and
# no-derivatives ones are known but not open: a crop is a derivative.
OPEN = re.compile(r"(CC0|PDM|CC-BY(-SA)?)(-\d.*)?")
# Whoever uses these may not earn by it; they are published apart from the open ones.
NON_COMMERCIAL = re.compile(r"CC-BY-NC(-SA)?(-\d.*)?")
CREATIVE_COMMONS = re.compile(r"CC-(BY(?:-NC)?(?:-ND|-SA)?)-(\d\.\d)")


def is_open(license: str | None) -> bool:
    """Whether anyone may publish crops of what carries this licence."""
    return bool(OPEN.fullmatch(license or ""))


def is_non_commercial(license: str | None) -> bool:
    """Whether anyone may publish crops of what carries this licence, but not commercially."""
    return bool(NON_COMMERCIAL.fullmatch(license or ""))


def license_url(license: str | None) -> str | None:
    """Where a Creative Commons licence can be read; None for any other, or without its version."""
    if license in ("CC0-1.0", "PDM-1.0"):
        kind = "zero" if license == "CC0-1.0" else "mark"
        return f"https://creativecommons.org/publicdomain/{kind}/1.0/"
    match = CREATIVE_COMMONS.fullmatch(license or "")
    return match and f"https://creativecommons.org/licenses/{match[1].lower()}/{match[2]}/"


def hub_license(license: str) -> str:
    """The name that the front matter of a card has for a licence, "unknown" among them."""
    name = license.lower()
    if name in ("unknown", "cc0-1.0") or CREATIVE_COMMONS.fullmatch(license):
        return name
    return "cc" if CREATIVE_COMMONS.match(f"{license}-0.0") else "other"
