"""The running text of made papers, and the rows of the `text` table."""

import re
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from extract_samples import run
from pdf_samples import COLUMN, FIRST, GUTTER, LEFT, SECOND, THIRD, Sheet

from cephalo.dataset_scripts.common.passages import (
    MAX_WORDS,
    MIN_WORDS,
    count_words,
    pack,
    sentences,
    text_row,
)
from cephalo.dataset_scripts.pdf.document import extract_document
from cephalo.dataset_scripts.pdf.prose import is_prose, whole_sentences, without_citations
from cephalo.dataset_scripts.pdf.settings import Settings

RIGHT = LEFT + COLUMN + GUTTER
REFERENCE = "[{0}] J. Doe and R. Roe. Mats of fibre under load. J. Mater. {0} (1999) 12-19."
THANKS = "We thank the workshop of the institute for the press and for much help with the mats."


def passages(sheet: Sheet) -> list[str]:
    rows = extract_document(sheet.save(), Settings(text=True)).passages
    return [row["text"] for row in rows]


def heading(sheet: Sheet, x: float, y: float, text: str) -> float:
    return sheet.text(x, y, text, font="Times-Bold", size=11) + 6


@pytest.fixture
def sheet(tmp_path) -> Sheet:
    return Sheet(tmp_path / "paper.pdf")


def paper(sheet: Sheet, back: str = "References") -> None:
    """Two pages: running heads, three paragraphs across columns and pages, and back matter."""
    sheet.text(LEFT, 30, "Journal of Made Papers 12 (2026)", size=8)
    sheet.text(300, 760, "1", size=8)
    y = heading(sheet, LEFT, 72, "1. Introduction")
    y = sheet.text(LEFT, y, FIRST)
    sheet.image([LEFT, 250, LEFT + COLUMN, 400])
    sheet.caption(LEFT, 410, "Figure 1.", "Strength of the pressed mats against the pressure.")
    words = SECOND.split()
    sheet.text(LEFT, 640, " ".join(words[:16]))  # goes on in the next column
    y = sheet.text(RIGHT, 72, " ".join(words[16:]))
    sheet.body(RIGHT, 250, 700)
    sheet.next()
    sheet.text(LEFT, 30, "Journal of Made Papers 12 (2026)", size=8)
    sheet.text(300, 760, "2", size=8)
    y = heading(sheet, LEFT, 72, "2. Conclusions")
    y = sheet.text(LEFT, y, THIRD)
    y = heading(sheet, LEFT, y + 12, "Acknowledgements")
    y = sheet.text(LEFT, y, THANKS * 3)
    y = heading(sheet, LEFT, y + 12, back)
    for number in range(1, 9):
        y = sheet.text(LEFT, y, REFERENCE.format(number))
    sheet.text(LEFT, 740, "doi:10.1000/made.12", size=7)


def test_paragraphs_whole_and_in_order_and_nothing_else(sheet):
    paper(sheet)
    text = "\n\n".join(passages(sheet))
    assert text.startswith(FIRST)
    assert text.endswith(THIRD)
    assert SECOND in text
    for stray in ("Journal", "Figure 1", "Introduction", "Doe", "thank", "doi", "Conclusions\n"):
        assert stray not in text


@pytest.mark.parametrize(
    "back",
    [
        "REFERENCES",
        "R EFERENCES",
        "7. Bibliography",
        "Literatur",
        "Références",
        "Notes and references",
    ],
)
def test_references_by_any_name(sheet, back):
    paper(sheet, back)
    text = "\n\n".join(passages(sheet))
    assert "Doe" not in text and THIRD in text


def test_an_appendix_after_the_references_is_kept(sheet):
    paper(sheet)
    sheet.next()
    y = heading(sheet, LEFT, 72, "Appendix A. Tests of the press")
    sheet.text(LEFT, y, FIRST.replace("fibre mats", "steel plates") + " " + SECOND)
    text = "\n\n".join(passages(sheet))
    assert "The steel plates were pressed" in text and "Doe" not in text


def test_the_word_references_in_a_table_ends_nothing(sheet):
    sheet.text(LEFT, 72, FIRST)
    for column, word in enumerate(["Mat", "References", "Load"]):
        sheet.text(LEFT + 80 * column, 250, word, size=8)
        for row in range(4):
            sheet.text(LEFT + 80 * column, 264 + 12 * row, f"{column + row}.5", size=8)
    sheet.text(LEFT, 400, SECOND)
    sheet.text(RIGHT, 72, THIRD)
    assert "\n\n".join(passages(sheet)) == f"{FIRST}\n\n{SECOND}\n\n{THIRD}"


def test_a_sentence_that_lost_its_formula_is_left_out(sheet):
    y = sheet.text(LEFT, 72, FIRST + " The strength follows from the count of the crossings as")
    sheet.text(LEFT + 70, y + 14, "s = k n / A", font="Times-Italic", size=12)
    sheet.text(LEFT, y + 46, "where n is their number and A the area. " + SECOND)
    sheet.text(RIGHT, 72, THIRD)
    text = "\n\n".join(passages(sheet))
    assert text == f"{FIRST}\n\n{SECOND}\n\n{THIRD}"


def test_authors_and_addresses_are_left_out(sheet):
    sheet.text(
        LEFT,
        72,
        "Jane A. Doe, Richard B. Roe, and Mary C. Moe. Department of Materials, University of "
        "Somewhere, Main Street 1, 12345 Somewhere, Country. Institute of Fibres, Other Town.",
    )
    sheet.text(LEFT, 250, "Corresponding author: Jane A. Doe, who may be asked for all the data.")
    sheet.text(LEFT, 400, FIRST + " " + SECOND)
    sheet.text(RIGHT, 72, THIRD)
    assert "\n\n".join(passages(sheet)) == f"{FIRST} {SECOND}\n\n{THIRD}"


def test_words_parted_at_line_ends_are_joined(sheet):
    y = 72.0
    for line in ["The hardness of these samples was mea-", "sured at five places of each, and the"]:
        y = sheet.text(LEFT, y, line)
    sheet.text(LEFT, y, "mean is given here. " + FIRST + " " + SECOND)
    [text] = passages(sheet)
    assert text.startswith("The hardness of these samples was measured at five places of each, and")


def test_no_text_is_read_where_it_was_not_asked_for(sheet, monkeypatch):
    paper(sheet)
    sheet.save()
    monkeypatch.setattr("cephalo.dataset_scripts.pdf.document.find_passages", pytest.fail)
    assert extract_document(sheet.path).passages is None


def test_rows_say_whose_words_they_are(sheet, tmp_path):
    paper(sheet)
    path = sheet.save()
    run(path, "--out", tmp_path / "out", "--text")
    [shard] = (tmp_path / "out" / "text").glob("*.parquet")
    rows = pq.read_table(shard).to_pylist()
    row = rows[0]
    first = sentences(FIRST)[0]
    [asked], [answer] = row["prompt"], row["completion"]
    assert asked["role"] == "user" and asked["content"][0]["type"] == "text"
    assert asked["content"][0]["text"] == (
        f"Here is the beginning of a passage from a scientific text:\n\n{first}\n\n"
        "Continue the passage."
    )
    assert answer["role"] == "assistant"
    assert row["text"] == f"{first} {answer['content'][0]['text']}"
    assert (row["document"], row["page"], row["images"]) == ("paper.pdf", 0, [])
    assert len(row["document_sha256"]) == 64 and row["license"] is None
    assert shard.name == next((tmp_path / "out" / "figures").glob("*.parquet")).name


def test_training_takes_the_rows_as_they_are(sheet, tmp_path):
    from datasets import load_dataset

    from cephalo.train.rows import COLUMNS, row_features, to_conversations

    paper(sheet)
    run(sheet.save(), "--out", tmp_path / "out", "--text")
    rows = load_dataset("parquet", data_dir=str(tmp_path / "out" / "text"), split="train")
    taken = to_conversations(rows, "text")
    assert taken.column_names == COLUMNS and taken.features == row_features()
    assert taken[0]["images"] == [] and taken[0]["prompt"] == rows[0]["prompt"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("It broke. We saw it.", ["It broke.", "We saw it."]),
        ("See Fig. 3 and Eq. 4. Then stop.", ["See Fig. 3 and Eq. 4.", "Then stop."]),
        (
            "J. Doe et al. 1999 did it (e.g. A). Yes!",
            ["J. Doe et al. 1999 did it (e.g. A).", "Yes!"],
        ),
        ("At 3.5 MPa. 12 broke.", ["At 3.5 MPa.", "12 broke."]),
        ("试样断裂。硬度很高。", ["试样断裂。", "硬度很高。"]),
        ("", []),
        ("By Prop. 2 it ends. (Acc. 19) is kept.", ["By Prop. 2 it ends.", "(Acc. 19) is kept."]),
        ("Equation. (6) holds. It is so.", ["Equation. (6) holds.", "It is so."]),
    ],
)
def test_sentences(text, parts):
    assert sentences(text) == parts


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("It is known [3, 5-7].", "It is known."),
        ("as shown in [3] and by Doe [4], too", "as shown in [3] and by Doe, too"),
        ("It was found.12,13 The rest", "It was found. The rest"),
        ("low resulting usage1. The surface2, too", "low resulting usage. The surface, too"),
        ("along t[1] and p[2]", "along t[1] and p[2]"),
        ("Doe et al. [4]. Then", "Doe et al. Then"),
        ("Ti6Al4V at 10.5 GPa and 300 K", "Ti6Al4V at 10.5 GPa and 300 K"),
        ("in the range [0.1, 0.5]", "in the range [0.1, 0.5]"),
    ],
)
def test_numbers_of_references(text, clean):
    assert without_citations(text) == clean


def test_the_command_tells_how_many_sentences_it_left_out(sheet, tmp_path, capsys):
    y = sheet.text(LEFT, 72, f"{FIRST} With this the payoff is b - c], where c is a cost. {SECOND}")
    sheet.body(LEFT, y + 20, 700)
    run(sheet.save(), "--out", tmp_path / "out", "--text")
    [line] = [row for row in capsys.readouterr().out.splitlines() if row.startswith("text: ")]
    assert re.fullmatch(r"text: [1-9]\d* sentences kept; left out: .*\b1 damaged.*", line)


def test_only_whole_sentences():
    assert whole_sentences("and so on. It broke. It bent under the") == ["It broke."]
    assert whole_sentences("One is here. Two is\ufffc where x. Three is here.") == [
        "One is here.",
        "Three is here.",
    ]
    assert whole_sentences("All good. © 2017 The Authors. More text here.") == [
        "All good.",
        "More text here.",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "s = k n / A + b x ( 1 - y ) z = 0.5 t 2 + 3 q r s t u v w x y z a b c d e f g",
        "Doe, J. A., Roe, R. B., Moe, M. C. and Poe, E. A. Mats under load. J. Mater. 12, 1999.",
        "A. Doe, the mats of fibre under load, in foods for plants, vol. 42, no. 3, pp. 1-6, 1992.",
        "Funding: This work was paid for by the foundation of the made papers and by no other.",
        "12.5 13.7 14.1 15.9 16.2 17.8 18.8 19.4 20.2 21.4 22.4 23.1 24.9 25.0 26.7 27.6 28.3",
        "Please write to the authors of this work at jane.doe@example.org for the data of it all.",
    ],
    ids=["formula", "reference", "volume", "funding", "numbers", "mail"],
)
def test_what_is_no_prose(text):
    assert not is_prose(text)
    assert is_prose(FIRST)


@pytest.mark.parametrize(
    "text",
    ["a" * 200_000, "试" * 200_000, "A. " * 70_000, "[1" * 100_000, "a.1" * 70_000, "(" * 200_000],
    ids=["word", "signs", "initials", "brackets", "numbers", "parentheses"],
)
def test_long_hostile_paragraphs_take_a_moment(text):
    start = time.process_time()
    is_prose(text)
    whole_sentences(without_citations(text))
    assert time.process_time() - start < 3


def test_passages_are_bounded_and_lose_no_words():
    paragraphs = [(0, FIRST), (0, SECOND), (1, THIRD), (2, f"{FIRST} {SECOND} {THIRD} " * 8)]
    found = list(pack(paragraphs))
    assert [page for page, _ in found] == [0, 2, 2, 2]
    assert all(MIN_WORDS <= count_words(text) <= MAX_WORDS for _, text in found)
    words = " ".join(text for _, text in found).split()
    assert words == " ".join(text for _, text in paragraphs).split()
    assert list(pack([(0, "Too short to be a passage.")])) == []
    assert list(pack([(0, "word " * 900)])) == []  # no sentence ends: not prose


def test_a_passage_of_one_sentence_asks_for_nothing():
    assert text_row("One long sentence without an end", {"title": None}, 0) is None
    row = text_row("First. Second.", {"title": "Mats"}, 3)
    assert row["prompt"][0]["content"][0]["text"].startswith(
        'Here is the beginning of a passage from "Mats":\n\nFirst.'
    )


def test_a_folder_without_text_is_not_mixed_with_one_that_has_it(sheet, tmp_path):
    from cephalo.cli.errors import CephaloError

    paper(sheet)
    path = sheet.save()
    run(path, "--out", tmp_path / "out")
    assert not Path(tmp_path / "out" / "text").exists()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CephaloError, match="was made without --text; give the same"):
        run(path, "--out", tmp_path / "out", "--text")
    assert sorted(tmp_path.rglob("*")) == before
    run(path, "--out", tmp_path / "text", "--text")
    with pytest.raises(CephaloError, match="was made with --text; give the same"):
        run(path, "--out", tmp_path / "text")
