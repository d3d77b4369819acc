"""Training examples for pairing: choices of sides for the captions of a page.

The ground truth is the boxes of a set in the format of the benchmark. A choice is correct as far as
the graphics assigned to each caption cover the true box.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from benchmarks.extraction.examples import Paper
from cephalo.dataset_scripts.common.geometry import Box, iou, union
from cephalo.dataset_scripts.pdf.captions import Caption, find_captions
from cephalo.dataset_scripts.pdf.labels import kind_of, match_label, number_of
from cephalo.dataset_scripts.pdf.pairing import claims, groups, side_shares
from cephalo.dataset_scripts.pdf.regions import build_scene
from cephalo.dataset_scripts.pdf.sight import Problem, choice_features, owners

SAME = 0.7  # smallest intersection over union of boxes of one figure
MOST = 400  # choices of a group of captions; larger groups are skipped
PENALTY = 0.5  # on squared weights


@dataclass(frozen=True)
class Choices:
    """The choices for some captions: features of each, and whether it is correct."""

    features: list[dict[str, float]]
    right: list[bool]
    sides: list[dict[int, str | None]]
    kinds: list[str]


def read_boxes(path: Path) -> dict[tuple[int, str, str], Box]:
    """Return the boxes of a truth file, by page, kind and number of the label."""
    data = json.loads(path.read_text(encoding="utf-8"))
    found = {}
    for item in [*data["figures"], *data.get("tables", [])]:
        match = match_label(item.get("label") or "")
        if match and item.get("bbox") and item.get("page") is not None:
            key = item["page"], kind_of(match), number_of(match)
            found[key] = tuple(item["bbox"])
    return found


def page_choices(paper: Paper, boxes: dict, prior: dict[str, float]) -> Iterator[Choices]:
    """Yield the choices on every page of a paper with upright captions and a true box."""
    pages = [text.page for text in paper.texts]
    captions = find_captions(pages, [t.blocks for t in paper.texts], paper.texts[0].profile)
    for page, own in zip(pages, captions, strict=True):
        if page.quarters or not any(number == page.number for number, _, _ in boxes):
            continue
        problem = Problem(build_scene(page, own, paper.texts[0].profile), own, prior)
        for group in groups(problem):
            options = [problem.options(k) for k in group]
            if 1 < np.prod([len(option) for option in options]) <= MOST:
                yield _choices(problem, group, options, boxes, page.number)


def _choices(problem: Problem, group: list[int], options, boxes: dict, page: int) -> Choices:
    found, good, chosen = [], [], []
    for sides in product(*options):
        choice = dict(zip(group, sides, strict=True))
        owner = owners(problem, choice)
        total: Counter[str] = Counter()
        for k, side in choice.items():
            total.update(choice_features(problem, k, side, owner))
        whole = [choice.get(k) for k in range(len(problem.captions))]
        given = claims(problem, whole)
        good.append(
            sum(
                _fits(problem, k, given[k], _true_box(problem.captions[k], boxes, page))
                for k in group
            )
        )
        found.append(dict(total))
        chosen.append(choice)
    most = max(good)
    right = [value == most and most > 0 for value in good]
    return Choices(found, right, chosen, [problem.captions[k].kind for k in group])


def _true_box(caption: Caption, boxes: dict, page: int) -> Box | None:
    number = caption.number.removeprefix("sup").removeprefix("ext")
    return boxes.get((page, caption.kind, number))


def _fits(problem: Problem, index: int, atoms: list[int], box: Box | None) -> bool:
    """Return whether a caption's graphics cover its true box, or are empty if it has none here."""
    if box is None or not atoms:
        return box is None and not atoms
    return iou(union([problem.scene.atoms[k].box for k in atoms]), box) > SAME


def fit_pairs(papers: list[Paper]) -> dict[str, float]:
    """Fit the weights of "pairs": correct choices against all others (conditional logit)."""
    data: list[Choices] = []
    for paper in papers:
        boxes = read_boxes(paper.truth)
        if not boxes:
            continue
        first = list(page_choices(paper, boxes, {}))
        sides = Counter(
            side
            for choices in first
            if any(choices.right)
            for side in choices.sides[choices.right.index(True)].values()
            if side
        )
        data += page_choices(paper, boxes, side_shares(sides)) if sides else first
    return _fit(data)


def _fit(data: list[Choices]) -> dict[str, float]:
    names = sorted({name for choices in data for row in choices.features for name in row})
    column = {name: k for k, name in enumerate(names)}
    blocks = []
    for choices in data:
        if not any(choices.right) or all(choices.right):
            continue
        x = np.zeros((len(choices.features), len(names)))
        for k, row in enumerate(choices.features):
            for name, value in row.items():
                x[k, column[name]] = value
        blocks.append((x, np.array(choices.right)))

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = PENALTY * (w @ w), 2 * PENALTY * w
        for x, right in blocks:
            z = x @ w
            every, good = logsumexp(z), logsumexp(z[right])
            value += every - good
            slope = slope + x.T @ np.exp(z - every) - x[right].T @ np.exp(z[right] - good)
        return value, slope

    w = minimize(loss, np.zeros(len(names)), jac=True, method="L-BFGS-B").x
    right = sum(bool(y[int((x @ w).argmax())]) for x, y in blocks)
    print(f"pairs: {len(blocks)} groups of captions, {right} right")
    return {"bias": 0.0} | {name: round(float(w[k]), 3) for name, k in column.items()}
