"""Words that say a direction: which way, and of what."""

# Words with a direction, up and down, by what they are a direction of. An amount can be that of a
# speed, a strength or a size ("a higher rate", "a faster rate"); other kinds are not compared.
_KINDS = {
    "amount": (
        """positive increase increases increased increasing rise rises rising rose risen raise
        raises raised raising grow grows growing grew grown higher highest larger largest
        greater greatest more enhance enhances enhanced enhancing improve improves improved
        improving gain gains promote promotes promoted promoting boost boosts boosted high
        large elevated exceed exceeds exceeded facilitate facilitates facilitated
        surpass surpasses surpassed outperforms climb climbs climbed climbing ascends ascended
        soars soared surges surged heightens heightened doubles doubled triples tripled
        growth enhancement improvement""",
        """negative decrease decreases decreased decreasing fall falls falling fell fallen drop
        drops dropped dropping decline declines declined declining lower lowest lowers
        lowered lowering reduce reduces reduced reducing smaller smallest less least fewer
        diminish diminishes diminished repress represses repressed
        shrink shrinks shrank suppress suppresses suppressed
        inhibit inhibits inhibited hinder hinders hindered prevent prevents low small impede
        impedes deteriorate deteriorates deteriorated
        lessen lessens lessened plunges plunged plummets plummeted descends descended
        halves halved reduction""",
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

# Adjectives that say a direction only of what they are said of: "the rate is high".
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

# Nouns that say a direction with "in" only: "a reduction in mass", but "the reduction of CO2".
WITH_IN = frozenset(["growth", "enhancement", "improvement", "reduction"])
