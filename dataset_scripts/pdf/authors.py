"""Authors of a document, from its metadata if the first page confirms them, else from the page."""

import html
import re

LONGEST = 60  # characters in a name
LONGEST_ROW = 1000  # characters in a row or in a metadata entry
MAX_AUTHORS = 100  # longer lists are cut; they end in "et al."
MAX_LINES = 40  # lines below the title on the first page that are searched for names
SKIPPED = 12  # rows of running heads and titles above the names, at most
_LETTER = r"[^\W\d_]"
_PARTICLE = (
    r"(?:d[aeiou]s?|del|della|dal|der|den|van|von|vom|zu|ter|ten|la|le|el|al|bin|ibn|y|e|af)"
)
_INITIALS = rf"(?:{_LETTER}\.[\s-]?)+"
_WORD = rf"(?:{_LETTER}['\u2019\u02bc])?{_LETTER}+(?:[-\u2010\u2011'\u2019]{_LETTER}+)*\.?"
# A word of a name or initials, possibly without a space between: "M.Q.Tang". Each word is matched
# separately, because a pattern for several words takes exponential time on some texts.
_PART = re.compile(rf"(?:{_LETTER}\.-?){{1,4}}(?:{_WORD})?|{_WORD}|{_PARTICLE}")
MOST_PARTS = 8  # words and initials in a name
# Words that occur in affiliations, headings and journal names but not in names of persons.
_OTHER = re.compile(
    r"\b(?:universit\w*|universidad\w*|department|dept|departamento|institut\w*|laborator\w*|school"
    r"|college|cent(?:er|re)|facult\w*|hospital|academy|division|group|gmbh|inc|ltd|corporation|street"
    r"|road|avenue|china|usa|germany|india|japan|france|korea|brazil|uk|abstract|introduction|keywords?"
    r"|article|received|accepted|published|revised|available|online|copyright|correspond\w*|editor|email"
    r"|e-mail|author|authors|reviewed|edited|citation|open|access|research|review|original|journal"
    r"|sciences?|senior|member|fellow|ieee|engineering|medicine|physics|chemistry|materials"
    r"|technology|national|international|background|results?|methods?|conclusions?|summary|license"
    r"|data|figure|table)\b|(?-i:\b(?:the|of|for|in|on|with|by|to|from|is|are|was|this|using|at)\b)",
    re.I,
)
_MARKS = re.compile(
    r"(?<=[\w,.])\s?(?:\d{1,2}|[*\u2217\u2020\u2021\u00a7\u00b6#|\u2225])(?:\s?[,\u2013-]\s?(?:\d{1,2}|[a-z](?!\w)))*"
    r"|[*\u2217\u2020\u2021\u00a7\u00b6#\u2225\u2709\u25cf\u2b21]+(?:[a-z]{1,2}\b)?|\(\s*[\d,\s]+\)|\[\s*[\d,\s]+\]"
    r"|(?<=\w)\s[a-z](?=\s*(?:,|&|\band\b|$))"
    r"|(?:,\s*)?\b(?:M\.?D|Ph\.?\s?D|M\.?Sc|B\.?Sc|MM|MB|MS|FRCP|MBBS|DVM|MPH|RN|Prof|Dr)[a-e]?\b\.?"
    r"|https?://\S+|\b(?:ORCID|(?-i:ID))\b\S*|\S+@\S+"
)
# Marks at the start of a row that belong to the last name of the row above.
_LEADING = re.compile(
    r"^\s*(?:\d{1,2}(?:\s*,\s*\d{1,2})*(?=\s*(?:,|and\b|$))|[,;*\u2020\u2021])\s*,?"
)
_BETWEEN = re.compile(r"\s*(?:[,;\u00b7\u2022|]|\s(?:and|und|et|(?-i:y|e))\s|&)\s*", re.I)


def find_authors(first: list[str], title: str | None, stated: list[str]) -> str | None:
    """Return the names of the authors of a document.

    Args:
        first: Lines of text of the first page, in reading order.
        title: Title of the document, if known.
        stated: Author entries of the metadata. They often name the typesetter instead.

    Returns:
        Names separated by commas, or `None` if none were found.
    """
    page = _plain(" ".join(first))
    named = [name for text in stated for name in _names_stated(text)]
    confirmed = [name for name in named if _plain(name.split()[-1]) in page]
    printed = names_below(first, title)
    if named and len(confirmed) == len(named) and len(named) >= len(printed):
        return _joined(named)
    return _joined(printed or confirmed)


def _joined(names: list[str]) -> str | None:
    """Join names with commas, at most `MAX_AUTHORS` of them; `None` without names."""
    names = list(dict.fromkeys(names))
    if len(names) > MAX_AUTHORS:
        names = [*names[:MAX_AUTHORS], "et al."]
    return ", ".join(names) or None


def _plain(text: str) -> str:
    """Return the letters and digits of a text, casefolded."""
    return re.sub(r"\W+", "", text).casefold()


def _names_stated(text: str) -> list[str]:
    """Return the names in a metadata entry, which may hold one or several.

    "Korkut, Bora" is one name, "Bora Korkut, Funda Yanikoglu" two.
    """
    parts = _parts(" ".join(html.unescape(text).split()))
    if len(parts) == 2 and not all(map(is_name, parts)):
        parts = [f"{parts[1]} {parts[0]}"]
    return [_cased(part) for part in parts] if all(map(is_name, parts)) else []


def _parts(text: str) -> list[str]:
    """Split a text at commas, "and" and affiliation marks, and drop these.

    A text longer than a row of names is not split.
    """
    if len(text) > LONGEST_ROW:
        return [text]
    parts = _BETWEEN.split(f" {_MARKS.sub(', ', _LEADING.sub('', text))} ")
    parts = [re.sub(r"^(?:and|und|by)\s", "", " ".join(part.split()).strip(" ,")) for part in parts]
    return [part for part in parts if not re.fullmatch(r"[a-z,]{0,3}|.", part.strip("."))]


def is_name(text: str) -> bool:
    """Return whether a text looks like the name of a person: at least two words, capitalised."""
    parts = text.split()
    if not 5 <= len(text) <= LONGEST or len(parts) > MOST_PARTS or _OTHER.search(text):
        return False
    if not all(map(_PART.fullmatch, parts)):
        return False
    words = [word for word in parts if not re.fullmatch(_PARTICLE, word, re.I)]
    capitals = all(word[0].isupper() for word in words)
    whole = [word for word in words if len(word) > 1 and not word.endswith(".")]
    return len(words) > 1 and capitals and bool(whole)


def _cased(name: str) -> str:
    """Convert a name in capitals to title case: "NIDAL JARADAT" → "Nidal Jaradat"."""
    return name.title() if name.isupper() else name


def names_below(lines: list[str], title: str | None) -> list[str]:
    """Return the names in the rows below the title, or else below one of the first rows."""
    start = _after_title(lines, title)
    found = _names_from(lines[start : start + MAX_LINES]) if start else []
    for skipped in range(0 if found else min(SKIPPED, len(lines))):
        some = _names_from(lines[skipped : skipped + MAX_LINES])
        if len(some) > 1 and _plain(some[0]) not in _plain(title or ""):
            return some
    return found


def _names_from(lines: list[str]) -> list[str]:
    """Return the names in the first rows, up to the first row that has other text.

    A name may continue on the next row.
    """
    found: list[str] = []
    tail = ""  # unfinished name at the end of the previous row
    for line in lines:
        parts = _parts(line)
        if not parts:
            continue
        ended = bool(_LEADING.match(line)) or is_name(parts[0])
        if tail and not ended and is_name(f"{tail} {parts[0]}"):
            parts[0] = f"{tail} {parts[0]}"
        elif is_name(tail):
            found.append(tail)
        elif tail:
            break
        tail = ""
        *whole, last = parts
        most = 2 * sum(map(is_name, parts)) >= len(parts)
        if not all(is_name(part) or (most and _may_be_name(part)) for part in whole):
            break
        found += whole
        if not is_name(last) and not _may_be_name(last):
            break
        tail = last
    return [_cased(name) for name in ([*found, tail] if is_name(tail) else found)]


def _may_be_name(text: str) -> bool:
    """Return whether a text may be part of a name, or a name with misread letters."""
    rest = re.sub(rf"^{_INITIALS}", "", text)
    return len(text) < 30 and text[0].isupper() and not _OTHER.search(text) and "." not in rest


def _after_title(lines: list[str], title: str | None) -> int:
    """Return the number of lines up to the end of the title, 0 if the title is not found."""
    wanted = _plain(title or "")
    for number, line in enumerate(lines):
        own = _plain(line)
        if len(own) > 5 and wanted.endswith(own):
            return number + 1
    return 0
