"""The files of a part: STL and 3MF in millimetres, GLB in metres as glTF has it, a picture."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from cephalo.cli.files import write_whole

from .preview import preview

# glTF 2.0, 3.4: metres, y upward.
TO_GLTF = np.array([[1e-3, 0, 0, 0], [0, 0, 1e-3, 0], [0, -1e-3, 0, 0], [0, 0, 0, 1]])


def write_part(folder: Path, mesh: trimesh.Trimesh, facts: dict[str, Any]) -> None:
    """Write part.stl, part.glb, part.3mf, preview.png and, when they are whole, parameters.json."""
    scene = trimesh.Scene()
    scene.add_geometry(mesh, geom_name="part", transform=TO_GLTF)
    picture = io.BytesIO()
    preview(mesh).save(picture, "PNG", optimize=True)
    write_bytes(folder / "part.stl", mesh.export(file_type="stl"))
    write_bytes(folder / "part.3mf", mesh.export(file_type="3mf"))
    write_bytes(folder / "part.glb", scene.export(file_type="glb"))
    write_bytes(folder / "preview.png", picture.getvalue())
    write_whole(folder / "parameters.json", json.dumps(facts, indent=2) + "\n")


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file aside and rename it."""
    aside = path.with_name(f".{path.name}.tmp")
    aside.write_bytes(data)
    aside.replace(path)
