"""Tiny checkpoints to stack, and recipes that do it."""

from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file

from cephalo.merge_recipes.merge import run_merge
from cephalo.merge_recipes.recipe import DepthRecipe
from modeling_cephalo.tiny import make_tiny_idefics2
from modeling_cephalo.tiny_llava_next import make_tiny_llava_next
from modeling_cephalo.tiny_phi3_v import make_tiny_phi3_v

TEXTS = ["Scanning electron micrograph of nacre: aragonite tablets in rows."] * 20
MAKERS = {
    "idefics2": make_tiny_idefics2,
    "llava_next": make_tiny_llava_next,
    "phi3_v": make_tiny_phi3_v,
}


def make_pair(root: Path, family: str) -> list[Path]:
    """Two checkpoints of a family, of two layers each, with different weights."""
    pair = [root / f"{family}-{seed}" for seed in (0, 1)]
    for seed, folder in enumerate(pair):
        MAKERS[family](folder, TEXTS, seed=seed)
    return pair


def recipe_text(first: Path, second: Path, ranges=((0, 2), (1, 2)), **changes) -> str:
    recipe = {
        "merge_method": "passthrough",
        "dtype": "float32",
        "slices": [
            {"sources": [{"model": str(model), "layer_range": list(layers)}]}
            for model, layers in zip((first, second), ranges, strict=True)
        ],
        **changes,
    }
    return yaml.safe_dump(recipe)


def run(text: str, out: Path) -> Path:
    run_merge(text, DepthRecipe.model_validate(yaml.safe_load(text)), out)
    return out


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a merged model, which is small enough for one file."""
    return load_file(folder / "model-00001-of-00001.safetensors")
