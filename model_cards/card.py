"""`cephalo card`: rebuild the card of a model folder."""

from pathlib import Path
from typing import Annotated

import typer

from cephalo.cli.files import locked
from cephalo.cli.weights import check_finite, weight_files
from cephalo.model_cards.model_card import read_facts, write_card

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def card(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a saved model.")],
) -> None:
    """Rebuild the card (README.md) of a model folder.

    The card combines DIR/card.json, written by `cephalo train`, `merge` and `moe`, with every
    results.json of `cephalo eval` in or below DIR that measured these weights. Licence, intended
    use and limits can be edited in card.json. Weights with NaN or infinity get no card.

    \b
    Example:
      cephalo eval runs/nacre --task answer_match --dataset my-lab/figures --out runs/nacre/eval
      cephalo card runs/nacre
    """
    facts = read_facts(folder)
    with locked(folder):
        for path in weight_files(folder, str(folder)):
            check_finite(path)
        write_card(folder, facts)
    print(folder / "README.md")
