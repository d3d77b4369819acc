"""`cephalo make-mesh`: closed single bodies of the volume that was asked for."""

import importlib.util
import json
import math

import numpy as np
import pytest
import trimesh
from PIL import Image

from benchmarks.bench_meshes import BAR, random_design, relative_error
from cephalo.apps.make_mesh.designs import Gyroid, Honeycomb, Pollen, SchwarzP
from cephalo.apps.make_mesh.fields import Solid, box, grid, solid_of
from cephalo.apps.make_mesh.measure import check, measures, wall_thickness
from cephalo.apps.make_mesh.preview import preview
from cephalo.apps.make_mesh.surface import surface_at, surface_with
from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main

lib3mf = pytest.importorskip("lib3mf", reason="pip install 'cephalo[dev]'")
FILES = {"part.stl", "part.3mf", "part.glb", "preview.png", "parameters.json"}


def command(*arguments: object) -> None:
    main(["make-mesh", *map(str, arguments)])


def refused(*arguments: object) -> str:
    """The one line with which the command ends."""
    with pytest.raises(SystemExit) as stop:
        command(*arguments)
    assert stop.value.code.startswith("cephalo: error: ") and "\n" not in stop.value.code
    return stop.value.code.removeprefix("cephalo: error: ")


def volume_of(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = vertices[faces].transpose(1, 0, 2)
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def test_other_libraries_read_the_files(tmp_path, capsys):
    from stl.mesh import Mesh

    command("gyroid", "--size", 12, "--cells", 1, "--volume-fraction", 0.4, "--out", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    volume = 0.4 * 12**3
    facts = json.loads((tmp_path / "parameters.json").read_text())
    assert facts["design"] == {"name": "gyroid", "size": 12, "cells": 1, "volume_fraction": 0.4}
    assert facts["part"]["volume_mm3"] == pytest.approx(volume, rel=0.002)
    assert facts["part"]["bounding_box_mm"] == [12, 12, 12]
    said = capsys.readouterr().out
    assert "volume fraction 0.4" in said and "size 12.00 x 12.00 x 12.00 mm, minimum wall" in said

    stl = Mesh.from_file(tmp_path / "part.stl")
    assert stl.is_closed(exact=True)
    assert stl.get_mass_properties()[0] == pytest.approx(volume, rel=0.002)

    model = lib3mf.get_wrapper().CreateModel()
    model.QueryReader("3mf").ReadFromFile(str(tmp_path / "part.3mf"))
    assert model.GetUnit() == lib3mf.ModelUnit.MilliMeter
    meshes = model.GetMeshObjects()
    assert meshes.Count() == 1 and meshes.MoveNext()
    mesh = meshes.GetCurrentMeshObject()
    assert mesh.IsManifoldAndOriented()
    vertices = np.array([list(vertex.Coordinates) for vertex in mesh.GetVertices()])
    faces = np.array([list(triangle.Indices) for triangle in mesh.GetTriangleIndices()])
    assert volume_of(vertices, faces) == pytest.approx(volume, rel=0.002)

    glb = trimesh.load_scene(tmp_path / "part.glb").to_mesh()
    assert glb.is_watertight
    assert glb.volume * 1e9 == pytest.approx(volume, rel=0.002)  # glTF counts in metres


EDGES = [
    Gyroid(size=2, cells=1, volume_fraction=0.1),
    Gyroid(size=300, cells=2, volume_fraction=0.7),
    SchwarzP(size=20, cells=1, volume_fraction=0.05),
    SchwarzP(size=20, cells=2, volume_fraction=0.7),
    Honeycomb(size=20, height=300, cells=1, volume_fraction=0.7),
    Honeycomb(size=300, height=10, cells=3, volume_fraction=0.05),
    Pollen(size=30, spikes=4, spike_height=0.4, openings=6, volume_fraction=0.25),
    Pollen(size=30, spikes=150, spike_height=0.05, openings=1, volume_fraction=0.85),
]


@pytest.mark.parametrize("design", EDGES, ids=lambda design: design.name)
def test_the_ends_of_the_ranges_give_closed_bodies_of_the_volume_asked(design):
    assert abs(relative_error(design)) < BAR


def test_random_designs_give_closed_bodies_of_the_volume_asked():
    rng = np.random.default_rng(7)
    small = []
    while len(small) < 4:
        design = random_design(rng)[0]
        if math.prod(design.extent) / design.voxel**3 < 300_000:
            small.append(design)
    assert max(abs(relative_error(design)) for design in small) < BAR


@pytest.mark.slow
def test_a_hundred_random_designs():
    rng = np.random.default_rng(1)
    errors = [relative_error(random_design(rng)[0]) for _ in range(100)]
    assert max(map(abs, errors)) < BAR


def ball(radius: float, centre: float, axes: tuple) -> np.ndarray:
    """Signed distance to a ball on the diagonal."""
    return np.sqrt(sum((axis - np.float32(centre)) ** 2 for axis in axes)) - np.float32(radius)


def test_loose_bodies_are_dropped_and_hollows_filled():
    extent = (20.0, 20.0, 20.0)
    axes, spacing = grid(extent, 0.4)
    hollow = np.maximum(ball(5, 7, axes), -ball(2, 7, axes))
    solid = Solid(np.minimum(hollow, ball(1.5, 15, axes)), box(axes, extent), spacing)
    found = surface_at(solid, 0.0)
    check(found.mesh)
    assert (found.islands, found.hollows) == (1, 1)
    assert found.mesh.volume == pytest.approx(4 / 3 * np.pi * 5**3, rel=0.01)
    assert found.islands_volume == pytest.approx(4 / 3 * np.pi * 1.5**3, rel=0.05)
    assert found.hollows_volume == pytest.approx(4 / 3 * np.pi * 2**3, rel=0.05)
    assert found.mesh.bounds.mean(0) == pytest.approx([7, 7, 7], abs=0.01)


def test_a_mesh_that_is_no_solid_is_refused():
    part = surface_at(solid_of(SchwarzP(size=10, cells=1, volume_fraction=0.5)), 1.0).mesh
    check(part)
    open_part = part.copy()
    open_part.update_faces(np.arange(len(part.faces)) > 0)
    with pytest.raises(CephaloError, match="not watertight"):
        check(open_part)
    inverted = part.copy()
    inverted.invert()
    with pytest.raises(CephaloError, match="inside out"):
        check(inverted)
    with pytest.raises(CephaloError, match="in several bodies"):
        check(trimesh.util.concatenate([part, part.copy().apply_translation([20, 0, 0])]))


def test_wall_thickness_of_shapes_with_a_known_one():
    extent = (20.0, 20.0, 20.0)
    axes, spacing = grid(extent, 0.25)
    plate = np.abs(axes[2] - np.float32(10)) - np.float32(0.7) + 0 * axes[0] + 0 * axes[1]
    solid = Solid(plate, box(axes, extent), spacing)
    assert wall_thickness(surface_at(solid, 0.0)) == pytest.approx(1.4, abs=0.02)
    assert wall_thickness(surface_at(solid, 0.5)) == pytest.approx(2.4, abs=0.02)

    honeycomb = solid_of(Honeycomb(size=20, height=4, cells=3, volume_fraction=0.3))
    assert wall_thickness(surface_at(honeycomb, 0.5)) == pytest.approx(1.0, rel=0.02)
    design = Gyroid(size=20, cells=2, volume_fraction=0.2)
    found = measures(surface_with(solid_of(design), 0.2))
    assert found["minimum_wall_mm"] == pytest.approx(0.2 * 10 / Gyroid.area, rel=0.06)


def test_a_pollen_grain_has_its_spikes_openings_and_shell():
    design = Pollen(size=30, spikes=30, spike_height=0.3, openings=2, volume_fraction=0.4)
    mesh = surface_with(solid_of(design), 0.4).mesh
    reach = np.linalg.norm(mesh.vertices - 15, axis=1)
    assert reach.max() == pytest.approx(15, rel=0.03)
    # A shell with two openings is a tube: Euler characteristic 0.
    assert mesh.euler_number == 0
    _, y, z = mesh.vertices.T
    assert not (np.hypot(y - 15, z - 15) < 0.8 * 0.15 * design.radius).any()


def test_the_preview_shows_the_part_without_gaps():
    axes, spacing = grid((10.0, 10.0, 10.0), 0.25)
    solid = Solid(ball(4, 5, axes), box(axes, (10.0, 10.0, 10.0)), spacing)
    picture = np.asarray(preview(surface_at(solid, 0.0).mesh).convert("L"))
    assert picture.shape == (400, 400)
    drawn = picture < 250
    assert drawn.sum() == pytest.approx(np.pi * (0.47 * 400) ** 2, rel=0.02)
    rows, columns = np.indices(drawn.shape)
    inner = np.hypot(rows - 200, columns - 200) < 180
    assert drawn[inner].all()
    assert picture[150, 180] > picture[300, 300]  # light comes from above


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gyroid", "--cells", 7], "Invalid value for '--cells': Input should be less than"),
        (["gyroid", "--size", "nan"], "Invalid value for '--size'"),
        (["gyroid", "--cells", 6, "--volume-fraction", 0.05], "walls of 0.054 mm in a part of"),
        (["pollen", "--openings", 0], "Invalid value for '--openings'"),
        (["relief", "none.png"], "no image none.png; give the path of an image"),
    ],
)
def test_bad_parameters_are_one_line_and_write_nothing(arguments, message, tmp_path):
    assert refused(*arguments, "--out", tmp_path / "part").startswith(message)
    assert not (tmp_path / "part").exists()


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "trimesh" else known(name)
    )
    found = refused("gyroid", "--out", tmp_path)
    assert found == "making a mesh needs trimesh; run: pip install 'cephalo[mesh]'"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "part").write_text("a file")
    arguments = ("schwarz-p", "--cells", 1, "--volume-fraction", 0.5)
    assert "choose another folder" in refused(*arguments, "--out", tmp_path / "part" / "x")


def test_parameters_are_there_only_beside_their_files(monkeypatch, tmp_path):
    arguments = ("schwarz-p", "--cells", 1, "--volume-fraction", 0.5, "--out", tmp_path)
    command(*arguments)
    before = (tmp_path / "part.glb").read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cephalo.apps.make_mesh.files.preview", full_disk)
    assert "No space left on device" in refused(*arguments)
    assert not (tmp_path / "parameters.json").exists()
    assert (tmp_path / "part.glb").read_bytes() == before
    monkeypatch.undo()
    command(*arguments)
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_walls_that_no_nozzle_prints_are_warned_of(tmp_path, capsys):
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, 28:36] = 255  # an eighth of the size
    Image.fromarray(stripes).save(tmp_path / "stripe.png")
    for kind, size, warned in (("relief", 2, True), ("relief", 20, False), ("extrude", 2, True)):
        out = tmp_path / f"{kind}{size}"
        command(kind, tmp_path / "stripe.png", "--size", size, "--out", out)
        said = capsys.readouterr().err
        assert (
            "thinner than a common nozzle prints, 0.4 mm; give a larger --size" in said
        ) == warned
