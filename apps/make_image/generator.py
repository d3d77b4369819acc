"""Run any text-to-image or image-to-image pipeline of diffusers with fixed seeds."""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from cephalo.apps.model_sources import in_one_line
from cephalo.apps.pipelines import load_pipeline
from cephalo.cli.errors import CephaloError
from cephalo.inference.images import open_image

if TYPE_CHECKING:
    from diffusers.pipelines.pipeline_utils import ImagePipelineOutput


class GeneratorSettings(BaseModel):
    """The settings of a pipeline; None uses its default. Sizes are in pixels.

    With `strength` (0 keeps the first image, 1 ignores it) the pipeline is image-to-image.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    width: int | None = None
    height: int | None = None
    strength: float | None = Field(None, gt=0, le=1)


class Generator:
    """A loaded pipeline. Raises CephaloError if it does not generate images."""

    def __init__(self, settings: GeneratorSettings) -> None:
        self.settings = settings
        kind = "AutoPipelineForImage2Image" if settings.strength else "AutoPipelineForText2Image"
        self.pipeline = cast(
            "Callable[..., ImagePipelineOutput]", load_pipeline(kind, settings.model)
        )

    def draw(self, prompt: str, seed: int, start: Image.Image) -> Image.Image:
        """Generate an RGB image for `prompt`; image-to-image begins at `start`.

        The noise is drawn on the CPU, so a seed gives the same on every device. Raises CephaloError
        if the pipeline rejects its settings.
        """
        given = self.settings.model_dump(exclude={"model"}, exclude_none=True)
        if self.settings.strength:
            size = (given.pop("width", start.width), given.pop("height", start.height))
            given["image"] = start.resize([max(8, edge // 8 * 8) for edge in size])
        noise = torch.Generator("cpu").manual_seed(seed)
        try:
            return open_image(self.pipeline(prompt=prompt, generator=noise, **given).images[0])
        except (ValueError, TypeError, RuntimeError) as error:
            raise CephaloError(
                f"{self.settings.model} cannot draw this: {in_one_line(error)}"
            ) from error
