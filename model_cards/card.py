"""`cephalo card`: the card of a model's folder, made anew from what the folder holds."""

from pathlib import Path
from typing import Annotated

import typer

from cephalo.cli.files import locked
from cephalo.model_cards.model_card import read_facts, write_card

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def card(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a saved model.")],
) -> None:
    """Rebuild README.md of a model: how it was made, how it is asked, what was measured.

    It tells what `cephalo train`, `merge` and `moe` wrote to DIR/card.json, where licence, intended
    use and limits can be changed by hand, and the numbers of every results.json of `cephalo eval`
    in or below DIR that are of these weights.

    \b
    Example:
      cephalo eval runs/nacre --task answer_match --dataset my-lab/figures --out runs/nacre/eval
      cephalo card runs/nacre
    """
    facts = read_facts(folder)
    with locked(folder):
        write_card(folder, facts)
    print(folder / "README.md")
