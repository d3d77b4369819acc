"""Two versions of one paper share a split though every caption was rewritten; others need not."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from test_dedup import plot, row, write

from cephalo.dataset_scripts.common.tables import find_tables
from cephalo.dataset_scripts.publication.dedup import select_rows
from cephalo.dataset_scripts.publication.versions import Versions, names, say_the_same, terms

TITLE = "Fracture of hydrated nacre tablets under cyclic compression"
PREPRINT = [
    "Stress-strain curves of nacre measured at 25 °C. The strength decreases by 30 % in 1,000 "
    "cycles (dashed line).",
    "Scanning electron micrographs of two fractured samples: (a) dry, (b) after 0.5 h in water. "
    "Scale bar: 5 µm.",
]
JOURNAL = [
    "In 1000 cycles (dashed line), the strength drops by 30%. Nacre's stress-strain curves were "
    "recorded at 25°C.",
    "Fractured specimens in the scanning electron microscope, a) dry and b) in water for 0.50 h; "
    "2 samples, scale bar 5 μm.",
]
OTHERS = [
    "Tablet thickness against depth in the shells of 12 molluscs, fitted by a power law.",
    "Raman spectra of aragonite and calcite layers at three positions of the hinge.",
]
AUTHORS = "Jane Doe, Émile Kowalski, Li Wang"


def linked(folder: Path, papers: list[tuple[str, str | None, list[str]]]) -> list[tuple[int, int]]:
    """The papers that are linked, by their titles, authors and captions; all images differ."""
    rows = [
        row(number, plot(10 * number + place), caption, title=title, author=author)
        for number, (title, author, captions) in enumerate(papers)
        for place, caption in enumerate(captions)
    ]
    tables = find_tables([write(folder / "made", "figures", rows)])
    with closing(select_rows(folder / "compared", tables)) as selection:
        return list(selection.links())


def test_rewritten_captions_link_versions_and_not_other_papers_of_the_authors(tmp_path):
    preprint = (TITLE, AUTHORS, PREPRINT)
    journal = (TITLE.replace("hydrated ", "wet "), "E. Kowalski and J. Doe", JOURNAL)
    second_part = (TITLE, AUTHORS, OTHERS)
    assert linked(tmp_path / "versions", [preprint, journal, second_part]) == [(0, 1)]
    others = (
        ("Growth of mollusc shells in warm seas", AUTHORS, JOURNAL),
        (TITLE, "Ann Smith, Bob Jones", JOURNAL),
    )
    for number, other in enumerate(others):
        assert linked(tmp_path / f"{number}", [preprint, other]) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,000 µm and 0.50 h", {"1000", "0.5"}),
        ("Three samples, increasing", {"3", "sampl", "incre"}),
        ("The panel shows 10² N", {"102"}),
        ("", set()),
    ],
)
def test_terms_of_a_text(text, expected):
    assert terms(text) == expected


def test_names_of_authors():
    assert names("J. A. Doe, Émile Kowalski") == {"doe", "emile", "kowalski"}
    assert names(None) == set()


def test_texts_say_the_same_in_other_words_and_each_counts_once():
    assert say_the_same(PREPRINT, JOURNAL) and say_the_same(JOURNAL, [*OTHERS, *PREPRINT])
    assert not say_the_same(PREPRINT, OTHERS)
    assert not say_the_same(PREPRINT[:1] * 2, [JOURNAL[0], *OTHERS])
    assert say_the_same(PREPRINT[:1], JOURNAL) and not say_the_same([], JOURNAL)


def test_a_title_of_thousands_costs_few_comparisons():
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE texts (document INTEGER, text TEXT)")
    versions = Versions(database)
    for document in range(300):
        versions.add(document, TITLE, None)
    assert list(versions.pairs("texts")) == []
    assert database.execute("SELECT count(*) FROM title_pairs").fetchone()[0] < 20 * 300
