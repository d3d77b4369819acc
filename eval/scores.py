"""Score answers: a table with one row per answer, and measures over such tables.

A measure is a function of the table, so intervals come from resampling rows, and two models are
compared on the same resamples (intervals.py). No answer is excluded: one that cannot be parsed
counts as wrong.
"""

# Untyped or partially typed: sacrebleu and rouge_score.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# pyright: reportPrivateImportUsage=false

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from cephalo.cli.errors import CephaloError
from cephalo.eval.parsing import choice_in, normal, number_in, vector_in

Measure = Callable[[np.ndarray], np.ndarray]

YES_NO = ("yes", "no")
LETTERS = tuple("ABCDEFGH")
RELATIVE_TOLERANCE = 0.05  # of "relaxed accuracy" (Masry et al., ChartQA, 2022)
ANLS_LIMIT = 0.5  # below, similarity counts as 0 (Biten et al., ST-VQA, 2019)


@dataclass(frozen=True)
class Scores:
    """`table`: (n, k) float64. A measure maps tables (..., n, k) to numbers (...)."""

    table: np.ndarray
    measures: dict[str, Measure]
    errors: np.ndarray  # (n,): error of each answer, 0 for a correct one
    parsed: np.ndarray  # (n,) bool: whether the answer could be parsed
    correct: np.ndarray | None = None  # (n,) bool, if answers are either right or wrong
    components: list[str] = field(default_factory=list)
    """Names of vector components. The table's first columns are the references, the next the
    predictions."""


def vector_regression(
    predictions: Sequence[str], references: Sequence[str], components: Sequence[str] | None = None
) -> Scores:
    """Score answers such as "[0.12, 0.34, 0.56]": R², MAE, MSE, RMSE and MAPE by component.

    An answer that is not a vector of the right length is replaced, for each component, by the end
    of the range of references that is farther from its own reference: the largest possible error
    within the range of the data. The mean of the references would cost nothing in R², and a distant
    number would dominate it. MAPE excludes references that are 0. Raises CephaloError if a
    reference is not a vector.
    """
    width = len(components) if components else reference_width(references)
    components = list(components or (f"component_{number}" for number in range(width)))
    truths = [vector_in(reference, width) for reference in references]
    if None in truths:
        row = truths.index(None)
        raise CephaloError(
            f"answer {references[row]!r} of row {row} is not a vector of {width} numbers; "
            "choose rows with --where or another --task"
        )
    truth = np.array(truths, dtype=float).reshape(-1, width)
    found = [vector_in(prediction, width) for prediction in predictions]
    parsed = np.array([vector is not None for vector in found])
    low, high = truth.min(axis=0), truth.max(axis=0)
    farther = np.where(truth - low > high - truth, low, high)
    filled = [far if vector is None else vector for vector, far in zip(found, farther, strict=True)]
    predicted = np.array(filled, dtype=float).reshape(-1, width)
    spread = np.where(truth.std(axis=0) > 0, truth.std(axis=0), 1.0)
    measures: dict[str, Measure] = {
        f"{name}/{component}": partial(measure, truth=number, prediction=width + number)
        for name, measure in REGRESSION.items()
        for number, component in enumerate(components)
    }
    return Scores(
        np.hstack([truth, predicted, parsed[:, None]]),
        measures | {"parsed": partial(column_mean, column=2 * width)},
        (abs(predicted - truth) / spread).mean(axis=1),
        parsed,
        components=components,
    )


def reference_width(references: Sequence[str]) -> int:
    """Return the length of the first reference. Raises CephaloError if it is not a vector."""
    for width in range(1, 65):
        if vector_in(references[0], width):
            return width
    raise CephaloError(
        f"the answer {references[0][:80]!r} is not a vector such as [0.1, 0.2]; choose "
        "another --task"
    )


def mean_squared(table: np.ndarray, truth: int, prediction: int) -> np.ndarray:
    """Return the mean squared error of two columns."""
    return ((table[..., prediction] - table[..., truth]) ** 2).mean(axis=-1)


def r_squared(table: np.ndarray, truth: int, prediction: int) -> np.ndarray:
    """Return the coefficient of determination; nan if the references are constant."""
    variance = table[..., truth].var(axis=-1)
    error = mean_squared(table, truth, prediction)
    return 1 - np.divide(error, variance, out=np.full_like(error, np.nan), where=variance > 0)


def mean_absolute(table: np.ndarray, truth: int, prediction: int) -> np.ndarray:
    """Return the mean absolute error of two columns."""
    return abs(table[..., prediction] - table[..., truth]).mean(axis=-1)


def root_mean_squared(table: np.ndarray, truth: int, prediction: int) -> np.ndarray:
    """Return the root of the mean squared error of two columns."""
    return np.sqrt(mean_squared(table, truth, prediction))


def mean_percentage(table: np.ndarray, truth: int, prediction: int) -> np.ndarray:
    """Return the mean absolute error relative to the reference, as a fraction, over nonzero
    references."""
    size = abs(table[..., truth])
    error = abs(table[..., prediction] - table[..., truth])
    share = np.divide(error, size, out=np.full_like(error, np.nan), where=size > 0)
    counted = (size > 0).sum(axis=-1)
    total = np.nansum(share, axis=-1)
    return np.divide(total, counted, out=np.full_like(total, np.nan), where=counted > 0)


REGRESSION: dict[str, Callable[..., np.ndarray]] = {
    "r2": r_squared,
    "mae": mean_absolute,
    "mse": mean_squared,
    "rmse": root_mean_squared,
    "mape": mean_percentage,
}


def classification(
    predictions: Sequence[str], references: Sequence[str], choices: Sequence[str] | None = None
) -> Scores:
    """Score by accuracy, macro-averaged F1 and, for yes/no questions, F1 of "yes".

    `choices` are yes and no, or letters, depending on the references. An answer that names no
    choice, or several, is wrong: a false negative of its class and no false positive of another.
    """
    choices = choices or (YES_NO if choice_in(references[0], YES_NO) else LETTERS)
    truths = [choice_in(reference, choices) for reference in references]
    if None in truths:
        row = truths.index(None)
        raise CephaloError(
            f"answer {references[row][:80]!r} of row {row} is none of {', '.join(choices)}; "
            "choose rows with --where or another --task"
        )
    found = [choice_in(prediction, choices) for prediction in predictions]
    table = np.hstack([one_hot(truths, choices), one_hot(found, choices)])
    correct = np.array([one == other for one, other in zip(truths, found, strict=True)])
    measures: dict[str, Measure] = {
        "accuracy": partial(accuracy, classes=len(choices)),
        "f1": partial(macro_f1, classes=len(choices)),
        "parsed": partial(any_of, first=len(choices)),
    }
    if "yes" in choices:
        measures["f1_yes"] = lambda table: class_f1(table, len(choices))[..., choices.index("yes")]
    parsed = np.array([choice is not None for choice in found])
    return Scores(table, measures, 1.0 - correct, parsed, correct)


def one_hot(names: Sequence[str | None], choices: Sequence[str]) -> np.ndarray:
    """Return (n, choices): 1 if a name is the choice."""
    return np.array([[float(name == choice) for choice in choices] for name in names])


def accuracy(table: np.ndarray, classes: int) -> np.ndarray:
    """Return the share of rows whose halves have the same class."""
    return (table[..., :classes] * table[..., classes:]).sum(axis=-1).mean(axis=-1)


def class_f1(table: np.ndarray, classes: int) -> np.ndarray:
    """Return F1 of every class, (..., classes); nan for a class without references and answers."""
    true, named = table[..., :classes], table[..., classes:]
    both = (true * named).sum(axis=-2)
    total = true.sum(axis=-2) + named.sum(axis=-2)
    return np.divide(2 * both, total, out=np.full_like(total, np.nan), where=total > 0)


def macro_f1(table: np.ndarray, classes: int) -> np.ndarray:
    """Return the mean of F1 over the classes with references or answers."""
    return np.nanmean(class_f1(table, classes), axis=-1)


def any_of(table: np.ndarray, first: int) -> np.ndarray:
    """Return the share of rows with a 1 from column `first` on."""
    return table[..., first:].max(axis=-1).mean(axis=-1)


def column_mean(table: np.ndarray, column: int) -> np.ndarray:
    """Return the mean of a column."""
    return table[..., column].mean(axis=-1)


def answer_match(predictions: Sequence[str], references: Sequence[str]) -> Scores:
    """Score short answers to visual questions: the same text, the same number within 5 %, or
    similar.

    `exact`: equal without case, articles and punctuation. `relaxed`: equal, or numbers within 5 %
    (relaxed accuracy). `anls`: normalized Levenshtein similarity, 0 if below 0.5.
    """
    from rapidfuzz.distance import Levenshtein

    rows = []
    for prediction, reference in zip(predictions, references, strict=True):
        said, true = normal(prediction), normal(reference)
        same = said == true
        value, truth = number_in(prediction), number_in(reference)
        close = (
            value is not None
            and truth is not None
            and abs(value - truth) <= RELATIVE_TOLERANCE * abs(truth)
        )
        alike = Levenshtein.normalized_similarity(said, true)
        rows.append([same, same or close, alike if alike >= ANLS_LIMIT else 0.0])
    table = np.array(rows, dtype=float)
    names = ("exact", "relaxed", "anls")
    measures = {name: partial(column_mean, column=number) for number, name in enumerate(names)}
    parsed = np.array([bool(prediction.strip()) for prediction in predictions])
    return Scores(table, measures, 1 - table[:, 2], parsed, table[:, 1] > 0)


def captions(predictions: Sequence[str], references: Sequence[str]) -> Scores:
    """Score captions by corpus BLEU and mean chrF from sacrebleu (0 to 100), mean ROUGE-1 and -L (0
    to 1)."""
    try:
        from rouge_score.rouge_scorer import RougeScorer
        from sacrebleu.metrics import BLEU, CHRF
    except ImportError as error:
        raise CephaloError(
            "captions need more packages; run: pip install 'cephalo[eval]'"
        ) from error
    bleu, chrf = BLEU(effective_order=True), CHRF()
    rouge = RougeScorer(["rouge1", "rougeL"], use_stemmer=True)
    rows = []
    for prediction, reference in zip(predictions, references, strict=True):
        counts = bleu.sentence_score(prediction, [reference])
        overlap = rouge.score(reference, prediction)
        rows.append(
            [
                chrf.sentence_score(prediction, [reference]).score,
                *(overlap[name].fmeasure for name in ("rouge1", "rougeL")),
                *(counts.sys_len, counts.ref_len, *counts.counts, *counts.totals),
            ]
        )
    table = np.array(rows, dtype=float)
    names = ("chrf", "rouge1", "rougeL")
    measures: dict[str, Measure] = {
        name: partial(column_mean, column=number) for number, name in enumerate(names)
    }
    parsed = np.array([bool(prediction.strip()) for prediction in predictions])
    return Scores(table, measures | {"bleu": corpus_bleu}, 100 - table[:, 0], parsed)


def corpus_bleu(table: np.ndarray) -> np.ndarray:
    """Return BLEU of all captions together, from their summed counts (columns 3 on of
    `captions`)."""
    from sacrebleu.metrics import BLEU

    sums = table[..., 3:].sum(axis=-2)
    scores = [
        BLEU.compute_bleu(
            correct=[int(count) for count in row[2:6]],
            total=[int(count) for count in row[6:10]],
            sys_len=int(row[0]),
            ref_len=int(row[1]),
            smooth_method="exp",  # as sacrebleu's corpus score
        ).score
        for row in sums.reshape(-1, sums.shape[-1])
    ]
    return np.array(scores).reshape(sums.shape[:-1])


METRICS: dict[str, Callable[..., Scores]] = {
    "vector_regression": vector_regression,
    "classification": classification,
    "answer_match": answer_match,
    "captions": captions,
}
"""The values of `cephalo eval --task`; eval/metrics has each as a module of `evaluate`."""
