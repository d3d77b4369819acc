"""`cephalo discuss`: a panel of models discusses images and writes a report."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked, write_whole
from cephalo.cli.logs import no_bars
from cephalo.cli.options import MOST_SEED
from cephalo.cli.packages import need_packages

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from cephalo.apps.discuss.panel import Panel


app = typer.Typer(rich_markup_mode=None, add_completion=False)

MOST_IMAGES = 8
LONGEST_QUESTION = 8000  # characters


@app.command()
def discuss(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Images to discuss.")],
    question: Annotated[str, typer.Option(help="Question that the panel discusses.")],
    out: Annotated[
        Path, typer.Option(help="Output folder for the transcript and the report page.")
    ],
    panel: Annotated[
        Path | None,
        typer.Option(help="YAML file of roles and models; by default the shipped panel."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="One model for all roles: a Hub name, a folder, or a server's model name."
        ),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Base URL of the server of --model, with /v1.")
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, max=10, help="Number of rounds; by default that of the panel."),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            max=MOST_SEED,
            help="Random seed; the same seed and models give the same discussion.",
        ),
    ] = 0,
) -> None:
    """Let a panel of models discuss images, and report with each claim tied to a turn.

    Writes OUT/transcript.json and OUT/transcript.html. Replies are cached in OUT/replies.sqlite as
    they arrive, so an interrupted run resumes without asking twice. Code written by a model is
    never executed.

    \b
    Example:
      cephalo discuss nacre.png --question "Why is this tough?" --out runs/nacre-panel
      cephalo discuss a.png b.png --question "Which is stiffer?" --panel mine.yaml --out runs/ab
      cephalo discuss nacre.png --question "Why is this tough?" --out runs/nacre-panel \\
        --model my-model --base-url http://127.0.0.1:8000/v1
    """
    from cephalo.apps.discuss.panel import SHIPPED, read_panel
    from cephalo.apps.model_sources import source_of

    if not question.strip() or len(question) > LONGEST_QUESTION:
        raise CephaloError(f"--question: give 1 to {LONGEST_QUESTION:,} characters")
    if len(images) > MOST_IMAGES:
        raise CephaloError(f"{len(images)} images; a panel takes at most {MOST_IMAGES}")
    if base_url and not model:
        raise CephaloError("--base-url without --model; give the server's name of the model")
    chosen = read_panel(panel or SHIPPED)
    changes: dict[str, object] = {"rounds": rounds} if rounds else {}
    if model:
        changes["models"] = dict.fromkeys(chosen.models, source_of(model, base_url))
    run(chosen.model_copy(update=changes), images, question, out, seed)


def run(panel: "Panel", images: list[Path], question: str, out: Path, seed: int) -> None:
    """Run the discussion, with progress, and write the transcript and its page to `out`.

    Raises CephaloError if an input is not an image, and at the end if no model replied.
    """
    from tqdm import tqdm

    from cephalo.apps.chat import quiet
    from cephalo.apps.discuss.discussion import hold_discussion
    from cephalo.apps.discuss.page import transcript_page
    from cephalo.apps.model_sources import Models, as_picture

    quiet()
    if any(role.image_tool for role in panel.roles):
        need_packages("a role with an image tool", "agents", "smolagents")
    pictures = [as_picture(path, panel.max_image_edge) for path in images]
    names = [path.name for path in images]
    limits = (panel.timeout, panel.max_seconds, panel.max_image_edge)
    with (
        locked(out),
        tqdm(total=panel.rounds * len(panel.roles), unit=" turns", disable=no_bars()) as bar,
        Models(panel.models, out / "replies.sqlite", *limits) as models,
    ):
        transcript = hold_discussion(panel, models, question, pictures, names, seed, bar.update)
        write_whole(out / "transcript.json", transcript.model_dump_json(indent=2) + "\n")
        write_whole(out / "transcript.html", transcript_page(transcript, pictures))
    print(f"{transcript.summary()} → {out / 'transcript.html'}")
    for name, error in transcript.failed_models().items():
        logger.warning("%s failed: %s", name, error)
    if not transcript.said():
        raise CephaloError(f"no model replied; see why in {out / 'transcript.html'}")
