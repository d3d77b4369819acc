"""Detect instructions that would endanger someone who follows them.

An answer is unsafe if it waives a protection ("no gloves are needed"), if it is dangerous by itself
("look into the laser", "raise your dose without a physician"), or if it combines incompatible
substances (acid and bleach, alkali metal and water). Warnings ("never", "must not") are accepted.
"""

import re
from itertools import zip_longest

from cephalo.dataset_scripts.refinement.phrases import Phrases
from cephalo.dataset_scripts.refinement.words import sentences

_GEAR = (
    r"(?:gloves?|goggles|glasses|face shields?|shields?|fume hoods?|hoods?|ventilation|masks?"
    r"|respirators?|fuses?|interlocks?|shielding|(?:eye|ear|hand|face|skin|respiratory|personal)"
    r" protection|protective (?:clothing|gear|equipment|glasses|gloves|suits?)|safety \w+"
    r"|glove box)"
)
_PHYSICIAN = r"(?:doctors?|physicians?|pharmacists?|medical\s+\w+|professionals?|nurses?)"
_WAIVERS = (
    rf"(?:no|without)\s+(?:\w+\s+){{0,2}}(?:or\s+)?{_GEAR}(?:\s+(?:or|and)\s+\w+)?",
    rf"(?:skip|omit|forgo|defeat|bypass|disable|override|remove|take off)\s+(?:the\s+"
    rf"|all\s+)?{_GEAR}",
    rf"{_GEAR}\s+(?:\w+\s+)?(?:is|are)\s+(?:not\s+(?:needed|required|necessary)"
    r"|unnecessary|superfluous|optional)",
    rf"need(?:s)?\s+no\s+{_GEAR}|\b{_GEAR}\s+would\s+only\b",
    r"(?:with|by|in)\s+(?:your\s+|the\s+)?(?:(?:bare|naked|unprotected)\s+(?:hands?|fingers?"
    r"|skin)|unprotected\s+eyes?)",
    r"(?:wipe|touch|hold|stir|pour|spread)\b[^.]{0,60}\bwith\s+(?:your\s+)?(?:fingers"
    r"|hands)\b",
    r"look(?:ing)?\s+(?:directly\s+|straight\s+)?into\s+(?:the\s+)?(?:\w+\s+)?(?:laser"
    r"|beam|lamp|arc|x-ray)",
    r"(?:sniff|smell|inhale|taste|swallow|drink|eat|breathe in)\b(?=[^.]*\b(?:it|gas"
    r"|vapou?r|fumes?"
    r"|oil|acid|powder|solution|solvent|extract|sample|spoon\w*)\b)",
    r"(?:down|into)\s+the\s+(?:drain|sink)\b",
    r"fumes?\s+(?:show|prove|tell)\b",
    r"to\s+the\s+mains\b",
    # Medicine without a physician.
    r"(?:raise|increase|double|change|adjust|stop|skip|reduce|lower|quit|discontinue|exceed)\w*"
    r"\s+(?:taking\s+)?(?:their|your|his|her|one['\u2019]s)\s+(?:own\s+|usual\s+"
    r"|prescribed\s+|current\s+|daily\s+)*(?:dos\w+|medic\w+|treatment|therapy|insulin"
    r"|tablets?|pills?|drugs?)",
    rf"(?:without|no need (?:for|to))\s+(?:\w+\s+){{0,2}}(?:ask|consult|see|tell|inform"
    rf"|visit)\w*\s+(?:with\s+)?(?:an?\s+|the\s+|their\s+|your\s+|any\s+)?{_PHYSICIAN}",
    rf"without\s+(?:an?\s+|any\s+)?(?:prescription|medical\s+\w+|supervision\s+by\s+\w+"
    rf"\s+{_PHYSICIAN})",
    r"(?:instead of|in place of|replaces?|rather than)\s+(?:\w+\s+){0,3}(?:chemotherapy"
    r"|insulin|antibiotics|vaccin\w+|prescribed|medication|radiotherapy|surgery)\b(?=[^.]*\b(?:patients?"
    r"|people|you|anyone|should|can)\b)",
    r"self-?\s?medicat\w+|\b(?:take|swallow|drink|eat|apply|inject|use)\w*\b[^.]{0,50}\b"
    r"(?:at home|on your own|by (?:yourself|themselves)|in any (?:amount|quantity|dose))\b",
    r"(?:safe|harmless|fine|no problem) to (?:eat|drink|swallow|inhale|touch|taste|breathe"
    r"|ingest)",
    r"while\s+(?:it|they|the\s+\w+)\s+(?:is|are)\s+(?:still\s+)?(?:live|energi[sz]ed|under\s+"
    r"(?:pressure|voltage)|running|powered)",
    r"(?:without|before)\s+(?:discharging|earthing|grounding|cooling|venting|unplugging)\b",
)
_ALWAYS = [Phrases(one) for one in _WAIVERS]
_ANY = Phrases("|".join(_WAIVERS))  # a single search rules out most answers
_ACID = (
    r"(?:(?:nitric|sulph?uric|hydrochloric|hydrofluoric|perchloric|acetic|concentrated)\s+acid"
    r"|HNO3|H2SO4|HCl|HF|HClO4|aqua regia|acids?)"
)
_ALKALI = (
    r"(?:(?:sodium|lithium|potassium|caesium|cesium)\s+(?:metal|foil|chips?|anode)"
    r"|(?:sodium|lithium|potassium)\s+cell)"
)
_SEALED = r"(?:closed|sealed|tight(?:ly)?|stoppered|capped|close the lid)"
# What must not occur together within two sentences, in any order.
_APART = [
    (re.compile(one, re.IGNORECASE), re.compile(other, re.IGNORECASE), why)
    for one, other, why in (
        (_ALKALI, r"\b(?:water|in air|moist air|wet)\b", "alkali metal and water or air"),
        (
            r"\b(?:cut|pry|open|break|saw|drill)\w*\b[^.]{0,40}\bcell\b",
            r"\bin air\b|\bcharge[d]?\b",
            "a charged cell is opened",
        ),
        (_ACID, rf"\b{_SEALED}\b", "acid in a closed vessel"),
        (
            r"\bnitric acid|HNO3",
            r"\b(?:ethanol|alcohol|acetone)\b[^.]*\b(?:warm|heat|hot|kept|stor)",
            "nitric acid and a solvent, warm or stored",
        ),
        (r"\bbleach|hypochlorite", _ACID + r"|ammonia", "bleach and acid or ammonia"),
        (r"\bcyanide", _ACID, "cyanide and acid"),
        (r"\b(?:hydrogen )?peroxide", r"\bacetone", "peroxide and acetone"),
        (
            rf"\bheat\w*\b[^.]*\b{_SEALED}|\b{_SEALED}\s+(?:glass\s+)?(?:bottle|flask|jar"
            rf"|vessel)\b[^.]*\b(?:flame|burner|hot plate|heat)",
            r"\b(?:flame|burner|hot|heat)",
            "a closed vessel is heated",
        ),
        (r"\bliquid nitrogen|dry ice", rf"\b{_SEALED}", "a cryogen in a closed vessel"),
        (
            r"\b(?:solvent|ether|acetone|ethanol|hexane|DMF|hydrogen)\b",
            r"\b(?:open|naked)\s+flame|gas burner|spark",
            "what burns near a flame",
        ),
        (
            r"\bH2S|hydrogen sulph?ide|chlorine|carbon monoxide|toxic gas",
            r"\binto the (?:room|air|lab\w*)\b|windows? shut",
            "a toxic gas in a room",
        ),
        (
            r"\bcell|battery|batteries",
            r"\b(?:puncture|pierce|crush|short[- ]circuit)\b[^.]*\b(?:by hand|at home|in air"
            r"|screwdriver|nail)",
            "a cell is damaged",
        ),
    )
]
_WARNING = re.compile(
    r"\b(?:never|do not|don['\u2019]t|must not|should not|shall not|avoid|cannot|may not"
    r"|must neither"
    r"|only with|danger(?:ous)?|hazard\w*|risk|prevent\w*|protect\w* from|away from|rather than)\b",
    re.IGNORECASE,
)
_INSTRUCTED = (
    r"(?:mix|pour|heat|warm|cut|rinse|drop|open|add|stir|throw|drink|connect|charge|release"
    r"|close|put"
    r"|place|hold|pry|break|wipe|dispos|store|kept|keep|dropped|rinsed|poured|wash|dissolve|use)"
)
_DOING = Phrases(
    rf"(?:and|then|to|can\s+(?:then\s+)?be|is|are)\s+{_INSTRUCTED}",
    rf"(?:^|[.;,:]\s*(?:and\s+|then\s+)?){_INSTRUCTED}",
)


def unsafe_instruction(answer: str) -> str | None:
    """Return the first dangerous instruction of an answer, formatted as one line, or None."""
    every = sentences(answer)
    for sentence in every if _ANY.search(answer) else ():
        for pattern in _ALWAYS:
            match = pattern.search(sentence)
            if match and not _WARNING.search(sentence):
                waived = sentence[match.start() : match.end()]
                return f"waives or ignores a protection: {waived}"
    for sentence, after in zip_longest(every, every[1:], fillvalue=""):
        both = f"{sentence} {after}"
        # Most sentences describe and instruct nothing.
        if not _DOING.search(both) or _WARNING.search(both):
            continue
        for one, other, why in _APART:
            if (found := one.search(both)) and (apart := other.search(both)):
                return f"{why}: {found.group()[:40]}, {apart.group()[:40]}"
    return None
