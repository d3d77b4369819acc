"""Classes for annotations alone: what transformers composes at run time, as its own do not say."""

from typing import Any, TypedDict

import torch
from transformers import BatchFeature, GenerationConfig, PreTrainedModel, ProcessorMixin


class GenerativeModel(PreTrainedModel):
    """A model of AutoModelForImageTextToText, whose class has GenerationMixin too."""

    generation_config: GenerationConfig

    def generate(self, **inputs: Any) -> torch.Tensor:
        """Return ids, int [batch, length]; `inputs` are the model's, and any generation setting."""
        raise NotImplementedError


class Processor(ProcessorMixin):
    """A processor of images and texts, which takes the options of its parts too."""

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]  # by name
        self, **inputs: Any
    ) -> BatchFeature:
        """Return the model's inputs."""
        raise NotImplementedError


class LoadingInfo(TypedDict):
    """The second result of `from_pretrained` with `output_loading_info`."""

    missing_keys: set[str]
    unexpected_keys: set[str]
    mismatched_keys: set[tuple[str, torch.Size, torch.Size]]
