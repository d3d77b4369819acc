"""Bodies drawn by Shap-E (Jun and Nichol 2023, arXiv:2305.02463), where they can be printed.

The pipelines of diffusers end in pictures or in a mesh of their own; here its signed field is
evaluated on a grid and goes the way of every other part.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from cephalo.apps.make_mesh.designs import POINTS_PER_WALL, Generated
from cephalo.apps.make_mesh.fields import Solid, box, grid
from cephalo.apps.make_mesh.measure import LEAST_WALL, wall_thickness
from cephalo.apps.make_mesh.surface import Surface, surface_at
from cephalo.apps.model_sources import in_one_line
from cephalo.apps.pipelines import load_pipeline, pipeline_class
from cephalo.cli.errors import CephaloError
from cephalo.cli.logs import no_bars

READS = {"ShapEPipeline": "prompt", "ShapEImg2ImgPipeline": "image"}
POINTS = 128  # on each edge of the generator's cube, from -1 to 1
MOST_LOOSE = 0.01  # of the body's volume: what may be dropped beside it or filled within it


def generate(design: Generated, image: Image.Image | None) -> Surface:
    """The body that a pipeline draws for the prompt of `design` or for `image`.

    The noise is drawn on the CPU. Raises CephaloError for what is no Shap-E pipeline or reads the
    other kind of input, and for what cannot be printed.
    """
    kind = kind_for(design)
    pipeline = load_pipeline(kind, design.generator)
    pipeline.set_progress_bar_config(leave=False, disable=no_bars())
    asked = {"prompt": design.prompt} if image is None else {"image": image}
    try:
        latent = pipeline(
            **asked,
            num_inference_steps=design.num_inference_steps,
            guidance_scale=design.guidance_scale,
            generator=torch.Generator("cpu").manual_seed(design.seed),
            output_type="latent",
        ).images
        field = signed_field(pipeline.shap_e_renderer, latent)
    except Exception as error:  # the parts of a pipeline fit together or raise anything
        raise CephaloError(f"{design.generator} cannot draw this: {in_one_line(error)}") from error
    return printable(body(field, design.size))


def kind_for(design: Generated) -> str:
    """The class of the pipeline. Raises CephaloError where it does not read what is given."""
    kind = pipeline_class(design.generator)
    given = "image" if design.prompt is None else "prompt"
    if kind not in READS:
        raise CephaloError(
            f"{design.generator} is the pipeline {kind!r:.60}, not Shap-E; take openai/shap-e "
            "with --prompt, or openai/shap-e-img2img with --image"
        )
    if READS[kind] != given:
        raise CephaloError(
            f"{design.generator} draws from --{READS[kind]}, not from --{given}; give that, or "
            "take another --generator"
        )
    return kind


@torch.no_grad()
def signed_field(renderer: Any, latent: torch.Tensor) -> np.ndarray:
    """The field of a latent, float32 [1, n, d], at the centres of 128³ cells of the cube.

    float32 [x, y, z] between -1 and 1, positive inside. The latent holds the weights of the
    renderer's first layers, which are written into its network.
    """
    renderer = renderer.float()
    weights = renderer.mlp.state_dict()
    for name, values in renderer.params_proj(latent.float()).items():
        weights[name.removeprefix("nerstf.")].copy_(values[0])
    line = (torch.arange(POINTS, device=latent.device) + 0.5) * (2 / POINTS) - 1
    layers = []
    for x in tqdm(line, desc="field", unit=" layers", leave=False, disable=no_bars()):
        found = renderer.mlp(
            position=torch.cartesian_prod(x[None], line, line)[None],
            direction=None,
            ts=None,
            nerf_level="fine",
            rendering_mode="stf",
        )
        layers.append(found.signed_distance.reshape(POINTS, POINTS).cpu())
    return torch.stack(layers).numpy()


def body(field: np.ndarray, size: float) -> Surface:
    """The largest body of a field, positive inside, with a longest edge of `size` mm.

    Its volume fraction is of the box around it. Raises CephaloError where there is no surface.
    """
    if not np.isfinite(field).all():
        raise CephaloError("the generator's field is not finite; take another --seed or generator")
    if not (field > 0).any():
        raise CephaloError("the generator made nothing; take another --seed or --prompt")
    if (field > 0).all():
        raise CephaloError("the generator filled its whole cube; take another --seed or --prompt")
    drawn = surface_at(in_cube(field, size), 0.0)
    edge = size * size / float(drawn.mesh.extents.max())
    surface = surface_at(in_cube(field, edge), 0.0)
    around = float(np.prod(surface.mesh.extents))
    return replace(surface, volume_fraction=float(surface.mesh.volume) / around)


def in_cube(field: np.ndarray, edge: float) -> Solid:
    """The solid of a field, positive inside, in a cube of `edge` mm that closes it."""
    extent = (edge, edge, edge)
    axes, spacing = grid(extent, edge / len(field))
    distance = np.pad(field, 1, "edge") * np.float32(-edge / 2)
    return Solid(distance, box(axes, extent), spacing)


def printable(surface: Surface) -> Surface:
    """The same surface. Raises CephaloError for loose bodies or hollows of more than 1 % of its
    volume, and for walls thinner than 0.4 mm or two cells of the grid, which does not show them."""
    volume = float(surface.mesh.volume)
    for count, amount, what in (
        (surface.islands, surface.islands_volume, "loose bodies beside the largest"),
        (surface.hollows, surface.hollows_volume, "closed hollows"),
    ):
        if amount > MOST_LOOSE * volume:
            raise CephaloError(
                f"the generator made {count:,} {what}, with {amount / volume:.1%} of its volume, "
                f"over {MOST_LOOSE:.0%}: not one solid body; take another --seed or --prompt"
            )
    wall = wall_thickness(surface)
    if wall is None:
        return surface
    shown = POINTS_PER_WALL * float(surface.solid.spacing.max())
    if wall < shown:
        raise CephaloError(
            f"the generator made walls of {wall:.2f} mm where its grid shows none under "
            f"{shown:.2f} mm: they may have holes; take another --seed or --prompt"
        )
    if wall < LEAST_WALL:
        raise CephaloError(
            f"walls of {wall:.2f} mm, under the {LEAST_WALL:g} mm that a printer lays; take a "
            "larger --size"
        )
    return surface
