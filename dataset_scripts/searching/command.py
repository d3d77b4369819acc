"""`cephalo search`: figures by words or by an image."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cephalo.cli.errors import CephaloError

NEAR = 16  # bits of 64 by which near-copies differ at most, as in `cephalo publish`
SHOWN = 160  # characters of a caption in a line

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def search(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder of figures, of extract or import.")
    ],
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="Words; those in double quotes together.")
    ] = None,
    image: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Find near-copies of this image instead.")
    ] = None,
    semantic: Annotated[
        bool,
        typer.Option(
            "--semantic", help="Find by meaning rather than by words: needs cephalo[search]."
        ),
    ] = False,
    refined: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder that `cephalo refine` wrote from it, whose answers are searched too; "
            "by default FOLDER.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most results.")] = 20,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the results as an HTML page.")
    ] = None,
    rows: Annotated[
        bool, typer.Option("--rows", help="Print the results as JSON, one a line.")
    ] = False,
) -> None:
    """Find figures by the words of captions, labels, panels, titles, citing paragraphs and answers.

    Word forms count as the word. Where no figure has all words, those with most of them are shown.
    With --semantic, captions, panels and titles that mean much the same as TEXT are found; its
    first search of a folder takes about a second for every 20 figures.
    Captions are as people corrected them; rejected figures are left out. The index,
    FOLDER/search.sqlite, is brought up to date by each search, and can be deleted.

    \b
    Example:
      cephalo search runs/figures "fracture surface of nacre"
      cephalo search runs/figures --semantic "how cracks spread in seashells"
      cephalo search runs/figures --image micrograph.png --page found.html
    """
    if semantic and text is None:
        raise CephaloError("--semantic compares texts; give one")
    if (text is None) == (image is None):
        raise CephaloError("give words to find, or an image with --image")
    from cephalo.dataset_scripts.searching.index import open_index, shown
    from cephalo.dataset_scripts.searching.meaning import load_encoder
    from cephalo.dataset_scripts.searching.results import hash_of, write_page

    wanted = hash_of(image) if image else None
    encode = load_encoder() if semantic else None
    with open_index(folder, refined or folder) as index:
        count = index.update()
        if wanted is not None:
            hits, every = index.like(wanted, NEAR, limit), True
        elif encode:
            hits, every = index.mean(text or "", limit, encode), True
        else:
            hits, every = index.find(text or "", limit)
    if semantic:
        asked = f"by the meaning of {shown(text or '')}"
    elif image:
        asked = f"like {image}"
    else:
        asked = f"with {'all' if every else 'some'} words of {shown(text or '')}"
    for hit in hits:
        where = f"{hit.document}" + ("" if hit.page is None else f", page {hit.page + 1}")
        if rows:
            print(json.dumps(hit._asdict(), ensure_ascii=False))
            continue
        told = f" ({hit.distance} bits)" if hit.distance is not None else ""
        told = f" ({hit.similarity:.2f})" if hit.similarity is not None else told
        caption = " ".join(hit.caption.split())
        print(plain(f"{hit.label or hit.kind} of {where}{told}"))
        print(plain(f"    {caption[:SHOWN]}{'…' if len(caption) > SHOWN else ''}"))
    if not rows:
        print(f"{len(hits)} of {count} figures {asked}")
    if page:
        write_page(folder, hits, asked, page)
        if not rows:
            print(f"→ {page}")


def plain(text: str) -> str:
    """A text of a paper without what a terminal would obey."""
    return "".join(one if one.isprintable() else " " for one in text)
