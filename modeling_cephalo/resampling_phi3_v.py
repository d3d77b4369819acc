"""PIL's resampling of 8-bit images in torch: batched, on any device, with the same bits."""

import math
from collections.abc import Callable

import torch
from PIL import Image

# PIL's fixed point: weights have 22 bits, so that a sum of 8-bit values fits in 32.
PRECISION = 22
HALF = 1 << (PRECISION - 1)


def triangle(x: float) -> float:
    """Evaluate the filter of bilinear resampling."""
    return max(0.0, 1.0 - abs(x))


def cubic(x: float) -> float:
    """Evaluate the filter of bicubic resampling, Keys (1981) with a = -0.5."""
    x = abs(x)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return ((-0.5 * x + 2.5) * x - 4) * x + 2 if x < 2 else 0.0


# Each filter and its support, in pixels of the smaller of the two images.
FILTERS: dict[int, tuple[Callable[[float], float], float]] = {
    Image.Resampling.BILINEAR: (triangle, 1.0),
    Image.Resampling.BICUBIC: (cubic, 2.0),
}


def resize_as_pil(images: torch.Tensor, height: int, width: int, resample: int) -> torch.Tensor:
    """Scale images of one size.

    Args:
        images: uint8 [..., height, width].
        height: Of the result.
        width: Of the result.
        resample: PIL's bilinear or bicubic filter.

    Returns:
        uint8 [..., height, width], on the device of the images.

    Raises:
        ValueError: For another filter.
    """
    if resample not in FILTERS:
        raise ValueError(
            f"resample {resample} is not supported on a device; use bilinear (2) or bicubic (3), "
            "or leave out device to scale with PIL"
        )
    for axis, size in ((-1, width), (-2, height)):  # in PIL's order, with rounding between
        if images.shape[axis] != size:
            weights = fixed_point_weights(images.shape[axis], size, resample).to(images.device)
            pixels = images.transpose(axis, -1).double()
            # Integers below 2^53, so the sums are exact in any order.
            sums = (pixels @ weights.T + HALF).div_(1 << PRECISION).floor_()
            images = sums.clamp_(0, 255).to(torch.uint8).transpose(axis, -1)
    return images


def fixed_point_weights(before: int, after: int, resample: int) -> torch.Tensor:
    """Return the weight of each pixel of a line in each pixel of the scaled line, float64 [after,
    before]: integers, in units of 2^-PRECISION."""
    kernel, reach = FILTERS[resample]
    scale = before / after
    spread = max(scale, 1.0)
    weights = torch.zeros(after, before, dtype=torch.float64)
    for place in range(after):
        centre = (place + 0.5) * scale
        first = max(0, int(centre - reach * spread + 0.5))
        end = min(before, int(centre + reach * spread + 0.5))
        own = [kernel((x - centre + 0.5) * (1.0 / spread)) for x in range(first, end)]
        total = sum(own)
        for x, weight in enumerate(own, first):
            weights[place, x] = math.trunc(
                weight / total * (1 << PRECISION) + math.copysign(0.5, weight)
            )
    return weights


__all__ = ["resize_as_pil"]
