"""Prompts and images to what `phi3_v` reads, with the ids of the published processor."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import BatchFeature
from transformers.image_utils import ImageInput, make_flat_list_of_images
from transformers.processing_utils import ProcessorMixin
from transformers.utils import IMAGE_PROCESSOR_NAME

IMAGE_TAG = re.compile(r"<\|image_(\d+)\|>")

# The published template, which takes strings, and beside it contents made of parts: images are
# numbered over the whole conversation.
CHAT_TEMPLATE = (
    "{% set seen = namespace(images=0) %}"
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + '\n' }}"
    "{% if message['content'] is string %}"
    "{{ message['content'] }}"
    "{% set seen.images = seen.images + message['content'].count('<|image_') %}"
    "{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}"
    "{% set seen.images = seen.images + 1 %}"
    "{{ '<|image_' ~ seen.images ~ '|>\n' }}"
    "{% else %}"
    "{{ part['text'] }}"
    "{% endif %}"
    "{% endfor %}"
    "{% endif %}"
    "{{ '<|end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt and messages[-1]['role'] != 'assistant' %}"
    "{{- '<|assistant|>\n' -}}"
    "{% endif %}"
)


class Phi3VProcessor(ProcessorMixin):
    """An image processor and a tokenizer as one.

    `<|image_i|>` in a prompt stands for image i of that prompt and becomes -i, as often as the
    image has tokens. The text between tags is tokenized apart, so a beginning-of-sequence token
    follows every image, as in the published processor; `add_special_tokens` is about the first
    one only.
    """

    image_tag = IMAGE_TAG
    text_kwargs = {"padding": False, "padding_side": "left", "add_special_tokens": True}  # noqa: RUF012

    def __init__(
        self, image_processor: Any, tokenizer: Any, chat_template: str | None = None
    ) -> None:
        super().__init__(image_processor, tokenizer, chat_template=chat_template or CHAT_TEMPLATE)

    def __call__(
        self,
        text: str | Sequence[str],
        images: ImageInput | None = None,
        return_tensors: str | None = "pt",
        videos: None = None,
        audio: None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Prepare one prompt or several.

        Args:
            text: prompts with `<|image_1|>`, `<|image_2|>`, ... where their images belong.
            images: the images of a prompt, or of several in one list, or a list for each prompt.
            return_tensors: "pt", or None for lists.
            kwargs: of the tokenizer (`padding`, `padding_side`, `max_length`, `truncation`,
                `add_special_tokens`) and of the image processor (`num_crops`).

        Returns:
            input_ids and attention_mask, int [batch, length]; with images also pixel_values,
            float32 [images, num_crops + 1, 3, edge, edge], and image_sizes, int [images, 2].

        Raises ValueError where tags and images do not match, and where truncation would cut an
        image.
        """
        if videos is not None or audio is not None:
            raise ValueError("phi3_v reads text and images only")
        texts = [text] if isinstance(text, str) else list(text)
        options = self._merge_kwargs(self.valid_processor_kwargs, **kwargs)
        tags = [[int(number) for number in IMAGE_TAG.findall(one)] for one in texts]
        rows = self.images_of_rows(images, tags, single=isinstance(text, str))
        for own, found in zip(rows, tags, strict=True):
            check_tags(found, len(own))
        pictures, vision = [image for own in rows for image in own], {}
        if pictures:
            images_kwargs = {**options["images_kwargs"], "return_tensors": return_tensors}
            vision = self.image_processor(pictures, **images_kwargs)
        lengths = iter(torch.as_tensor(vision.pop("num_img_tokens", [])).tolist())
        ids = [
            self.encode(one, [next(lengths) for _ in own], options["text_kwargs"])
            for one, own in zip(texts, rows, strict=True)
        ]
        return BatchFeature(
            {**self.pad(ids, options["text_kwargs"], return_tensors), **vision},
            tensor_type=return_tensors,
        )

    def images_of_rows(
        self, images: ImageInput | None, tags: list[list[int]], single: bool
    ) -> list[list[Any]]:
        """The images of each prompt. Raises ValueError where a flat list has another number."""
        if images is None or (isinstance(images, list | tuple) and not len(images)):
            return [[] for _ in tags]
        images = self.image_processor.fetch_images(images)
        nested = isinstance(images, list | tuple) and all(
            own is None or isinstance(own, list | tuple) for own in images
        )
        if nested and not single:
            if len(images) != len(tags):
                raise ValueError(f"images for {len(images)} prompts but {len(tags)} prompts")
            return [list(own or []) for own in images]
        if nested and not any(images):
            return [[]]
        flat = make_flat_list_of_images(images)
        wanted = [len(found) for found in tags]
        if single:
            wanted = [len(flat)]
        if sum(wanted) != len(flat):
            raise ValueError(
                f"the prompts have {sum(wanted)} image tags but there are {len(flat)} images"
            )
        rest = iter(flat)
        return [[next(rest) for _ in range(count)] for count in wanted]

    def encode(self, text: str, lengths: list[int], options: dict[str, Any]) -> list[int]:
        """The ids of one prompt whose images become `lengths` tokens."""
        # Texts and, between them, numbers of images.
        first, *rest = IMAGE_TAG.split(text)
        ids = self.tokenizer(first, add_special_tokens=options["add_special_tokens"]).input_ids
        for number, after in zip(map(int, rest[::2]), rest[1::2], strict=True):
            ids = ids + [-number] * lengths[number - 1] + self.tokenizer(after).input_ids
        longest = options.get("max_length") if options.get("truncation") else None
        if longest is None or len(ids) <= longest:
            return ids
        if min(ids[longest:]) < 0:
            raise ValueError(
                f"max_length {longest} cuts an image; the prompt has {len(ids)} tokens"
            )
        return ids[:longest]

    def pad(
        self, ids: list[list[int]], options: dict[str, Any], return_tensors: str | None
    ) -> dict[str, Any]:
        """input_ids and attention_mask of prompts, padded as asked for."""
        names = ("padding", "max_length", "pad_to_multiple_of", "padding_side")
        chosen = {name: options[name] for name in names if name in options}
        batch = {"input_ids": ids, "attention_mask": [[1] * len(row) for row in ids]}
        return dict(self.tokenizer.pad(batch, return_tensors=return_tensors, **chosen))

    def decode(self, token_ids: Any, *args: Any, **kwargs: Any) -> Any:
        """The tokenizer's `decode`, with images left out."""
        return self.tokenizer.decode(without_images(token_ids), *args, **kwargs)

    def batch_decode(self, sequences: Any, *args: Any, **kwargs: Any) -> list[str]:
        """The tokenizer's `batch_decode`, with images left out."""
        return self.tokenizer.batch_decode(without_images(sequences), *args, **kwargs)

    def post_process_image_text_to_text(
        self, generated_outputs: Any, skip_special_tokens: bool = True, **kwargs: Any
    ) -> list[str]:
        """The texts of generated ids, prompts with images included."""
        return self.batch_decode(
            generated_outputs, skip_special_tokens=skip_special_tokens, **kwargs
        )

    def to_json_file(self, json_file_path: Any) -> None:
        """Write processor_config.json and, beside it, the preprocessor_config.json that vLLM and
        mistral.rs read."""
        super().to_json_file(json_file_path)
        self.image_processor.to_json_file(Path(json_file_path).with_name(IMAGE_PROCESSOR_NAME))


def check_tags(tags: list[int], images: int) -> None:
    """Raise ValueError unless `tags` are the numbers from 1 to `images`, each once."""
    if sorted(tags) != list(range(1, images + 1)):
        found = ", ".join(f"<|image_{tag}|>" for tag in tags) or "no image tag"
        raise ValueError(
            f"the prompt has {found} and {images} image{'s' * (images != 1)}; it needs one tag for "
            "each image, numbered from <|image_1|>"
        )


def without_images(token_ids: Any) -> Any:
    """Ids, or lists of ids, without the negative ones."""
    if hasattr(token_ids, "tolist"):
        token_ids = token_ids.tolist()
    if isinstance(token_ids, int):
        return token_ids
    if any(isinstance(item, int) for item in token_ids):
        return [item for item in token_ids if item >= 0]
    return [without_images(item) for item in token_ids]


__all__ = ["Phi3VProcessor"]
