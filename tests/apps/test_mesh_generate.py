"""`cephalo make-mesh generate`: tiny Shap-E pipelines, of random weights and of a known body.

Everything between the prompt and the files is the real code of diffusers and ours.
"""

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from diffusion_samples import (
    LATENT,
    WIDTH,
    image_pipeline,
    known_renderer,
    random_renderer,
    text_pipeline,
)
from huggingface_hub import HfApi
from PIL import Image
from test_mesh import FILES, command, refused
from warm_python import warm_python

from cephalo.apps.make_mesh import shap_e
from cephalo.apps.make_mesh.measure import check, measures
from cephalo.apps.make_mesh.shap_e import body, printable, signed_field
from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main

diffusers = pytest.importorskip("diffusers", reason="pip install 'cephalo[image]'")


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> Path:
    """A pipeline that reads a prompt and draws the body cos x + cos y + cos z > 2.8, saved in half
    precision's variant alone, as openai/shap-e is."""
    folder = tmp_path_factory.mktemp("words")
    text_pipeline(known_renderer(2.8)).save_pretrained(folder, variant="fp16")
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """The same for an image."""
    folder = tmp_path_factory.mktemp("images")
    image_pipeline(known_renderer(2.8)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def untrained(tmp_path_factory) -> Path:
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("untrained")
    text_pipeline(random_renderer()).save_pretrained(folder)
    return folder


@pytest.fixture
def coarse(monkeypatch) -> None:
    """A field of an eighth of the cells, where no number depends on it."""
    monkeypatch.setattr(shap_e, "POINTS", 64)


def generate(generator: Path, out: Path, *more: object) -> tuple[trimesh.Trimesh, dict]:
    """A part, closed and one body, and its parameters."""
    given = ("--generator", generator, "--num-inference-steps", 2, "--out", out)
    command("generate", *given, *more)
    mesh = trimesh.load_mesh(out / "part.stl")
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.body_count == 1
    return mesh, json.loads((out / "parameters.json").read_text())


def known_volume(level: float) -> float:
    """Of cos x + cos y + cos z > level, over the cube of its largest extent: a sum over columns."""
    half = np.arccos(level - 2)
    line = (np.arange(1000) + 0.5) / 1000 * half
    height = np.arccos(np.clip(level - np.cos(line)[:, None] - np.cos(line), -1, 1))
    return float(height.mean() / half)


def test_a_prompt_becomes_a_part_of_the_known_volume(words, tmp_path, capsys):
    mesh, facts = generate(words, tmp_path, "--prompt", "a ball", "--size", 30, "--seed", 3)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert mesh.extents == pytest.approx([30, 30, 30], rel=2e-3)
    assert mesh.extents.max() == pytest.approx(30, abs=1e-3)
    assert mesh.volume == pytest.approx(known_volume(2.8) * 30**3, rel=0.005)
    assert facts["design"] == {
        "name": "generated",
        "size": 30,
        "generator": str(words),
        "prompt": "a ball",
        "image": None,
        "num_inference_steps": 2,
        "guidance_scale": 15,
        "seed": 3,
    }
    found = facts["part"]
    assert found["volume_fraction"] == pytest.approx(known_volume(2.8), rel=0.005)
    assert found["islands_dropped"] == found["hollows_filled"] == 0
    assert found["minimum_wall_mm"] > 20
    assert "watertight, one body" in capsys.readouterr().out


COARSE = """
import sys
from cephalo.apps.make_mesh import shap_e
from cephalo.cli.main import main
shap_e.POINTS = 64
main(sys.argv[1:])
"""


def test_a_repository_of_the_hub_like_that_of_shap_e(words, hub, tmp_path):
    """Its full precision is pickled and its safetensors are of half: only those are read."""
    folder = shutil.copytree(words, tmp_path / "repository")
    for weights in folder.glob("*/*.fp16.safetensors"):
        torch.save({}, weights.with_name(weights.name.replace(".fp16.safetensors", ".bin")))
    api = HfApi(hub.endpoint, hub.tokens["alice"])
    api.create_repo("alice/shapes")
    api.upload_folder(repo_id="alice/shapes", folder_path=folder)
    given = [
        "--generator",
        "alice/shapes",
        "--num-inference-steps",
        "1",
        "--out",
        tmp_path / "part",
    ]
    make = [warm_python(), "-c", COARSE, "make-mesh", "generate", "--prompt", "a ball"]
    subprocess.run(
        [*map(str, make + given)],
        env=hub.environment(tmp_path / "home"),
        check=True,
        capture_output=True,
    )
    facts = json.loads((tmp_path / "part/parameters.json").read_text())
    assert facts["part"]["volume_fraction"] == pytest.approx(known_volume(2.8), rel=0.005)
    assert [*tmp_path.glob("home/**/*.fp16.safetensors")]
    assert not [*tmp_path.glob("home/**/*.bin")]


@pytest.mark.usefixtures("coarse")
def test_the_same_seed_makes_the_same_part_and_another_another(words, tmp_path):
    asked = ("--prompt", "a ball", "--seed")
    parts = []
    for out, seed in (("a", 0), ("b", 0), ("c", 1)):
        generate(words, tmp_path / out, *asked, seed)
        parts.append((tmp_path / out / "part.stl").read_bytes())
    assert parts[0] == parts[1] != parts[2]


@pytest.mark.usefixtures("coarse")
def test_an_image_becomes_a_part(images, tmp_path):
    for name, shade in (("a", 20), ("b", 250)):
        Image.new("RGB", (40, 30), (shade, 90, 90)).save(tmp_path / f"{name}.png")
    meshes = {}
    for name in ("a", "b"):
        meshes[name], facts = generate(
            images, tmp_path / name, "--image", tmp_path / f"{name}.png", "--size", 30
        )
        assert facts["design"]["image"] == f"{name}.png" and facts["design"]["prompt"] is None
        assert facts["design"]["guidance_scale"] == 3
        assert meshes[name].volume == pytest.approx(known_volume(2.8) * 30**3, rel=0.005)
    assert not np.array_equal(meshes["a"].triangles, meshes["b"].triangles)


@pytest.mark.usefixtures("coarse")
def test_random_weights_are_no_part(untrained, tmp_path):
    found = refused(
        *("generate", "--generator", untrained, "--prompt", "a ball"),
        *("--num-inference-steps", 2, "--size", 300, "--out", tmp_path / "part"),
    )
    assert "the generator made" in found and not (tmp_path / "part").exists()


@pytest.mark.usefixtures("coarse")
def test_many_bodies_are_no_part(tmp_path):
    # At octave 3 the cube holds three periods on each edge.
    text_pipeline(known_renderer(2.8, octave=3)).save_pretrained(tmp_path / "many")
    found = refused(
        *("generate", "--generator", tmp_path / "many", "--prompt", "a ball"),
        *("--num-inference-steps", 1, "--out", tmp_path / "part"),
    )
    assert found.startswith("the generator made 26 loose bodies beside the largest, with 2")
    assert not (tmp_path / "part").exists()


def test_the_field_is_that_of_the_network_at_the_centres_of_the_cells():
    torch.manual_seed(0)
    field = signed_field(known_renderer(2.5, noise=0.0), torch.randn(1, 4 * WIDTH, LATENT))
    line = (np.arange(128) + 0.5) / 64 - 1
    x, y, z = np.meshgrid(line, line, line, indexing="ij", sparse=True)
    assert np.abs(field - np.tanh(np.cos(x) + np.cos(y) + np.cos(z) - 2.5)).max() < 1e-5
    assert field.dtype == np.float32


def test_the_network_takes_its_first_layers_from_the_latent_as_diffusers_does():
    torch.manual_seed(2)
    renderer, latent = random_renderer(), torch.randn(1, 4 * WIDTH, LATENT)
    ours = copy.deepcopy(renderer)
    seen = []

    class Decoded(Exception):
        pass

    def keep(_, arguments) -> None:
        seen.append(arguments[0].numpy())
        raise Decoded

    renderer.mesh_decoder.register_forward_pre_hook(keep)
    with pytest.raises(Decoded):
        renderer.decode_to_mesh(latent, "cpu", grid_size=2)
    corners = seen[0][1:-1, 1:-1, 1:-1]  # without diffusers' border: those of the cube
    field = signed_field(ours, latent)

    def values(*positions: tuple[float, float, float]) -> np.ndarray:
        asked = {"direction": None, "ts": None, "nerf_level": "fine", "rendering_mode": "stf"}
        found = ours.mlp(position=torch.tensor([positions]), **asked).signed_distance
        return found.detach().numpy().ravel()

    assert len(set(corners.ravel())) == 8
    wanted = [corners[0, 0, 0], corners[0, 1, 0], corners[1, 0, 0], corners[0, 0, 1]]
    found = values((-1.0, -1, -1), (-1, 1, -1), (1, -1, -1), (-1, -1, 1))
    assert found == pytest.approx(np.array(wanted), abs=1e-6)
    place = (3, 70, 100)
    centre = tuple((index + 0.5) / 64 - 1 for index in place)
    assert field[place] == pytest.approx(values(centre)[0], abs=1e-6)


def balls(*given: tuple[float, float]) -> np.ndarray:
    """Balls as (x of the centre, radius) in the cube from -1 to 1; positive inside, a negative
    radius cuts a ball out of what came before."""
    line = (np.arange(128, dtype=np.float32) + 0.5) / 64 - 1
    x, y, z = np.meshgrid(line, line, line, indexing="ij", sparse=True)
    field = np.full((128,) * 3, -1, np.float32)
    for centre, radius in given:
        depth = abs(radius) - np.sqrt((x - centre) ** 2 + y**2 + z**2)
        field = np.maximum(field, depth) if radius > 0 else np.minimum(field, -depth)
    return field


def plate(cells: float) -> np.ndarray:
    """A plate across the cube, so many cells thick."""
    depth = cells / 128 - np.abs((np.arange(128, dtype=np.float32) + 0.5) / 64 - 1)
    return np.broadcast_to(depth, (128,) * 3)


def test_a_ball_has_its_volume_and_size():
    surface = printable(body(balls((0.2, 0.5)), 30))
    check(surface.mesh)
    found = measures(surface)
    assert found["volume_mm3"] == pytest.approx(4 / 3 * np.pi * 15**3, rel=0.005)
    assert found["volume_fraction"] == pytest.approx(np.pi / 6, rel=0.005)
    assert found["bounding_box_mm"] == pytest.approx([30, 30, 30], abs=0.01)
    assert found["minimum_wall_mm"] == pytest.approx(30, rel=0.2)


def test_specks_are_dropped_and_told_and_small_hollows_filled():
    surface = printable(body(balls((-0.3, 0.6), (-0.3, -0.1), (0.8, 0.1)), 30))
    check(surface.mesh)
    assert (surface.islands, surface.hollows) == (1, 1)
    small = 4 / 3 * np.pi * (0.1 * 15 / 0.6) ** 3
    assert surface.islands_volume == pytest.approx(small, rel=0.05)
    assert surface.hollows_volume == pytest.approx(small, rel=0.05)


def test_a_body_is_closed_where_the_cube_cuts_it():
    surface = printable(body(balls((1.0, 0.5)), 30))
    check(surface.mesh)
    assert surface.mesh.volume == pytest.approx(2 / 3 * np.pi * 15**3, rel=0.005)


@pytest.mark.parametrize(
    ("field", "size", "message"),
    [
        (balls((0, -0.5)), 30, "the generator made an empty body"),
        (balls((0, 5.0)), 30, "the generator filled its whole cube"),
        (np.where(balls((0, 0.5)) > 0.4, np.nan, balls((0, 0.5))), 30, "is not finite"),
        (balls((-0.5, 0.4), (0.5, 0.3)), 30, "1 loose bodies .*, with 42.1% of its volume, over 1"),
        (balls((0, 0.8), (0, -0.4)), 30, "1 closed hollows, with 12.5% of its volume, over 1%"),
        (plate(1.2), 300, "walls of 2.[78]. mm where its grid shows none under 4.7. mm"),
        (plate(12.0), 3, "walls of 0.28 mm, under the 0.4 mm that a printer can print; .* --size"),
    ],
    ids=["empty", "full", "not finite", "two bodies", "hollow", "fine", "small"],
)
def test_what_is_no_part_is_refused_by_name(field, size, message):
    with pytest.raises(CephaloError, match=message):
        printable(body(field, size))


def test_a_generator_that_is_none_is_refused(words, images, tmp_path):
    picture, other = tmp_path / "a.png", tmp_path / "other"
    Image.new("RGB", (40, 30)).save(picture)
    other.mkdir()
    (other / "model_index.json").write_text('{"_class_name": ["mine", "Own\\u202e"]}')
    broken = tmp_path / "broken"
    pipeline = text_pipeline(random_renderer())
    pipeline.register_modules(prior=diffusers.PriorTransformer(2, 16, 1, embedding_dim=LATENT))
    pipeline.save_pretrained(broken)
    for arguments, message in (
        (("--generator", words), "give either --prompt or --image"),
        (("--generator", words, "--image", picture, "--prompt", "p"), "give either --prompt or"),
        (("--generator", words, "--image", picture), "draws from --prompt, not from --image"),
        (("--generator", images, "--prompt", "p"), "draws from --image, not from --prompt"),
        (("--generator", images, "--image", tmp_path / "no.png"), "no image "),
        (("--generator", other, "--prompt", "p"), r"\\u202e.*, not Shap-E; use openai/shap-e "),
        (("--generator", tmp_path, "--prompt", "p"), f"cannot load {tmp_path} as a pipeline of"),
        (("--generator", broken, "--prompt", "p"), f"{broken} cannot draw this: "),
        (("--generator", words, "--prompt", " "), "--prompt: String should have at least 1"),
        (("--generator", words, "--prompt", "p" * 1001), "--prompt: String should have at most"),
        (("--generator", words, "--prompt", "p", "--size", 301), "Invalid value for '--size'"),
        (
            ("--generator", words, "--prompt", "p", "--num-inference-steps", 1001),
            "Invalid value for '--num-inference-steps'",
        ),
        (("--generator", words, "--prompt", "p", "--seed", 2**63), "Invalid value for '--seed'"),
    ):
        found = refused("generate", *arguments, "--out", tmp_path / "part")
        assert re.search(message, found), found
    assert not (tmp_path / "part").exists()


def test_pickled_weights_are_not_read(untrained, tmp_path):
    weights = untrained / "prior/diffusion_pytorch_model.safetensors"
    hidden = weights.rename(tmp_path / "kept")
    torch.save({}, untrained / "prior/diffusion_pytorch_model.bin")
    try:
        found = refused("generate", "--generator", untrained, "--prompt", "p", "--out", tmp_path)
    finally:
        hidden.rename(weights)
        (untrained / "prior/diffusion_pytorch_model.bin").unlink()
    assert found.startswith(f"cannot load {untrained} as a pipeline of diffusers: ")


def test_help_names_it_with_an_example(capsys):
    main(["make-mesh", "--help"])
    assert "  generate " in capsys.readouterr().out
    main(["make-mesh", "generate", "--help"])
    assert "cephalo make-mesh generate --prompt" in capsys.readouterr().out
