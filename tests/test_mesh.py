"""`cephalo make-mesh`: closed single bodies of the volume that was asked for."""

import json

import numpy as np
import pytest
import trimesh

from cephalo.cli.main import main


def make(out, *arguments: object) -> tuple[trimesh.Trimesh, dict]:
    """The mesh that the command wrote as STL, and what it says of it."""
    main(["make-mesh", *map(str, arguments), "--out", str(out)])
    facts = json.loads((out / "parameters.json").read_text())
    return trimesh.load_mesh(out / "part.stl"), facts


@pytest.mark.parametrize(
    ("arguments", "fraction"),
    [
        (["gyroid", "--cells", 1, "--volume-fraction", 0.4], 0.4),
        (["schwarz-p", "--cells", 1, "--volume-fraction", 0.7], 0.7),
        (["honeycomb", "--size", 30, "--cells", 2, "--height", 4], 0.2),
    ],
)
def test_a_part_has_the_volume_that_was_asked_for(arguments, fraction, tmp_path):
    mesh, facts = make(tmp_path / "part", *arguments)
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.body_count == 1
    assert mesh.volume / np.prod(mesh.extents) == pytest.approx(fraction, rel=0.02)
    assert facts["part"]["volume_fraction"] == pytest.approx(fraction, rel=0.02)
