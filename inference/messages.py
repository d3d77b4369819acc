"""Messages of a conversation with a model, and their images."""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NotRequired, TypedDict

from PIL import Image

from cephalo.inference.images import open_image

Picture = str | Path | Image.Image
Readable = Picture | BinaryIO  # in a list of images


class Part(TypedDict):
    """A part of a message: its `type` is "text" or "image", the key of its content."""

    type: str
    text: NotRequired[str]
    image: NotRequired[Readable]


class Message(TypedDict):
    """A turn of "user", "assistant" or "system"."""

    role: str
    content: str | list[Part]


def user_message(question: str, images: Picture | Iterable[Readable] = ()) -> Message:
    """Build a user's turn: images, then the question. Raises CephaloError for an invalid image."""
    images = [images] if isinstance(images, Picture) else images
    content: list[Part] = [{"type": "image", "image": open_image(image)} for image in images]
    return {"role": "user", "content": [*content, {"type": "text", "text": question}]}


def text_message(role: str, text: str) -> Message:
    """Build a turn of "assistant", or of "system" if the family has that role."""
    return {"role": role, "content": [{"type": "text", "text": text}]}


def pictures(talk: Iterable[Message]) -> list[Readable]:
    """Return the images of all messages."""
    return [
        part["image"]
        for message in talk
        for part in message["content"]
        if not isinstance(part, str) and "image" in part
    ]
