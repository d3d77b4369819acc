"""`cephalo refine`: turn figures into conversations that a teacher writes and checks verify."""

from pathlib import Path
from typing import Annotated

import typer

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import check_outside
from cephalo.cli.options import GroupedCommand, options_of_dataclasses
from cephalo.dataset_scripts.cluster.cluster import GpuCluster
from cephalo.dataset_scripts.refinement.options import VERIFICATION, Asking, Keys

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=GroupedCommand)
@options_of_dataclasses
def refine(
    figures: Annotated[
        str, typer.Argument(metavar="FIGURES", help="The folder that `cephalo extract` wrote.")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for conversations, answers and report; may be FIGURES.")
    ],
    asking: Asking,
    keys: Keys,
    cluster: GpuCluster,
    review: Annotated[
        bool,
        typer.Option(
            "--review",
            rich_help_panel=VERIFICATION,
            help="Write OUT/undecided.html for manual review of what judges left undecided.",
        ),
    ] = False,
    decisions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            rich_help_panel=VERIFICATION,
            help="Decisions exported from that page; added to OUT/decisions.jsonl, which every "
            "run applies.",
        ),
    ] = None,
) -> None:
    """Turn figures into verified conversations, written by a teacher.

    Writes OUT/conversations/*.parquet (one shard per document), OUT/rejected/*.jsonl with the
    reasons, OUT/undecided/*.jsonl for manual decisions, OUT/report.html and OUT/report.json. Every
    reply is cached in OUT/cache when it arrives: an interrupted run resumes without repeating a
    request.

    With an endpoint, a judge verifies each conversation: it answers the questions from the image
    and the source without seeing the answers, then compares both. The cost is estimated before
    anything is sent. See docs/refine.md for tasks, custom prompts and custom checks.

    With --slurm many machines share the figures, which may be an s3:// or hf:// address. OUT is a
    folder that all machines share, keys come from the environment, and limits are per task. The
    command submits the missing part and returns; run it again to see the progress.

    \b
    Example:
      cephalo refine runs/figures --teacher caption --out runs/figures
      cephalo refine runs/figures --base-url http://127.0.0.1:8000/v1 --model my-model \\
        --out runs/refined --tasks describe,questions --max-requests 1000
      cephalo refine s3://lab/figures --base-url http://gpu1:8000/v1 --model my-model \\
        --out /shared/refined --slurm 20
    """
    asking.check()
    check_outside(out, [figures], same=True)
    if "://" not in figures:
        from cephalo.dataset_scripts.pdf.crops import prepare_corrections

        prepare_corrections(Path(figures))
    if cluster.slurm_tasks:
        from cephalo.dataset_scripts.cluster.refinement import submit_refinement
        from cephalo.dataset_scripts.refinement.review_page import write_review_page

        print(submit_refinement(figures, out, asking, keys, cluster, decisions))
        if review:
            print(write_review_page(Path(figures), out))
        return
    if "://" in figures:
        raise CephaloError(f"{figures}: addresses are for --slurm; give a folder of this machine")
    from cephalo.dataset_scripts.refinement.folder import refine_folder

    refine_folder(Path(figures), out, asking, keys, decisions, review)
