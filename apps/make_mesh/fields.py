"""Compute architectures as signed fields on a grid, in millimetres, negative inside the solid."""

from dataclasses import dataclass
from functools import singledispatch

import numpy as np
from scipy.spatial import KDTree

from cephalo.apps.make_mesh.designs import TIP, Design, Gyroid, Honeycomb, Pollen, SchwarzP

Axes = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Solid:
    """The set `max(distance - level, envelope) < 0`, for any level in mm.

    Both are float32 [x, y, z] on a grid with `spacing` mm between points, whose outermost layer is
    outside the box; `origin` is the position of point [0, 0, 0] in mm. Volume fractions are
    relative to `whole < 0`, by default the box.
    """

    distance: np.ndarray
    envelope: np.ndarray
    spacing: np.ndarray
    whole: np.ndarray | None = None

    @property
    def origin(self) -> np.ndarray:
        return -self.spacing / 2

    @property
    def box_volume(self) -> float:
        """The volume of the box in mm³."""
        return float(np.prod(self.spacing * (np.array(self.envelope.shape) - 2)))

    def at(self, level: float) -> np.ndarray:
        """Return the field of the solid at a level."""
        return np.maximum(self.distance - np.float32(level), self.envelope)


def grid(extent: tuple[float, float, float], voxel: float) -> tuple[Axes, np.ndarray]:
    """Return coordinates in mm along each axis, shaped to broadcast, and their spacing, float [3].

    The faces of the box are midway between the two outermost points on each side.
    """
    counts = [max(4, int(np.ceil(edge / voxel - 1e-6))) for edge in extent]
    spacing = np.array([edge / count for edge, count in zip(extent, counts, strict=True)])
    lines = [
        (np.arange(-1, count + 1, dtype=np.float32) + 0.5) * np.float32(step)
        for count, step in zip(counts, spacing, strict=True)
    ]
    x, y, z = np.meshgrid(*lines, indexing="ij", sparse=True)
    return (x, y, z), spacing


def box(axes: Axes, extent: tuple[float, float, float]) -> np.ndarray:
    """Return the signed distance along the axes to a box from the origin to `extent`."""
    x, y, z = (
        np.abs(axis - np.float32(edge / 2)) - np.float32(edge / 2)
        for axis, edge in zip(axes, extent, strict=True)
    )
    return np.maximum(np.maximum(x, y), z)


@singledispatch
def solid_of(design: Design) -> Solid:
    """Return the field of a design."""
    raise TypeError(type(design).__name__)


@solid_of.register
def gyroid(design: Gyroid) -> Solid:
    """Return the distance to sin x cos y + sin y cos z + sin z cos x = 0, one period per cell."""
    axes, spacing = grid(design.extent, design.voxel)
    wave = np.float32(2 * np.pi * design.cells / design.size)
    sx, sy, sz = (np.sin(wave * axis) for axis in axes)
    cx, cy, cz = (np.cos(wave * axis) for axis in axes)
    value = sx * cy + sy * cz + sz * cx
    slopes = (cx * cy - sz * sx, cy * cz - sx * sy, cz * cx - sy * sz)
    return Solid(sheet(value, slopes, wave), box(axes, design.extent), spacing)


@solid_of.register
def schwarz_p(design: SchwarzP) -> Solid:
    """Return the distance to cos x + cos y + cos z = 0, one period per cell."""
    axes, spacing = grid(design.extent, design.voxel)
    wave = np.float32(2 * np.pi * design.cells / design.size)
    cx, cy, cz = (np.cos(wave * axis) for axis in axes)
    sx, sy, sz = (np.sin(wave * axis) for axis in axes)
    value, slopes = cx + cy + cz, (sx, sy, sz)
    return Solid(sheet(value, slopes, wave), box(axes, design.extent), spacing)


def sheet(
    value: np.ndarray, slopes: tuple[np.ndarray, np.ndarray, np.ndarray], wave: np.float32
) -> np.ndarray:
    """Return the distance in mm to `value` = 0, to first order (Taubin 1991): |value| over its
    gradient.

    Walls have even thickness, and the necks stay open, where the gradient vanishes.
    """
    gradient = np.sqrt(sum(slope * slope for slope in slopes))
    return np.abs(value) / (wave * np.maximum(gradient, np.float32(1e-3)))


@solid_of.register
def honeycomb(design: Honeycomb) -> Solid:
    """Return the distance to the edges of regular hexagons, `cells` of them side by side along
    x."""
    axes, spacing = grid(design.extent, design.voxel)
    pitch = design.size / design.cells
    # The centres form a triangular lattice: two rectangular ones, half a rectangle apart.
    rectangle = np.array([pitch, pitch * np.sqrt(3)])
    # Shifted by a quarter of the pitch, so that no face of the box splits a wall along its length.
    x = axes[0][:, :, 0] - design.size / 2 + pitch / 4
    y = axes[1][:, :, 0] - design.size / 2
    edges = []
    for shift in (0.0, 0.5):
        u = x / rectangle[0] - shift
        v = y / rectangle[1] - shift
        u = np.abs(u - np.round(u)) * rectangle[0]
        v = np.abs(v - np.round(v)) * rectangle[1]
        # Half the pitch minus the largest projection on the three normals of a hexagon.
        edges.append(pitch / 2 - np.maximum(u, u / 2 + v * np.sqrt(3) / 2))
    distance = np.maximum(*edges).astype(np.float32)[:, :, None]
    envelope = box(axes, design.extent)
    return Solid(np.broadcast_to(distance, envelope.shape), envelope, spacing)


@solid_of.register
def pollen(design: Pollen) -> Solid:
    """Return the depth below a ball with truncated cones on a Fibonacci lattice; the level is the
    wall."""
    axes, spacing = grid(design.extent, design.voxel)
    x, y, z = np.broadcast_arrays(*(axis - np.float32(design.size / 2) for axis in axes))
    points = np.stack([x, y, z], -1)
    r = np.linalg.norm(points, axis=-1)
    ball = r - np.float32(design.radius)

    openings = directions_on_equator(design.openings)
    outer = np.minimum(ball, spikes(design, points, r, openings))
    outer = np.maximum(outer, box(axes, design.extent))
    holes = np.minimum.reduce([distance_to_ray(points, r, one) for one in openings])
    holes -= np.float32(design.opening * design.radius)
    return Solid(-ball, np.maximum(outer, -holes), spacing, outer)


def spikes(design: Pollen, points: np.ndarray, r: np.ndarray, openings: np.ndarray) -> np.ndarray:
    """Return the signed distance to the cone nearest in direction, without spikes over openings."""
    base, top = design.spike_base, design.size / 2
    directions = fibonacci_sphere(design.spikes)
    clear = 1.2 * (design.opening + base / design.radius)
    far = np.max(directions @ openings.T, axis=1) < np.cos(clear)
    directions = directions[far]
    distance = np.full(r.shape, np.float32(design.size))
    near = r > 0.9 * design.radius
    if not len(directions):
        return distance
    _, nearest = KDTree(directions).query(points[near] / r[near, None])
    axis = directions[nearest].astype(np.float32)
    along = np.einsum("ij,ij->i", points[near], axis)
    across = np.sqrt(np.maximum(r[near] ** 2 - along**2, 0))
    # From the whole base at the ball's surface to TIP of it at the top.
    height = top - design.radius
    taper = (1 - TIP) * base / height
    cone = (across - base + taper * (along - design.radius)) / np.hypot(1, taper)
    distance[near] = np.maximum(cone, along - top)
    return distance


def distance_to_ray(points: np.ndarray, r: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Return the distance to a ray from the centre; `r` is that to the centre."""
    along = np.maximum(points @ direction.astype(np.float32), 0)
    return np.sqrt(np.maximum(r**2 - along**2, 0))


def directions_on_equator(count: int) -> np.ndarray:
    """Return unit vectors, float [count, 3], evenly around z."""
    angles = np.arange(count) * 2 * np.pi / count
    return np.stack([np.cos(angles), np.sin(angles), np.zeros(count)], 1)


def fibonacci_sphere(count: int) -> np.ndarray:
    """Return unit vectors, float [count, 3], at nearly even distances: golden angle, even steps in
    z."""
    steps = np.arange(count)
    z = 1 - (2 * steps + 1) / count
    angles = steps * np.pi * (3 - np.sqrt(5))
    ring = np.sqrt(1 - z * z)
    return np.stack([ring * np.cos(angles), ring * np.sin(angles), z], 1)
