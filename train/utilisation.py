"""Model FLOPs utilisation: the operations that training requires, over the machine's rate.

The operations of a batch are counted as in PaLM (arXiv 2204.02311, appendix B), for what is
executed:

- 2 for each parameter of a matrix and each token that passes it, forward; 2 more if the gradient of
  its input is needed, and 2 more if the matrix itself trains;
- for attention, over rows of L tokens, 2 L^2 x hidden size x layers forward (half of 4 L^2, since
  attention is causal), and twice that backward if a gradient is needed.

Tokens of the head are those of the answers only, tokens of the vision tower are the patches of the
encoded tiles; the convolutions of `cephalo_stem` count once per patch, which is too little.
Recomputation by gradient checkpointing does not count.
"""

import time
from typing import TYPE_CHECKING

import torch

from cephalo.train.freezing import LAYER, part_of
from cephalo.train.packing import answer_positions

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from cephalo.train.packing import Inputs


class Work:
    """Counts operations and tokens of a model's training."""

    def __init__(self, model: "PreTrainedModel") -> None:
        text = model.config.get_text_config()
        self.patch = patch_size(model)
        parts = ("vision", "connector", "frozen", "text", "head")
        self.per_token: dict[str, float] = dict.fromkeys(parts, 0.0)
        first = first_trained(model)
        for name, parameter in model.named_parameters():
            part = part_of(name)
            if part == "text" and depth(name) < first:
                part = "frozen"  # layers whose hidden states may be stored
            if part in self.per_token and parameter.ndim > 1:
                factor = 2 + 2 * (depth(name) >= first) + 2 * parameter.requires_grad
                self.per_token[part] += factor * parameter.numel() * used_share(name, model)
        layers = text.num_hidden_layers
        backward = sum(depth_of_layer(layer) >= first for layer in range(layers))
        self.per_pair = {
            "frozen": 2.0 * text.hidden_size * (layers - backward),
            "text": 6.0 * text.hidden_size * backward,
        }
        self.operations, self.tokens = 0.0, 0

    def of_sequence(self, sequence: "Inputs") -> float:
        """Return the operations of one packed sequence, and add them to the count."""
        operations = self.of_layers("text", sequence)
        operations += self.per_token["head"] * len(answer_positions(sequence["labels"])[0])
        for rows in sequence.get("states", [sequence]):
            if "states" in rows:
                continue
            operations += self.of_layers("frozen", rows)
            operations += sum(self.of_images(own) for own in rows.get("images", [rows]))
        self.operations += operations
        self.tokens += sequence["input_ids"].shape[1]
        return operations

    def of_layers(self, part: str, rows: "Inputs") -> float:
        """Return the operations of the decoder's frozen layers, or of the others, on packed
        rows."""
        lengths = rows["cu_seq_lens_q"].diff().double()
        pairs = float(lengths.square().sum())
        return self.per_token[part] * float(lengths.sum()) + self.per_pair[part] * pairs

    def of_images(self, images: "Inputs") -> float:
        """Return the operations of vision tower and connector on the tiles of some images."""
        if "pixel_values" not in images:
            return 0.0
        if "image_grid_thw" in images:  # one row of pixels per patch
            patches = len(images["pixel_values"])
        elif "image_position_ids" in images:  # negative for padding
            patches = int((images["image_position_ids"] >= 0).all(-1).sum())
        else:
            height, width = images["pixel_values"].shape[-2:]
            patches = images["tiles"] * (height // self.patch) * (width // self.patch)
        return (self.per_token["vision"] + self.per_token["connector"]) * patches

    def taken(self) -> tuple[float, int]:
        """Return operations and tokens since the last call."""
        counted = self.operations, self.tokens
        self.operations, self.tokens = 0.0, 0
        return counted


def patch_size(model: "PreTrainedModel") -> int:
    """Return the edge of a patch of the vision tower, in pixels."""
    size = model.config.vision_config.patch_size
    return size if isinstance(size, int) else size[0]  # InternVL has height and width


def used_share(name: str, model: "PreTrainedModel") -> float:
    """Return the share of a parameter that one token uses: k experts of n, or all."""
    if ".experts." not in name:
        return 1.0
    text = model.config.get_text_config()
    chosen = getattr(text, "num_experts_per_tok", None) or text.top_k_experts  # Gemma 4's name
    return chosen / text.num_experts


def depth(name: str) -> float:
    """Return the position of a parameter's matrix in the forward pass."""
    part = part_of(name)
    if part == "text" and (layer := LAYER.search(name)):
        return depth_of_layer(int(layer[1]))
    return {"vision": 0, "connector": 1, "embeddings": 1, "text": 2, "head": float("inf")}[part]


def depth_of_layer(layer: int) -> int:
    """Return the depth of a decoder layer; see `depth`."""
    return 3 + layer


def first_trained(model: "PreTrainedModel") -> float:
    """Return the smallest depth of a trained parameter, from which gradients flow."""
    trained = [depth(name) for name, own in model.named_parameters() if own.requires_grad]
    return min(trained, default=float("inf"))


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Measure the operations per second of a large matrix product in `dtype`, the best of
    several."""
    size = 1024 if device.type == "cpu" else 8192
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        (left @ right)[0, 0].item()  # waits for the result
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best
