"""Fixes for models of transformers."""

import torch
from transformers.models.mistral3.modeling_mistral3 import Mistral3MultiModalProjector


def mend_mistral3() -> None:
    """Let Mistral 3 read a single image of one token, of up to 28 pixels.

    transformers 5 squeezes the first dimension of the image features. With only one token this
    removes the dimension of tokens, and splitting the features into images then fails.
    """
    project = Mistral3MultiModalProjector.forward

    def forward(
        self: Mistral3MultiModalProjector, image_features: torch.Tensor, image_sizes: torch.Tensor
    ) -> torch.Tensor:
        features = project(self, image_features, image_sizes)
        return features.unsqueeze(0) if features.shape[0] == 1 else features

    Mistral3MultiModalProjector.forward = forward


__all__ = ["mend_mistral3"]
