"""Short answers to visual questions: exact, within 5 % for numbers, and ANLS.

    evaluate.load("eval/metrics/answer_match").compute(predictions=[...], references=[...])

Each measure comes as {"value", "low", "high"}, a bootstrap interval of 95 %.
"""

import datasets
import evaluate

from cephalo.eval.intervals import intervals
from cephalo.eval.scores import answer_match

CITATION = "Cephalo, arXiv 2405.19076"
DESCRIPTION, _, INPUTS = (__doc__ or "").partition("\n\n")


class AnswerMatch(evaluate.Metric):
    """`cephalo.eval.scores.answer_match` as a metric of `evaluate`."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(  # pyright: ignore[reportIncompatibleMethodOverride]  # as metrics of evaluate do
        self, predictions: list[str], references: list[str]
    ) -> dict[str, dict[str, float | None]]:
        return intervals(answer_match(predictions, references))
