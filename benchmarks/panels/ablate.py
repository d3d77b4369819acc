"""Measure the effect of each rule and number of the panel stage.

    python -m benchmarks.panels.ablate ../shared/bench --drawn 60 --seed 11

Numbers in the rule dataclasses are decreased and increased by 25 %, costs are also set to 0, and
rules are disabled one at a time. For the labelled figures of publishers that are not held out, for
typeset figures and for drawn ones, the table has the number of figures whose panels change, and the
change in found and superfluous boxes. Changes without an effect are listed below; remove them with
their rule, unless it guards against rare input.
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from types import ModuleType
from unittest import mock

from tqdm import tqdm

from benchmarks.panels.inputs import PanelInput, PanelSource, drawn, published, read, typeset
from benchmarks.panels.score import Score, load_normalizer, score_figure
from cephalo.dataset_scripts.pdf import (
    panel_boxes,
    panel_captions,
    panel_cuts,
    panel_gutters,
    panel_letters,
    panel_rules,
    panels,
)

STEPS = (0.75, 1.25)  # factors applied to a number
TOGETHER = 8  # changes tested together; few matter in a figure
SETS = ("published", "typeset", "drawn")
HOLDERS: dict[str, object] = {
    "panels": panels.RULES,
    "cuts": panel_rules.RULES,
    "letters": panel_letters.RULES,
    "captions": panel_captions.WEIGHTS,
}
# Costs, which are also set to 0.
COSTS = {
    "cuts": [
        *("lined", "through", "anchored", "left_out", "left_out_size", "off_corner", "size"),
        *("off_regular", "implied_gain", "unseen_gain", "edge_gain"),
    ],
    "captions": ["switch", "skipped", "seen"],
    "letters": ["aligned", "backwards"],
}
# Rules, and the replacements that disable them.
RULES: dict[str, tuple[ModuleType | type, str, object]] = {
    "black ground": (panel_boxes, "_dark_ground", lambda *_: None),
    "stray letter": (panel_boxes, "_stray", lambda *_: None),
    "frame around the whole": (panel_boxes, "_without_frame", lambda ink, _: ink),
    "plate": (panel_boxes, "find_plate", lambda *_: []),
    "names of rows and columns": (panel_cuts.Search, "without_labels", lambda _, rect: rect),
    "equal rows and columns": (panel_cuts.Search, "grid", lambda *_: None),
    "gutter through a panel": (panel_cuts.Search, "_parted", lambda *_: 0.0),
    "edges of pictures": (panel_gutters.Gutters, "_edges", lambda *_: []),
    "cuts that letters imply": (panel_gutters.Gutters, "_implied", lambda *_: []),
    "gutters beside letters": (panel_gutters.Gutters, "_beside_letters", lambda *_: set()),
    "gutters end at letters": (panel_gutters.Gutters, "_clear", lambda *given: given[-1]),
    "gutters in plots": (panel_gutters.Gutters, "_is_framed", lambda *_: False),
    "captions of panels": (panels, "_sub_captions", lambda _: []),
    "bracketed run": (panels, "_bracketed_run", lambda _: []),
    "overprinted run": (panels, "_overprinted_run", lambda *_: []),
    "drawn run": (panels, "_drawn_run", lambda *_: {}),
    "letters that a caption lacks": (panels, "_continued", lambda letters, _: letters),
    "drawn letters": (panels, "_drawn", lambda *_: {}),
    "order down columns": (panels, "_down_columns", panels._reading_order),
    "unordered marks": (panel_captions, "_unordered", lambda *_: None),
    "lead to the next mark": (panel_captions, "_without_next_lead", lambda share: share),
    "own sentences": (panel_captions, "_own_sentences", lambda share: share),
}


@dataclass(frozen=True)
class Change:
    """A disabled rule, or a modified number."""

    rule: str = ""
    holder: str = ""
    field: str = ""
    place: tuple[int, ...] = ()  # index of the number in a tuple
    value: float = 0.0

    def __str__(self) -> str:
        if self.rule:
            return f"without {self.rule}"
        place = "".join(f"[{index}]" for index in self.place)
        return f"{self.holder}.{self.field}{place} = {self.value:g}"


def main() -> None:
    """Print the table of effects, largest first, and the changes without an effect."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bench", type=Path, help="the benchmark: real/, wide/, typeset/, score.py")
    parser.add_argument("--drawn", type=int, default=60, help="number of drawn figures")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--only", default="", help="only changes with this text in their name")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    bench = options.bench
    sources = [*published(bench), *typeset(bench), *drawn(options.drawn, options.seed)]
    sources = [source for source in sources if source.set in options.sets]
    changes = [change for change in all_changes() if options.only in str(change)]
    work = partial(measure, changes=changes, bench=bench)
    with ProcessPoolExecutor(options.workers) as pool:
        found = list(tqdm(pool.map(work, sources), total=len(sources), desc="sources"))
    print(table(sources, changes, found))


def all_changes() -> list[Change]:
    """Return all changes: rules disabled, numbers decreased and increased, costs at 0."""
    found = [Change(rule=rule) for rule in RULES]
    for name, holder in HOLDERS.items():
        for field in fields(holder):
            for place, number in _numbers(getattr(holder, field.name)):
                values = [_scaled(number, factor) for factor in STEPS]
                if field.name in COSTS.get(name, ()):
                    values.append(0.0)
                found += [
                    Change("", name, field.name, place, value)
                    for value in values
                    if value != number
                ]
    return found


def _numbers(value: object, place: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], float]]:
    if isinstance(value, tuple):
        for index, part in enumerate(value):
            yield from _numbers(part, (*place, index))
    else:
        yield place, value


def _scaled(number: float, factor: float) -> float:
    """Return the number times the factor; an integer changes by at least one."""
    if isinstance(number, float):
        return number * factor
    step = max(1, round(abs(factor - 1) * number))
    return number + (step if factor > 1 else -step)


def _replaced(value: object, place: tuple[int, ...], new: float) -> object:
    if not place:
        return new
    first, rest = place[0], place[1:]
    return (*value[:first], _replaced(value[first], rest, new), *value[first + 1 :])


@contextmanager
def changed(changes: list[Change]) -> Iterator[None]:
    """Apply changes of rules."""
    with ExitStack() as stack:
        for change in changes:
            if change.rule:
                owner, name, new = RULES[change.rule]
                stack.enter_context(mock.patch.object(owner, name, new))
                if owner is panel_boxes and hasattr(panels, name):  # imported there
                    stack.enter_context(mock.patch.object(panels, name, new))
            else:
                holder = HOLDERS[change.holder]
                old = getattr(holder, change.field)
                stack.callback(object.__setattr__, holder, change.field, old)
                new = _replaced(old, change.place, change.value)
                object.__setattr__(holder, change.field, new)
        yield


def measure(
    source: PanelSource, changes: list[Change], bench: Path
) -> tuple[Score, dict[Change, tuple[int, Score]]]:
    """Return the score of a source, and the number of changed figures and the score per change."""
    norm = load_normalizer(bench)
    total = Score()
    effects: dict[Change, tuple[int, Score]] = {}
    for given in read(source):
        before = given.find()
        own = _score(given, before, norm)
        total.add(own)
        for change, after in find_different(given, before, changes):
            figures, score = effects.setdefault(change, (0, Score()))
            score.add(_score(given, after, norm) - own)
            effects[change] = figures + 1, score
    return total, effects


def _score(given: PanelInput, found: list[panels.Panel], norm) -> Score:
    row = {
        "panels": [
            {"letter": panel.letter, "bbox": panel.box, "caption": panel.caption} for panel in found
        ]
    }
    return score_figure(given.figure, given.caption, row, norm)[0]


def find_different(
    given: PanelInput, before: list[panels.Panel], changes: list[Change]
) -> Iterator[tuple[Change, list[panels.Panel]]]:
    """Yield the changes that make a difference to a figure alone, with its panels.

    Several are tested together, since most make none. If there is a difference, each half is
    tested.
    """
    queue = [changes[start : start + TOGETHER] for start in range(0, len(changes), TOGETHER)]
    while queue:
        tried = queue.pop()
        with changed(tried):
            after = given.find()
        if after == before:
            continue
        if len(tried) == 1:
            yield tried[0], after
        else:
            middle = len(tried) // 2
            queue += [tried[:middle], tried[middle:]]


def table(
    sources: list[PanelSource],
    changes: list[Change],
    found: list[tuple[Score, dict[Change, tuple[int, Score]]]],
) -> str:
    """Format scores of the sets and effects as Markdown, and list changes without an effect."""
    totals = {name: Score() for name in SETS}
    effects = {change: {name: (0, Score()) for name in SETS} for change in changes}
    for source, (total, own) in zip(sources, found, strict=True):
        totals[source.set].add(total)
        for change, (figures, score) in own.items():
            known, added = effects[change][source.set]
            added.add(score)
            effects[change][source.set] = known + figures, added
    heads = [f"{name}: {column}" for name in SETS for column in ("figures", "F1", "parts")]
    lines = [
        f"{name}: {total.boxes} boxes, F1 {total.box_f1:.3f}" for name, total in totals.items()
    ]
    lines += ["", f"| change | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]

    def size(change: Change) -> float:
        return max(abs(_gain(totals[name], effects[change][name][1])) for name in SETS)

    idle, same = [], []
    for change in sorted(changes, key=size, reverse=True):
        own = effects[change]
        if not any(figures for figures, _ in own.values()):
            idle.append(str(change))
            continue
        if not any(_matters(score) for _, score in own.values()):
            same.append(str(change))
            continue
        cells = []
        for name in SETS:
            figures, score = own[name]
            gain = _gain(totals[name], score)
            cells += [str(figures or ""), f"{gain:+.1f}" if gain else ""]
            cells.append(f"{score.right_parts:+d}" if score.right_parts else "")
        lines.append(f"| {change} | {' | '.join(cells)} |")
    lines += ["", f"Different boxes or parts with equal scores ({len(same)}): {', '.join(same)}"]
    lines += ["", f"No difference in any figure ({len(idle)}): {', '.join(idle)}"]
    return "\n".join(lines)


def _gain(total: Score, effect: Score) -> float:
    """Return the change of box F1 by an effect, in thousandths."""
    return 1000 * ((total + effect).box_f1 - total.box_f1)


def _matters(effect: Score) -> bool:
    counts = effect.matched, effect.predicted, effect.right_letters, effect.right_parts
    return any(counts)


if __name__ == "__main__":
    main()
