"""Families of plates: each generates a map of relative stiffness on a square of pixels.

A family is a function of a random generator and the coordinates of the pixel centres, `x` to the
right and `y` down, both (n, n) on [0, 1]. It returns (n, n): 1 for solid, less for a soft phase, 0
for void.
"""

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, label
from scipy.spatial import KDTree

Family = Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]

GREYS = 255
SOLID = (0.5, 1.0)  # relative stiffness of the solid, drawn for each plate
TRIES = 100  # draws until the material reaches from grip to grip


def generator(seed: int, purpose: str, index: int) -> np.random.Generator:
    """Return a random generator that depends on the three arguments alone, so a plate can be made
    by itself."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), index])


def draw_plate(family: str, rng: np.random.Generator, n: int) -> np.ndarray:
    """Generate the relative stiffness, (n, n), of a plate of a family, without pieces that carry no
    load.

    Values are whole grey levels, 1 - grey / 255, so that an image stores them exactly.
    """
    centres = (np.arange(n) + 0.5) / n
    x, y = np.meshgrid(centres, centres)
    for _ in range(TRIES):
        stiffness = rng.uniform(*SOLID) * FAMILIES[family](rng, x, y)
        if (carrying := load_path(stiffness > 0)).any():
            return np.round(GREYS * stiffness * carrying) / GREYS
    raise AssertionError(f"family {family} generated no connected plate")


def load_path(solid: np.ndarray) -> np.ndarray:
    """Return the pieces of a mask that connect the left edge to the right one.

    Pixels are connected by edges: connection by a corner alone would be a hinge.
    """
    labelled: Any = label(solid)
    pieces, _ = labelled
    through = np.intersect1d(pieces[:, 0], pieces[:, -1])
    return np.isin(pieces, through[through > 0])


def uniform_bar(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Generate a straight bar from grip to grip, under uniform stress."""
    width = rng.uniform(0.2, 1.0)
    middle = rng.uniform(width / 2, 1 - width / 2)
    return (abs(y - middle) <= width / 2).astype(float)


def holes(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Generate one to four round or elliptical holes."""
    plate = np.ones_like(x)
    for _ in range(rng.integers(1, 5)):
        a, b = rng.uniform(0.05, 0.2, 2)
        u, v = turned(x, y, rng.uniform(0.15, 0.85, 2), rng.uniform(0, np.pi))
        plate[(u / a) ** 2 + (v / b) ** 2 <= 1] = 0
    return plate


def notches(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Generate notches, pointed or blunt, in the long edges."""
    plate = np.ones_like(x)
    for _ in range(rng.integers(1, 4)):
        place, depth = rng.uniform(0.15, 0.85), rng.uniform(0.1, 0.4)
        mouth, sharpness = rng.uniform(0.04, 0.15), rng.choice([1.0, 2.0, 8.0])
        from_edge = y if rng.random() < 0.5 else 1 - y
        half_width = mouth * np.clip(1 - (from_edge / depth) ** sharpness, 0, None)
        plate[(abs(x - place) < half_width) & (from_edge < depth)] = 0
    return plate


def cracks(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Generate one to three open cracks of any orientation, two pixels wide."""
    plate = np.ones_like(x)
    for _ in range(rng.integers(1, 4)):
        length = rng.uniform(0.15, 0.5)
        u, v = turned(x, y, rng.uniform(0.2, 0.8, 2), rng.uniform(0, np.pi))
        plate[(abs(u) <= length / 2) & (abs(v) <= 1 / len(x))] = 0
    return plate


def lattice(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Generate a lattice of struts in two directions (squares) or three (triangles), at any
    rotation."""
    pitch, width, angle = rng.uniform(0.16, 0.34), rng.uniform(0.045, 0.1), rng.uniform(0, np.pi)
    directions = rng.choice([2, 3])
    shift = rng.uniform(0, pitch, directions)
    plate = np.zeros_like(x)
    for number in range(directions):
        _, v = turned(x, y, (0, 0), angle + number * np.pi / directions)
        plate[abs((v + shift[number]) % pitch - pitch / 2) <= width / 2] = 1
    return plate


def pollen_shells(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Generate packed shells like the wall of a pollen grain: two skins joined by radial columns.

    Neighbours overlap slightly and are therefore connected.
    """
    across = rng.integers(1, 3)
    u, v = (x * across) % 1 - 0.5, (y * across) % 1 - 0.5
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    outer, skin = rng.uniform(0.51, 0.56), rng.uniform(0.05, 0.08) * across**0.5
    inner = outer - rng.uniform(0.18, 0.26)
    columns, share = rng.integers(8, 21), rng.uniform(0.3, 0.6)
    turn = rng.uniform(0, 2 * np.pi)
    plate = (radius <= outer) & (radius >= outer - skin)
    plate |= (radius <= inner + skin) & (radius >= inner)
    between = (radius >= inner) & (radius <= outer)
    plate |= between & ((columns * (angle + turn) / (2 * np.pi)) % 1 < share)
    return plate.astype(float)


def nacre_bricks(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Generate stiff tablets in staggered rows, with soft mortar between them."""
    length, height = rng.uniform(0.25, 0.6), rng.uniform(0.1, 0.22)
    mortar, soft = rng.uniform(0.02, 0.05), rng.uniform(0.1, 0.4)
    stagger, shift = rng.uniform(0.25, 0.5), rng.uniform(0, 1, 2)
    row = np.floor(y / height + shift[1])
    along = (x / length + shift[0] + stagger * (row % 2)) % 1 * length
    across = (y / height + shift[1]) % 1 * height
    return np.where((along < mortar) | (across < mortar), soft, 1.0)


def porous(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Generate a random porous medium: smoothed white noise, void where it is lowest."""
    noise = gaussian_filter(
        rng.standard_normal(x.shape), rng.uniform(0.03, 0.08) * len(x), mode="wrap"
    )
    return (noise > np.quantile(noise, rng.uniform(0.1, 0.4))).astype(float)


def polygons(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Generate one to three holes with three to seven straight sides."""
    plate = np.ones_like(x)
    for _ in range(rng.integers(1, 4)):
        sides, size = rng.integers(3, 8), rng.uniform(0.07, 0.2)
        u, v = turned(x, y, rng.uniform(0.2, 0.8, 2), rng.uniform(0, np.pi))
        faces = 2 * np.pi * (np.arange(sides) + rng.uniform(-0.2, 0.2, sides)) / sides
        plate[np.max([u * np.cos(face) + v * np.sin(face) for face in faces], axis=0) < size] = 0
    return plate


def voronoi_foam(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Generate an open foam: the walls between the cells of random points."""
    points = rng.uniform(-0.2, 1.2, (rng.integers(25, 70), 2))
    distance, _ = KDTree(points).query(np.stack([x, y], axis=-1), k=2)
    assert isinstance(distance, np.ndarray)
    return (distance[..., 1] - distance[..., 0] < rng.uniform(0.05, 0.12)).astype(float)


def turned(
    x: np.ndarray, y: np.ndarray, centre: Sequence[float] | np.ndarray, angle: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates rotated by `angle` (radians) about `centre`."""
    u, v = x - centre[0], y - centre[1]
    return u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle)


SEEN: dict[str, Family] = {
    "uniform bar": uniform_bar,
    "holes": holes,
    "notches": notches,
    "cracks": cracks,
    "lattice": lattice,
    "pollen-like shells": pollen_shells,
    "nacre-like bricks": nacre_bricks,
    "porous medium": porous,
}
UNSEEN: dict[str, Family] = {"polygonal holes": polygons, "Voronoi foam": voronoi_foam}
FAMILIES = SEEN | UNSEEN
"""The families by name. Those of `UNSEEN` are not used for training."""
