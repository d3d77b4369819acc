"""Addresses of servers, as users and pages give them."""

from urllib.parse import urlsplit

LONGEST = 2000  # characters


def is_web_address(text: str) -> bool:
    """Return whether a text is an http or https address with a host and, if any, a valid port."""
    try:
        parts = urlsplit(text)
        port = parts.port  # raises ValueError past 65535
    except ValueError:
        return False
    known = parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0
    return known and len(text) < LONGEST
