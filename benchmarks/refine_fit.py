"""Fit the weights that detect answers about another figure of the paper, on labelled answers.

    python -m benchmarks.refine_fit ANSWERS.jsonl FIGURES --out runs/weights.json

ANSWERS.jsonl and FIGURES are those of `benchmarks.refine_checks`; answers of the kind
"other_figure" are the positive examples, all others the negative ones. Fit on other answers than
those used to score the checks. Without --out, the weights of the package are replaced.
"""

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.extraction.logistic import solve
from benchmarks.refine_checks import extracted, talk_of, with_sources
from cephalo.dataset_scripts.refinement import belonging
from cephalo.dataset_scripts.refinement.words import subject

Example = tuple[dict[str, float], bool]  # features, and whether the answer is about another figure

KIND = "other_figure"
# Kinds that are rejected for their form, independent of the figure.
OF_NO_FIGURE = {"boilerplate", "hedge", "injection", "json", "language", "refusal"}
# On squared weights; both classes have equal weight, and an example 1 on average.
PENALTY = 0.5
DIGITS = 2  # of the weights; a third one changes no decision
WEIGHTS = Path(belonging.__file__).with_name("weights.json")


def main(
    answers: Annotated[Path, typer.Argument(help="Labelled answers, one JSON object a line.")],
    figures: Annotated[Path, typer.Argument(help="PDF files, or what `cephalo extract` wrote.")],
    out: Annotated[Path, typer.Option(help="File of the weights.")] = WEIGHTS,
) -> None:
    """Fit the weights and write them."""
    labelled = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        found = examples(labelled, extracted(labelled, figures, Path(folder)))
    try:
        weights = fit(found)
    except ValueError as error:
        raise SystemExit(f"{answers}: {error}") from error
    out.write_text(json.dumps({KIND: weights}, indent=1) + "\n", encoding="utf-8")
    print(f"{len(found)} answers, {sum(one for _, one in found)} of another figure → {out}")


def examples(labelled: list[dict[str, Any]], figures: Path) -> list[Example]:
    """Return the examples among labelled answers: those whose papers have other figures."""
    found = []
    for answer, source in with_sources(labelled, figures):
        if source.others and answer["kind"] not in OF_NO_FIGURE:
            turns = talk_of(answer).turns
            asked = subject(" ".join(turn.question for turn in turns))
            said = subject(" ".join(turn.answer for turn in turns))
            own, *others = belonging.figure_words(source.passages, source.others)
            best = belonging.nearest(said, asked, others)
            found.append((belonging.features(said, asked, own, best), answer["kind"] == KIND))
    return found


def fit(found: list[Example]) -> dict[str, float]:
    """Return the weight of each feature, and the bias.

    Raises ValueError if all answers are of one class.
    """
    y = np.array([other for _, other in found], float)
    if not 0 < y.sum() < len(y):
        raise ValueError(f"answers of kind {KIND!r}, and others, are needed to fit")
    names = list(found[0][0])
    x = np.array([[*features.values(), 1.0] for features, _ in found])
    share = np.where(y > 0, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    *weights, bias = solve(x, y, share, PENALTY).round(DIGITS).tolist()
    return {"bias": bias} | dict(zip(names, weights, strict=True))


if __name__ == "__main__":
    typer.run(main)
