"""Model families and the features that the tests have shown for them.

The tests write `families.json` (`pytest --write-families`), and a run of the tests fails if it
lists a feature that they do not show.
"""

import json
from pathlib import Path

SHOWN = Path(__file__).with_name("families.json")
FEATURES = {
    "packing": "conversations share a sequence; loss and gradients are those row by row",
    "trained": "a run, stopped and resumed, remembers its answers",
    "reloaded": "saved, and loaded in another process",
    "pushed": "pushed to a Hub and pulled from it",
    "merged": "layers of two models stacked, saved and loaded",
    "mixture": "a mixture of experts, saved and loaded",
    "chat": "`cephalo chat`: several images, several turns, thoughts apart",
    "serve": "`cephalo serve`: the same",
    "discuss": "`cephalo discuss`: the same, in a panel whose report it writes",
    "refine": "`cephalo refine --teacher`: conversations about figures that pass the checks",
}


def read_shown() -> dict[str, list[str]]:
    """Return the features that the tests showed, by family."""
    return json.loads(SHOWN.read_text(encoding="utf-8"))


def families_table() -> str:
    """Return a table for the terminal: one line per family, one column per feature, and their
    descriptions."""
    shown = read_shown()
    width = max(map(len, shown))
    lines = [" " * width + "".join(f"  {feature}" for feature in FEATURES)]
    for family, features in shown.items():
        cells = (("yes" if name in features else "-").center(len(name)) for name in FEATURES)
        lines.append((family.ljust(width) + "".join(f"  {cell}" for cell in cells)).rstrip())
    lines += ["", *(f"{name}: {meaning}" for name, meaning in FEATURES.items())]
    return "\n".join(lines)
