"""A chain as one HTML file with embedded images."""

from collections.abc import Sequence
from pathlib import Path

from cephalo.apps.discuss.page import embedded, render
from cephalo.apps.make_image.chain import Chain
from cephalo.apps.model_sources import as_picture
from cephalo.inference.questions import Picture

TEMPLATE = Path(__file__).with_name("chain.html.jinja")


def chain_page(chain: Chain, pictures: Sequence[Picture], folder: Path) -> str:
    """Return the page of a chain: `pictures` are its input, and its own images are in `folder`."""
    shown = list(zip(chain.images, map(embedded, pictures), strict=True))
    drawn = [(one, embedded(as_picture(folder / one.image))) for one in chain.tries]
    return render(TEMPLATE, chain=chain, shown=shown, drawn=drawn)
