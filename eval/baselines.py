"""Baselines for the plates dataset, on the same rows and with the same measures as a model.

    python -m cephalo.eval.baselines --dataset plates/ --out runs/baselines

Rows are the questions of `python -m cephalo.dataset_scripts.plates` about stress and about cracks,
where yes is 1 and no is 0. Each baseline learns from the train split and writes its answers as
text, so that it is scored as a model is:

- mean: the mean of train, or the more frequent of yes and no, ignoring the image; - porosity:
linear in the void fraction; - porosity and stiffness: cubic in that and the mean stiffness of the
solid; - nearest image: the answer of the most similar training image, a measure of memorization; -
CNN: a convolutional network trained on the numbers directly.
"""

# Untyped or partially typed: scipy and torch.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations_with_replacement, pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from scipy.spatial import KDTree
from torch import nn
from tqdm import tqdm

from cephalo.cli.files import write_whole
from cephalo.cli.logs import no_bars
from cephalo.eval.answers import Answer
from cephalo.eval.parsing import vector_in
from cephalo.eval.questions import (
    Question,
    QuestionSource,
    hub_revision,
    load_questions,
    rows_sha256,
)
from cephalo.eval.report import write_report
from cephalo.eval.results import Evaluated, build_results
from cephalo.eval.scores import Scores, classification, vector_regression
from cephalo.inference.images import open_image

app = typer.Typer(rich_markup_mode=None, add_completion=False)

SIDE = 64  # pixels of the CNN's input
SMALL_SIDE = 16  # pixels of the images for the nearest image
COMPONENTS = ["stress_stdev", "stress_mean", "stress_median"]

Arrays = tuple[np.ndarray, np.ndarray]  # images (n, SIDE, SIDE) from 0 to 1, numbers (n, k)
Baseline = Callable[[Arrays, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class PlateTask:
    """Rows of the conversations, the metric of `cephalo eval` for them, and the conversions from
    answers to numbers and back."""

    where: str
    metric: str
    scores: Callable[[Sequence[str], Sequence[str]], Scores]
    read: Callable[[str], Sequence[float] | None]
    write: Callable[[np.ndarray], str]


TASKS = {
    "stress": PlateTask(
        "task=CalculateVonMisesStressStatistics",
        "vector_regression",
        partial(vector_regression, components=COMPONENTS),
        lambda answer: vector_in(answer, len(COMPONENTS)),
        lambda numbers: f"[{', '.join(f'{number:.3f}' for number in numbers)}]",
    ),
    "crack": PlateTask(
        "task=CrackInitiation",
        "classification",
        classification,
        lambda answer: [float(answer == "yes")],
        lambda numbers: "yes" if numbers[0] > 0.5 else "no",
    ),
}


def arrays(questions: Sequence[Question], task: PlateTask) -> Arrays:
    """Return images as relative stiffness, and the true numbers."""
    images = []
    for question in questions:
        image = open_image(io.BytesIO(question.images[0])).convert("L")
        small = image.resize((SIDE, SIDE), Image.Resampling.BOX)
        images.append(1 - np.asarray(small, dtype=np.float32) / 255)
    numbers = [task.read(question.answer) for question in questions]
    return np.stack(images), np.array(numbers, dtype=np.float32)


def mean(train: Arrays, images: np.ndarray) -> np.ndarray:
    """Return the mean of train for every image, (n, k)."""
    return np.broadcast_to(train[1].mean(axis=0), (len(images), train[1].shape[1]))


def porosity(train: Arrays, images: np.ndarray) -> np.ndarray:
    """Predict by a linear fit in the void fraction."""
    return polynomial(train, images, [void_share], degree=1)


def porosity_and_stiffness(train: Arrays, images: np.ndarray) -> np.ndarray:
    """Predict by a cubic fit in the void fraction and the mean stiffness of the solid."""
    return polynomial(train, images, [void_share, solid_stiffness], degree=3)


def void_share(images: np.ndarray) -> np.ndarray:
    """Return the share of pixels without material, (n,)."""
    return (images < 0.02).mean(axis=(1, 2))


def solid_stiffness(images: np.ndarray) -> np.ndarray:
    """Return the mean relative stiffness of the solid, (n,)."""
    return images.sum(axis=(1, 2)) / (images >= 0.02).sum(axis=(1, 2)).clip(min=1)


def polynomial(
    train: Arrays,
    images: np.ndarray,
    measures: Sequence[Callable[[np.ndarray], np.ndarray]],
    degree: int,
) -> np.ndarray:
    """Predict by least squares on all products of up to `degree` measures."""

    def terms(of: np.ndarray) -> np.ndarray:
        columns = [np.ones(len(of)), *(measure(of) for measure in measures)]
        products = combinations_with_replacement(columns, degree)
        return np.stack([np.prod(product, axis=0) for product in products], axis=1)

    weights, *_ = np.linalg.lstsq(terms(train[0]), train[1], rcond=None)
    return terms(images) @ weights


def nearest_image(train: Arrays, images: np.ndarray) -> np.ndarray:
    """Return the numbers of the most similar image of train, by the distance of small copies."""

    def small(of: np.ndarray) -> np.ndarray:
        block = SIDE // SMALL_SIDE
        parts = of.reshape(len(of), SMALL_SIDE, block, SMALL_SIDE, block)
        return parts.mean(axis=(2, 4)).reshape(len(of), -1)

    _, places = KDTree(small(train[0])).query(small(images))
    return train[1][places]


def cnn(train: Arrays, images: np.ndarray, epochs: int = 6) -> np.ndarray:
    """Train a residual network of 1.2 million parameters with random flips, and predict."""
    torch.manual_seed(0)
    pictures = torch.from_numpy(train[0])[:, None]
    centre, spread = train[1].mean(axis=0), train[1].std(axis=0).clip(min=1e-6)
    numbers = torch.from_numpy((train[1] - centre) / spread)
    model, size = network(numbers.shape[1]), min(64, len(pictures))
    steps = epochs * (len(pictures) // size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=max(steps, 1))
    order = torch.empty(0, dtype=torch.long)
    for step in tqdm(range(steps), desc="CNN", unit=" steps", disable=no_bars()):
        if step % (len(pictures) // size) == 0:
            order = torch.randperm(len(pictures))
        rows = order[step % (len(pictures) // size) * size :][:size]
        batch = pictures[rows]
        for axis in (2, 3):  # a mirrored plate has the same stresses
            if torch.rand(()) < 0.5:
                batch = batch.flip(axis)
        loss = nn.functional.smooth_l1_loss(model(batch), numbers[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()
    with torch.inference_mode():
        found = [model(part) for part in torch.from_numpy(images)[:, None].split(256)]
    return torch.cat(found).numpy() * spread + centre


class Residual(nn.Module):
    """Two convolutions with a shortcut, at half the resolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.GELU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.gelu(self.body(images) + self.shortcut(images))


def network(numbers: int) -> nn.Sequential:
    """Build a network from images (n, 1, SIDE, SIDE) to standardized numbers (n, numbers)."""
    widths = (1, 32, 64, 128, 256)
    blocks = [Residual(*pair) for pair in pairwise(widths)]
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*blocks, *pool, nn.Linear(widths[-1], numbers))


BASELINES: dict[str, Baseline] = {
    "mean": mean,
    "porosity": porosity,
    "porosity and stiffness": porosity_and_stiffness,
    "nearest image": nearest_image,
    "CNN": cnn,
}


@app.command()
def baselines(
    dataset: Annotated[str, typer.Option(help="Dataset of plates: a Hub name or a folder.")],
    out: Annotated[
        Path, typer.Option(help="Folder for results.json and report.html by task and split.")
    ],
    split: Annotated[
        list[str] | None, typer.Option(help="Splits to answer; test and unseen_families.")
    ] = None,
) -> None:
    """Measure baselines on a dataset of plates.

    \b
    Example:
      python -m cephalo.eval.baselines --dataset plates/ --out runs/baselines
    """
    revision = hub_revision(dataset, None, "dataset")
    for name, task in TASKS.items():
        answer_task(task, dataset, revision, split or ["test", "unseen_families"], out / name)


def answer_task(
    task: PlateTask, dataset: str, revision: str | None, splits: Sequence[str], out: Path
) -> None:
    """Train each baseline on a task, answer it on each split, and write the results."""
    sources = {
        name: QuestionSource(dataset, "conversations", name, where=task.where)
        for name in ["train", *splits]
    }
    asked = {name: load_questions(source, group="family") for name, source in sources.items()}
    train = arrays(asked["train"], task)
    images = np.concatenate([arrays(asked[name], task)[0] for name in splits])
    said = {
        name: [Answer(task.write(numbers)) for numbers in baseline(train, images)]
        for name, baseline in BASELINES.items()
    }
    start = 0
    for name in splits:
        questions, rows = asked[name], slice(start, start + len(asked[name]))
        start = rows.stop
        truths = [question.answer for question in questions]
        models = [
            Evaluated(
                baseline,
                revision,
                texts[rows],
                task.scores([one.answer for one in texts[rows]], truths),
            )
            for baseline, texts in said.items()
        ]
        results = build_results(
            task.metric, sources[name], revision, rows_sha256(questions), questions, models
        )
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "results.json", json.dumps(results, indent=2) + "\n")
        write_report(folder / "report.html", results, questions, models)
        print(folder / "report.html")


if __name__ == "__main__":
    app()
