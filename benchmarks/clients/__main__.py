"""`python -m benchmarks.clients`: do saved checkpoints answer in mistral.rs as in transformers?

Tiny checkpoints with random weights of phi3_v, Idefics2, a depth merge of Idefics2 and LLaVA-NeXT
are made in a folder that is removed at the end, and asked in float32 for a few greedy tokens by
both programs: about a text, about a noisy picture, and about a white one of a size that neither
program has to scale, so that how images are scaled cannot matter. For each, the table has whether
the tokens are the same and how many tokens the prompts have. "last layer" is where they are the
same if transformers takes the last layer of CLIP in the place of the last but one.

mistral.rs is no dependency: `pip install mistralrs`. It needs about 4 GB of memory, because it
takes the CLIP tower of phi3_v to be as large as the published one, and some minutes.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.utils import logging

from .families import FAMILIES, Family

QUESTION = "What is shown in this image?"
NEW_TOKENS = 12


class Answer(NamedTuple):
    """A greedy answer, without a leading blank, and the number of tokens of its prompt."""

    text: str
    prompt_tokens: int


def main() -> int:
    """Compare all families.

    Returns the exit code: 1 if mistral.rs is missing or answers a text in another way.
    """
    os.environ["MISTRALRS_CPU_KV_F32"] = "1"  # otherwise the cache has float16
    os.environ.setdefault("RUST_LOG", "error")  # otherwise its log is mixed with the table
    try:
        import mistralrs
    except ImportError:
        print("mistral.rs is missing; pip install mistralrs", file=sys.stderr)
        return 1
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    rows = []
    with tempfile.TemporaryDirectory() as root:
        for name, family in FAMILIES.items():
            folder = Path(root, name.replace(" ", "_"))
            family.make(folder)
            asked = {"text": None, **pictures(Path(root), family.white)}
            ours = ask_transformers(folder, family, asked)
            theirs = ask_mistralrs(mistralrs, folder, family, asked)
            last = ours
            if family.use_last_layer:
                last = ask_transformers(folder, family, asked, last_layer=True)
            for kind in asked:
                found = verdict(ours[kind], last[kind], theirs[kind])
                rows.append((name, kind, found, ours[kind], theirs[kind]))
    print(f"{'':15}{'':8}{'tokens':>12}   prompt in transformers, in mistral.rs")
    for name, kind, found, own, other in rows:
        print(f"{name:15}{kind:8}{found:>12}{own.prompt_tokens:8}{other.prompt_tokens:8}")
    return int(any(kind == "text" and found != "same" for _, kind, found, _, _ in rows))


def verdict(own: Answer, last: Answer, other: Answer) -> str:
    """Return the table's entry for an answer of mistral.rs, compared with those of transformers."""
    if own.text == other.text:
        return "same"
    return "last layer" if last.text == other.text else "other"


def pictures(folder: Path, white: int) -> dict[str, Path]:
    """Write a noisy landscape that has to be scaled, and a white square that has not."""
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    found = {"noise": Image.fromarray(noise), "white": Image.new("RGB", (white, white), "white")}
    for name, picture in found.items():
        picture.save(folder / f"{name}.png")
    return {name: folder / f"{name}.png" for name in found}


def ask_transformers(
    folder: Path, family: Family, asked: dict[str, Path | None], last_layer: bool = False
) -> dict[str, Answer]:
    """Return greedy answers of transformers, by question."""
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    if last_layer:
        family.use_last_layer(model)
    processor = AutoProcessor.from_pretrained(folder)
    answers = {}
    for kind, path in asked.items():
        content: list[dict[str, Any]] = [{"type": "text", "text": QUESTION}]
        if path:
            content.insert(0, {"type": "image"})
        prompt = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        if path:
            prompt = family.doubled + prompt
        images = [Image.open(path)] if path else None
        inputs = processor(text=prompt, images=images, return_tensors="pt")
        length = inputs["input_ids"].shape[1]
        output = model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False)
        text = processor.tokenizer.decode(output[0, length:], skip_special_tokens=True)
        answers[kind] = Answer(text.lstrip(), length)
    return answers


def ask_mistralrs(
    mistralrs: Any, folder: Path, family: Family, asked: dict[str, Path | None]
) -> dict[str, Answer]:
    """Return greedy answers of mistral.rs, by question."""
    template = folder / "strings.jinja"
    if family.template:
        template.write_text(family.template, encoding="utf-8")
    runner = mistralrs.Runner(
        which=mistralrs.Which.MultimodalPlain(
            model_id=str(folder),
            arch=getattr(mistralrs.MultimodalArchitecture, family.architecture),
            dtype=mistralrs.ModelDType.F32,
        ),
        jinja_explicit=str(template) if family.template else None,
        no_paged_attn=True,
        prefix_cache_n=0,  # processes each prompt completely
    )
    answers = {}
    for kind, path in asked.items():
        part = {"type": "text", "text": (family.tag if path else "") + QUESTION}
        image = {"type": "image_url", "image_url": {"url": str(path)}}
        request = mistralrs.ChatCompletionRequest(
            model="default",
            messages=[{"role": "user", "content": [image, part] if path else QUESTION}],
            max_tokens=NEW_TOKENS,
            temperature=0.0,
            top_k=1,
        )
        response = runner.send_chat_completion_request(request)
        text = response.choices[0].message.content or ""
        answers[kind] = Answer(text.lstrip(), response.usage.prompt_tokens)
    return answers


if __name__ == "__main__":
    sys.exit(main())
