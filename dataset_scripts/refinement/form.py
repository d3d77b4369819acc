"""Checks of form: an answer is whole sentences of plain prose that make definite statements about
the image.

Each function takes a text and returns what is wrong with it, or None.
"""

import re

from cephalo.dataset_scripts.refinement.phrases import LONGEST, Phrases, lowered
from cephalo.dataset_scripts.refinement.words import content, stem

LONG = 9  # words; a text of so many is a sentence and must end as one
HEDGED, HEDGE_SHARE = 3, 0.06  # least points, in total and per word, of an answer that only hedges
EMPTY = 2  # distinct phrases of praise from which an answer is boilerplate
LEADING_WORDS = 25  # words; a longer answer may repeat its question
ECHO = 4  # words after "yes" that only repeat the question: "it is larger"
CONTAINED = 0.9  # share of an answer's words that its question contains

REFUSAL = Phrases(
    r"i(?:['\u2019]m| am)\s+(?:sorry|unable|not able|afraid)\b|i\s+(?:cannot"
    r"|can['\u2019]t|can not|won['\u2019]t)\b"
    r"|i\s+(?:would|['\u2019]d)\s+rather\s+not\b|i\s+apologi[sz]e|as an? (?:ai"
    r"|artificial intelligence|(?:large )?language model)\b"
    r"|(?:cannot|can['\u2019]t|unable to) (?:view|access|open|assist|help|answer|provide)\b"
    r"|no image (?:was|is|has been) (?:provided|attached|shown)\b"
    r"|(?:not|in)\s?(?:enough|sufficient|adequate) (?:information|details?|data|context"
    r"|resolution)\b"
    r"|(?:not|no[rt]?) (?:contain|provide|give|offer|show|hold|have|supply"
    r"|allow)\s+(?:for\s+)?(?:an?\s|the\s|any\s)?"
    r"(?:enough|sufficient|adequate|detail|information|statement|answer|resolution)"
    r"|lacks? (?:the |any |enough |sufficient )?(?:details?|information|resolution|context"
    r"|clarity)\b"
    r"|(?:not|im)\s?possible to (?:tell|say|determine|decide|judge|identify|answer"
    r"|establish|know)\b"
    r"|(?:cannot|can['\u2019]t|can not|could not) (?:really |reliably )?be (?:determined"
    r"|answered|told|inferred|ascertained|established"
    r"|judged|identified|deduced)\b(?: from| in| with| by|[;.,])"
    r"|beyond what (?:can|is|could)\b|too (?:blurry|blurred|dark|coarse|small"
    r"|unclear) to (?:say|tell|read|see|judge|decide)\b"
    r"|no (?:conclusions?|statement|answer)\b[^.]{0,60}\bcan be (?:drawn|made|given)\b"
    r"|not visible to me\b|please (?:provide|upload|attach|share|send|supply|consult)\b"
    r"|should be consulted\b"
    r"|(?:regrettably|unfortunately|sadly),? (?:this|the|i|we|it)\b(?=[^.]*\b(?:not|beyond"
    r"|unable|cannot|lack))",
)
_PEOPLE = (
    r"(?:authors?|researchers?|scientists?|investigators?|writers?|experimenters?"
    r"|experimentalists?)"
)
_SAYS = (
    r"(?:says?|said|states?|stated|mentions?|mentioned|describes?|described|reports?"
    r"|reported|notes?|noted|explains?"
    r"|explained|presents?|presented|discuss(?:es|ed)?|focus(?:es|ed)?|shows?|showed"
    r"|provides?|propos(?:es?|ed)|found"
    r"|finds?|concludes?|concluded|suggests?|suggested|argues?|argued|recommends?"
    r"|recommended|claims?|claimed|attributes?"
    r"|attributed|demonstrates?|demonstrated|points? out|pointed out|points|adds?|added"
    r"|lists?|listed|tells?|calls?|believes?"
    r"|puts? it|indicates?|considers?|hypothesi[sz]es?|reveals?|confirms?)"
)
_WRITING = (
    r"(?:paper|article|manuscript|publication|study|work|document|report|text"
    r"|source(?: material)?|investigation|research"
    r"|caption|legend|discussion|(?:experimental|method\w*|results?) section"
    r"|references?(?: given)?|abstract|passage|excerpt)"
)
META = Phrases(
    r"(?:the|this|its|figure) (?:figure )?(?:captions?|legends?(?: text)?\b(?! (?:at"
    r"|in the (?:upper|lower|top|bottom|corner)))|quotations?"
    r"|quoted \w+|excerpts?)\b(?! of)"
    r"|(?:provided|given|quoted|supplied|above|accompanying|surrounding) (?:text|caption"
    r"|context|information|description"
    r"|passages?|paragraphs?|discussion)\b|(?:provided|quoted|supplied) (?:material|figure"
    r"|document|data)\b"
    r"|information (?:supplied|provided|given)\b"
    r"|(?:according to|based on|stated in|described in|mentioned in|as per|in|by|of"
    r"|from) (?:the|this|that|their|our) (?:main )?"
    r"(?:text|caption|paper|article|study|publication|manuscript|source material|document"
    r"|author|context given)\b"
    r"(?! (?:of|is|was|sheet|fib))"
    rf"|so the text\b|(?:the|these|its|their) (?:\w+ )?{_PEOPLE}\b(?!['\u2019])"
    rf"|(?:the|this|their|our|its) (?:main |present |original |cited "
    rf"|whole )?{_WRITING} (?:also |then |further |clearly )?"
    rf"(?:is (?:an?|on|about)\b|are\b|{_SAYS}\b|does not\b|do not\b)"
    rf"|(?:the|their|this) (?:team|group|lab(?:oratory)?) {_SAYS}\b"
    rf"|we (?:have )?(?:{_SAYS})\b(?= (?:that|the|a|an|how|in|our|here))"
    r"|(?:in|from) (?:our|their|these) (?:experiments?|work|stud(?:y|ies)|publication"
    r"|paper|research|opinion)\b"
    r"|(?:our|their own) (?:experiments?|work|stud(?:y|ies)|results?|findings?|data"
    r"|measurements?)\b"
    r"|(?:is|are|was|were) (?:reported|described|discussed|stated|mentioned"
    r"|presented) in (?:this|the|that) (?:study|work|paper)\b"
    r"|as (?:explained|described|discussed|stated|mentioned|reported) in the (?:text"
    r"|accompanying|discussion|paper|study|main)\b"
    r"|(?:json|(?:my|these|the) instructions|training example)\b",
)
OBEYS = Phrases(
    r"as (?:instructed|requested|asked|ordered|you (?:wish(?:ed)?|ask(?:ed)?"
    r"|request(?:ed)?|want(?:ed)?))\b"
    r"|as (?:the|this|that|your) (?:hidden )?(?:note|text|picture|image|message"
    r"|request) (?:asks?|says|wants?|requests?|tells)\b"
    r"|(?:the|this|your|a) (?:kind|hidden|polite|friendly)? ?(?:note|request|message"
    r"|wish) (?:in|of|from|for)\b"
    r"|hidden (?:note|message|request|text)\b|in compliance with\b"
    r"|(?:positive|favou?rable|glowing) review\b|for acceptance\b|accept(?:ed"
    r"|ance)? without (?:changes|revision)\b"
    r"|(?:highest|top|best) (?:rating|score|mark)\b|five stars\b|(?:must"
    r"|should) (?:be )?cite[d]?\b"
    r"|(?:visit|see) (?:the|our|their|my) (?:web ?)?site\b|(?:buy|order|subscribe"
    r"|download)\b[^.]{0,40}\b(?:now|today|here)\b"
    r"|from now on\b|best (?:work|paper|study)\b[^.]{0,40}\bever\b|thank you for\b"
    r"|i (?:will|shall|have followed|recommend|confirm|comply|obey|rate|endorse|promise"
    r"|am happy|am glad|do as)\b",
    r"^\s*(?:gladly|certainly|of course|sure|with pleasure|absolutely|happily|understood"
    r"|no problem|okay|ok)\b\s*[,!:.]\s*"
    r"(?:i|here|as|this|you)\b",
)
MARKDOWN = re.compile(
    r"(?m)^\s{0,3}#{1,6}\s\S|^\s*[-*+•]\s+\S|^\s*\|.*\||\*\*[^*\n]+\*\*|(?<!\w)__[^_\n]+__(?!\w)"
    r"|(?<![\w*])\*[A-Za-z][^*\n]*[A-Za-z]\*(?![\w*])"
    r"|(?<![\w\\])_[A-Za-z][^_\n]*[A-Za-z]_(?!\w)|`[^`\n]+`"
    r"|\\[()\[\]]|&(?:nbsp|amp|lt|gt|quot|#\d+);"
    r"|\\(?:textbf|textit|emph|begin|item|section|mathrm|frac|text)\b|\$[^$\n]*[\\^_][^$\n]*\$"
)
MARKUP = re.compile(
    r"https?://|www\.\w|\]\(|</?[a-z][^<>]{0,200}>|<\||\|>|\[/?INST\]|```|\bdata:\w+/"
    r"|[\w.+-]+@[\w-]+\.\w{2,}|[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\ufffd]",
    re.IGNORECASE,
)
# Every match of MARKUP has one of these or "www.", and every match of MARKDOWN one of these or a
# "-" at the start of the text.
_OF_MARKUP = re.compile(r"[/\][<>|`@\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\ufffd]")
_OF_MARKDOWN = re.compile(r"[#*+•|_`\\&$\n]")
_NUMBERED = re.compile(r"(?m)^\s*\(?\d{1,2}[.)]\s+\S")
JSON = re.compile(
    r"^\s*[\[{]\s*[\"'{\[]|[\"'][\w ]+[\"']\s*:\s*(?:[\"'\[{]|\d|true|false|null)|\}\s*,\s*\{"
    r"|^\s*[\"']?(?:answer|question|description|reasoning|response)[\"']?\s*:\s|[\"'\]}]\s*\}\s*$",
    re.IGNORECASE,
)
_STRONG_HEDGE = Phrases(
    r"(?:hard|difficult|(?:not|un)\s?easy|not possible) to (?:say|tell|determine|know)\b"
    r"|i(?:['\u2019]m| am) not (?:sure|certain)\b|i (?:think|believe|guess|suppose)\b"
    r"|not sure\b"
    r"|(?:one|we|nobody) (?:cannot|can['\u2019]t|can only) (?:really |only )?(?:say|tell"
    r"|speculate|guess|know)\b"
    r"|(?:unclear|uncertain|anybody['\u2019]s guess)\b(?=\s*(?:;|,|\.|why|what|which|how"
    r"|whether))"
    r"|further (?:stud(?:y|ies)|research|work|investigations?|experiments) (?:is|are"
    r"|would be|will be)?\s?"
    r"(?:needed|required|necessary)\b"
    r"|(?:more|further|additional) (?:information|data|details?|context) (?:is|are|would be)"
    r" (?:needed|required|necessary)\b"
    r"|as far as (?:can|could) be (?:judged|told|seen)\b"
    r"|something (?:else|similar|of the kind)\b|a number of reasons\b"
    r"|(?:some )?other (?:factors?|effects?|explanations?|reasons?) (?:at work|too|are|may"
    r"|might|could|as well|involved)\b"
    r"|other factors\b",
)
_WEAK_HEDGE = Phrases(
    r"(?:may|might|could|perhaps|maybe|possibly|probably|presumably|potentially"
    r"|conceivabl[ey]|seemingly|supposedly|somewhat"
    r"|to some (?:extent|degree)|in some way|some role|(?:it )?seems?|or so)\b",
)
_PRAISE = Phrases(
    r"(?:valuable|useful|important|deep(?:er)?|key) (?:insights?|resource)\b"
    r"|deeper understanding\b"
    r"|comprehensive (?:overview|understanding|look|picture|view)\b"
    r"|visually (?:appealing|striking|engaging|represents?|illustrates?|demonstrates?)\b"
    r"|fascinating\b|showcas\w+"
    r"|it is (?:important|worth|interesting|crucial|essential) (?:to note|noting"
    r"|mentioning)\b|paves? the way\b"
    r"|(?:very|highly|most|quite|so) informative\b"
    r"|(?:insightful|compelling|remarkable work|nice and|eye-catching)\b"
    r"|(?:the|any) (?:readers?|viewers?|audience)\b"
    r"|excellent example\b|the power of\b|delv(?:e|es|ing)\b|sheds? light\b"
    r"|in conclusion\b"
    r"|plays? an? (?:crucial|vital|pivotal|significant|key) role\b"
    r"|highlights? the importance\b|serves? as a\b"
    r"|future research\b|promising\b|researchers and engineers\b|for everybody who\b"
    r"|good understanding\b"
    r"|complex interplay\b|effectively (?:illustrates|shows|demonstrates|conveys)\b"
    r"|interesting\b|quite remarkable\b",
)
_EVERYTHING = (
    r"(?:case|patient|system|material|situation|circumstance|condition|application|problem|person"
    r"|disease|species|purpose|device|sample|user|climate|environment)s?"
)
# No figure shows all of these; "this holds for all samples" can be read off one.
_NEVER_ALL = (
    r"(?:patient|situation|circumstance|application|person|disease|species|purpose|user|climate"
    r"|environment)s?"
)
_OVERCLAIM = Phrases(
    r"guarante(?:e[sd]?|ed|eing) (?:to|that|success|for|complete|absolute)\b"
    r"|(?:obsolete|superfluous forever|once and for all|for good(?=[.;!]|$)|revolutioni[sz]\w+)\b"
    r"|beyond (?:any|all|every|a) (?:\w+ )?doubt\b"
    r"|without (?:any |a )?(?:doubt|exception|side[- ]effects?|limit(?:ation)?s?|downsides?)\b"
    r"|(?:conclusively|definitively|irrefutabl[ey]|undeniabl[ey]|unquestionabl[ey]"
    r"|indisputabl[ey]|incontrovertibl[ey])\b"
    r"|(?:100|a hundred) ?(?:%|per ?cent) (?:effective|safe|reliable|certain|accura\w+|cure\w*)"
    r"|(?:completely|absolutely|perfectly|totally|entirely) (?:safe|harmless|risk[- ]free"
    r"|reliable|certain)\b"
    rf"|(?:in|for|of|under) (?:absolutely |literally )?(?:any|every|all(?: possible| known)?)"
    rf" (?:\w+ )?{_EVERYTHING} (?:whatsoever|on earth|in the world|everywhere|worldwide|at all)\b"
    rf"|(?:works?|cures?|solves?|succeeds?|holds?|applies|valid|optimal|best|ideal|suitable)"
    rf" (?:equally )?(?:well )?(?:in|for|of|under|to)? ?(?:any|every|all) (?:\w+ ){{0,2}}"
    rf"{_NEVER_ALL}\b"
    rf"|(?:cures?|heals?|prevents?|solves?|eliminates?) (?:\w+ ){{1,4}}(?:in|for|of|under) "
    rf"(?:any|every|all) (?:\w+ )?{_EVERYTHING}\b"
    r"|no (?:further|more|additional) (?:research|stud(?:y|ies)|tests?|testing|experiments?"
    r"|trials?|validation|work|improvement|proof) (?:is|are|will be|would be) (?:\w+ )?"
    r"(?:needed|required|necessary|possible)\b"
    r"|no other (?:\w+ ){1,3}(?:can|could|will|would) ever\b"
    r"|(?:superior|better|preferable) (?:to|than) (?:all|every|any) (?:other )?(?:known|existing"
    r"|conventional|conceivable|possible|other)\b"
    r"|(?:will|can|could) (?:soon |now |therefore )?(?:replace|eradicate|eliminate|cure) "
    r"(?:all|every|any)\b"
    r"|can never (?:fail|be (?:surpassed|beaten|improved|wrong))\b"
    r"|never (?:fails?|again)\b|world['\u2019]s (?:best|first|most)\b"
    r"|(?:best|strongest|fastest|most \w+) (?:\w+ ){1,3}(?:ever (?:made|found|built|reported"
    r"|measured)|in the world|of all times?)\b"
    r"|prov(?:es?|en|ed|ing) (?:\w+ )?(?:for all times?|universally|that (?:all|every|any|no)\b)"
    r"|universal(?:ly valid)? (?:law|truth|cure|remedy|solution)\b|miracle\b",
)
# "It is not proven beyond doubt" is no overclaim.
_DENIED = re.compile(
    r"\b(?:not|no|nor|cannot|can['\u2019]t|never|hardly|neither|without|whether|if|unless"
    r"|rather than|far from|n['\u2019]t|does|do)\b[^.;]{0,40}$",
    re.IGNORECASE,
)
_LAST_WORD = 12  # characters; at least as many as the longest word that `_DANGLING` looks for
_END = re.compile(r"[.!?…][\"'”\u2019)\]]*\s*$")
_DANGLING = re.compile(
    r"(?:[:,;(\u2013\u2026-]|\.\.\.)\s*$"
    r"|\b(?:the|a|an|of|in|into|onto|to|from|with|by|for|at|on|and|or|but|that|which|is|are"
    r"|was|were|be|been|not|as|than"
    r"|because|since|while|when|where|its|their|this|these|has|have|can|may|will|between"
    r"|through|towards?|via|per|all)\s*$",
    re.IGNORECASE,
)
_AGREES = re.compile(
    r"^\s*(?:yes|no|indeed|correct|right|exactly|true|certainly)\b[,.:;!\s]*", re.IGNORECASE
)
_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
_NEUTRAL = frozenset(map(stem, ["called", "composed", "shown", "seen", "image", "figure", "panel"]))


def cut_off(text: str) -> str | None:
    """Return the end of a text that stops within a sentence or a word, or None."""
    tail = max(0, len(text.rstrip()) - _LAST_WORD)
    if _DANGLING.search(text, tail) or (len(text.split()) >= LONG and not _END.search(text)):
        return f"ends with “{text[-60:].strip()}”"
    return None


def markup(text: str) -> str | None:
    """Return the first link, address, HTML, control token or control character in a text, or
    None."""
    if not _OF_MARKUP.search(text) and "www." not in lowered(text):
        return None
    match = MARKUP.search(text)
    return match.group()[:LONGEST] if match else None


def markdown(text: str) -> str | None:
    """Return the first heading, list, table, emphasis or LaTeX in a text, or None."""
    signs = _OF_MARKDOWN.search(text) or text.lstrip().startswith("-")
    match = MARKDOWN.search(text) if signs else None
    if not match and len(_NUMBERED.findall(text)) > 1:
        match = _NUMBERED.search(text)
    return match.group()[:80].strip() if match else None


def only_hedges(text: str) -> str | None:
    """Return the hedges of a text with hardly any definite statement, or None."""
    strong, weak = _STRONG_HEDGE.all_in(text), _WEAK_HEDGE.all_in(text)
    points = 2 * len(strong) + len(weak)
    if points >= HEDGED and points >= HEDGE_SHARE * len(text.split()):
        return ", ".join([*strong, *weak][:5])
    return None


def praise(text: str) -> str | None:
    """Return phrases of a text that would fit any image, or None."""
    found = list(dict.fromkeys(map(str.casefold, _PRAISE.all_in(text))))
    return ", ".join(found[:4]) if len(found) >= EMPTY else None


def overclaim(text: str) -> str | None:
    """Return the first claim of a certainty or generality that no single figure supports, or
    None."""
    for start, end in _OVERCLAIM.places(text):
        if not _DENIED.search(text, max(0, start - 60), start):
            return text[start:end]
    return None


def in_question(question: str, answer: str) -> str | None:
    """Return why an answer adds nothing to its question, or None."""
    said = _AGREES.sub("", answer)
    words = content(said) - _NEUTRAL
    numbers = set(_DIGITS.findall(said)) - set(_DIGITS.findall(question))
    if not words or len(said.split()) > LEADING_WORDS or numbers:
        return None
    if "?" in question and _offers(question):
        return None
    agreed = said != answer and len(said.split()) <= ECHO
    if len(words & content(question)) >= CONTAINED * len(words) and (len(words) > 1 or agreed):
        return f"the question says so already: {said[:60]}"
    return None


def _offers(question: str) -> bool:
    """Return whether a question offers alternatives to choose from: "a or b?"."""
    return bool(re.search(r"\b(?:or|than|more|compared|rather)\b", question) and " or " in question)
