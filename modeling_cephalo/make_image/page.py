"""A chain as one HTML file, with its images inside."""

from collections.abc import Sequence
from pathlib import Path

from cephalo.inference.questions import Picture

from ..agents.page import embedded, render
from ..model_sources import as_picture
from .chain import Chain

TEMPLATE = Path(__file__).with_name("chain.html.jinja")


def chain_page(chain: Chain, pictures: Sequence[Picture], folder: Path) -> str:
    """The page of a chain: `pictures` are what it started from, its own images lie in `folder`."""
    shown = list(zip(chain.images, map(embedded, pictures), strict=True))
    drawn = [(one, embedded(as_picture(folder / one.image))) for one in chain.tries]
    return render(TEMPLATE, chain=chain, shown=shown, drawn=drawn)
