"""Build conversations about figures in TRL's prompt-completion form."""

import json
from collections.abc import Sequence

from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.schema import PROVENANCE

QUERY = "What is shown in this image?"
"""The query of the original Cephalo datasets (lamm-mit/Cephalo-Wikipedia-Materials)."""

ANSWERED = "import"
"""The task of a conversation that a person gave as it is: it does not quote the caption."""
IMPORTED = "-imported"
"""At the end of the name of a shard of conversations that `cephalo import` wrote, after the name of
that of their figures; `cephalo refine` writes others beside it."""


def caption_conversation(figure: Row) -> Row:
    """Build a CONVERSATIONS row from a FIGURES row, with its caption as the answer, without a
    model.

    `figure["image"]` is the undecoded {"bytes", "path"} of the FIGURES table.
    """
    return conversation(
        [figure], [(QUERY, figure["caption"])], teacher="caption", task="caption", task_version="1"
    )


def conversation(
    figures: Sequence[Row],
    turns: Sequence[tuple[str, str]],
    *,
    teacher: str,
    task: str,
    task_version: str,
    teacher_params: dict[str, object] | None = None,
    scores: dict[str, object] | None = None,
) -> Row:
    """Build a CONVERSATIONS row from (question, answer) turns about FIGURES rows of one document.

    The prompt is the first question, preceded by the images; the completion is everything after it,
    so that the loss can cover every answer. `answer` holds the completion as a single text.
    """
    return {
        "images": [figure["image"] for figure in figures],
        **said(turns, len(figures)),
        "orig_caption": "\n\n".join(figure["caption"] for figure in figures),
        "teacher": teacher,
        "teacher_params": json.dumps(teacher_params or {}, ensure_ascii=False, sort_keys=True),
        "scores": json.dumps(scores or {}, ensure_ascii=False, sort_keys=True),
        "task": task,
        "task_version": task_version,
        "figures": [
            {key: figure[key] for key in ("label", "page", "image_sha256")} for figure in figures
        ],
        **{key: figures[0][key] for key in ("document", "document_sha256")},
        **{key: figures[0].get(key) for key in PROVENANCE},
    }


def said(turns: Sequence[tuple[str, str]], images: int) -> Row:
    """Return the columns of a CONVERSATIONS row that hold its questions and answers."""
    (query, first), *later = turns
    places = [{"type": "image", "text": None} for _ in range(images)]
    completion = [_message("assistant", first)]
    for question, answer in later:
        completion += [_message("user", question), _message("assistant", answer)]
    return {
        "prompt": [{"role": "user", "content": [*places, *_message("user", query)["content"]]}],
        "completion": completion,
        "query": query,
        "answer": "\n\n".join([first, *(f"Q: {asked}\n\nA: {told}" for asked, told in later)]),
    }


def turns_in(row: Row) -> list[tuple[str, str]]:
    """Return the questions with their answers of a CONVERSATIONS row."""
    texts = [message["content"][0]["text"] for message in row["completion"]]
    return list(zip([row["query"], *texts[1::2]], texts[::2], strict=False))


def _message(role: str, text: str) -> Row:
    return {"role": role, "content": [{"type": "text", "text": text}]}
