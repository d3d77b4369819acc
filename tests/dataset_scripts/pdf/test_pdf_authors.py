"""Authors of a paper, as its first page prints them and as its metadata name them."""

import time

import pytest

from cephalo.dataset_scripts.pdf.authors import find_authors, is_name
from cephalo.dataset_scripts.pdf.metadata import Metadata, read_xmp

TITLE = "Hardness of annealed nacre"
ALL = "Ana Silva, Bo Liu, Karl von der Tann, Mia Ek"
AFTER = ["1 Department of Physics, University of Somewhere", "Abstract", "We measured the hardness"]


@pytest.mark.parametrize(
    ("rows", "authors"),
    [
        (["Ana Silva 1,*, Bo-Wei Liu 2 and J. R. Smith 1"], "Ana Silva, Bo-Wei Liu, J. R. Smith"),
        (["Ana Silva1* Bo Liu2"], "Ana Silva, Bo Liu"),
        (["Ana Silva,1 Bo Liu,2,3", "Karl von der Tann,3 and Mia Ek1"], ALL),
        (["Ana Silva, Bo", "Liu, Mia Ek"], "Ana Silva, Bo Liu, Mia Ek"),
        (["Ana Silva", "1, Bo Liu", "2"], "Ana Silva, Bo Liu"),
        (["ANA SILVA AND BO LIU"], "Ana Silva, Bo Liu"),
        (["Ana Silva a,**, Bo Liu b, Mia Ek c,d,*"], "Ana Silva, Bo Liu, Mia Ek"),
        (["Ana Silva, MD, Bo Liu, Ph.D., Mia Ek"], "Ana Silva, Bo Liu, Mia Ek"),
        (["Silva A, Liu B, Ek MT"], "Silva A, Liu B, Ek MT"),
        (["Department of Physics"], None),
    ],
)
def test_names_below_the_title(rows, authors):
    assert find_authors(["Research Article", TITLE, *rows, *AFTER], TITLE, []) == authors


def test_names_where_the_title_is_not_known():
    lines = ["Journal of Metals 12 (2020) 31", "Of metals and men", "Ana Silva1, Bo Liu2", *AFTER]
    assert find_authors(lines, None, []) == "Ana Silva, Bo Liu"


def test_the_title_is_no_list_of_names():
    title = "Chemical Composition, Mechanical Properties"
    assert find_authors([title, "Abstract"], title, []) is None


def test_authors_of_the_metadata_count_where_the_first_page_has_them():
    lines = [TITLE, "Ana Silvaa, Bo Liub", *AFTER]
    assert find_authors(lines, TITLE, ["Silva, Ana", "Liu, Bo"]) == "Ana Silva, Bo Liu"
    assert find_authors([TITLE, "Ana Silva, Bo Liu"], TITLE, ["DELL"]) == "Ana Silva, Bo Liu"
    assert find_authors([TITLE, "Ana Silva, Bo Liu"], TITLE, ["Otto Setzer"]) == "Ana Silva, Bo Liu"


@pytest.mark.parametrize("text", ["Front. Chem.", "Abstract", "Open Access", "Silva", "a b", ""])
def test_what_is_no_name(text):
    assert not is_name(text)


def test_xmp_packets_are_read_from_the_file(tmp_path):
    path = tmp_path / "a.pdf"
    packet = b"<x:xmpmeta><prism:doi>10.1000/x1</prism:doi></x:xmpmeta>"
    path.write_bytes(b"%PDF" + packet + b"stream" + b"<x:xmpmeta>" + b"x" * 100_000)
    found = read_xmp(path)
    assert "<prism:doi>10.1000/x1</prism:doi>" in found and "stream" not in found
    assert len(found) < 70_000
    assert Metadata().author is None


def test_hostile_rows_take_no_time():
    """White space parts the words of a name, so that no text can be cut in many ways."""
    rows = ["A" * 59 + "9", "A.b." * 14 + "9", "( 1, " * 30_000, "Ab-" * 40_000, "A" * 200_000]
    started = time.process_time()
    assert find_authors([TITLE, *rows], TITLE, rows) is None
    assert time.process_time() - started < 2


def test_an_initial_is_no_conjunction():
    assert (
        find_authors([TITLE, "Ana E Silva, Bo Y Liu", *AFTER], TITLE, []) == "Ana E Silva, Bo Y Liu"
    )
