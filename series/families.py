"""Model families and the features that the tests have shown for them.

The tests write `families.json` (`pytest --write-families`), and a run of the tests fails if it
lists a feature that they do not show.
"""

import json
from pathlib import Path

COLUMN = 6  # characters of a column of the table
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
    "refine": "`cephalo refine --teacher`: conversations that pass the checks",
}


def read_shown() -> dict[str, list[str]]:
    """Return the features that the tests showed, by family."""
    return json.loads(SHOWN.read_text(encoding="utf-8"))


def families_table() -> str:
    """Return a table for a terminal of 80 columns: one line per family, one column per feature, and
    their descriptions."""
    shown = read_shown()
    width = max(map(len, shown))
    # Names of features are longer than their columns, so every other one is on a second line.
    heads = [
        "".join(name.center(2 * COLUMN) for name in list(FEATURES)[start::2]) for start in (0, 1)
    ]
    lines = [" " * (width - COLUMN // 2) + heads[0], " " * (width + COLUMN // 2) + heads[1]]
    for family, features in shown.items():
        cells = (("yes" if name in features else "-").center(COLUMN) for name in FEATURES)
        lines.append(family.ljust(width) + "".join(cells))
    lines += ["", *(f"{name}: {meaning}" for name, meaning in FEATURES.items())]
    return "\n".join(line.rstrip() for line in lines)
