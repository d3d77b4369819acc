"""Figures that consist of text: listings, grammars, derivations, algorithms."""

from random import Random

from benchmarks.papers.languages import SHARED
from benchmarks.papers.markup import quoted, to_typst

_CODE = [
    "def relax(cell, steps):",
    "    for step in range(steps):",
    "        force = model(cell)",
    "        cell.move(force, dt=0.5)",
    "        if force.max() < 1e-3:",
    "            break",
    "    return cell",
    "energy = relax(cell, 200)",
    "print(energy.mean(), energy.std())",
    "grid = [k * h for k in range(n)]",
    "while error > tolerance:",
    "    error = update(grid)",
]
_RULES = [
    ("alloy", "element | alloy '+' element"),
    ("phase", "'alpha' | 'beta' | phase '/' phase"),
    ("route", "step | step ';' route"),
    ("step", "'heat' number unit | 'hold' number unit | 'quench'"),
    ("unit", "'K' | 'min' | 'MPa'"),
    ("number", "digit | digit number"),
    ("sample", "'(' alloy ',' route ')'"),
]
_EQUATIONS = [
    "sigma = E epsilon + k dot(epsilon)^m",
    "D = D_0 exp(-Q / (R T))",
    "(partial c) / (partial t) = nabla dot (D nabla c)",
    "K_c = Y sigma sqrt(pi a)",
    "Delta G = Delta H - T Delta S",
    "J = -L_(11) nabla mu_1 - L_(12) nabla mu_2",
    "integral_0^t f(s) dif s = sum_(k=1)^n w_k f(s_k)",
]


def listing(kind: str, rng: Random) -> str:
    """Return Typst markup of a text figure: listing, grammar, equations or algorithm."""
    if kind == "equations":
        lines = rng.sample(_EQUATIONS, rng.randint(2, 5))
        return "#set block(spacing: 0.8em)\n" + "\n".join(f"$ {line} $" for line in lines)
    if kind == "grammar":
        rules = rng.sample(_RULES, rng.randint(3, len(_RULES)))
        cells = ", ".join(f"emph({quoted(name)}), [::=], {quoted(rule)}" for name, rule in rules)
        return f"#grid(columns: 3, column-gutter: 6pt, row-gutter: 5pt, align: left, {cells})"
    if kind == "algorithm":
        steps = [
            f"{k}. {rng.choice(SHARED.steps)} of the {rng.choice(SHARED.leaves)}"
            for k in range(1, rng.randint(5, 10))
        ]
        return "#align(left)[" + " #linebreak() ".join(to_typst(step) for step in steps) + "]"
    start = rng.randint(0, 4)
    code = _CODE[start : start + rng.randint(5, 8)]
    return f"#align(left, raw(block: true, {quoted(chr(10).join(code))}))"
