"""Vectors in answers such as "[0.12, 0.34]": R², MAE, MSE, RMSE and MAPE by component.

    evaluate.load("eval/metrics/vector_regression").compute(predictions=[...], references=[...])

Each measure comes as {"value", "low", "high"}, a bootstrap interval of 95 %.
"""

import datasets
import evaluate

from cephalo.eval.intervals import intervals
from cephalo.eval.scores import vector_regression

CITATION = "Cephalo, arXiv 2405.19076"
DESCRIPTION, _, INPUTS = (__doc__ or "").partition("\n\n")


class VectorRegression(evaluate.Metric):
    """`cephalo.eval.scores.vector_regression` as a metric of `evaluate`."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(  # pyright: ignore[reportIncompatibleMethodOverride]  # as metrics of evaluate do
        self,
        predictions: list[str],
        references: list[str],
        components: list[str] | None = None,
    ) -> dict[str, dict[str, float | None]]:
        return intervals(vector_regression(predictions, references, components))
