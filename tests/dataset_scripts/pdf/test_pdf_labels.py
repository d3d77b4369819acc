"""Labels and what a text cites."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cephalo.dataset_scripts.pdf.joining import join_text
from cephalo.dataset_scripts.pdf.labels import kind_of, match_label
from cephalo.dataset_scripts.pdf.mentions import cited
from cephalo.dataset_scripts.pdf.panels import caption_parts


@pytest.mark.parametrize(
    ("text", "label", "kind"),
    [
        ("Figure 3: The cell", "Figure 3", "figure"),
        ("FIG. 12. The cell", "FIG. 12", "figure"),
        ("Fig. 1 | The cell", "Fig. 1", "figure"),
        ("Figure S2. The cell", "Figure S2", "figure"),
        ("Extended Data Fig. 4 | The cell", "Extended Data Fig. 4", "figure"),
        ("Supplementary Figure 1. The cell", "Supplementary Figure 1", "figure"),
        ("Figure 2.13: The cell", "Figure 2.13", "figure"),
        ("Abbildung 5: Die Zelle", "Abbildung 5", "figure"),
        ("图 2 电池", "图 2", "figure"),
        ("表1 电池", "表1", "table"),
        ("TABLE IV. The cells", "TABLE IV", "table"),
        ("Rys. 2. Ogniwo", "Rys. 2", "figure"),
        ("Şekil 2. Pil", "Şekil 2", "figure"),
        ("그림 2 전지", "그림 2", "figure"),
        ("Graph 1. The shares", "Graph 1", "figure"),
        ("Graph 1", "Graph 1", "figure"),
        ("Figure. The shares", "Figure", "figure"),
        ("Carte 2 : La puissance", "Carte 2", "figure"),
        ("Scheme 1. The route", "Scheme 1", "scheme"),
        ("Chart 2. The shares", "Chart 2", "chart"),
    ],
)
def test_labels_as_printed(text, label, kind):
    match = match_label(text)
    assert match.group("label") == label
    assert kind_of(match) == kind


@pytest.mark.parametrize(
    "text",
    [
        "Figures of merit",
        "Figure it out",
        "A Figure 3",
        "Configuration 3",
        "Tablet 3",
        "Image 3 shows",
        "Carte 3 de la France",
        "",
    ],
)
def test_what_is_no_label(text):
    assert match_label(text) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("as Fig. 2 shows", {("figure", "2")}),
        ("(Figs. 2-4)", {("figure", "2"), ("figure", "3"), ("figure", "4")}),
        ("Figures 1, 3 and 5", {("figure", "1"), ("figure", "3"), ("figure", "5")}),
        ("Fig. 2b,c and Table 1", {("figure", "2"), ("table", "1")}),
        ("Figure S1", {("figure", "s1")}),
        ("Extended Data Fig. 3", {("figure", "ed3")}),
        ("see Scheme 2", {("scheme", "2")}),
        ("İİ: TABLE IV. And FIG. 2", {("table", "iv"), ("figure", "2")}),
        (
            "Figs. 1 and 2; Supplementary Figures S1-S3",
            {("figure", n) for n in ("1", "2", "s1", "s2", "s3")},
        ),
        ("the figure of 3 grams", set()),
        ("Graphs 2 and 3", {("figure", "gra2"), ("figure", "gra3")}),
        ("a photograph of 3 samples, and paragraph 2", set()),
    ],
)
def test_citations(text, found):
    assert cited(text) == found


@given(st.text(max_size=200))
def test_any_text_can_be_searched(text):
    for kind, number in cited(text):
        assert kind in ("figure", "table", "scheme", "chart")
        assert number == number.lower()
    for letter, part in caption_parts(text).items():
        assert len(letter) == 1
        assert part in text
    match_label(text)


@pytest.mark.parametrize(
    ("caption", "parts"),
    [
        ("Two. (a) One, in air; (b) two.", {"a": "One, in air", "b": "two"}),
        ("(A) One. (B, C) Two.", {"A": "One", "B": "Two", "C": "Two"}),
        ("All: (a-c) three, (d) last.", {"a": "three", "b": "three", "c": "three", "d": "last"}),
        ("Cells. a, The first. b, The second.", {"a": "The first", "b": "The second"}),
        ("a) One b) two", {"a": "One", "b": "two"}),
        ("A plain caption (a lone bracket).", {}),
        ("Starts late: (b) two, (c) three.", {}),
    ],
)
def test_shares_of_the_caption(caption, parts):
    assert caption_parts(caption) == parts


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["the hard-", "ness of"], "the hardness of"),
        (["the Hall-", "Petch law"], "the Hall-Petch law"),
        (["soft\xad", "ened"], "softened"),
        (["样品在", "保温"], "样品在保温"),
        (["at 8.6 wt.", "% of it"], "at 8.6 wt.% of it"),
        (["at 8.6", "% of it"], "at 8.6 % of it"),
        (["  one ", "", "two"], "one two"),
        ([], ""),
    ],
)
def test_lines_join_into_text(lines, text):
    assert join_text(lines) == text
