"""Rows and small models for the benchmark of training, of several families."""

import io
import random
import sys
from pathlib import Path
from typing import Any

TEXT = (
    "nacre aragonite tablets slide under tension and the crack is deflected along soft protein "
    "layers so that stress strain curves show a long plateau of hardening before failure at high "
    "toughness while silk collagen bone and wood differ in hierarchy modulus strength energy"
)
WORDS = TEXT.split(" ")
SEED = 0  # of the rows
LAYERS = 10
EDGE = 140  # pixels of a tile or image, ten patches


def make_rows(count: int) -> Any:
    """Create conversations with PNG figures."""
    import numpy as np
    from datasets import Dataset
    from PIL import Image

    from cephalo.train.rows import named, row_features

    random.seed(SEED)

    def words(least: int, most: int) -> str:
        return " ".join(random.choices(WORDS, k=round(least * (most / least) ** random.random())))

    def figure() -> dict[str, Any]:
        size = random.randrange(700, 1400), random.randrange(500, 1000)
        noise = np.random.default_rng(random.randrange(10**6)).integers(0, 255, (24, 32, 3))
        png = io.BytesIO()
        Image.fromarray(noise.astype(np.uint8)).resize(size).save(png, "PNG")
        return {"bytes": png.getvalue(), "path": None}

    rows, images = [], []
    for index in range(count):
        if index % 3 == 0:
            images = [figure() for _ in range(index // 3 % 3)]
        asked = [{"type": "image", "text": None} for _ in images]
        asked.append({"type": "text", "text": words(5, 40)})
        answer = [{"type": "text", "text": words(8, 120)}]
        rows.append(
            {
                "images": images,
                "prompt": [{"role": "user", "content": asked}],
                "completion": [{"role": "assistant", "content": answer}],
            }
        )
    return named(Dataset.from_list(rows, features=row_features()), "bench")


def idefics2() -> tuple[Any, Any]:
    """Return a configuration and its processor; images are split."""
    from transformers import Idefics2Config

    from modeling_cephalo.tiny import tiny_idefics2_config, tiny_idefics2_processor

    processor = tiny_idefics2_processor([TEXT] * 20)
    processor.image_processor.size = {"longest_edge": EDGE, "shortest_edge": EDGE // 2}
    processor.image_processor.do_image_splitting = True
    config = tiny_idefics2_config(processor.tokenizer, layers=LAYERS).to_dict()
    config["text_config"] |= {"hidden_size": 192, "intermediate_size": 640}
    config["vision_config"] |= {"hidden_size": 256, "intermediate_size": 1024, "image_size": EDGE}
    config["vision_config"]["num_hidden_layers"] = 5
    config["perceiver_config"]["hidden_size"] = 192
    return Idefics2Config(**config), processor


def tiny_families() -> dict[str, Any]:
    """Return the makers of the tests' tiny families.

    With them transformers loads their processors without torchvision, which they need for videos.
    """
    sys.path.append(str(Path(__file__).parents[1] / "tests" / "samples"))
    from family_samples import FAMILIES  # pyright: ignore[reportMissingImports]

    return FAMILIES


def family(name: str) -> tuple[dict[str, Any], Any]:
    """Return the configuration of a family of the tests, as a dictionary with a larger decoder, and
    its processor."""
    config, processor = tiny_families()[name]([TEXT] * 20)
    found = config.to_dict()
    found["text_config"] |= {"hidden_size": 192, "intermediate_size": 640, "head_dim": 32}
    found["text_config"] |= {"num_hidden_layers": LAYERS, "num_attention_heads": 6}
    return found, processor


def qwen3_vl() -> tuple[Any, Any]:
    """Return a configuration and its processor; images keep their aspect ratio."""
    from transformers import Qwen3VLConfig

    config, processor = family("qwen3_vl")
    processor.image_processor.size = {"shortest_edge": 28 * 28, "longest_edge": EDGE * EDGE}
    config["text_config"]["rope_parameters"]["mrope_section"] = [6, 5, 5]
    config["vision_config"] |= {"depth": 5, "hidden_size": 256, "intermediate_size": 1024}
    config["vision_config"] |= {"out_hidden_size": 192, "num_position_embeddings": 100}
    config["vision_config"]["deepstack_visual_indexes"] = [1, 3]
    return Qwen3VLConfig(**config), processor


def gemma3() -> tuple[Any, Any]:
    """Return a configuration and its processor; images are squares of 25 tokens."""
    from transformers import Gemma3Config

    config, processor = family("gemma3")
    processor.image_processor.size = {"height": EDGE, "width": EDGE}
    processor.image_seq_length = config["mm_tokens_per_image"] = 25
    config["text_config"]["layer_types"] = (["sliding_attention"] * 4 + ["full_attention"]) * 2
    config["text_config"]["sliding_window"] = 256
    config["vision_config"] |= {"hidden_size": 256, "intermediate_size": 1024, "image_size": EDGE}
    config["vision_config"]["num_hidden_layers"] = 5
    return Gemma3Config(**config), processor


MODELS = {maker.__name__: maker for maker in (idefics2, qwen3_vl, gemma3)}


def make_model(name: str, folder: Path, seed: int) -> None:
    """Create the model and processor that all variants start from.

    Raises CephaloError for another name than those of MODELS.
    """
    from transformers import AutoModelForImageTextToText

    from cephalo.cli.errors import CephaloError
    from modeling_cephalo.tiny import weights_of

    if name not in MODELS:
        raise CephaloError(f"--family {name}: choose one of {', '.join(MODELS)}")
    config, processor = MODELS[name]()
    with weights_of(seed):
        model = AutoModelForImageTextToText.from_config(config)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
