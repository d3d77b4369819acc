"""Prepare prompts and images for `phi3_v`, with the ids of the published processor."""

import re
from collections.abc import Mapping, Sequence
from os.path import isfile
from pathlib import Path
from typing import Any, TypeAlias, TypedDict, cast

import torch
from transformers import BatchFeature
from transformers.image_utils import ImageInput, make_flat_list_of_images
from transformers.processing_utils import (
    AudioKwargs,
    ImagesKwargs,
    MultiModalData,
    ProcessingKwargs,
    ProcessorMixin,
    Unpack,
    VideosKwargs,
)
from transformers.utils import IMAGE_PROCESSOR_NAME, TensorType

from .image_processing_phi3_v import Phi3VImageProcessorKwargs

AUTO_MAP = {"AutoProcessor": "processing_phi3_v.Phi3VProcessor"}
IMAGE_TOKEN = "<|image|>"
IMAGE_TAG = re.compile(r"<\|image(?:_(\d+))?\|>")
# An image takes at least 313 tokens, so a context of 131,072 has at most 418.
MOST_IMAGES = 418

# The published template, which supports strings, extended to contents of parts: images are numbered
# over the conversation. The assistant's turns are marked for `return_assistant_tokens_mask`.
CHAT_TEMPLATE = (
    "{% set seen = namespace(images=0) %}"
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + '\n' }}"
    "{% set own = namespace(text='') %}"
    "{% if message['content'] is string %}"
    "{% set own.text = message['content'] %}"
    "{% set seen.images = seen.images + message['content'].count('<|image_') %}"
    "{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}"
    "{% set seen.images = seen.images + 1 %}"
    "{% set own.text = own.text ~ '<|image_' ~ seen.images ~ '|>\n' %}"
    "{% else %}"
    "{% set own.text = own.text ~ part['text'] %}"
    "{% endif %}"
    "{% endfor %}"
    "{% endif %}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ own.text + '<|end|>' }}{% endgeneration %}"
    "{% else %}"
    "{{ own.text + '<|end|>' }}"
    "{% endif %}"
    "{{ '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt and messages[-1]['role'] != 'assistant' %}"
    "{{- '<|assistant|>\n' -}}"
    "{% endif %}"
)

Token = tuple[int, int, int]  # an id, and the start and end of its characters in the prompt
# An id, a row of ids or rows of rows, as integers, arrays or tensors: of any depth.
Ids: TypeAlias = Any


class Phi3VTextKwargs(TypedDict, total=False):
    """The supported options of tokenizers."""

    add_special_tokens: bool | None
    padding: bool | str | None
    padding_side: str | None
    pad_to_multiple_of: int | None
    truncation: bool | str | None
    max_length: int | None
    return_attention_mask: bool | None
    return_offsets_mapping: bool | None
    return_mm_token_type_ids: bool | None
    return_text_replacement_offsets: bool | None
    return_tensors: str | TensorType | None


class Phi3VProcessorKwargs(ProcessingKwargs, total=False):
    """Options of the texts and of the images of `Phi3VProcessor`."""

    text_kwargs: Phi3VTextKwargs
    images_kwargs: Phi3VImageProcessorKwargs
    # Here, since transformers 5.20 does not look in the processor.
    _defaults = {"text_kwargs": {"padding_side": "left"}}  # noqa: RUF012  # pyright: ignore[reportGeneralTypeIssues]


OPTIONS: Any = Phi3VProcessorKwargs  # of which transformers' annotations ask for an instance


class Phi3VProcessor(ProcessorMixin):
    """An image processor and a tokenizer.

    `<|image_i|>` in a prompt is image i of that prompt and becomes -i, once per token of the image;
    `<|image|>` is the next one. The text between tags is tokenized separately, so a
    beginning-of-sequence token follows every image, as in the published processor;
    `add_special_tokens` only affects the first one.
    """

    image_tag = IMAGE_TAG
    image_token = IMAGE_TOKEN
    valid_processor_kwargs = Phi3VProcessorKwargs

    def __init__(
        self, image_processor: Any, tokenizer: Any, chat_template: str | None = None
    ) -> None:
        super().__init__(image_processor, tokenizer, chat_template=chat_template or CHAT_TEMPLATE)

    @property
    def image_token_id(self) -> int | None:
        """The id that replaces the published negative ones, if the tokenizer has it."""
        return self.tokenizer.get_added_vocab().get(self.image_token)

    @property
    def img_tokens(self) -> list[str]:
        """The tags of the first images of a prompt, under the published name."""
        return [f"<|image_{number}|>" for number in range(1, MOST_IMAGES + 1)]

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]  # text may come first
        self,
        images: ImageInput | None = None,
        text: str | Sequence[str] | None = None,
        **kwargs: Unpack[Phi3VProcessorKwargs],
    ) -> BatchFeature:
        """Prepare one prompt or several.

        Args:
            images: Images of a prompt, or of several in one list, or a list for each prompt.
            text: Prompts with `<|image_1|>`, `<|image_2|>`, ... at the places of their images. The
                two arguments may be in the published order, text first.
            kwargs: Of the tokenizer (`padding`, `padding_side`, `max_length`, ...), of the image
                processor (`num_crops`, `device`, ...), and `return_tensors`, `"pt"` or `"np"`.

        Returns:
            input_ids and attention_mask, int [batch, length]; with images also pixel_values,
            float32 [images, tiles, 3, edge, edge], and image_sizes, int [images, 2]. Without text,
            only those of the images. If requested, mm_token_type_ids, int [batch, length], 1 at
            images; offset_mapping, [batch, length, 2], the characters of each token, for an image
            those of its tag.

        Raises ValueError if tags and images do not match, and if truncation would cut an image;
        TypeError for an unknown option.
        """
        if any(kwargs.pop(other, None) is not None for other in ("videos", "audio")):
            raise ValueError("phi3_v reads text and images only")
        if is_text(images) and not is_text(text):
            images, text = cast("ImageInput | None", text), cast("Sequence[str]", images)
        if images is None and text is None:
            raise ValueError("give text, images or both")
        check_options(kwargs)
        options = self._merge_kwargs(OPTIONS, self.tokenizer_defaults(), **kwargs)
        texts = [text] if isinstance(text, str) else list(text or ())
        numbered: list[list[int]] = []
        rows: list[list[Any]] = []
        if text is not None:
            numbered = [number_tags(one) for one in texts]
            rows = self.images_of_rows(images, numbered, single=isinstance(text, str))
            for own, tags in zip(rows, numbered, strict=True):
                check_tags(tags, len(own))
            images = cast("ImageInput | None", [image for own in rows for image in own] or None)
        pictures = options["images_kwargs"]
        vision = {} if images is None else self.image_processor(images, **pictures)
        tensors = options["text_kwargs"].get("return_tensors")
        lengths = iter(torch.as_tensor(vision.pop("num_img_tokens", [])).tolist())
        if text is not None:
            encoded = [
                self.encode(one, tags, [next(lengths) for _ in own], options["text_kwargs"])
                for one, tags, own in zip(texts, numbered, rows, strict=True)
            ]
            vision = {**self.pad(encoded, options), **vision}
        return BatchFeature(
            vision, tensor_type=tensors, skip_tensor_conversion=self.skip_tensor_conversion
        )

    def tokenizer_defaults(self) -> dict[str, object]:
        """The tokenizer's defaults, except for the padding side: generation needs padding on the
        left."""
        return {k: v for k, v in self.tokenizer.init_kwargs.items() if k != "padding_side"}

    def images_of_rows(self, images: Any, tags: list[list[int]], single: bool) -> list[list[Any]]:
        """Return the images of each prompt. Raises ValueError if the length of a flat list does not
        match."""
        if images is None or (isinstance(images, list | tuple) and not len(images)):
            return [[] for _ in tags]
        if isinstance(images, list | tuple):  # None for a prompt without images
            images = [[] if own is None else own for own in images]
        images = self.image_processor.fetch_images(images)
        nested = isinstance(images, list) and all(isinstance(own, list | tuple) for own in images)
        if nested and not single:
            if len(images) != len(tags):
                raise ValueError(f"images for {len(images)} prompts but {len(tags)} prompts")
            return [list(own) for own in images]
        if nested and not any(images):
            return [[]]
        flat = cast("list[ImageInput]", make_flat_list_of_images(images))
        wanted = [len(found) for found in tags]
        if single:
            wanted = [len(flat)]
        if sum(wanted) != len(flat):
            raise ValueError(
                f"the prompts have {sum(wanted)} image tags but there are {len(flat)} images"
            )
        rest = iter(flat)
        return [[next(rest) for _ in range(count)] for count in wanted]

    def encode(
        self, text: str, tags: list[int], lengths: list[int], options: dict[str, Any]
    ) -> list[Token]:
        """Return the tokens of one prompt whose image i becomes `lengths[i - 1]` tokens. Raises
        ValueError if truncation would cut an image."""
        tokens: list[Token] = []
        start, special = 0, options.get("add_special_tokens", True)
        for number, tag in zip(tags, IMAGE_TAG.finditer(text), strict=True):
            tokens += self.encode_chunk(text, start, tag.start(), special)
            tokens += [(-number, *tag.span())] * lengths[number - 1]
            start, special = tag.end(), True
        tokens += self.encode_chunk(text, start, len(text), special)
        longest = self.longest(options)
        if longest is None or len(tokens) <= longest:
            return tokens
        cut = len(tokens) - longest
        left = self.tokenizer.truncation_side == "left"
        lost, kept = (tokens[:cut], tokens[cut:]) if left else (tokens[longest:], tokens[:longest])
        if any(token < 0 for token, _, _ in lost):
            raise ValueError(
                f"max_length {longest} cuts an image; the prompt has {len(tokens)} tokens"
            )
        return kept

    def encode_chunk(self, text: str, start: int, end: int, special: bool) -> list[Token]:
        """Return the tokens of a part of a prompt."""
        found = self.tokenizer(
            text[start:end], add_special_tokens=special, return_offsets_mapping=True
        )
        return [
            (token, start + first, start + last)
            for token, (first, last) in zip(found.input_ids, found.offset_mapping, strict=True)
        ]

    def longest(self, options: dict[str, Any]) -> int | None:
        """Return the number of tokens to which prompts are truncated, or None."""
        if options.get("truncation") in (None, False, "do_not_truncate"):
            return None
        return options.get("max_length") or self.tokenizer.model_max_length

    def pad(self, rows: list[list[Token]], options: dict[str, Any]) -> dict[str, object]:
        """Return the model inputs of prompts and the requested extras, padded as requested."""
        texts = {**options, **options["text_kwargs"]}  # the last two below may be in either
        names = ("padding", "max_length", "pad_to_multiple_of", "padding_side")
        chosen = {name: texts[name] for name in names if name in texts}
        ids = [[token for token, _, _ in row] for row in rows]
        batch = {"input_ids": ids, "attention_mask": [[1] * len(row) for row in ids]}
        batch = dict(self.tokenizer.pad(batch, **chosen))
        if texts.get("return_attention_mask") is False:
            del batch["attention_mask"]
        if texts.get("return_offsets_mapping"):
            batch["offset_mapping"] = [
                padded([(start, end) for _, start, end in row], (0, 0), len(whole), chosen)
                for row, whole in zip(rows, batch["input_ids"], strict=True)
            ]
        if texts.get("return_mm_token_type_ids"):
            batch["mm_token_type_ids"] = self.create_mm_token_type_ids(batch["input_ids"])
        if texts.get("return_text_replacement_offsets"):
            batch["text_replacement_offsets"] = [[] for _ in rows]  # prompts are not rewritten
        return batch

    def create_mm_token_type_ids(self, input_ids: Ids) -> list[list[int]]:
        """Return 1 at the images of rows of ids, else 0."""
        image = self.image_token_id
        return [[int(token < 0 or token == image) for token in row] for row in as_lists(input_ids)]

    def calc_num_image_tokens_from_image_size(self, width: int, height: int) -> int:
        """Return the number of tokens of an image of width x height pixels, under the published
        name."""
        return self.image_processor.calc_num_image_tokens_from_image_size(width, height)

    def _get_num_multimodal_tokens(
        self, image_sizes: Sequence[Sequence[int]] | None = None, **kwargs: Any
    ) -> MultiModalData:
        """Return the number of tokens of images of (height, width) pixels, for the planning of
        servers."""
        if image_sizes is None:
            return MultiModalData()
        options = self._merge_kwargs(OPTIONS, **kwargs)["images_kwargs"]
        count = self.image_processor.calc_num_image_tokens_from_image_size
        tokens = [count(width, height, **options) for height, width in image_sizes]
        return MultiModalData(num_image_tokens=tokens, num_image_patches=[1] * len(tokens))

    def decode(self, token_ids: Ids, *args: object, **kwargs: object) -> str | list[str]:
        """Call the tokenizer's `decode`; published ids are supported."""
        return self.tokenizer.decode(self.as_vocabulary(token_ids), *args, **kwargs)

    def batch_decode(self, sequences: Ids, *args: object, **kwargs: object) -> list[str]:
        """Call the tokenizer's `batch_decode`; published ids are supported."""
        return self.tokenizer.batch_decode(self.as_vocabulary(sequences), *args, **kwargs)

    def as_vocabulary(self, token_ids: Ids) -> Ids:
        """Replace negative ids by the image token, or remove them if there is none."""
        image = self.image_token_id

        def written(ids: Ids) -> Ids:
            if not isinstance(ids, list):
                return image if ids < 0 else ids
            return [written(item) for item in ids if isinstance(item, list) or item >= 0 or image]

        return written(as_lists(token_ids))

    def post_process_image_text_to_text(
        self, generated_outputs: Ids, skip_special_tokens: bool = True, **kwargs: object
    ) -> list[str]:
        """Return the texts of generated ids, including prompts with images."""
        return self.batch_decode(
            generated_outputs, skip_special_tokens=skip_special_tokens, **kwargs
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the content of processor_config.json, including the path of the class, which
        loading would lose."""
        return {**super().to_dict(), "auto_map": dict(AUTO_MAP)}

    def to_json_file(self, json_file_path: Any) -> None:
        """Write processor_config.json, and preprocessor_config.json for vLLM and mistral.rs."""
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


def check_options(given: Mapping[str, Any]) -> None:
    """Raise TypeError for options that would be ignored."""
    known = {
        "text_kwargs": set(Phi3VTextKwargs.__annotations__),
        "images_kwargs": set(Phi3VImageProcessorKwargs.__annotations__),
    }
    every = known["text_kwargs"] | known["images_kwargs"]
    # Chat templates pass these to any processor; they have no effect here.
    others = {*VideosKwargs.__annotations__, *AudioKwargs.__annotations__}
    others -= set(ImagesKwargs.__annotations__)
    own = {name: set(given.get(name, {})) for name in ("text_kwargs", "images_kwargs")}
    unknown = set(given) - every - others - {*known, "common_kwargs"}
    unknown |= set(given.get("common_kwargs", {})) - every
    unknown |= {option for name, options in own.items() for option in options - known[name]}
    if unknown:
        raise TypeError(f"unknown options {sorted(unknown)}; known are {sorted(every)}")


def number_tags(text: str) -> list[int]:
    """Return the numbers of a prompt's image tags in order; one without a number is the next image.
    Raises ValueError if both kinds are mixed."""
    tags = IMAGE_TAG.findall(text)
    if "" in tags and any(tags):
        raise ValueError("the prompt has image tags with numbers and without; use one kind")
    return [int(tag or place) for place, tag in enumerate(tags, 1)]


def is_text(given: object) -> bool:
    """Return whether an argument is a prompt or prompts, as opposed to images or their paths."""
    given = [given] if isinstance(given, str) else given
    return (
        isinstance(given, list | tuple)
        and len(given) > 0
        and all(isinstance(one, str) for one in given)
        and not all(is_place(one) for one in given)
    )


def is_place(text: str) -> bool:
    """Return whether a string is the address or the path of an image."""
    if text.startswith(("http://", "https://", "data:")):
        return True
    return isfile(text)  # noqa: PTH113 - pathlib raises where a prompt is too long for a name


def padded(row: list[Any], filling: Any, length: int, options: dict[str, Any]) -> list[Any]:
    """Pad a row to a length on the side in `options`."""
    rest = [filling] * (length - len(row))
    return rest + row if options["padding_side"] == "left" else row + rest


def as_lists(ids: Ids) -> Ids:
    """Convert arrays and tensors, also in a list, to lists of ids."""
    if hasattr(ids, "tolist"):
        return ids.tolist()
    return ids if isinstance(ids, int) else [as_lists(own) for own in ids]


__all__ = ["Phi3VProcessor"]
