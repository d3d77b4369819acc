"""`cephalo make-mesh` from images, and by what a model says of one."""

import json

import numpy as np
import pytest
import trimesh
from PIL import Image, ImageDraw
from teacher_server import TeacherServer
from test_mesh import command, refused


def picture(path, size=(120, 80), dots=((30, 40),)) -> str:
    """Bright dots of radius 12 on dark."""
    image = Image.new("L", size, 30)
    for x, y in dots:
        ImageDraw.Draw(image).ellipse([x - 12, y - 12, x + 12, y + 12], fill=220)
    image.save(path)
    return str(path)


def part(folder) -> tuple[trimesh.Trimesh, dict]:
    mesh = trimesh.load_mesh(folder / "part.stl")
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.body_count == 1
    return mesh, json.loads((folder / "parameters.json").read_text())


def test_a_relief_has_the_phase_where_the_image_has_it(tmp_path):
    image = picture(tmp_path / "dots.png", dots=((30, 20), (85, 60)))
    command("relief", image, "--size", 60, "--base", 1, "--height", 3, "--out", tmp_path / "part")
    mesh, _ = part(tmp_path / "part")
    assert mesh.extents == pytest.approx([60, 40, 4], abs=0.01)
    dots = 2 * np.pi * (12.5 / 2) ** 2  # two pixels a millimetre
    assert mesh.volume == pytest.approx(60 * 40 * 1 + dots * 3, rel=0.02)
    top = mesh.vertices[mesh.vertices[:, 2] > 3.9]
    left, right = top[top[:, 0] < 30], top[top[:, 0] > 30]
    # Seen from above as in the image: y runs up, rows run down.
    assert left[:, :2].mean(0) == pytest.approx([15, 30], abs=0.5)
    assert right[:, :2].mean(0) == pytest.approx([42.5, 10], abs=0.5)


def test_an_extrusion_ties_its_islands_and_is_periodic(tmp_path, capsys):
    image = picture(tmp_path / "dots.png", dots=((30, 20), (85, 60), (90, 20)))
    command("extrude", image, "--size", 40, "--height", 3, "--out", tmp_path / "part")
    mesh, facts = part(tmp_path / "part")
    # Two islands to the largest, and bridges to the sides that no dot touches.
    assert facts["bridges"] == 6
    assert "connected the phase by 6 bridges" in capsys.readouterr().err
    low, high = mesh.bounds
    for axis in (0, 1):
        first = mesh.vertices[np.isclose(mesh.vertices[:, axis], low[axis])]
        last = mesh.vertices[np.isclose(mesh.vertices[:, axis], high[axis])]
        other = 1 - axis
        assert len(first) and len(first) == len(last)
        assert np.sort(first[:, other]) == pytest.approx(np.sort(last[:, other]), abs=1e-3)


@pytest.mark.parametrize(("phase", "fraction"), [("bright", 0.5), ("dark", 0.6)])
def test_an_extrusion_grows_or_shrinks_to_a_volume_fraction(phase, fraction, tmp_path):
    image = picture(tmp_path / "dots.png", dots=((30, 20), (85, 60), (90, 20)))
    command(
        *("extrude", image, "--phase", phase, "--volume-fraction", fraction, "--height", 3),
        *("--out", tmp_path / "part"),
    )
    mesh, _ = part(tmp_path / "part")
    assert mesh.volume / np.prod(mesh.extents) == pytest.approx(fraction, rel=0.02)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image.new("L", (60, 60), 90), "the image has no two phases"),
        (Image.new("L", (600, 8)), "the image has"),
    ],
)
def test_an_image_without_a_microstructure_is_refused(image, message, tmp_path):
    image.save(tmp_path / "bad.png")
    for kind in ("relief", "extrude"):
        found = refused(kind, tmp_path / "bad.png", "--out", tmp_path / "part")
        assert found.startswith(message)
    assert not (tmp_path / "part").exists()


GOOD = {
    "reason": "Round pores \u202e\x1b[2Jsuit\nit.",
    "design": {"name": "schwarz-p", "size": 10, "cells": 1, "volume_fraction": 0.5},
}


def test_a_model_proposes_and_a_wrong_answer_is_named(tmp_path, capsys):
    image = picture(tmp_path / "dots.png")
    wrong = json.dumps({**GOOD, "design": {**GOOD["design"], "cells": 50}})
    answers = iter([wrong, "It is a sphere.", f"Here it is:\n```json\n{json.dumps(GOOD)}\n```"])
    goal = ("--goal", "A light filter", "--model", "fake")
    # A server of fixed answers in place of a model: tiny models cannot choose a design.
    with TeacherServer(lambda body: next(answers)) as server:
        arguments = (*goal, "--base-url", server.url, "--out", tmp_path / "part")
        command("propose", image, *arguments)
        shown = capsys.readouterr()
        assert len(server.requests) == 3
        first, second, third = server.texts()
        assert "A light filter" in first and "could not be used" not in first
        assert "cells: Input should be less than or equal to 6" in second
        assert "no JSON object in the reply" in third
        assert server.requests[0]["messages"][1]["content"][0]["type"] == "image_url"
        command("propose", image, *arguments)
        assert len(server.requests) == 3  # the answers were kept
    assert "answer 1 of 3 cannot be used: design.schwarz-p.cells" in shown.err
    # Nothing that a model says steers the terminal.
    assert "fake proposes schwarz-p: Round pores [2Jsuit it.\n" in shown.err
    mesh, facts = part(tmp_path / "part")
    assert mesh.volume == pytest.approx(500, rel=0.02)
    assert facts["design"] == GOOD["design"]
    assert facts["goal"] == "A light filter" and facts["reason"] == GOOD["reason"]


def test_a_model_that_gives_no_design_ends_in_one_line(tmp_path, capsys):
    image = picture(tmp_path / "dots.png")
    thin = json.dumps({**GOOD, "design": {**GOOD["design"], "cells": 6, "volume_fraction": 0.05}})
    with TeacherServer(lambda body: thin) as server:
        found = refused(
            *("propose", image, "--goal", "A filter", "--model", "fake", "--tries", 2),
            *("--base-url", server.url, "--out", tmp_path / "part"),
        )
        assert len(server.requests) == 2
    assert found.startswith("fake gave no design in 2 tries, the last one because design")
    assert "million grid points" in found
    assert not (tmp_path / "part" / "part.stl").exists()
