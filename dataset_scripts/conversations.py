"""Conversations about figures, in TRL's prompt-completion form."""

from typing import Any

QUERY = "What is shown in this image?"
"""The query of the original Cephalo datasets (lamm-mit/Cephalo-Wikipedia-Materials)."""


def caption_conversation(figure: dict[str, Any]) -> dict[str, Any]:
    """One CONVERSATIONS row from one FIGURES row, with the caption as the answer and no model.

    `figure["image"]` is the undecoded {"bytes", "path"} of the FIGURES table.
    """
    answer = figure["caption"]
    return {
        "images": [figure["image"]],
        "prompt": [
            {
                "role": "user",
                "content": [{"type": "image", "text": None}, {"type": "text", "text": QUERY}],
            }
        ],
        "completion": [{"role": "assistant", "content": [{"type": "text", "text": answer}]}],
        "query": QUERY,
        "answer": answer,
        "orig_caption": figure["caption"],
        "teacher": "caption",
        "teacher_params": "{}",
        "scores": "{}",
        "task": "caption",
        "task_version": "1",
        "figures": [{key: figure[key] for key in ("label", "page", "image_sha256")}],
        **{key: figure[key] for key in ("document", "document_sha256", "license")},
    }
