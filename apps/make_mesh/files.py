"""Write the files of a part: STL and 3MF in millimetres, GLB in metres as in glTF, a preview."""

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image
from tqdm import tqdm

from cephalo.apps.make_mesh.preview import preview
from cephalo.cli.files import replacing, write_whole
from cephalo.cli.logs import no_bars

# glTF 2.0, 3.4: metres, y upward.
TO_GLTF = np.array([[1e-3, 0, 0, 0], [0, 0, 1e-3, 0], [0, -1e-3, 0, 0], [0, 0, 0, 1]])


def write_part(folder: Path, mesh: trimesh.Trimesh, facts: Mapping[str, object]) -> None:
    """Write part.stl, part.3mf, part.glb, preview.png and, once these are complete,
    parameters.json."""
    scene = trimesh.Scene()
    scene.add_geometry(mesh, geom_name="part", transform=TO_GLTF)
    contents = {
        "part.stl": lambda: mesh.export(file_type="stl"),
        "part.3mf": lambda: mesh.export(file_type="3mf"),
        "part.glb": lambda: scene.export(file_type="glb"),
        "preview.png": lambda: as_png(preview(mesh)),
    }
    parameters = folder / "parameters.json"
    parameters.unlink(missing_ok=True)  # of an earlier part
    for name, content in tqdm(contents.items(), unit=" files", leave=False, disable=no_bars()):
        write_bytes(folder / name, content())
    write_whole(parameters, json.dumps(facts, indent=2) + "\n")


def as_png(image: Image.Image) -> bytes:
    """Encode an image as PNG."""
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically."""
    with replacing(path) as aside:
        aside.write_bytes(data)
