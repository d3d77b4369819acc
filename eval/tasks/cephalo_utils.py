"""Functions of the lmms-eval tasks beside this file. They need `pip install cephalo[eval]`."""

from typing import TYPE_CHECKING

from PIL import Image

from cephalo.cli.rows import Row
from cephalo.eval.scores import Scores, captions, classification, vector_regression
from cephalo.inference.images import open_image

if TYPE_CHECKING:
    from datasets import Dataset

STRESS = ["stress_stdev", "stress_mean", "stress_median"]
ENERGY = ["energy_peratom_std_dev", "energy_peratom_mean", "energy_peratom_median"]


def images(doc: Row) -> list[Image.Image]:
    """Return the images of a row."""
    found = doc["images"] if "images" in doc else [doc["image"]]
    return [open_image(image) for image in found]


def question(doc: Row, lmms_eval_specific_kwargs: dict[str, object] | None = None) -> str:
    """Return the text of a row's question."""
    return doc["query"]


def stress_rows(rows: "Dataset") -> "Dataset":
    """Select the rows that ask for the statistics of the von Mises stress."""
    return rows.filter(
        lambda task: task == "CalculateVonMisesStressStatistics", input_columns="task"
    )


def energy_rows(rows: "Dataset") -> "Dataset":
    """Select the rows that ask for the statistics of the strain energy."""
    return rows.filter(
        lambda task: task == "CalculatePotentialEnergyStatistics", input_columns="task"
    )


def crack_rows(rows: "Dataset") -> "Dataset":
    """Select the rows that ask whether a crack starts."""
    return rows.filter(lambda task: task == "CrackInitiation", input_columns="task")


def stress_results(doc: Row, results: list[str]) -> dict[str, tuple[str, str]]:
    """Return the answer and the truth, for every measure of `cephalo_stress.yaml`."""
    return dict.fromkeys([f"r2_{name}" for name in STRESS], (results[0], doc["answer"]))


def energy_results(doc: Row, results: list[str]) -> dict[str, tuple[str, str]]:
    """Return the answer and the truth, for every measure of `cephalo_energy.yaml`."""
    return dict.fromkeys([f"r2_{name}" for name in ENERGY], (results[0], doc["answer"]))


def crack_results(doc: Row, results: list[str]) -> dict[str, tuple[str, str]]:
    """Return the answer and the truth, for every measure of `cephalo_crack.yaml`."""
    return dict.fromkeys(["accuracy", "f1"], (results[0], doc["answer"]))


def caption_results(doc: Row, results: list[str]) -> dict[str, tuple[str, str]]:
    """Return the answer and the truth, for every measure of `cephalo_captions.yaml`."""
    return dict.fromkeys(["bleu", "chrf", "rougeL"], (results[0], doc["answer"]))


def value(scores: Scores, measure: str) -> float:
    """Return one measure of all rows."""
    return float(scores.measures[measure](scores.table))


def r2_stdev(items: list[tuple[str, str]]) -> float:
    """Return R² of the first number: the standard deviation."""
    return value(vector_regression(*zip(*items, strict=True)), "r2/component_0")


def r2_mean(items: list[tuple[str, str]]) -> float:
    """Return R² of the second number: the mean."""
    return value(vector_regression(*zip(*items, strict=True)), "r2/component_1")


def r2_median(items: list[tuple[str, str]]) -> float:
    """Return R² of the third number: the median."""
    return value(vector_regression(*zip(*items, strict=True)), "r2/component_2")


def accuracy(items: list[tuple[str, str]]) -> float:
    """Return the share of right answers."""
    return value(classification(*zip(*items, strict=True)), "accuracy")


def f1(items: list[tuple[str, str]]) -> float:
    """Return macro-averaged F1."""
    return value(classification(*zip(*items, strict=True)), "f1")


def bleu(items: list[tuple[str, str]]) -> float:
    """Return corpus BLEU."""
    return value(captions(*zip(*items, strict=True)), "bleu")


def chrf(items: list[tuple[str, str]]) -> float:
    """Return mean chrF."""
    return value(captions(*zip(*items, strict=True)), "chrf")


def rouge_l(items: list[tuple[str, str]]) -> float:
    """Mean F of ROUGE-L."""
    return value(captions(*zip(*items, strict=True)), "rougeL")
