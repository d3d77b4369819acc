"""Escape text from untrusted documents and answers for Markdown."""

from urllib.parse import quote


def escape_cell(text: str | None, longest: int = 200) -> str:
    """Escape `text` from an untrusted document for a Markdown table cell."""
    if not text:
        return ""
    words = " ".join(text.split())
    shown = words if len(words) <= longest else words[: longest - 1] + "…"
    entities = {ord(character): f"&#{ord(character)};" for character in "&\\`*_{}[]<>|#~$"}
    return shown.translate(entities)


def link(text: str, url: str | None) -> str:
    """Format a Markdown link of escaped text to an untrusted address; the text alone without
    one."""
    if not url:
        return escape_cell(text)
    return f"[{escape_cell(text)}]({quote(url, safe=':/?#@!$&+,;=%~-._')})"
