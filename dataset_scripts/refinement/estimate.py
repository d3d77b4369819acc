"""Estimate the requests, tokens and cost of a refinement before it starts."""

import io
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from cephalo.cli.where import Where
from cephalo.dataset_scripts.refinement.documents import part_figures
from cephalo.dataset_scripts.refinement.model_teacher import ModelTeacher
from cephalo.dataset_scripts.refinement.planning import Item, count_by_task, plan
from cephalo.dataset_scripts.refinement.quotation import source_of
from cephalo.dataset_scripts.refinement.report import Spending
from cephalo.dataset_scripts.refinement.second_look import REQUESTS
from cephalo.dataset_scripts.refinement.shard_images import Images
from cephalo.dataset_scripts.refinement.showing import pictures_of
from cephalo.dataset_scripts.refinement.without_image import REQUESTS as WITHOUT_IMAGE

SAMPLED_SHARDS = 4  # read for the estimate of tokens
SAMPLED_ITEMS = 12  # questions built from each
CHARACTERS = 4  # of English text per token, the estimate in OpenAI's documentation
BLIND_TOKENS = 350  # of prompt, title, questions and answers, without images and quotations
PATCH = 28  # pixels; one token of Qwen2.5-VL covers a square of this edge (its model card)


def estimate(
    teacher: ModelTeacher,
    shards: list[Path],
    max_tokens: int,
    spending: Spending,
    where: Where | None = None,
) -> str:
    """Return the maximum numbers of requests and tokens of a run, and their cost, in one line.

    Cached replies of earlier runs cost nothing, but are not subtracted.
    """
    counts = count_by_task(shards, teacher.tasks, where)
    asked = sum(counts)
    talks = sum(count * task.usual_talks for count, task in zip(counts, teacher.tasks, strict=True))
    second, judges = 0, []
    if teacher.second_look:
        judges = [judge.model.settings["model"] for judge in teacher.second_look.judges]
        second = REQUESTS * len(judges) * talks
    text = f"up to {asked:,} questions to {teacher.name}"
    if judges:
        text += (
            f", and about {second:,} requests for verification by {', '.join(judges)}, "
            f"{REQUESTS} per judge and conversation (--no-verify skips them)"
        )
    blind = 0
    if teacher.without_image:
        blind = WITHOUT_IMAGE * talks
        name = teacher.without_image.name
        text += f", and about {blind:,} short requests without images to {name}"
    prompt = round(tokens_of_prompts(teacher, shards, where) * (asked + second))
    prompt += BLIND_TOKENS * blind
    most = max_tokens * (asked + second + blind)
    text += f"; about {prompt:,} prompt tokens and at most {most:,} completion tokens"
    if spending.price_in or spending.price_out:
        low, high = spending.cost(prompt, 0), spending.cost(prompt, most)
        text += f", cost {low:.2f} to {high:.2f}"
    return f"{text}; cached replies of earlier runs are not requested again"


def tokens_of_prompts(teacher: ModelTeacher, shards: list[Path], where: Where | None) -> float:
    """Return the mean number of tokens of a prompt, from a sample of the shards.

    Verification is assumed to need prompts of the same length: its first request has the same
    images and quotations, its second one answers instead.
    """
    counts, images = [], Images()
    step = max(1, len(shards) // SAMPLED_SHARDS)
    for shard in shards[::step][:SAMPLED_SHARDS]:
        items = plan(part_figures(shard, where)[0], teacher.tasks)
        chosen = items[:: max(1, len(items) // SAMPLED_ITEMS)][:SAMPLED_ITEMS]
        for item in chosen:
            item.figures = images.filled(shard, item.figures or ())
            counts.append(tokens_of(teacher, item))
    return sum(counts) / max(len(counts), 1)


def tokens_of(teacher: ModelTeacher, item: Item) -> float:
    """Estimate the number of tokens of a question."""
    figures = item.figures or []
    shown = [] if teacher.text_only else pictures_of(figures)
    question = teacher.question(figures, item.task, source_of(figures), shown)
    edge = teacher.teacher.model.settings["max_image_edge"]
    texts = [question.system, *(part for part in question.parts if isinstance(part, str))]
    images = [part.data for part in question.parts if not isinstance(part, str)]
    return sum(map(len, texts)) / CHARACTERS + sum(image_tokens(images, edge))


def image_tokens(images: Iterable[bytes], edge: int) -> Iterable[float]:
    """Estimate the number of tokens of each image, scaled to at most `edge` pixels."""
    for data in images:
        try:
            with Image.open(io.BytesIO(data)) as image:
                scale = min(1.0, edge / max(image.size))
                yield image.width * image.height * (scale / PATCH) ** 2
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            yield 0.0  # sending it reports the error
