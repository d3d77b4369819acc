"""Words that express a direction (more or less, faster or slower), and when they do."""

import re
from functools import lru_cache

from cephalo.dataset_scripts.refinement.words import Word

# Words with a direction, up and down, by quantity. An amount can be that of a speed, a strength or
# a size ("a higher rate", "a faster rate"); other kinds are not compared with each other.
_KINDS = {
    "amount": (
        """positive increase increases increased increasing rise rises rising rose risen raise
        raises raised raising grow grows growing grew grown higher highest larger largest
        greater greatest more enhance enhances enhanced enhancing improve improves improved
        improving gain gains promote promotes promoted promoting boost boosts boosted high
        large elevated exceed exceeds exceeded facilitate facilitates facilitated
        surpass surpasses surpassed outperforms climb climbs climbed climbing ascends ascended
        soars soared surges surged heightens heightened doubles doubled triples tripled
        growth enhancement improvement
        upregulate upregulates upregulated upregulation elevate elevates elevation
        stimulate stimulates stimulated amplify amplifies amplified""",
        """negative decrease decreases decreased decreasing fall falls falling fell fallen drop
        drops dropped dropping decline declines declined declining lower lowest lowers
        lowered lowering reduce reduces reduced reducing smaller smallest less least fewer
        diminish diminishes diminished repress represses repressed
        shrink shrinks shrank suppress suppresses suppressed
        inhibit inhibits inhibited hinder hinders hindered prevent prevents low small impede
        impedes deteriorate deteriorates deteriorated
        lessen lessens lessened plunges plunged plummets plummeted descends descended
        halves halved reduction
        downregulate downregulates downregulated downregulation attenuate attenuates attenuated
        attenuation abolish abolishes abolished curtails dips dipped slumps slumped""",
    ),
    "speed": (
        "faster fastest quicker "
        "quickly fast rapid rapidly accelerate accelerates accelerated sooner earlier",
        "slower slowest slow slows "
        "slowed slowly sluggish retard retards retarded delay delays later",
    ),
    "strength": (
        "stronger strongest strong strengthen strengthens intense severe severely",
        "weaker weakest weak weaken weakens faint",
    ),
    "size": (
        """coarser coarsen coarsens coarsened coarse coarsest thicker thickest thick thickens
        thickened wider widest wide widens widened broader broad longer longest long lengthens
        lengthened deeper deep deepens deepened swell swells""",
        """finer finest fine refine refines refined thinner thinnest thin narrower narrowest narrow
        narrows narrowed shorter shortest short shortens shortened shallower""",
    ),
    "density": ("denser dense compact", "sparser sparse porous loose looser"),
    "shape": ("symmetrical symmetric sharper sharp", "asymmetrical asymmetric blunt broadened"),
    "quality": ("better best", "worse worst poorer poor"),
    "stability": (
        "stable intact retain retains retained retaining maintain maintains maintained keep keeps "
        "kept durable reversible",
        "unstable metastable decay decays decayed fade fades faded lose loses lost collapse "
        "collapses vanish vanishes vanished disappear disappears disappeared irreversible",
    ),
    "hardness": (
        "hard harder hardest harden hardens brittle stiff stiffer",
        "soft softer softest soften softens ductile compliant",
    ),
    "polarization": (
        "depolarizes depolarises depolarized depolarised depolarize depolarise",
        "hyperpolarizes hyperpolarises hyperpolarized hyperpolarised hyperpolarize hyperpolarise",
    ),
    "success": ("satisfy satisfies satisfied meet meets met", "fail fails failed"),
    "order": ("ordered crystalline regular", "disordered amorphous irregular random"),
    "uniformity": ("homogeneous uniform uniformly evenly", "inhomogeneous heterogeneous unevenly"),
    "sensitivity": ("sensitive susceptible", "insensitive resistant"),
}
SIGNS = {
    word: (kind, sign)
    for kind, both in _KINDS.items()
    for sign, text in zip((1, -1), both, strict=True)
    for word in text.split()
}

# Adjectives that express a direction only as a predicate: "the rate is high".
POSITIVE = frozenset(
    [
        "high",
        "low",
        "large",
        "small",
        "fast",
        "slow",
        "strong",
        "weak",
        "thick",
        "thin",
        "wide",
        "narrow",
        "long",
        "short",
        "coarse",
        "fine",
        "deep",
        "dense",
        "hard",
        "soft",
        "sharp",
        "broad",
        "intense",
        "severe",
        "rapid",
        "compact",
        "porous",
        "loose",
        "stable",
        "unstable",
        "symmetrical",
        "asymmetrical",
        "homogeneous",
        "uniform",
        "ordered",
        "sensitive",
        "poor",
        "positive",
        "negative",
    ]
)

# Nouns that can be positive or negative.
EFFECTS = frozenset(
    [
        *("impact", "impacts", "effect", "effects", "influence", "influences", "correlation"),
        *("correlations", "association", "associations", "relationship", "relation", "trend"),
        *("feedback", "slope"),
    ]
)

# Nouns that express a direction only with "in": "a reduction in mass", but "the reduction of CO2".
WITH_IN = frozenset(["growth", "enhancement", "improvement", "reduction"])

DEGREE = {"more": 1, "most": 1, "less": -1, "least": -1}
AIM_REACH = 60  # characters before a word that may mark it as a purpose
# "To increase the yield" states a purpose, not that the yield increases.
_AIMS = re.compile(
    r"\b(?:develop|design|us|appl|add|aim|propos|introduc|need|requir|order|want|tr|attempt|intend)"
    r"\w*\s(?:\w+\s){0,4}to\s$",
    re.IGNORECASE,
)
_ADJECTIVE = re.compile(
    r"(?:[ae]nt|ive|ous|ful|[ai]ble|ic|al|ed|ory|some|oxic"
    r"|^even|^open|^clear|^clean|^pure|^rough|^smooth|^round|^safe|^common|^complex|^precise)$"
)
_SAID_OF = re.compile(
    r"\b(?:is|are|was|were|be|been|becomes?|became|remain(?:s|ed)?|stays?|stayed|gets?"
    r"|appears?|seems?|looks?)\s+"
    r"(?:\w+\s+){0,3}(?:\w+\s+and\s+)?$",
    re.IGNORECASE,
)


def plain(word: str) -> str:
    """Return a word without the hyphen of "up-regulated"."""
    return word.replace("-", "") if word.startswith(("up-", "down-")) else word


@lru_cache(maxsize=100_000)
def can_direct(word: str) -> bool:
    """Return whether a word can express a direction."""
    word = plain(word.lower())
    return word in SIGNS or word in DEGREE


def says_direction(clause: str, found: tuple[Word, ...], place: int) -> bool:
    """Return whether the word at `place` of a clause expresses a direction: "slow" in "the slow
    ramp" is a name."""
    word = plain(found[place].text.lower())
    start = found[place].start
    if _AIMS.search(clause, max(0, start - AIM_REACH), start):
        return False
    if word in ("positive", "negative") and place + 1 < len(found):
        return found[place + 1].text.lower() in EFFECTS or bool(_SAID_OF.search(clause, 0, start))
    if word in DEGREE and place + 1 < len(found):  # "less potent" is not less of anything
        following = found[place + 1]
        adjective = _ADJECTIVE.search(following.text) and following.text.lower() not in SIGNS
        if adjective and clause[start:].startswith(f"{found[place].text} {following.text}"):
            return False
    if word in WITH_IN and not clause.startswith(" in ", start + len(word)):
        return False
    if word not in POSITIVE:
        return word in SIGNS
    compared = bool(place) and found[place - 1].text.lower() in DEGREE
    return compared or bool(_SAID_OF.search(clause, 0, start))
