"""One interface to every Cephalo model: load it, ask about images, and continue the conversation.

    from cephalo.inference import local

    cephalo = local.load("lamm-mit/Cephalo-Phi-3-vision-128k-4b-beta")
    cephalo.ask("What is shown?", images=["nacre.png"])

    talk = cephalo.conversation()
    talk.ask("What is shown?", images=["nacre.png"])
    for piece in talk.stream("Why is it tough?"):
        print(piece, end="")

Prompt format and stop tokens come from the model's chat template and generation config, so the
interface is the same for every family.
"""

# Untyped or partially typed: torch and transformers.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from transformers import (
    AutoModelForImageTextToText,
    BatchFeature,
    StoppingCriteria,
    StoppingCriteriaList,
    TextIteratorStreamer,
)
from transformers.utils.chat_parsing import ResponseParser

from cephalo.cli.errors import CephaloError
from cephalo.cli.templates import render_with
from cephalo.inference.endings import control_tokens, end_of_turn, until_stop
from cephalo.inference.images import open_image, told_thin
from cephalo.inference.messages import (
    Message,
    Part,
    Picture,
    Readable,
    pictures,
    text_message,
    user_message,
)
from cephalo.inference.thoughts import ANSWER, THOUGHTS, answer_pieces, response_template
from modeling_cephalo.checkpoint import (
    base_of,
    check_loading,
    check_values,
    in_one_line,
    local_folder,
    read_config,
    read_processor,
    silent,
    told,
)
from modeling_cephalo.generation import answering_settings, checked_temperature

if TYPE_CHECKING:
    from PIL.Image import Image

    from modeling_cephalo.annotations import GenerativeModel, LoadingInfo, Processor


MAX_NEW_TOKENS = 512


class Answer(NamedTuple):
    """An assistant's turn: its `text`, the number of generated `tokens` with the end of the turn,
    whether it is `whole` or was cut at the maximum number of tokens, and the `thoughts` before the
    text, None for a model that writes none."""

    text: str
    prompt_tokens: int
    tokens: int
    whole: bool
    thoughts: str | None = None

    @property
    def cut_in_thoughts(self) -> bool:
        """Whether the text is empty because the thoughts took all tokens."""
        return self.thoughts is not None and not (self.text or self.whole)


def checked_device(device: str | None) -> str:
    """Return the `device_map` of a device, by default of all GPUs or the CPU.

    Raises CephaloError for a device that this machine lacks.
    """
    if device is None or device == "auto":
        return "auto" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device).item()  # "meta" has no values
    except (RuntimeError, AssertionError) as error:  # AssertionError without CUDA
        raise CephaloError(
            f"--device {device}: this machine has no such device; leave it out, or give cpu"
        ) from error
    return device


def load(
    name_or_folder: str | Path,
    revision: str | None = None,
    device: str | None = None,
    dtype: str | torch.dtype = "auto",
    attn_implementation: str | None = None,
    trust_remote_code: bool = False,
) -> "Cephalo":
    """Load a model from the Hub or a folder, with its processor.

    `device` is "cpu", "cuda:1", ...; by default all GPUs, or the CPU without one. Only safetensors
    are read. `trust_remote_code` runs code of the model repository; Cephalo models need none.

    Raises CephaloError if it is not a checkpoint, or if its weights are not exactly those of its
    configuration; the message names them.
    """
    name = str(name_or_folder)
    device = checked_device(device)
    folder = local_folder(name, revision)
    base = base_of(folder)
    config = read_config(base, attn_implementation, trust_remote_code)
    processor = read_processor(folder, config, trust_remote_code)
    for own in dict.fromkeys((base, folder)):
        check_values(own)
    with told(f"cannot load {name}"), silent(bars=True):
        pair = AutoModelForImageTextToText.from_pretrained(
            folder,  # the checked files, even if a branch on the Hub has moved since
            config=config,
            device_map=device,
            dtype=dtype,
            attn_implementation=attn_implementation,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # otherwise they would not be named
            trust_remote_code=trust_remote_code,
        )
    # Type checkers take the overload without loading info.
    model, loading = cast("tuple[GenerativeModel, LoadingInfo]", pair)
    check_loading(name, loading)
    with told(f"{name} cannot answer"):
        return Cephalo(model.eval(), processor)


class Cephalo:
    """A loaded model. All methods raise CephaloError for errors that the user can fix."""

    def __init__(self, model: "GenerativeModel", processor: "Processor") -> None:
        self.model = model
        self.processor = processor
        self.control = control_tokens(processor)
        self.context: int = model.config.get_text_config().max_position_embeddings
        stops, self.stop_strings = end_of_turn(processor)
        vocabulary = model.config.get_text_config().vocab_size
        settings = answering_settings(model.generation_config, vocabulary)
        known = settings.eos_token_id
        known = known if isinstance(known, list) else [known]
        stops += [processor.tokenizer.eos_token_id, *known]
        settings.eos_token_id = sorted({stop for stop in stops if stop is not None})  # pyright: ignore[reportUnnecessaryComparison]  # others have none
        settings.stop_strings = self.stop_strings or None
        if settings.pad_token_id is None:
            settings.pad_token_id = processor.tokenizer.pad_token_id
        model.generation_config = settings
        ends = processor.tokenizer.convert_ids_to_tokens(settings.eos_token_id)
        self.response_template = response_template(processor, [*ends, *self.stop_strings])
        self.thinks = THOUGHTS in self.response_template["fields"]

    def ask(
        self,
        question: str,
        images: Picture | Iterable[Picture] = (),
        history: Sequence[Message] = (),
        **settings: Any,
    ) -> str:
        """Return the answer to a question about images, after earlier turns.

        `settings` are `max_new_tokens` (default: 512), `temperature` (default: 0, greedy decoding)
        and any other argument of transformers' `generate`.
        """
        return self.answer([*history, user_message(question, images)], **settings)

    def ask_batch(
        self, questions: Iterable[tuple[str, Iterable[Readable]]], **settings: Any
    ) -> list[Answer]:
        """Return the answers to several (question, images) at once; a question may have no
        images."""
        talks = [[user_message(question, images)] for question, images in questions]
        return self.answer_batch(talks, **settings)

    def stream(
        self,
        question: str,
        images: Picture | Iterable[Picture] = (),
        history: Sequence[Message] = (),
        **settings: Any,
    ) -> Iterator[str]:
        """Yield the answer of `ask` piece by piece."""
        return self.stream_answer([*history, user_message(question, images)], **settings)

    def conversation(self, history: Iterable[Message] = ()) -> "Conversation":
        """Start a conversation, which stores its turns."""
        return Conversation(self, list(history))

    def answer(self, messages: Sequence[Message], **settings: Any) -> str:
        """Return the assistant's turn after `messages`."""
        return self.answer_batch([messages], **settings)[0].text

    def answer_batch(self, talks: Sequence[Sequence[Message]], **settings: Any) -> list[Answer]:
        """Return the assistant's turns after several conversations."""
        inputs = self.prepare(talks)
        with torch.inference_mode():
            ids = self.model.generate(**inputs, **self.generation_settings(inputs, settings))
        new = ids[:, inputs["input_ids"].shape[1] :]
        texts = self.processor.batch_decode(new, skip_special_tokens=True)
        prompts = inputs["attention_mask"].sum(1).tolist()
        answers: list[Answer] = []
        for number, (text, row) in enumerate(zip(texts, new.tolist(), strict=True)):
            tokens, whole = self.measure(row, text)
            text, thoughts = self.without_stop(text), None
            if self.thinks:
                text, thoughts = self.parted(row[:tokens], inputs["input_ids"][number])
            answers.append(Answer(text, prompts[number], tokens, whole, thoughts))
        return answers

    def parted(self, row: list[int], prompt: torch.Tensor) -> tuple[str, str]:
        """Return the answer and the thoughts in the new ids after a prompt."""
        parser = self.parser(prompt)
        parser.feed(self.processor.tokenizer.decode(row))
        message, _ = parser.finalize()
        answer, thoughts = (message.get(name, "") for name in (ANSWER, THOUGHTS))
        return self.control.sub("", answer).strip(), thoughts

    def parser(self, prompt: torch.Tensor) -> ResponseParser:
        """Return the parser that separates thoughts and answer after a prompt, which may start the
        thoughts."""
        prefix = self.processor.tokenizer.decode(prompt)
        return ResponseParser(self.response_template, prefix=prefix)

    def measure(self, row: list[int], text: str) -> tuple[int, bool]:
        """Return `tokens` and `whole` of an Answer, from a row of new ids and its text."""
        settings = self.model.generation_config
        ends = [place for place, token in enumerate(row) if token in settings.eos_token_id]
        if ends:
            return ends[0] + 1, True
        if any(stop in text for stop in self.stop_strings):
            while row[-1] == settings.pad_token_id:  # padding to the longest of the batch
                row = row[:-1]
            return len(row), True
        return len(row), False

    def stream_answer(self, messages: Sequence[Message], **settings: Any) -> Iterator[str]:
        """Yield the assistant's turn after `messages` piece by piece, without thoughts before it.

        Closing the iterator stops generation.
        """
        inputs = self.prepare([messages])
        streamer = TextIteratorStreamer(
            self.processor.tokenizer, skip_prompt=True, skip_special_tokens=not self.thinks
        )
        left = threading.Event()
        failures: list[Exception] = []
        settings = self.generation_settings(inputs, settings)
        settings["stopping_criteria"] = StoppingCriteriaList([WhenSet(left)])

        def generate() -> None:
            try:
                with torch.inference_mode():
                    self.model.generate(**inputs, **settings, streamer=streamer)
            except Exception as error:
                failures.append(error)
                streamer.end()

        thread = threading.Thread(target=generate, daemon=True)
        thread.start()
        pieces = until_stop(streamer, self.stop_strings)
        if self.thinks:
            spoken = answer_pieces(pieces, self.parser(inputs["input_ids"][0]))
            pieces = (self.control.sub("", piece) for piece in spoken)
        try:
            yield from pieces
        finally:
            left.set()
            thread.join()
        if failures:
            raise failures[0]

    def prepare(self, talks: Sequence[Sequence[Message]]) -> BatchFeature:
        """Return the model inputs for an assistant's turn after each conversation, padded on the
        left.

        Raises CephaloError for texts with control tokens, tags without an image, images that cannot
        be split into tiles, and prompts that exceed the context.
        """
        talks = [[self.checked(message) for message in talk] for talk in talks]
        prompts = [render_with(self.processor, talk, add_generation_prompt=True) for talk in talks]
        images = [pictures(talk) for talk in talks]
        begins = self.processor.tokenizer.bos_token
        begun = begins is not None and prompts[0].startswith(begins)
        try:
            with told_thin(cast("Image", image) for own in images for image in own):
                inputs = self.processor(
                    text=prompts,
                    images=images if any(images) else None,
                    padding=True,
                    padding_side="left",
                    return_tensors="pt",
                    **({"add_special_tokens": False} if begun else {}),
                )
        except (OverflowError, ValueError, TypeError, ZeroDivisionError) as error:
            raise CephaloError(f"cannot read the prompt: {in_one_line(error)}") from error
        length = inputs["input_ids"].shape[1]
        if length >= self.context:
            raise CephaloError(
                f"the prompt has {length:,} tokens and the model reads {self.context:,}; ask with "
                "fewer images or less text"
            )
        return inputs.to(self.model.device, dtype=self.model.dtype)

    def checked(self, message: Message) -> Message:
        """Return `message` with a list of parts as content and with its images opened.

        Raises CephaloError for text that would end a turn or represent an image.
        """
        given = message["content"]
        parts: list[Part] = [{"type": "text", "text": given}] if isinstance(given, str) else given
        for text in (part.get("text", "") for part in parts if part["type"] == "text"):
            if found := self.control.search(text):
                raise CephaloError(
                    f"the text contains the control token {found.group()}; remove it"
                )
        content: list[Part] = [
            {**part, "image": open_image(part["image"])} if "image" in part else part
            for part in parts
        ]
        return {**message, "content": content}

    def generation_settings(self, inputs: BatchFeature, settings: dict[str, Any]) -> dict[str, Any]:
        """Convert `settings` to arguments of `generate`, with an answer that fits into the
        context."""
        settings = dict(settings)
        room = self.context - inputs["input_ids"].shape[1]
        wanted = settings.pop("max_new_tokens", MAX_NEW_TOKENS)
        temperature = checked_temperature(settings.pop("temperature", 0))
        chosen = {"max_new_tokens": min(wanted, room), "do_sample": temperature > 0}
        if temperature > 0:
            chosen["temperature"] = temperature
        if self.stop_strings:
            chosen["tokenizer"] = self.processor.tokenizer
        return {**chosen, **settings}

    def without_stop(self, text: str) -> str:
        """Remove the end of the turn and surrounding white space from an answer."""
        for stop in self.stop_strings:
            text = text.partition(stop)[0]
        return text.strip()


class Conversation:
    """A conversation: each question has the previous turns as context."""

    def __init__(self, cephalo: Cephalo, messages: list[Message]) -> None:
        self.cephalo = cephalo
        self.messages = messages

    def ask(self, question: str, images: Picture | Iterable[Picture] = (), **settings: Any) -> str:
        """Return the answer, and add it to the conversation. See `Cephalo.ask`."""
        return "".join(self.stream(question, images, **settings)).strip()

    def stream(
        self, question: str, images: Picture | Iterable[Picture] = (), **settings: Any
    ) -> Iterator[str]:
        """Yield the answer of `ask` piece by piece. The turns are added at its end."""
        asked = [*self.messages, user_message(question, images)]
        pieces: list[str] = []
        for piece in self.cephalo.stream_answer(asked, **settings):
            pieces.append(piece)
            yield piece
        answer = self.cephalo.without_stop("".join(pieces))
        self.messages = [*asked, text_message("assistant", answer)]


class WhenSet(StoppingCriteria):
    """Ends generation once an event is set."""

    def __init__(self, event: threading.Event) -> None:
        self.event = event

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]  # no BoolTensor ever exists
        self, input_ids: torch.LongTensor, scores: tuple[torch.Tensor] | None, **kwargs: object
    ) -> torch.Tensor:
        return torch.full((len(input_ids),), self.event.is_set(), device=input_ids.device)
