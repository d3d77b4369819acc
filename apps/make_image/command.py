"""`cephalo make-image`: generate and judge a new image from images and a goal."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked, replacing, write_whole
from cephalo.cli.logs import no_bars
from cephalo.cli.options import MOST_SEED
from cephalo.cli.packages import need_packages

if TYPE_CHECKING:
    from PIL.Image import Image

    from cephalo.apps.make_image.chain import Chain
    from cephalo.inference.questions import Picture


app = typer.Typer(rich_markup_mode=None, add_completion=False)

MOST_IMAGES = 8
LONGEST_GOAL = 4000  # characters


@app.command()
def make_image(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Input images.")],
    goal: Annotated[str, typer.Option(help="What the new structure should do or be.")],
    model: Annotated[
        str,
        typer.Option(help="Vision-language model: a Hub name, a folder, or a server's model name."),
    ],
    generator: Annotated[str, typer.Option(help="diffusers pipeline: a Hub name or a folder.")],
    out: Annotated[Path, typer.Option(help="Output folder for images, chain.json and chain.html.")],
    base_url: Annotated[
        str | None, typer.Option(help="Base URL of the server of --model, with /v1.")
    ] = None,
    tries: Annotated[int, typer.Option(min=1, max=20, help="Maximum number of images.")] = 3,
    seed: Annotated[
        int,
        typer.Option(min=0, max=MOST_SEED, help="Random seed of the texts and of the first image."),
    ] = 0,
    strength: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=1, help="Image-to-image from the first IMAGE: 0 keeps it, 1 ignores it."
        ),
    ] = None,
    num_inference_steps: Annotated[int | None, typer.Option(min=1, max=1000)] = None,
    guidance_scale: Annotated[float | None, typer.Option(min=0, max=100)] = None,
    width: Annotated[int | None, typer.Option(min=8, max=2048, help="Pixels.")] = None,
    height: Annotated[int | None, typer.Option(min=8, max=2048, help="Pixels.")] = None,
) -> None:
    """Design from images with a Cephalo model, draw with a diffusers pipeline, and judge the
    drawing.

    The model describes the images, proposes a design for the goal and writes a prompt; then it
    judges each drawing and revises the prompt, for up to --tries images. Images, chain.json and
    chain.html appear in OUT as they are made. The same seed and models give the same images.

    \b
    Example:
      cephalo make-image eclipse.jpg --goal "A composite that stops cracks" --out runs/eclipse \\
        --model lamm-mit/Cephalo-Idefics-2-vision-8b-beta \\
        --generator stabilityai/stable-diffusion-xl-base-1.0
    """
    if not goal.strip() or len(goal) > LONGEST_GOAL:
        raise CephaloError(f"--goal: give 1 to {LONGEST_GOAL:,} characters")
    if len(images) > MOST_IMAGES:
        raise CephaloError(f"{len(images)} images; give {MOST_IMAGES} at most")
    from cephalo.apps.discuss.transcript import seen_image
    from cephalo.apps.make_image.chain import Chain
    from cephalo.apps.make_image.generator import GeneratorSettings
    from cephalo.apps.model_sources import as_picture, clean, source_of

    pictures = [as_picture(path) for path in images]
    chain = Chain(
        goal=clean(goal),
        model=source_of(model, base_url),
        generator=GeneratorSettings(
            model=generator,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            width=width,
            height=height,
            strength=strength,
        ),
        seed=seed,
        images=[
            seen_image(path.name, picture) for path, picture in zip(images, pictures, strict=True)
        ],
    )
    run(chain, pictures, out, tries)
    best = chain.best()
    score = f"score {best.verdict.score} of 5" if best.verdict else "not judged"
    print(f"{len(chain.tries)} images, the best {score} → {out / best.image}")


def run(chain: "Chain", pictures: "list[Picture]", out: Path, tries: int) -> None:
    """Fill `chain` and save each step in `out`. Raises CephaloError."""
    from tqdm import tqdm

    from cephalo.apps.chat import quiet
    from cephalo.apps.make_image.chain import make_chain
    from cephalo.apps.make_image.generator import Generator
    from cephalo.apps.make_image.page import chain_page
    from cephalo.apps.model_sources import Models
    from cephalo.inference.questions import NoAnswerError

    need_packages("drawing", "image", "diffusers")
    quiet()
    with locked(out), tqdm(total=tries, unit=" images", disable=no_bars()) as bar:
        generator = Generator(chain.generator)
        for number, picture in enumerate(pictures, 1):
            (out / f"input-{number}.png").write_bytes(picture.data)

        def keep(chain: "Chain", image: "Image | None") -> None:
            if image is not None:
                name = chain.tries[-1].image
                with replacing(out / name) as aside:
                    image.save(aside, "PNG")
                bar.update()
            write_whole(out / "chain.json", chain.model_dump_json(indent=2) + "\n")
            write_whole(out / "chain.html", chain_page(chain, pictures, out))

        with Models({"cephalo": chain.model}) as models:
            try:
                make_chain(chain, models, generator, pictures, tries, keep)
            except NoAnswerError as error:
                raise CephaloError(f"{chain.model.model} has no answer: {error}") from error
