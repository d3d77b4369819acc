"""Check and measure a part for slicers: closed, one body, and thick enough."""

from typing import TypedDict

import numpy as np
import trimesh
from scipy.ndimage import map_coordinates

from cephalo.apps.make_mesh.surface import Surface, bodies
from cephalo.cli.errors import CephaloError

RAYS = 4000
STEP = 0.25  # of the spacing
FACING = -0.9  # cosine between the outward normals of a wall's two sides: 26 degrees at most
PERCENTILE = 1.0
LEAST_WALL = 0.4  # mm: one line of a common nozzle


def check(mesh: trimesh.Trimesh) -> None:
    """Raise CephaloError if a mesh is not one closed surface with outward normals."""
    faults = {
        "not watertight": not mesh.is_watertight,
        "wound inconsistently": not mesh.is_winding_consistent,
        "inside out": mesh.volume <= 0,
        "in several bodies": bodies(mesh).max() > 0,
    }
    if found := [name for name, there in faults.items() if there]:
        raise CephaloError(f"the mesh is {' and '.join(found)}; change the size or cells a little")


class Measures(TypedDict):
    """Lengths in mm, volumes in mm³, and the area in mm²."""

    volume_fraction: float
    minimum_wall_mm: float | None
    bounding_box_mm: list[float]
    volume_mm3: float
    area_mm2: float
    triangles: int
    islands_dropped: int
    islands_dropped_mm3: float
    hollows_filled: int
    hollows_filled_mm3: float


def measures(surface: Surface) -> Measures:
    """Measure a part."""
    mesh = surface.mesh
    return {
        "volume_fraction": round(surface.volume_fraction, 5),
        "minimum_wall_mm": wall_thickness(surface),
        "bounding_box_mm": np.round(mesh.extents, 3).tolist(),
        "volume_mm3": round(float(mesh.volume), 3),
        "area_mm2": round(float(mesh.area), 3),
        "triangles": len(mesh.faces),
        "islands_dropped": surface.islands,
        "islands_dropped_mm3": round(surface.islands_volume, 3),
        "hollows_filled": surface.hollows,
        "hollows_filled_mm3": round(surface.hollows_volume, 3),
    }


def wall_thickness(surface: Surface) -> float | None:
    """Return the minimum wall thickness in mm: the first percentile over rays from the surface
    inward.

    A ray counts if it leaves the solid through a face with the opposite normal, so that the edges
    of a cut, where two faces meet, are not walls. Returns None if no two faces oppose each other.
    """
    field, spacing = surface.solid.at(surface.level), surface.solid.spacing
    # Colours, the third, are not requested.
    points, faces = trimesh.sample.sample_surface(surface.mesh, RAYS, seed=0)[:2]
    normals = surface.mesh.face_normals[faces]

    def values(places: np.ndarray) -> np.ndarray:
        indices = (places - surface.solid.origin) / spacing
        return map_coordinates(field, indices.T, order=1, mode="nearest")

    step = STEP * spacing.min()
    depths = np.full(len(points), np.nan)
    going, depth = np.arange(len(points)), step
    before = np.full(len(points), -np.inf)
    while len(going):
        now = values(points[going] - depth * normals[going])
        out = now >= 0
        # Between the last point inside and the first one outside, the field is almost linear.
        inner = before[going[out]]
        depths[going[out]] = depth - step * now[out] / (now[out] - inner)
        before[going] = now
        going, depth = going[~out], depth + step
    depths[depths < 2 * step] = np.nan  # leaves at once: an edge
    kept = np.flatnonzero(np.isfinite(depths))
    exits = points[kept] - depths[kept, None] * normals[kept]
    shifts = np.diag(spacing / 2)
    slopes = np.stack([values(exits + shift) - values(exits - shift) for shift in shifts], 1)
    slopes /= np.linalg.norm(slopes, axis=1, keepdims=True) + 1e-12
    facing = np.einsum("ij,ij->i", slopes, normals[kept]) < FACING
    if not facing.any():
        return None
    return round(float(np.percentile(depths[kept][facing], PERCENTILE)), 3)
