"""The microstructure of an image as a signed field: Otsu's phase on a plate, or as walls."""

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.filters import threshold_otsu

from cephalo.cli.errors import CephaloError

from .designs import MOST_POINTS, Extrusion, ImagePart, Relief
from .fields import Axes, Solid, box, grid
from .surface import Surface, surface_at, surface_with

MOST_PIXELS = 256  # of the longer edge
LEAST_PIXELS = 16  # of the shorter one
LEAST_CONTRAST = 16  # grey levels between the 5th and the 95th percentile
SMOOTHING = 1.0  # pixels


def relief(design: Relief, image: Image.Image) -> Surface:
    """The phase on a plate. Raises CephaloError for an image without two phases."""
    height = design.base + design.height
    phase = phase_distance(grey_values(image, pixels(design, height)), design)
    axes, extent, spacing = grid_over(phase, design, height)
    z = axes[2]
    raised = np.maximum(phase[:, :, None], z - np.float32(height))
    field = np.minimum(z - np.float32(design.base), raised)
    return surface_at(Solid(field, box(axes, extent), spacing), 0.0)


def extrusion(design: Extrusion, image: Image.Image) -> Surface:
    """The phase of the mirrored image as walls.

    Raises CephaloError for an image without two phases, and for a phase that is mostly islands.
    """
    grey = grey_values(image, pixels(design, design.height) // 2)
    phase = phase_distance(np.pad(grey, [(0, n) for n in grey.shape], "symmetric"), design)
    axes, extent, spacing = grid_over(phase, design, design.height)
    envelope = box(axes, extent)
    solid = Solid(np.broadcast_to(phase[:, :, None], envelope.shape), envelope, spacing)
    if design.volume_fraction is None:
        found = surface_at(solid, 0.0)
    else:
        found = surface_with(solid, design.volume_fraction)
    if found.islands_volume > found.mesh.volume:
        raise CephaloError(
            f"the {design.phase} phase is islands: {found.islands + 1} bodies; take the other "
            "--phase, more --volume-fraction, or a relief"
        )
    return found


def pixels(design: ImagePart, height: float) -> int:
    """Pixels of the longer edge, so that the grid stays within its limit."""
    return int(min(MOST_PIXELS, (MOST_POINTS * design.size / height) ** (1 / 3)))


def grey_values(image: Image.Image, edge: int) -> np.ndarray:
    """Smoothed grey values, float [x, y] with y upward, at most `edge` pixels on a side.

    Raises CephaloError for an image that is too small or has no contrast.
    """
    small = image.convert("L")
    small.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    if min(small.size) < LEAST_PIXELS:
        raise CephaloError(
            f"the image has {small.width} x {small.height} pixels on the grid; "
            f"give one of at least {LEAST_PIXELS} on each side and less elongated"
        )
    grey = gaussian_filter(np.asarray(small, np.float32).T[:, ::-1], SMOOTHING)
    dark, bright = np.percentile(grey, [5, 95])
    if bright - dark < LEAST_CONTRAST:
        raise CephaloError("the image has no two phases: its greys are all alike")
    return grey


def phase_distance(grey: np.ndarray, design: ImagePart) -> np.ndarray:
    """Signed distance in mm to the outline of Otsu's phase (1979), with one more pixel around."""
    threshold = threshold_otsu(grey)
    inside = grey > threshold if design.phase == "bright" else grey <= threshold
    distance = distance_transform_edt(~inside) - distance_transform_edt(inside)
    distance = gaussian_filter(distance, SMOOTHING) * (design.size / max(grey.shape))
    return np.pad(distance, 1, "edge").astype(np.float32)


def grid_over(
    phase: np.ndarray, design: ImagePart, height: float
) -> tuple[Axes, tuple[float, float, float], np.ndarray]:
    """Axes, extent in mm and spacing of a grid with one column for each pixel."""
    width, depth = (count - 2 for count in phase.shape)
    pixel = design.size / max(width, depth)
    extent = (width * pixel, depth * pixel, height)
    axes, spacing = grid(extent, pixel)
    return axes, extent, spacing
