"""Render an image of a mesh of small triangles in numpy."""

import numpy as np
import trimesh
from PIL import Image

EDGE = 800  # pixels; the image is scaled to half of it for smooth outlines
FACES_AT_ONCE = 50_000
AZIMUTH, ELEVATION = np.radians([-60.0, 30.0])  # of the viewer
LIGHT = np.array([0.1, -0.6, 0.8])
COLOUR = np.array([214, 184, 134])


def preview(mesh: trimesh.Trimesh) -> Image.Image:
    """Render the part from above and the side, 400 x 400 pixels, in parallel projection.

    Triangles that face the viewer are drawn from back to front, each as a lattice of points less
    than a pixel apart.
    """
    across = np.array([-np.sin(AZIMUTH), np.cos(AZIMUTH), 0])
    toward = np.array(
        [
            np.cos(AZIMUTH) * np.cos(ELEVATION),
            np.sin(AZIMUTH) * np.cos(ELEVATION),
            np.sin(ELEVATION),
        ]
    )
    view = np.stack([across, np.cross(toward, across), toward], 1)
    seen = (mesh.vertices - mesh.bounds.mean(0)) @ view
    scale = 0.47 * EDGE / np.abs(seen[:, :2]).max()
    depth = seen[:, 2]
    near = (depth - depth.min()) / np.ptp(depth)

    front = np.flatnonzero(mesh.face_normals @ toward > 0)
    faces = mesh.faces[front]
    order = np.argsort(near[faces].mean(1))
    front, faces = front[order], faces[order]
    light = np.clip(mesh.face_normals[front] @ (LIGHT / np.linalg.norm(LIGHT)), 0, 1)
    # Darker with distance, so that walls contrast with those behind them.
    shades = (0.3 + 0.7 * light) * (0.5 + 0.5 * near[faces].mean(1))
    colours = (shades[:, None] * COLOUR).astype(np.uint8)

    weights = lattice(int(np.ceil(1.2 * scale * mesh.edges_unique_length.max())))
    pixels = np.stack([EDGE / 2 + scale * seen[:, 0], EDGE / 2 - scale * seen[:, 1]], 1)
    canvas = np.full((EDGE, EDGE, 3), 255, np.uint8)
    for start in range(0, len(faces), FACES_AT_ONCE):
        chunk = slice(start, start + FACES_AT_ONCE)
        places = (weights @ pixels[faces[chunk]]).astype(int)  # [faces, points, 2]
        canvas[places[..., 1], places[..., 0]] = colours[chunk, None]
    return Image.fromarray(canvas).resize((EDGE // 2, EDGE // 2), Image.Resampling.BOX)


def lattice(steps: int) -> np.ndarray:
    """Return barycentric weights, float [(steps + 1)(steps + 2) / 2, 3], of an even lattice."""
    i, j = np.mgrid[: steps + 1, : steps + 1]
    kept = i + j <= steps
    i, j = i[kept], j[kept]
    return np.stack([i, j, steps - i - j], 1) / steps
