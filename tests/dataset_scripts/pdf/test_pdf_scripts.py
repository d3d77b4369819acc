"""Exponents and raised citations in the running text."""

from contextlib import closing

import pytest
from paper_samples import LETTER, Paper, prose

from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.prose import without_citations
from cephalo.dataset_scripts.pdf.reading import read_pages
from cephalo.dataset_scripts.pdf.scripts import with_scripts

RAISE, SMALL = 3.6, 6.5  # points


def set_row(paper: Paper, x: float, y: float, parts: list[tuple[str, bool]]) -> None:
    """A row of text; the second of each part: whether it is raised."""
    canvas = paper.canvas
    for text, raised in parts:
        size = SMALL if raised else LETTER.size
        canvas.setFont("Times-Roman", size)
        canvas.drawString(x, 792 - y + RAISE * raised, text)
        x += canvas.stringWidth(text, "Times-Roman", size)


@pytest.mark.parametrize(
    ("parts", "read"),
    [
        ([("Wells held 10", 0), ("6", 1), (" spores each.", 0)], "Wells held 10⁶ spores each."),
        ([("It was 5 mA g", 0), ("-1", 1), (" in all.", 0)], "It was 5 mA g⁻¹ in all."),
        ([("Of the Ca", 0), ("2+", 1), (" ions some left.", 0)], "Of the Ca²⁺ ions some left."),
        ([("It has a high rate", 0), ("54", 1), (" there.", 0)], "It has a high rate there."),
        ([("It was found,", 0), ("5,7", 1), (" and lost.", 0)], "It was found, and lost."),
        ([("It was found", 0), (",", 1), (" and lost.", 0)], "It was found, and lost."),
        ([("The values of X65 rose.", 0)], "The values of X65 rose."),
        ([("All ", 0), ("1", 1), ("H NMR spectra.", 0)], "All ¹H NMR spectra."),
        ([("Also (", 0), ("13", 1), ("C) and ", 0), ("19", 1), ("F.", 0)], "Also (¹³C) and ¹⁹F."),
        ([("It has 10", 0), ("12", 1), (" C in all.", 0)], "It has 10¹² C in all."),
        (
            [("Bound to Tyr", 0), ("369", 1), (" and Arg", 0), ("381", 1), (".", 0)],
            "Bound to Tyr³⁶⁹ and Arg³⁸¹.",
        ),
        ([("The other leg", 0), ("39", 1), (" rests.", 0)], "The other leg rests."),
        ([("By Egger\u2019s", 0), ("24", 1), (" test.", 0)], "By Egger\u2019s test."),
        ([("On 5 km", 0), ("2", 1), (" of it.", 0)], "On 5 km² of it."),
        ([("An sp", 0), ("2", 1), ("-hybridized bond.", 0)], "An sp²-hybridized bond."),
        ([("It is 7 of", 0), ("2", 1), (" them.", 0)], "It is 7 of them."),
        ([("Low [Mg", 0), ("2+", 1), ("] is seen.", 0)], "Low [Mg²⁺] is seen."),
        ([("It is seen [5", 0), ("b", 1), (", 9].", 0)], "It is seen."),
        ([("mA g", 0), ("-182", 1), (" in all.", 0)], "mA g⁻¹ in all."),
        ([("At 18 W m", 0), ("-2", 1), (" K", 0), ("-1", 1), (".", 0)], "At 18 W m⁻² K⁻¹."),
    ],
)
def test_raised_numbers_of_the_running_text(tmp_path, parts, read):
    paper = Paper(tmp_path / "sample.pdf")
    set_row(paper, 60, 300, parts)
    paper.set(60, 310, prose(4, 20), 236)
    with fast.open_document(paper.save()) as document, closing(fast.Pages(document)) as pages:
        [page], _ = read_pages(pages, 1)
        with pages.open(0) as opened, fast.open_text(opened) as textpage:
            raised = with_scripts(opened, textpage, page.lines)
    row = [raised.get(id(line), line).text for line in page.lines if line.box[1] < 300]
    assert without_citations(" ".join(row)) == read


def test_letters_beyond_the_basic_plane_keep_their_indices(tmp_path):
    text = b"The value $x_i$ of $n_12$ is low. " + 9 * b"All of the samples were heated. "
    pytest.importorskip("typst").compile(
        b"#set page(width: 400pt, height: 200pt)\n#set text(size: 9pt)\n" + text,
        output=tmp_path / "sample.pdf",
    )
    with (
        fast.open_document(tmp_path / "sample.pdf") as document,
        closing(fast.Pages(document)) as pages,
    ):
        [page], _ = read_pages(pages, 1)
        with pages.open(0) as opened, fast.open_text(opened) as textpage:
            found = with_scripts(opened, textpage, page.lines)
    (line,) = found.values()
    text = "The value \U0001d465_\U0001d456 of \U0001d45b₁₂ is low. All"
    assert line.text.startswith(text)
