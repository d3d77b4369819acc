"""Text layers that disagree with what is printed: signs without a name, or with a wrong one."""

from types import SimpleNamespace

import numpy as np
import pytest
from pdf_samples import SENTENCE
from reportlab.lib.utils import simpleSplit
from reportlab.pdfgen.canvas import Canvas
from sign_font_samples import SignFont, line, write_paper

from cephalo.dataset_scripts.pdf import glyphs, text_layer
from cephalo.dataset_scripts.pdf.document import extract_document
from cephalo.dataset_scripts.pdf.pdfium import open_document, open_page
from cephalo.dataset_scripts.pdf.settings import Settings
from cephalo.dataset_scripts.pdf.text import read_lines
from cephalo.dataset_scripts.pdf.text_layer import UNREAD, text_faults


def read(tmp_path, font: SignFont, *lines: list[str], turned: bool = False) -> list[str]:
    """The texts of lines of a page, whose parts are words and, odd ones, signs of `font`."""
    path = tmp_path / "paper.pdf"
    content = [
        line(72, 700 - 20 * k, [font.codes(p) if n % 2 else p for n, p in enumerate(parts)])
        for k, parts in enumerate(lines)
    ]
    if turned:
        content = ["0 1 -1 0 750 0 cm", *content]
    write_paper(path, font, content)
    with open_document(path) as document, open_page(document, 0) as page:
        return [found.text for found in sorted(read_lines(page), key=lambda found: found.span)]


@pytest.mark.parametrize("sign", list("\u2212+±×=°≤≥≪≫≈·•→∞αβγμσΩ()[]"))
def test_a_sign_without_a_name_is_known_by_its_shape(tmp_path, sign):
    font = SignFont("AAAAAA+Signs", sign, [""])
    assert read(tmp_path, font, ["at 500 mA g", sign, "1 and"]) == [f"at 500 mA g{sign}1 and"]


@pytest.mark.parametrize(
    ("name", "sign", "layer"),
    [
        ("AdvP4C4E74", "=", "¼"),
        ("AdvP4C4E74", "(", "ð"),
        ("AdvP4C4E74", "+", "þ"),
        ("AdvPS44A44B", "·", "$"),
        ("AdvP7DA6", "±", "6"),
        ("AdvP7DA6", "\u2212", "2"),
        ("AdvP7DA6", "+", "1"),
        ("AdvP7DA6", "\u223c", ","),
        ("MathematicalPi-One", "μ", "l"),
        ("AdvPS3F4C13", "μ", "m"),
        ("AdvPS3F4C13", "β", "b"),
        ("TeX_CM_Maths_Symbols", "×", UNREAD),
        ("TeX_CM_Bold_Maths_Symbols", "\u2212", "¡"),
        ("TeX_CM_Bold_Maths_Symbols", "×", "£"),
        ("Unheard-Of", "=", "¼"),  # a font that no list has is found by the extent of its glyph
        ("Unheard-Of", "·", "$"),
        ("Unheard-Of", "\u2212", "2"),
        ("Unheard-Of", "\u2212", "¡"),
        ("Unheard-Of", "μ", "l"),
    ],
)
def test_a_sign_with_a_wrong_name_is_put_right(tmp_path, name, sign, layer):
    font = SignFont(name, sign, [layer])
    assert read(tmp_path, font, ["at 25 ", sign, " 30 nm"]) == [f"at 25 {sign} 30 nm"]


def test_one_wrong_sign_makes_its_font_doubtful(tmp_path):
    font = SignFont("Unheard-Of", "=±", ["5", "6"])  # an old-style 6 may be as high as the sign
    lines = [["x ", "=", " 3"], ["3 ", "±", " 1"]]
    assert read(tmp_path, font, *lines) == ["x = 3", "3 ± 1"]


@pytest.mark.parametrize("name", ["AdvP7DA6", "Unheard-Of"])
def test_signs_with_their_right_names_stay(tmp_path, name):
    signs = "$%&+=<>26lmpD,.;-"
    font = SignFont(name, signs, list(signs))
    lines = [["a", sign, "b"] for sign in signs]
    assert read(tmp_path, font, *lines) == [f"a{sign}b" for sign in signs]


def test_a_narrow_one_is_no_bracket(tmp_path):
    """In a sans serif it has no foot; a foundry's font of words may be named as its signs are."""
    font = SignFont("AdvPA0C8", "\u2309", ["1"])
    assert read(tmp_path, font, ["Figure ", "\u2309", " Samples"]) == ["Figure 1 Samples"]


@pytest.mark.parametrize("code", ["\ue103", "\uf001"])
@pytest.mark.parametrize(
    ("ligature", "text"), [("\ufb01", "fi"), ("\ufb02", "fl"), ("\ufb03", "ffi")]
)
def test_ligatures_in_private_codes(tmp_path, code, ligature, text):
    font = SignFont("AdvOT999035f4+e1", ligature, [code])
    assert read(tmp_path, font, ["speci", ligature, "cally"]) == [f"speci{text}cally"]


@pytest.mark.parametrize(
    ("name", "code", "char"),
    [
        ("BAAAAA+Symbol", "\uf06d", "μ"),  # as a font with a table for Windows has it
        ("BAAAAA+Symbol", "\uf02d", "\u2212"),
        ("BAAAAA+Symbol", "\uf0b1", "±"),
        ("EuclidSymbol", "\uf8eb", "⎛"),
        ("MinionExp", "\uf733", "3"),  # Adobe's old-style figure
        ("MinionExp", "\uf761", "A"),  # and small capital
    ],
)
def test_private_codes_that_tables_name(tmp_path, name, code, char):
    font = SignFont(name, "o", [code])  # what is drawn does not matter
    assert read(tmp_path, font, ["in ", "o", " m"]) == [f"in {char} m"]


def test_letters_of_a_greek_font_are_known_by_those_of_the_pages_before():
    kinds = SimpleNamespace(
        names=["AdvPS4721B4"],
        fonts=np.array([0]),
        codes=np.array([ord("l")], np.uint32),
        words=np.array([False]),
    )
    drawn = object.__new__(text_layer._Drawn)
    drawn.kinds = kinds
    extent = (0.0, 0.45, 0.42)

    def of_pages_before(letters: dict[str, str]) -> text_layer.Memory:
        return {
            ("_correct", "AdvPS4721B4", ord(code), False, extent): ord(greek)
            for code, greek in letters.items()
        }

    seen = of_pages_before({"k": "κ", "p": "π"})
    assert drawn._in_symbol({}, seen) == {0: ord("λ")}
    assert drawn._in_symbol({}, of_pages_before({"m": "μ"})) == {0: ord("λ")}  # no alphabet's
    assert drawn._in_symbol({}, of_pages_before({"b": "β"})) == {}  # the second in any order
    assert drawn._in_symbol({}, seen | of_pages_before({"z": "ψ"})) == {}  # another order


def test_a_glyph_that_is_like_nothing_is_said_to_be_unread(tmp_path):
    font = SignFont("AAAAAA+Signs", "☯", ["\ue001"])
    assert read(tmp_path, font, ["a ", "☯", " b"]) == [f"a {UNREAD} b"]


def test_signs_of_a_font_of_icons_are_no_text(tmp_path):
    font = SignFont("AAAAAA+FontAwesome5Free-Solid", "☯", [""])
    assert read(tmp_path, font, ["a ", "☯", " b"]) == ["a b"]


def test_text_that_runs_upwards(tmp_path):
    font = SignFont("AAAAAA+Signs", "\u2212±", ["", ""])
    lines = [["g", "\u2212", "1"], ["3 ", "±", " 1"]]
    assert read(tmp_path, font, *lines, turned=True) == ["g\u22121", "3 ± 1"]


def test_fonts_are_looked_at_in_the_order_of_the_text(tmp_path, monkeypatch):
    """Of many kinds of glyphs only the first are drawn: the same ones in every run."""
    faces = ("Courier", "Times-Italic", "Helvetica", "Times-Bold", "Courier-Bold", "Times-Roman")
    faces += ("Helvetica-Bold", "Courier-Oblique", "Helvetica-Oblique", "Times-BoldItalic")
    canvas = Canvas(str(tmp_path / "faces.pdf"), invariant=1)
    for number, face in enumerate(faces):
        canvas.setFont(face, 10)
        canvas.drawString(72, 700 - 20 * number, f"{number} + {number}")
    canvas.save()
    seen, drawn = [], text_layer._Drawn

    def watched(page, text, kinds):
        seen.append(kinds)
        return drawn(page, text, kinds)

    monkeypatch.setattr(text_layer, "_Drawn", watched)
    with open_document(tmp_path / "faces.pdf") as document, open_page(document, 0) as page:
        read_lines(page)
    assert [name for kinds in seen for name in kinds.names] == list(faces)


def test_what_is_read_is_remembered_through_a_document(tmp_path, monkeypatch):
    font = SignFont("AAAAAA+Signs", "\u2212", [""])
    path = tmp_path / "paper.pdf"
    write_paper(path, font, [line(72, 700, ["g", font.codes("\u2212"), "1"])])
    memory = {}
    with open_document(path) as document, open_page(document, 0) as page:
        first = [found.text for found in read_lines(page, None, memory)]
        monkeypatch.setattr(glyphs, "draw_object", lambda *arguments: None)
        second = [found.text for found in read_lines(page, None, memory)]
    assert first == second == ["g\u22121"]


@pytest.mark.parametrize("size", ["1e38", "-1e38", "1e-38", "1e9", "0"])
@pytest.mark.parametrize("matrix", ["1 0 0 1", "1e30 0 0 1e30", "0 0 0 0", "1e-30 0 0 1"])
def test_numbers_without_sense_do_no_harm(tmp_path, size, matrix):
    font = SignFont("AdvP7DA6", "=\u2212", ["5", ""])
    path = tmp_path / "paper.pdf"
    shown = f"BT /S {size} Tf {matrix} 72 700 Tm <{font.codes('=')}{font.codes(chr(0x2212))}> Tj ET"
    write_paper(path, font, [shown, line(72, 600, ["a", font.codes("="), "b"])])
    with open_document(path) as document, open_page(document, 0) as page:
        assert "a=b" in [found.text for found in read_lines(page)]


def write_article(path, font: SignFont, sign: str) -> None:
    """A figure whose caption and a sentence of whose text hold a sign."""
    content = ["150 560 300 150 re S"]
    content += [f"{150 + 10 * k} 580 m {160 + 10 * k} {690 - k} l S" for k in range(29)]
    content.append(line(150, 540, ["Figure 1. Rates at 500 mA g", font.codes(sign), "1 in air."]))
    prose = simpleSplit(SENTENCE * 6, "Helvetica", 10, 440)
    content += [line(80, 500 - 12 * k, [text]) for k, text in enumerate(prose)]
    y = 500 - 12 * len(prose)
    tail = ["The loss at 25 mA g", font.codes(sign), "1 was small, as the figure shows. "]
    content.append(line(80, y, tail))
    content += [line(80, y - 12 - 12 * k, [text]) for k, text in enumerate(prose[:20])]
    write_paper(path, font, content)


def test_a_row_says_that_its_caption_was_not_read(tmp_path):
    path = tmp_path / "paper.pdf"
    write_article(path, SignFont("AAAAAA+Signs", "☯", [""]), "☯")
    found = extract_document(path, Settings(text=True))
    (row,) = found.rows
    assert row["caption"] == f"Rates at 500 mA g{UNREAD}1 in air."
    assert row["text_faults"] == ["unread glyphs in caption"]
    assert found.passages and not any(UNREAD in passage["text"] for passage in found.passages)
    assert not any("The loss" in passage["text"] for passage in found.passages)


def test_a_row_that_was_put_right_has_no_faults(tmp_path):
    path = tmp_path / "paper.pdf"
    write_article(path, SignFont("AAAAAA+Signs", "\u2212", [""]), "\u2212")
    found = extract_document(path, Settings(text=True))
    (row,) = found.rows
    assert row["caption"] == "Rates at 500 mA g\u22121 in air."
    assert row["text_faults"] == []
    assert any("25 mA g\u22121 was small" in passage["text"] for passage in found.passages)


def test_faults_by_column():
    texts = {"caption": ["a", f"b{UNREAD}"], "mentions": ["\ue000", UNREAD], "label": []}
    assert text_faults(texts) == [
        "unread glyphs in caption",
        "unread glyphs in mentions",
        "private-use characters in mentions",
    ]
    assert text_faults({"caption": ["x\u22121 \U0001d465 ½"], "mentions": []}) == []
