"""`cephalo make-mesh`: printable parts from parameters or images, proposed or generated."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from cephalo.apps.make_mesh.designs import (
    Design,
    Extrusion,
    Generated,
    Gyroid,
    Honeycomb,
    ImagePart,
    Pollen,
    Relief,
    SchwarzP,
    bounds,
)
from cephalo.cli.errors import CephaloError, fault_of
from cephalo.cli.files import locked
from cephalo.cli.options import MOST_SEED
from cephalo.cli.packages import need_packages
from cephalo.inference.images import open_image

if TYPE_CHECKING:
    from cephalo.apps.make_mesh.measure import Measures
    from cephalo.apps.make_mesh.surface import Surface

logger = logging.getLogger(__name__)

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    help="Make a printable part: STL and 3MF in millimetres, GLB, a preview and its measures.",
)


def flag(design: type[BaseModel], field: str, more: str = "") -> Any:  # as typer.Option
    """Return the option for a field of a design, with its bounds; `more` follows the
    description."""
    least, greatest = bounds(design, field)
    described = ", ".join(filter(None, (design.model_fields[field].description, more)))
    return typer.Option(min=least, max=greatest, help=f"{described}.".capitalize())


Out = Annotated[Path, typer.Option(help="Output folder for the files of the part.")]
ImageFile = Annotated[Path, typer.Argument(metavar="IMAGE", help="A micrograph or drawing.")]
Size = Annotated[float, flag(Gyroid, "size")]
Cells = Annotated[int, flag(Gyroid, "cells")]
CubeFraction = Annotated[float, flag(Gyroid, "volume_fraction")]
Height = Annotated[float, flag(Honeycomb, "height")]
Phase = Annotated[Literal["bright", "dark"], flag(ImagePart, "phase")]


@app.command()
def gyroid(
    out: Out, size: Size = 20, cells: Cells = 3, volume_fraction: CubeFraction = 0.3
) -> None:
    """Make a cube of sheets along the gyroid.

    \b
    Example:
      cephalo make-mesh gyroid --size 20 --cells 3 --volume-fraction 0.4 --out part
    """
    construct(Gyroid, out, size=size, cells=cells, volume_fraction=volume_fraction)


@app.command()
def schwarz_p(
    out: Out, size: Size = 20, cells: Cells = 3, volume_fraction: CubeFraction = 0.3
) -> None:
    """Make a cube of sheets along Schwarz' primitive surface.

    \b
    Example:
      cephalo make-mesh schwarz-p --size 20 --cells 2 --volume-fraction 0.2 --out part
    """
    construct(SchwarzP, out, size=size, cells=cells, volume_fraction=volume_fraction)


@app.command()
def honeycomb(
    out: Out,
    size: Size = 30,
    height: Height = 8,
    cells: Annotated[int, flag(Honeycomb, "cells")] = 6,
    volume_fraction: Annotated[float, flag(Honeycomb, "volume_fraction")] = 0.2,
) -> None:
    """Make a plate of upright hexagonal cells.

    \b
    Example:
      cephalo make-mesh honeycomb --size 30 --height 8 --cells 6 --out part
    """
    construct(
        Honeycomb, out, size=size, height=height, cells=cells, volume_fraction=volume_fraction
    )


@app.command()
def pollen(
    out: Out,
    size: Size = 30,
    spikes: Annotated[int, flag(Pollen, "spikes")] = 60,
    spike_height: Annotated[float, flag(Pollen, "spike_height")] = 0.25,
    openings: Annotated[int, flag(Pollen, "openings")] = 3,
    volume_fraction: Annotated[float, flag(Pollen, "volume_fraction")] = 0.4,
) -> None:
    """Make a hollow ball with spikes and openings, like a pollen grain.

    \b
    Example:
      cephalo make-mesh pollen --size 30 --spikes 60 --out part
    """
    construct(
        Pollen,
        out,
        size=size,
        spikes=spikes,
        spike_height=spike_height,
        openings=openings,
        volume_fraction=volume_fraction,
    )


@app.command()
def relief(
    image: ImageFile,
    out: Out,
    size: Size = 40,
    height: Height = 2,
    base: Annotated[float, flag(Relief, "base")] = 2,
    phase: Phase = "bright",
) -> None:
    """Raise the bright or dark phase of an image (Otsu's threshold) on a plate.

    \b
    Example:
      cephalo make-mesh relief micrograph.png --size 40 --phase dark --out part
    """
    need_mesh_packages()
    from cephalo.apps.make_mesh import micrographs

    design = checked(Relief, size=size, height=height, base=base, phase=phase)
    picture = open_image(image)
    with locked(out):
        finish(micrographs.relief(design, picture), design, out, {"image": image.name})


@app.command()
def extrude(
    image: ImageFile,
    out: Out,
    size: Size = 40,
    height: Height = 8,
    phase: Phase = "bright",
    volume_fraction: Annotated[float | None, flag(Extrusion, "volume_fraction")] = None,
) -> None:
    """Make walls of the bright or dark phase of an image, mirrored to a periodic part.

    Without --volume-fraction the walls are as wide as in the image.

    \b
    Example:
      cephalo make-mesh extrude micrograph.png --size 40 --height 8 --out part
    """
    need_mesh_packages()
    from cephalo.apps.make_mesh import micrographs

    design = checked(
        Extrusion, size=size, height=height, phase=phase, volume_fraction=volume_fraction
    )
    picture = open_image(image)
    with locked(out):
        surface, joined = micrographs.extrusion(design, picture)
        logger.info(
            "connected the phase by %d bridges, dropped %d specks", joined.bridges, joined.specks
        )
        tied = {"bridges": joined.bridges, "specks_dropped": joined.specks}
        finish(surface, design, out, {"image": image.name, **tied})


@app.command()
def propose(
    image: ImageFile,
    out: Out,
    goal: Annotated[str, typer.Option(help="Purpose of the part.")],
    model: Annotated[str, typer.Option(help="A Hub name, a folder, or a server's model name.")],
    base_url: Annotated[
        str | None, typer.Option(help="Base URL of the server of --model, with /v1.")
    ] = None,
    tries: Annotated[
        int, typer.Option(min=1, max=20, help="Maximum number of answers to request.")
    ] = 3,
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEED, help="Random seed of the answers.")
    ] = 0,
) -> None:
    """Let a model propose an architecture for a goal, based on an image.

    The model answers with JSON, which is checked against the bounds of the other commands. A
    server's key is read from OPENAI_API_KEY. Replies are cached in OUT/replies.sqlite, so an
    interrupted run resumes without asking twice.

    \b
    Example:
      cephalo make-mesh propose pollen.png --goal "A light, stiff filter" --out part \\
        --model my-model --base-url http://127.0.0.1:8000/v1
    """
    need_mesh_packages()
    from cephalo.apps.chat import quiet
    from cephalo.apps.make_mesh.proposal import propose
    from cephalo.apps.model_sources import clean

    quiet()
    with locked(out):
        proposal, surface = propose(
            image, goal, model, base_url, out / "replies.sqlite", tries, seed
        )
        asked = {"image": image.name, "goal": goal, "model": model, "seed": seed}
        reason = clean(" ".join(proposal.reason.split()))
        logger.info("%s proposes %s: %s", model, proposal.design.name, reason)
        finish(surface, proposal.design, out, asked | {"reason": proposal.reason})


@app.command()
def generate(
    generator: Annotated[str, typer.Option(help="Shap-E pipeline: a Hub name or a folder.")],
    out: Out,
    prompt: Annotated[str | None, typer.Option(help="Text prompt.")] = None,
    image: Annotated[Path | None, typer.Option(metavar="FILE", help="Image prompt.")] = None,
    size: Annotated[float, flag(Generated, "size")] = 40,
    num_inference_steps: Annotated[int, flag(Generated, "num_inference_steps")] = 64,
    guidance_scale: Annotated[
        float | None,
        flag(Generated, "guidance_scale", "by default 15 with --prompt, 3 with --image"),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEED, help="Random seed of the generator's noise.")
    ] = 0,
) -> None:
    """Generate a body with Shap-E from text (openai/shap-e) or an image (openai/shap-e-img2img).

    The volume fraction is relative to the bounding box. Shapes that cannot be printed are rejected:
    loose bodies or cavities of more than 1 % of the volume, walls under 0.4 mm or two cells of the
    128³ grid. The same seed makes the same part.

    \b
    Example:
      cephalo make-mesh generate --prompt "a pollen grain with spikes" --generator openai/shap-e \\
        --size 40 --seed 1 --out part
    """
    need_mesh_packages()
    if (prompt is None) == (image is None):
        raise CephaloError("give either --prompt or --image")
    if guidance_scale is None:  # as in the examples of diffusers' documentation
        guidance_scale = 3 if prompt is None else 15
    design = checked(
        Generated,
        size=size,
        generator=generator,
        prompt=prompt,
        image=image and image.name,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        seed=seed,
    )
    picture = image and open_image(image)
    need_packages("drawing", "image", "diffusers")
    from cephalo.apps.chat import quiet
    from cephalo.apps.make_mesh import shap_e

    quiet()
    with locked(out):
        finish(shap_e.generate(design, picture), design, out, {})


def construct(design: type[Design], out: Path, **values: object) -> None:
    """Make a part from parameters."""
    need_mesh_packages()
    wanted = checked(design, **values)
    with locked(out):
        from cephalo.apps.make_mesh.fields import solid_of
        from cephalo.apps.make_mesh.surface import surface_with

        finish(surface_with(solid_of(wanted), wanted.volume_fraction), wanted, out, {})


def need_mesh_packages() -> None:
    """Raise CephaloError if the packages of the extra `mesh` are missing."""
    need_packages("making a mesh", "mesh", "skimage", "trimesh")


D = TypeVar("D", bound=BaseModel)


def checked(design: type[D], **values: object) -> D:
    """Return a design with these values. Raises CephaloError if they are invalid."""
    try:
        return design(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"--{str(name).replace('_', '-')}: " for name in first["loc"])
        raise CephaloError(where + fault_of(first)) from error


def finish(surface: "Surface", design: BaseModel, out: Path, asked: Mapping[str, object]) -> None:
    """Check a part, write its files to `out`, which is locked, and print its measures."""
    from cephalo.apps.make_mesh.files import write_part
    from cephalo.apps.make_mesh.measure import LEAST_WALL, check, measures

    check(surface.mesh)
    found = measures(surface)
    wall = found["minimum_wall_mm"]
    if wall is not None and wall < LEAST_WALL:
        print(
            f"warning: walls of {wall:.2f} mm are thinner than a common nozzle prints, "
            f"{LEAST_WALL} mm; give a larger --size, or an image without fine detail",
            file=sys.stderr,
        )
    write_part(out, surface.mesh, {"design": design.model_dump(), **asked, "part": found})
    print(summary(found))
    print(f"part.stl, part.3mf, part.glb, preview.png, parameters.json → {out}")


def summary(found: "Measures") -> str:
    """Format the measures of a part."""
    size = " x ".join(f"{edge:.2f}" for edge in found["bounding_box_mm"])
    wall = found["minimum_wall_mm"]
    lines = [
        f"volume fraction {found['volume_fraction']:.4f}, watertight, one body, "
        f"{found['triangles']:,} triangles",
        f"size {size} mm, minimum wall "
        + ("none" if wall is None else f"{wall:.2f} mm (rays inward, first percentile)"),
    ]
    if found["islands_dropped"]:
        lines.append(
            f"dropped {found['islands_dropped']} loose bodies, {found['islands_dropped_mm3']:g} mm³"
        )
    if found["hollows_filled"]:
        lines.append(
            f"filled {found['hollows_filled']} closed hollows, {found['hollows_filled_mm3']:g} mm³"
        )
    return "\n".join(lines)
