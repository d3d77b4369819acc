"""`cephalo search`: find figures by words or by an image."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cephalo.cli.errors import CephaloError

NEAR = 16  # largest number of different bits (of 64), as in `cephalo publish`
SHOWN = 160  # characters of a caption in the output

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def search(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Folder of figures of `cephalo extract` or `cephalo import`."
        ),
    ],
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="Words, or phrases in double quotes.")
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
            help="Output folder of `cephalo refine`, to search its answers too; by default FOLDER.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Largest number of results.")] = 20,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the results to an HTML page.")
    ] = None,
    rows: Annotated[bool, typer.Option("--rows", help="Print the results as JSON Lines.")] = False,
) -> None:
    """Find figures by words in captions, labels, panels, titles, citing paragraphs and answers.

    Words are matched by their stems. If no figure contains all words, those with the most of them
    are listed. --semantic finds captions, panels and titles with a similar meaning to TEXT; its
    first search of a folder takes about one second per 20 figures. Corrected captions are used and
    rejected figures are excluded. The index, FOLDER/search.sqlite, is updated by each search and
    can be deleted.

    \b
    Example:
      cephalo search runs/figures "fracture surface of nacre"
      cephalo search runs/figures --semantic "how cracks spread in seashells"
      cephalo search runs/figures --image micrograph.png --page found.html
    """
    if semantic and text is None:
        raise CephaloError("--semantic requires a text to search for")
    if (text is None) == (image is None):
        raise CephaloError("give words to search for, or an image with --image")
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
        measure = f" ({hit.distance} bits)" if hit.distance is not None else ""
        measure = f" ({hit.similarity:.2f})" if hit.similarity is not None else measure
        caption = " ".join(hit.caption.split())
        print(plain(f"{hit.label or hit.kind} of {where}{measure}"))
        print(plain(f"    {caption[:SHOWN]}{'…' if len(caption) > SHOWN else ''}"))
    if not rows:
        print(f"{len(hits)} of {count} figures {asked}")
    if page:
        write_page(folder, hits, asked, page)
        if not rows:
            print(f"→ {page}")


def plain(text: str) -> str:
    """Replace characters that a terminal would interpret by spaces."""
    return "".join(one if one.isprintable() else " " for one in text)
