"""Types for annotations only: classes that transformers composes at run time."""

from typing import Any, TypedDict

import torch
from transformers import BatchFeature, GenerationConfig, PreTrainedModel, ProcessorMixin


class GenerativeModel(PreTrainedModel):
    """A model of AutoModelForImageTextToText, which also inherits from GenerationMixin."""

    generation_config: GenerationConfig

    def generate(self, **inputs: Any) -> torch.Tensor:
        """Return ids, int [batch, length]; `inputs` are the model's, and any generation setting."""
        raise NotImplementedError


class Processor(ProcessorMixin):
    """A processor of images and texts; it accepts the options of its parts."""

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
