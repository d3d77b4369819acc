"""Papers for the review page: decisions of every kind, on small PDFs."""

from pathlib import Path

from pdf_samples import COLUMN, FULL, LEFT, RIGHT, Sheet

CITATION = "Figure 1 shows the hardness of the samples as it was read at once."


def cited_figure(path: Path, caption: str) -> list[float]:
    """A page with a figure, its caption, and a sentence that begins like one; returns the box."""
    sheet = Sheet(path)
    box = [LEFT, 72.0, LEFT + COLUMN, 222.0]
    sheet.image(box)
    sheet.caption(LEFT, 230, "Figure 1.", caption)
    sheet.body(LEFT, 290, 640)
    end = sheet.text(LEFT, 652, CITATION)
    sheet.body(LEFT, end, 720)
    sheet.body(RIGHT, 72, 700)
    sheet.save()
    return box


def caption_overleaf(path: Path, caption: str) -> list[float]:
    """A figure that ends its page, its caption at the head of the next; returns its box."""
    sheet = Sheet(path)
    sheet.body(LEFT, 72, 300, FULL)
    box = [LEFT, 320.0, LEFT + FULL, 720.0]
    sheet.image(box)
    sheet.next()
    end = sheet.caption(LEFT, 72, "Figure 1.", caption, FULL)
    sheet.body(LEFT, end + 20, 700, FULL)
    sheet.next()
    sheet.body(LEFT, 72, 700, FULL)
    sheet.save()
    return box


def labels_and_legends(path: Path) -> list[list[float]]:
    """A page of legends, then two figures with their labels alone; returns the figures' boxes."""
    sheet = Sheet(path)
    y = sheet.text(LEFT, 72, "Figure legends", FULL, 12, font="Times-Bold") + 20
    for number, batch in ((1, "one"), (2, "two")):
        legend = (
            f"Hardness of batch {batch} after heating in air for an hour, and as it was before."
        )
        y = sheet.caption(LEFT, y, f"Figure {number}.", legend, FULL) + 12
    sheet.body(LEFT, y + 20, 700, FULL)
    box = [LEFT, 72.0, LEFT + FULL, 500.0]
    for number in (1, 2):
        sheet.next()
        sheet.image(box, number)
        sheet.text(LEFT + 200, 520, f"Figure {number}", 100, font="Times-Bold")
    sheet.save()
    return [box, box]


def lost_figure(path: Path) -> None:
    """Captions as of a figure, and no graphics on any page."""
    sheet = Sheet(path)
    sheet.body(LEFT, 72, 300, FULL)
    sheet.caption(LEFT, 330, "Figure 1.", "Hardness of the samples after heating.", FULL)
    sheet.body(LEFT, 380, 700, FULL)
    sheet.save()
