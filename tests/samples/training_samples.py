"""Conversations with one image, several and none, of one turn and more, and their loss."""

from typing import Any

import torch
from phi3_v_samples import picture
from torch.nn.functional import cross_entropy


def talk(answers: list[str], *pictures: Any, question: str = "What is shown?") -> dict[str, Any]:
    """A conversation: a question about the pictures, then one more before each later answer."""
    completion = []
    for number, answer in enumerate(answers):
        if number:
            completion.append(turn("user", f"And what about {number}?"))
        completion.append(turn("assistant", answer))
    prompt = turn("user", question)
    prompt["content"] = [{"type": "image", "text": None} for _ in pictures] + prompt["content"]
    return {"images": list(pictures), "prompt": [prompt], "completion": completion}


def turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}


MIXED = [
    (["Nacre in rows."], [picture(60, 50)]),
    (["Under tension.", "Then it breaks."], [picture(50, 60), picture(120, 40)]),
    (["Only text."], []),
    (["Steel " * 8, "Copper", "Gold"], [picture(100, 100)]),
]


def mixed_talks() -> list[dict[str, Any]]:
    """One row each: an image, two images and two turns, no image, three turns."""
    return [talk(answers, *pictures) for answers, pictures in MIXED]


def reference(
    model: Any, processor: Any, talks: list[dict[str, Any]]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The mean loss of the answers' tokens and its gradients, row by row and turn by turn.

    What comes before an answer is tokenized as at inference; what the answer adds takes loss.
    """
    total, count = torch.zeros(()), 0
    for one in talks:
        messages = one["prompt"] + one["completion"]
        images = [one["images"]] if one["images"] else None

        def ids_of(end: int, images: Any = images, messages: Any = messages, **kwargs: bool) -> Any:
            text = processor.apply_chat_template(messages[:end], tokenize=False, **kwargs)
            return processor(text=[text], images=images, return_tensors="pt")

        batch = ids_of(len(messages))
        logits, ids = model(**batch).logits[0], batch["input_ids"][0]
        for index in range(1, len(messages), 2):
            start = ids_of(index, add_generation_prompt=True)["input_ids"].shape[1]
            end = ids_of(index + 1)["input_ids"].shape[1]
            total = total + cross_entropy(
                logits[start - 1 : end - 1], ids[start:end], reduction="sum"
            )
            count += end - start
    loss = total / count
    model.zero_grad()
    loss.backward()
    grads = {
        name: own.grad.clone() for name, own in model.named_parameters() if own.grad is not None
    }
    model.zero_grad()
    return loss.detach(), grads
