"""Convert a field to one closed surface with the requested volume."""

from dataclasses import dataclass

import numpy as np
import trimesh
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from skimage.measure import marching_cubes
from tqdm import tqdm

from cephalo.apps.make_mesh.fields import Solid
from cephalo.cli.errors import CephaloError
from cephalo.cli.logs import no_bars

TOLERANCE = 0.002  # of the volume fraction, relative
REACHED = 0.02  # accepted error if no level comes closer
MOST_STEPS = 20
MOST_TRIANGLES = 3_000_000
CLEARANCE = 0.02  # of the spacing: minimum distance between a vertex and a grid point
DECIMALS = 4  # of a coordinate in mm: 0.1 µm


@dataclass(frozen=True)
class Surface:
    """One closed surface of a solid at a level.

    `islands` and `hollows` are the removed bodies and closed cavities, `islands_volume` and
    `hollows_volume` their volumes in mm³.
    """

    mesh: trimesh.Trimesh
    solid: Solid
    level: float
    volume_fraction: float
    islands: int
    islands_volume: float
    hollows: int
    hollows_volume: float


def surface_at(solid: Solid, level: float) -> Surface:
    """Return the largest body at a level, without cavities. Raises CephaloError if it is empty."""
    return largest_body(solid, level, whole_volume(solid))


def surface_with(solid: Solid, volume_fraction: float) -> Surface:
    """Return the largest body at the level that gives it a volume fraction, within 2 %.

    The volume is that of the mesh. Raises CephaloError if no level is close enough.
    """
    whole = whole_volume(solid)
    ordered = np.sort(solid.distance[solid.envelope < 0])
    # The first guess counts grid points; each mesh's volume corrects it.
    points = whole / float(np.prod(solid.spacing)) / len(ordered)
    share = volume_fraction * points
    low, high = float(ordered[0]) - 1e-3, float(ordered[-1]) + 1e-3
    best: Surface | None = None
    for _ in tqdm(range(MOST_STEPS), unit=" steps", leave=False, disable=no_bars()):
        guess = float(ordered[int(np.clip(share, 0, 1) * (len(ordered) - 1))])
        level = guess if low < guess < high else (low + high) / 2
        found = largest_body(solid, level, whole)
        off = found.volume_fraction - volume_fraction
        if best is None or abs(off) < abs(best.volume_fraction - volume_fraction):
            best = found
        if abs(off) <= TOLERANCE * volume_fraction:
            return found
        low, high = (level, high) if off < 0 else (low, level)
        share -= off * points
    assert best is not None
    if abs(best.volume_fraction - volume_fraction) > REACHED * volume_fraction:
        raise CephaloError(
            f"a volume fraction of {volume_fraction:g} is not possible in one body; the nearest is "
            f"{best.volume_fraction:.3g}: ask for that, or for other cells"
        )
    return best


def whole_volume(solid: Solid) -> float:
    """Return the volume in mm³ that fractions are relative to."""
    if solid.whole is None:
        return solid.box_volume
    return float(closed_surface(solid.whole, solid).volume)


def largest_body(solid: Solid, level: float, whole: float) -> Surface:
    """Return the body with the most volume at a level. Cavities of the solid are separate
    surfaces."""
    mesh = closed_surface(solid.at(level), solid)
    labels = bodies(mesh)
    volumes = np.bincount(labels, weights=signed_volumes(mesh))
    kept = int(volumes.argmax())
    mesh.update_faces(labels == kept)
    mesh.remove_unreferenced_vertices()
    islands, hollows = np.delete(volumes, kept), volumes[volumes < 0]
    islands = islands[islands > 0]
    return Surface(
        mesh,
        solid,
        level,
        float(volumes[kept]) / whole,
        len(islands),
        float(islands.sum()),
        len(hollows),
        float(abs(hollows.sum())),
    )


def closed_surface(field: np.ndarray, solid: Solid) -> trimesh.Trimesh:
    """Return all surfaces of a field by marching cubes (Lewiner 2003), in mm, with outward normals.

    Raises CephaloError if the solid is empty, and if there are too many triangles.
    """
    # Vertices are moved away from grid points, so that no triangle vanishes when coordinates are
    # rounded.
    least = np.float32(CLEARANCE * solid.spacing.min())
    field = np.where(field < 0, np.minimum(field, -least), np.maximum(field, least))
    if not (field < 0).any():
        raise CephaloError("the solid is empty; increase the volume fraction")
    vertices, faces, _, _ = marching_cubes(field, 0.0, spacing=tuple(solid.spacing))
    if len(faces) > MOST_TRIANGLES:
        raise CephaloError(
            f"the surface has {len(faces):,} triangles, over {MOST_TRIANGLES:,}; use fewer cells"
        )
    vertices = np.round(vertices.astype(np.float64) + solid.origin, DECIMALS)
    return trimesh.Trimesh(vertices, faces, process=False)


def bodies(mesh: trimesh.Trimesh) -> np.ndarray:
    """Return the number of the connected surface of each face."""
    a, b, c = mesh.faces.T
    count = len(mesh.vertices)
    rows, columns = np.concatenate([a, b]), np.concatenate([b, c])
    links = coo_matrix((np.ones(len(rows), bool), (rows, columns)), (count, count))
    return connected_components(links, directed=False)[1][a]


def signed_volumes(mesh: trimesh.Trimesh) -> np.ndarray:
    """Return the volume in mm³ between each face and the origin; its sum over a closed surface is
    the volume inside."""
    a, b, c = mesh.vertices[mesh.faces].transpose(1, 0, 2)
    return np.einsum("ij,ij->i", a, np.cross(b, c)) / 6
