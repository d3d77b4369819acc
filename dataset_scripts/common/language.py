"""Detect texts in another language than the required one, by script and stop words.

Answers are short, so the share of stop words is more reliable than letter statistics. A text
without any stop word ("Large, first class pores.") is accepted.
"""

import re
import unicodedata
from collections import Counter
from functools import cache, lru_cache

FEWEST = 2  # stop words of another language that a text must have
# Share of letters in another script from which a text is in a language of that script.
SCRIPT_SHARE = 0.3

# The most frequent words of each language; those shared with others are ignored.
STOP_WORDS = {
    "en": "the of and a in to is that it for as with are by on be this from at which or an was "
    "not have has its than more between into their these when each while both where so "
    "because how what why does do they can but one two most other all only after if there",
    "de": "der die das und in den von zu mit sich des auf für ist im dem nicht ein eine als "
    "auch es an werden aus er hat dass sie nach wird bei einer um am sind noch wie einem "
    "über einen so zum war haben nur oder aber vor zur bis mehr durch man sein wurde "
    "zeigen zeigt",
    "fr": "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se "
    "ce il sont la avec son aux d l qu cette ont mais comme ou si leur y dont elle être "
    "deux ces ses tandis lorsque à",
    "es": "de la que el en y a los se del las un por con no una su para es al lo como más o "
    "pero sus le ha me si sin sobre este ya entre cuando todo esta ser son dos también "
    "fue había muy hasta desde está entre",
    "it": "di e il la che in a un è per una sono del con non si da le dei al come i nel lo alla "
    "più della ma gli delle o anche se dal su ai questo nella tra qual quale mentre "
    "essere ha",
    "pt": "de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi "
    "ao ele das tem à seu sua ou ser quando muito há nos já está também só pelo pela até "
    "isso entre quais sem",
    "nl": "de van een het en in is dat op te zijn met voor niet aan er die om door bij ook als "
    "uit maar dan nog naar tot over deze wordt worden of hoe verandert tussen meer toe",
    "pl": "w i na z się do nie to jest o jak po że za od przez co dla tym są ale oraz przy "
    "który która które był jego między",
    "sv": "och i att det som en på är av för med till den har de inte om ett men var sig så "
    "från vid kan nu efter upp då också mellan",
    "tr": "ve bir bu da de için ile çok daha olarak olan gibi en kadar sonra ise ne ya her değil",
}
# Scripts, by the first word of a character's Unicode name, and the languages that use them.
SCRIPTS = {
    "CJK": {"zh", "ja"},
    "HIRAGANA": {"ja"},
    "KATAKANA": {"ja"},
    "HANGUL": {"ko"},
    "CYRILLIC": {"ru", "uk", "bg", "sr"},
    "ARABIC": {"ar", "fa", "ur"},
    "HEBREW": {"he"},
    "DEVANAGARI": {"hi", "mr", "ne"},
    "THAI": {"th"},
}
KNOWN = frozenset(STOP_WORDS).union(*SCRIPTS.values())
_SETS = {language: frozenset(words.split()) for language, words in STOP_WORDS.items()}


@cache
def _others_of(wanted: str) -> dict[str, frozenset[str]]:
    """Return the stop words of each language that are not stop words of `wanted`."""
    return {language: stops - _SETS[wanted] for language, stops in _SETS.items()}


@lru_cache(maxsize=4096)
def _script_of(letter: str) -> str:
    """Return the script of a letter from its Unicode name: "LATIN", "CJK", ..."""
    return unicodedata.name(letter, "?").split()[0].split("-")[0]


def _scripts_of(text: str) -> list[str]:
    """Return the scripts, of SCRIPTS, in which a text is written, by the share of its letters."""
    if text.isascii():
        return []
    letters = [character for character in text if character.isalpha()]
    counts = Counter(map(_script_of, letters))
    return [script for script in SCRIPTS if counts[script] > SCRIPT_SHARE * len(letters)]


def language_of(text: str) -> str | None:
    """Return the language of a text (ISO 639-1) by its stop words, or by its script if that
    determines it.

    None if no language has more stop words than the others.
    """
    if scripts := _scripts_of(text):
        languages = SCRIPTS[scripts[0]]
        return next(iter(languages)) if len(languages) == 1 else None
    words = re.findall(r"[^\W\d_]+", text.lower())
    counts = Counter({name: sum(word in own for word in words) for name, own in _SETS.items()})
    (first, most), (_, next_most) = counts.most_common(2)
    return first if most >= FEWEST and most > next_most else None


def wrong_language(text: str, wanted: str) -> str | None:
    """Return a one-line reason if a text is in another language than `wanted` (ISO 639-1), else
    None."""
    for script in _scripts_of(text):
        if wanted not in SCRIPTS[script]:
            return f"letters are {script.title()}, the language wanted is {wanted}"
    if wanted not in _SETS:
        return None
    words = re.findall(r"[^\W\d_]+", text.lower())
    distinct = frozenset(words)
    for language, stops in _others_of(wanted).items():
        if len(stops & distinct) < FEWEST:
            continue
        others = [word for word in words if word in stops]
        own = sum(word in _SETS[wanted] for word in words)
        if len(others) > 2 * own:
            return f"{', '.join(others[:4])}: words of {language}, the language wanted is {wanted}"
    return None
