"""Convert the microstructure of an image to a signed field: Otsu's phase on a plate, or as
walls."""

from dataclasses import dataclass
from typing import cast

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.draw import line
from skimage.filters import threshold_otsu

from cephalo.apps.make_mesh.designs import MOST_POINTS, Extrusion, ImagePart, Relief
from cephalo.apps.make_mesh.fields import Axes, Solid, box, grid
from cephalo.apps.make_mesh.surface import Surface, surface_at, surface_with
from cephalo.cli.errors import CephaloError

MOST_PIXELS = 256  # of the longer edge
LEAST_PIXELS = 16  # of the shorter one
LEAST_CONTRAST = 16  # grey levels of 255
SMOOTHING = 1.0  # pixels
SPECK = 1e-3  # of the image's area; smaller islands are removed
BRIDGE = 5  # pixels wide
LEAST_SHIFT = 0.1  # pixels


@dataclass(frozen=True)
class Joined:
    """A phase in one piece, bool [x, y]: `bridges` connect its islands with each other and with the
    sides of the image; `specks` were too small."""

    phase: np.ndarray
    bridges: int
    specks: int


def relief(design: Relief, image: Image.Image) -> Surface:
    """Return the phase on a plate. Raises CephaloError for an image without two phases."""
    height = design.base + design.height
    phase = phase_of(grey_values(image, pixels(design, height)), design.phase)
    distance = signed_distance(phase, design.size)
    axes, extent, spacing = grid_over(phase, design, height)
    z = axes[2]
    raised = np.maximum(distance[:, :, None], z - np.float32(height))
    field = np.minimum(z - np.float32(design.base), raised)
    return surface_at(Solid(field, box(axes, extent), spacing), 0.0)


def extrusion(design: Extrusion, image: Image.Image) -> tuple[Surface, Joined]:
    """Return the phase as walls, connected, and mirrored in both directions.

    Raises CephaloError for an image without two phases, and for a volume fraction that connected
    walls cannot have.
    """
    grey = grey_values(image, pixels(design, design.height) // 2)
    phase = phase_of(grey, design.phase)
    if design.volume_fraction is None:
        joined = in_one_piece(phase)
    else:
        joined = piece_with(phase, design.volume_fraction)
    phase = np.pad(joined.phase, [(0, count) for count in grey.shape], "symmetric")
    axes, extent, spacing = grid_over(phase, design, design.height)
    envelope = box(axes, extent)
    distance = signed_distance(phase, design.size)[:, :, None]
    solid = Solid(np.broadcast_to(distance, envelope.shape), envelope, spacing)
    if design.volume_fraction is None:
        return surface_at(solid, 0.0), joined
    return surface_with(solid, design.volume_fraction), joined


def piece_with(phase: np.ndarray, fraction: float) -> Joined:
    """Grow or shrink the phase evenly until, in one piece, it is nearest to `fraction` of the
    image."""
    distance = outline_distance(phase)
    low, high = distance.min(), distance.max()
    best = in_one_piece(phase)
    while high - low > LEAST_SHIFT:
        shift = (low + high) / 2
        found = in_one_piece(distance <= shift)
        area = found.phase.mean()
        if abs(area - fraction) < abs(best.phase.mean() - fraction):
            best = found
        low, high = (shift, high) if area < fraction else (low, shift)
    return best


def in_one_piece(phase: np.ndarray) -> Joined:
    """Connect the islands of a phase by straight bridges, each to the nearest point of the largest
    one.

    The piece is connected to all four sides as well, so that mirrored copies meet.
    """
    labels, count = cast("tuple[np.ndarray, int]", ndimage.label(phase))  # not annotated by scipy
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    areas[0] = 0
    small = areas < SPECK * phase.size
    small[areas.argmax()] = False
    piece, rest = labels == areas.argmax(), ~small[labels] & phase
    rest &= ~piece
    bridges = 0
    while rest.any():
        start, end = nearest_pair(piece, rest)
        piece |= bridge(phase.shape, start, end) | (labels == labels[start])
        rest &= ~piece
        bridges += 1
    for side in ((0, slice(None)), (-1, slice(None)), (slice(None), 0), (slice(None), -1)):
        if not piece[side].any():
            edge = np.zeros_like(piece)
            edge[side] = True
            piece |= bridge(phase.shape, *nearest_pair(piece, edge))
            bridges += 1
    return Joined(piece, bridges, int((small[1:]).sum()))


def nearest_pair(piece: np.ndarray, rest: np.ndarray) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the pixel of `rest` that is nearest to `piece`, and the pixel of `piece` nearest to
    it."""
    found = ndimage.distance_transform_edt(~piece, return_indices=True)
    distance, nearest = cast("tuple[np.ndarray, np.ndarray]", found)
    start = np.unravel_index(np.where(rest, distance, np.inf).argmin(), piece.shape)
    return tuple(map(int, start)), tuple(map(int, nearest[(slice(None), *start)]))


def bridge(shape: tuple[int, int], start: tuple[int, ...], end: tuple[int, ...]) -> np.ndarray:
    """Draw a straight bar between two pixels."""
    bar = np.zeros(shape, bool)
    bar[line(*start, *end)] = True
    return ndimage.binary_dilation(bar, np.ones((3, 3), int), iterations=BRIDGE // 2)


def pixels(design: ImagePart, height: float) -> int:
    """Return the number of pixels of the longer edge within the limit of the grid."""
    return int(min(MOST_PIXELS, (MOST_POINTS * design.size / height) ** (1 / 3)))


def grey_values(image: Image.Image, edge: int) -> np.ndarray:
    """Return smoothed grey values, float [x, y] with y upward, at most `edge` pixels on a side.

    Raises CephaloError for an image that is too small or has no contrast.
    """
    small = image.convert("L")
    small.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    if min(small.size) < LEAST_PIXELS:
        raise CephaloError(
            f"the image has {small.width} x {small.height} pixels on the grid; give one of at "
            f"least {LEAST_PIXELS} on each side, less elongated, or make a lower part"
        )
    grey = ndimage.gaussian_filter(np.asarray(small, np.float32).T[:, ::-1], SMOOTHING)
    if np.ptp(grey) < LEAST_CONTRAST:
        raise CephaloError("the image has no two phases: its grey values are all alike")
    return grey


def phase_of(grey: np.ndarray, name: str) -> np.ndarray:
    """Return the pixels of the bright or dark phase by Otsu's threshold (1979)."""
    bright = grey > threshold_otsu(grey)
    return bright if name == "bright" else ~bright


def outline_distance(phase: np.ndarray) -> np.ndarray:
    """Return the distance in pixels to the other phase, negative inside."""
    inside = cast("np.ndarray", ndimage.distance_transform_edt(phase))
    return cast("np.ndarray", ndimage.distance_transform_edt(~phase)) - inside


def signed_distance(phase: np.ndarray, size: float) -> np.ndarray:
    """Return the distance in mm to the outline, negative inside, with one more pixel on each
    side."""
    distance = ndimage.gaussian_filter(outline_distance(phase), SMOOTHING)
    distance *= size / max(phase.shape)
    return np.pad(distance, 1, "edge").astype(np.float32)


def grid_over(
    phase: np.ndarray, design: ImagePart, height: float
) -> tuple[Axes, tuple[float, float, float], np.ndarray]:
    """Return axes, extent in mm and spacing of a grid with one column per pixel."""
    pixel = design.size / max(phase.shape)
    extent = (phase.shape[0] * pixel, phase.shape[1] * pixel, height)
    axes, spacing = grid(extent, pixel)
    return axes, extent, spacing
