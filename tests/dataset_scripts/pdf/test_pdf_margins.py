"""Pictures placed with margins as white as the paper, over which their captions are set."""

import numpy as np
from paper_samples import check_rows, prose, rows_of
from paper_samples import draw as draw  # the fixture
from PIL import Image
from reportlab.lib.utils import ImageReader

SHORT = "Hardness of the annealed samples against the time for which they were held in air."
SECOND = "Wear of the same samples after two hundred cycles."


def _picture(paper, box: list[float], inked: float) -> None:
    """Draw a picture of which only the upper part is not white."""
    x0, y0, x1, y1 = box
    pixels = np.full((120, 80), 255, np.uint8)
    rows = round(120 * inked)
    pixels[:rows] = np.random.default_rng(1).integers(0, 200, (rows, 80), np.uint8)
    paper.canvas.drawImage(ImageReader(Image.fromarray(pixels)), x0, 792 - y1, x1 - x0, y1 - y0)


def test_a_picture_ends_where_its_ink_does(draw):
    """Its white margin lies behind the caption and a paragraph, on one page with all of it."""
    paper = draw()
    x0, x1 = paper.look.column()
    _picture(paper, [x0, 60, x1, 660], 0.25)  # ink down to y = 210
    end = paper.legend((x0, x1), 220, [("Figure 1.", "bold"), (SHORT, "regular")])
    paper.fill((x0, x1), end + 14, 730)
    paper.fill(paper.look.column(1), 60, 730)
    check_rows(rows_of(paper), [("Figure 1", SHORT, 1, [x0, 60, x1, 210])], 0.95)


def test_a_picture_may_touch_the_caption_above_it(draw):
    """The second picture reaches over the last points of the caption of the first."""
    paper = draw()
    x0, x1 = paper.look.column()
    upper = [x0, 60, x1, 200]
    paper.image(upper, 1)
    end = paper.legend((x0, x1), 208, [("Figure 1.", "bold"), (SHORT, "regular")])
    lower = [x0, end - 4, x1, end + 140]
    paper.image(lower, 2)
    end = paper.legend((x0, x1), lower[3] + 8, [("Figure 2.", "bold"), (SECOND, "regular")])
    paper.set(x0, end + 20, prose(3, 60), x1 - x0)
    paper.fill(paper.look.column(1), 60, 730)
    truth = [("Figure 1", SHORT, 1, upper), ("Figure 2", SECOND, 1, lower)]
    check_rows(rows_of(paper), truth, 0.9)
