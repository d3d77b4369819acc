"""Images to tiles for `phi3_v`, bit for bit as the published image processor, without torchvision.

An image is scaled to the most tiles that `num_crops` allows, padded with white to whole tiles and
cut. A view of the whole image, one tile large, goes first.
"""

import math

import numpy as np
import torch
from PIL import Image
from transformers.image_processing_backends import PilBackend
from transformers.image_processing_utils import BatchFeature
from transformers.image_transforms import to_pil_image
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD, ImageInput
from transformers.processing_utils import ImagesKwargs, Unpack
from transformers.utils import TensorType


class Phi3VImageProcessorKwargs(ImagesKwargs, total=False):
    """
    num_crops (`int`): the most sub-images of an image.
    num_img_tokens (`int`): the tokens of one tile, a square number.
    tile_size (`int`): the edge of a tile in pixels; 336 in every published checkpoint.
    """

    num_crops: int
    num_img_tokens: int
    tile_size: int


class Phi3VImageProcessor(PilBackend):
    """Cuts images into tiles and says how many tokens each image becomes."""

    model_input_names = ["pixel_values", "image_sizes"]  # noqa: RUF012
    valid_kwargs = Phi3VImageProcessorKwargs

    num_crops = 16
    num_img_tokens = 144
    tile_size = 336
    image_mean = OPENAI_CLIP_MEAN
    image_std = OPENAI_CLIP_STD

    def __init__(self, **kwargs: Unpack[Phi3VImageProcessorKwargs]) -> None:
        super().__init__(**kwargs)

    def process_image(self, image: ImageInput, **kwargs: object) -> Image.Image:
        """One image of any kind as an RGB picture. Raises ValueError above PIL's pixel limit."""
        if not isinstance(image, Image.Image):
            image = to_pil_image(super().process_image(image, do_convert_rgb=False))
        # The size is known before the pixels are unpacked.
        if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
            raise ValueError(
                f"an image of {image.width} x {image.height} pixels is above the limit of "
                f"{Image.MAX_IMAGE_PIXELS} pixels; scale it down"
            )
        return image.convert("RGB")

    def _preprocess(
        self,
        images: list[Image.Image],
        num_crops: int,
        num_img_tokens: int,
        tile_size: int,
        image_mean: tuple[float, ...],
        image_std: tuple[float, ...],
        return_tensors: str | TensorType | None = None,
        **kwargs: object,
    ) -> BatchFeature:
        """Tiles of all images.

        Returns:
            pixel_values: float32 [images, num_crops + 1, 3, tile, tile], the global view, then
                the sub-images row by row, then zeros.
            image_sizes: int [images, 2], height and width in pixels of the grid of sub-images.
            num_img_tokens: the tokens of each image.
        """
        pixels = torch.zeros(len(images), num_crops + 1, 3, tile_size, tile_size)
        sizes, tokens = [], []
        for out, image in zip(pixels, images, strict=True):
            picture = fit_to_tiles(image, num_crops, tile_size)
            normal = to_normal(picture, image_mean, image_std)
            out[0] = global_view(normal, tile_size)
            rows, columns = picture.height // tile_size, picture.width // tile_size
            grid = normal.unflatten(2, (columns, tile_size)).unflatten(1, (rows, tile_size))
            out[1 : 1 + rows * columns] = grid.permute(1, 3, 0, 2, 4).flatten(0, 1)
            sizes.append([picture.height, picture.width])
            tokens.append(count_tokens(rows, columns, num_img_tokens))
        data = {"pixel_values": pixels, "image_sizes": sizes, "num_img_tokens": tokens}
        return BatchFeature(data=data, tensor_type=return_tensors)


def count_tokens(rows: int, columns: int, tile_tokens: int) -> int:
    """Tokens of an image of rows x columns tiles: the tiles, the global view, a token at the end
    of each row of both, and one between the two."""
    edge = math.isqrt(tile_tokens)
    return (rows * columns + 1) * tile_tokens + 1 + (rows + 1) * edge


def fit_to_tiles(image: Image.Image, num_crops: int, tile_size: int) -> Image.Image:
    """Scale to the largest whole number of tiles wide that fits, then pad the height with white.

    Portraits are treated lying down. Raises ValueError for an image so thin that nothing is left
    of its height.
    """
    if image.width < image.height:
        lying = fit_to_tiles(image.transpose(Image.Transpose.TRANSPOSE), num_crops, tile_size)
        return lying.transpose(Image.Transpose.TRANSPOSE)
    ratio = image.width / image.height
    scale = 1
    while (scale + 1) * math.ceil((scale + 1) / ratio) <= num_crops:
        scale += 1
    width = scale * tile_size
    height = int(width / ratio)
    if height == 0:
        raise ValueError(
            f"an image of {image.width} x {image.height} pixels is too thin: nothing is left of it "
            f"at {width} pixels; crop it"
        )
    picture = image.resize((width, height), Image.Resampling.BILINEAR)
    padded = Image.new("RGB", (width, math.ceil(height / tile_size) * tile_size), "white")
    padded.paste(picture, (0, (padded.height - height) // 2))
    return padded


def to_normal(
    picture: Image.Image, mean: tuple[float, ...], std: tuple[float, ...]
) -> torch.Tensor:
    """float32 [3, height, width], scaled to 0..1 and normalised."""
    tensor = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous().float().div(255)
    return tensor.sub_(torch.tensor(mean)[:, None, None]).div_(torch.tensor(std)[:, None, None])


def global_view(normal: torch.Tensor, edge: int) -> torch.Tensor:
    """The whole of a normalised image [3, height, width] as one tile [3, edge, edge]."""
    return torch.nn.functional.interpolate(normal[None], size=(edge, edge), mode="bicubic")[0]


__all__ = ["Phi3VImageProcessor"]
