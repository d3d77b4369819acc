"""Split images into tiles for `phi3_v`, with the same bits as the published image processor.

An image is scaled to the maximum number of tiles within `num_crops`, padded with white to whole
tiles and split. A view of the whole image, one tile large, precedes them. Images are scaled by PIL,
or in batches by torch on any device, with the same result; neither needs torchvision.
"""

# Untyped or partially typed: torch and transformers.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportPrivateImportUsage=false

import math
from typing import Any, TypedDict

import numpy as np
import torch
from PIL import Image
from transformers.image_processing_backends import PilBackend
from transformers.image_processing_utils import BatchFeature
from transformers.image_utils import (
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
    ChannelDimension,
    ImageInput,
    infer_channel_dimension_format,
)
from transformers.processing_utils import Unpack
from transformers.utils import TensorType

from .resampling_phi3_v import resize_as_pil

WHITE = 255


class Phi3VImageProcessorKwargs(TypedDict, total=False):
    """
    num_crops (`int`): Maximum number of sub-images of an image.
    num_img_tokens (`int`): Number of tokens of one tile, a square number.
    tile_size (`int`): Edge of a tile in pixels; 336 in every published checkpoint.
    do_convert_rgb (`bool`): Whether to convert images to RGB; otherwise other images are rejected.
    do_resize (`bool`): Whether to scale images; otherwise they are only padded to whole tiles.
    resample (`int`): PIL's filter for scaling.
    do_rescale (`bool`), rescale_factor (`float`): Whether to multiply pixel values, and by what;
        otherwise images with values from 0 to 1 remain unchanged, others are in 0..255.
    do_normalize (`bool`), image_mean, image_std (three `float`): Whether to subtract the mean and
        divide by the standard deviation.
    input_data_format (`str`): "channels_first" or "channels_last", for arrays of ambiguous shape.
    device (`str`): Device on which torch scales and splits images; by default PIL scales on the
        CPU.
    return_tensors (`str`): "pt" or "np".
    """

    num_crops: int
    num_img_tokens: int
    tile_size: int
    do_convert_rgb: bool | None
    do_resize: bool | None
    resample: int | None
    do_rescale: bool | None
    rescale_factor: float | None
    do_normalize: bool | None
    image_mean: float | list[float] | tuple[float, ...] | None
    image_std: float | list[float] | tuple[float, ...] | None
    input_data_format: str | ChannelDimension | None
    device: str | torch.device | None
    return_tensors: str | TensorType | None


class Phi3VImageProcessor(PilBackend):
    """Splits images into tiles, and computes the number of tokens per image."""

    model_input_names = ["pixel_values", "image_sizes"]  # noqa: RUF012
    valid_kwargs = Phi3VImageProcessorKwargs

    num_crops = 16
    num_img_tokens = 144
    tile_size = 336
    do_convert_rgb = True
    do_resize = True
    resample = Image.Resampling.BILINEAR
    do_rescale = True
    do_normalize = True
    image_mean = OPENAI_CLIP_MEAN
    image_std = OPENAI_CLIP_STD

    def __init__(self, **kwargs: Unpack[Phi3VImageProcessorKwargs]) -> None:
        super().__init__(**kwargs)

    def _validate_preprocess_kwargs(  # pyright: ignore[reportIncompatibleMethodOverride]  # by name
        self, **kwargs: Any
    ) -> None:
        """Raise ValueError for unsupported options."""
        for switch, names in {
            "do_resize": ["resample"],
            "do_rescale": ["rescale_factor"],
            "do_normalize": ["image_mean", "image_std"],
        }.items():
            if missing := [name for name in names if kwargs[switch] and kwargs[name] is None]:
                raise ValueError(f"{switch} needs {' and '.join(missing)}")
        if kwargs["num_crops"] < 1:
            raise ValueError(f"num_crops is {kwargs['num_crops']}; an image needs one tile")

    def process_image(  # pyright: ignore[reportIncompatibleMethodOverride]  # more than pixels
        self,
        image: ImageInput,
        do_convert_rgb: bool | None = None,
        input_data_format: str | ChannelDimension | None = None,
        device: str | torch.device | None = None,
        **kwargs: Any,
    ) -> tuple[Image.Image | torch.Tensor, bool]:
        """Convert an image of any kind to RGB, on a device to uint8 [3, height, width]; also return
        whether its values ranged from 0 to 1.

        Raises ValueError above PIL's pixel limit, and for invalid images.
        """
        unit = False
        if isinstance(image, Image.Image):
            check_pixels(*image.size)  # checks the size before the pixels are decoded
            if not do_convert_rgb and image.mode != "RGB":
                raise ValueError(f"an image is {image.mode}, not RGB; set do_convert_rgb")
            image = image.convert("RGB")
            if device is not None:
                image = torch.from_numpy(np.array(image)).permute(2, 0, 1).to(device)
            return image, unit
        image = image if torch.is_tensor(image) else torch.from_numpy(np.array(image))
        image = channels_first(image, do_convert_rgb, input_data_format)
        check_pixels(image.shape[2], image.shape[1])
        image, unit = as_bytes(image)
        if device is not None:
            return image.to(device), unit
        return Image.fromarray(image.permute(1, 2, 0).contiguous().cpu().numpy()), unit

    def _preprocess(  # pyright: ignore[reportIncompatibleMethodOverride]  # as each of its kind
        self,
        images: list[tuple[Image.Image | torch.Tensor, bool]],
        num_img_tokens: int,
        tile_size: int,
        do_rescale: bool,
        rescale_factor: float,
        do_normalize: bool,
        image_mean: tuple[float, ...],
        image_std: tuple[float, ...],
        return_tensors: str | TensorType | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Return the tiles of all images.

        Returns:
            pixel_values: float32 [images, tiles, 3, tile, tile], the global view, then the
            sub-images row by row, then zeros up to the maximum number of tiles. image_sizes: int
            [images, 2], height and width in pixels of the grid of sub-images. num_img_tokens: the
            number of tokens of each image.
        """
        layout = {name: kwargs[name] for name in ("num_crops", "do_resize", "resample")}
        fitted = fit_all([image for image, _ in images], tile_size=tile_size, **layout)
        # Divisor of pixel values. Dividing by a tensor is exact on every device.
        divisors = [
            1 / rescale_factor if do_rescale else (255.0 if unit else 1.0) for _, unit in images
        ]
        grids = [[length // tile_size for length in image.shape[1:]] for image in fitted]
        most = max((rows * columns for rows, columns in grids), default=0) + 1
        device = fitted[0].device if fitted else None
        pixels = torch.zeros(len(images), most, 3, tile_size, tile_size, device=device)
        for rows, columns in sorted(set(map(tuple, grids))):  # one batch per grid
            own = [index for index, grid in enumerate(grids) if grid == [rows, columns]]
            normal = torch.stack([fitted[index] for index in own]).float()
            normal /= torch.tensor([divisors[index] for index in own], device=device)[
                :, None, None, None
            ]
            if do_normalize:
                normal -= torch.tensor(image_mean, device=device)[:, None, None]
                normal /= torch.tensor(image_std, device=device)[:, None, None]
            pixels[own, 0] = global_view(normal, tile_size)
            grid = normal.unflatten(3, (columns, tile_size)).unflatten(2, (rows, tile_size))
            pixels[own, 1 : 1 + rows * columns] = grid.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
        data = {
            "pixel_values": pixels,
            "image_sizes": [[rows * tile_size, columns * tile_size] for rows, columns in grids],
            "num_img_tokens": [
                count_tokens(rows, columns, num_img_tokens) for rows, columns in grids
            ],
        }
        return BatchFeature(data=data, tensor_type=return_tensors)

    def calc_num_image_tokens_from_image_size(
        self, width: int, height: int, **kwargs: Unpack[Phi3VImageProcessorKwargs]
    ) -> int:
        """Return the number of tokens of an image of width x height pixels; `kwargs` as for its
        pixels.

        vLLM calls it by this name, from the published image processor.
        """
        options = {name: getattr(self, name) for name in ("num_crops", "tile_size", "do_resize")}
        options = {name: kwargs.get(name, value) for name, value in options.items()}
        size = tile_grid(width, height, **options)[1]
        return count_tokens(*size, kwargs.get("num_img_tokens", self.num_img_tokens))


def check_pixels(width: int, height: int) -> None:
    """Raise ValueError for an image above PIL's pixel limit."""
    if Image.MAX_IMAGE_PIXELS and width * height > Image.MAX_IMAGE_PIXELS:
        raise ValueError(
            f"an image of {width} x {height} pixels is above the limit of "
            f"{Image.MAX_IMAGE_PIXELS} pixels; scale it down"
        )


def channels_first(
    image: torch.Tensor, to_rgb: bool | None, data_format: str | ChannelDimension | None
) -> torch.Tensor:
    """Convert an array of one, three or four channels, first or last, to [3, height, width].

    Transparency is ignored, as in the published image processor. Raises ValueError for others.
    """
    if data_format is None:
        data_format = infer_channel_dimension_format(
            image,  # pyright: ignore[reportArgumentType]  # only its shape is looked at
            num_channels=(1, 3, 4),
        )
    if data_format == ChannelDimension.LAST:
        image = image.permute(2, 0, 1)
    channels = len(image)
    if channels not in (1, 3, 4) or not (to_rgb or channels == 3):
        raise ValueError(
            f"an image has {channels} channels, not 3"
            + ("" if channels not in (1, 4) else "; set do_convert_rgb")
        )
    return image.expand(3, -1, -1) if channels == 1 else image[:3]


def as_bytes(image: torch.Tensor) -> tuple[torch.Tensor, bool]:
    """Convert pixel values to uint8, and return whether they ranged from 0 to 1. Raises ValueError
    for other ranges."""
    if image.dtype == torch.uint8:
        return image, False
    image = image.double()
    low, high = image.min().item(), image.max().item()
    if not (low >= 0 and high <= WHITE):
        raise ValueError(f"pixel values range from {low:g} to {high:g}, not from 0 to 1 or to 255")
    unit = high <= 1
    return (image * (WHITE if unit else 1)).round().to(torch.uint8), unit


def count_tokens(rows: int, columns: int, tile_tokens: int) -> int:
    """Return the number of tokens of an image of rows x columns tiles: the tiles, the global view,
    a token at the end of each row of both, and one between the two."""
    edge = math.isqrt(tile_tokens)
    return (rows * columns + 1) * tile_tokens + 1 + (rows + 1) * edge


def tile_grid(
    width: int, height: int, num_crops: int, tile_size: int, do_resize: bool = True
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the size to which an image is scaled, and the grid of tiles to which it is padded.

    The grid is as wide as `num_crops` allows; portraits are processed rotated.

    Returns:
        (width, height) in pixels and (rows, columns).

    Raises:
        ValueError: For an image so narrow that nothing is left, or, without scaling, of more than
            `num_crops` tiles.
    """
    if not do_resize:
        rows, columns = math.ceil(height / tile_size), math.ceil(width / tile_size)
        if not 0 < rows * columns <= num_crops:
            raise ValueError(
                f"an image of {width} x {height} pixels takes {rows} x {columns} tiles of "
                f"{tile_size} and num_crops is {num_crops}; scale it, or set do_resize"
            )
        return (width, height), (rows, columns)
    if width < height:
        scaled, grid = tile_grid(height, width, num_crops, tile_size)
        return (scaled[1], scaled[0]), (grid[1], grid[0])
    ratio = width / height
    scale = 1
    while (scale + 1) * math.ceil((scale + 1) / ratio) <= num_crops:
        scale += 1
    scaled = int(scale * tile_size / ratio)
    if scaled == 0:
        raise ValueError(
            f"an image of {width} x {height} pixels is too thin: nothing is left of it "
            f"at {scale * tile_size} pixels; crop it"
        )
    return (scale * tile_size, scaled), (math.ceil(scaled / tile_size), scale)


def fit_all(
    images: list[Image.Image | torch.Tensor],
    num_crops: int,
    tile_size: int,
    do_resize: bool,
    resample: int,
) -> list[torch.Tensor]:
    """Scale and pad images to whole tiles, uint8 [3, height, width]; tensors of one size in a
    batch."""
    options: dict[str, Any] = {
        "num_crops": num_crops,
        "tile_size": tile_size,
        "do_resize": do_resize,
    }
    fitted: dict[int, torch.Tensor] = {}
    alike: dict[tuple[int, ...], list[int]] = {}
    tensors: dict[int, torch.Tensor] = {}
    for index, image in enumerate(images):
        if isinstance(image, Image.Image):
            picture = fit_to_tiles(image, **options, resample=resample)
            fitted[index] = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
        else:
            tensors[index] = image
            alike.setdefault(tuple(image.shape), []).append(index)
    for (_, height, width), own in alike.items():
        (new_width, new_height), grid = tile_grid(width, height, **options)
        batch = torch.stack([tensors[index] for index in own])
        if width < height:  # scaled rotated: PIL rounds between the two axes
            lying = resize_as_pil(batch.transpose(2, 3), new_width, new_height, resample)
            batch = lying.transpose(2, 3)
        else:
            batch = resize_as_pil(batch, new_height, new_width, resample)
        tiles = batch.new_full((len(own), 3, *(edge * tile_size for edge in grid)), WHITE)
        top, left = ((tiles.shape[axis] - batch.shape[axis]) // 2 for axis in (2, 3))
        tiles[:, :, top : top + batch.shape[2], left : left + batch.shape[3]] = batch
        fitted.update(zip(own, tiles, strict=True))
    return [fitted[index] for index in range(len(images))]


def fit_to_tiles(
    image: Image.Image,
    num_crops: int,
    tile_size: int,
    do_resize: bool = True,
    resample: int = Image.Resampling.BILINEAR,
) -> Image.Image:
    """Scale an RGB image and pad it with white, centered, to whole tiles (`tile_grid`)."""
    scaled, (rows, columns) = tile_grid(*image.size, num_crops, tile_size, do_resize)
    if image.width < image.height:  # scaled rotated: PIL rounds between the two axes
        turn = Image.Transpose.TRANSPOSE
        picture = image.transpose(turn).resize((scaled[1], scaled[0]), resample).transpose(turn)
    else:
        picture = image.resize(scaled, resample)
    tiles = Image.new("RGB", (columns * tile_size, rows * tile_size), "white")
    tiles.paste(picture, ((tiles.width - picture.width) // 2, (tiles.height - picture.height) // 2))
    return tiles


def global_view(normal: torch.Tensor, edge: int) -> torch.Tensor:
    """Return normalised images [images, 3, height, width] as one tile each."""
    return torch.nn.functional.interpolate(normal, size=(edge, edge), mode="bicubic")


__all__ = ["Phi3VImageProcessor"]
