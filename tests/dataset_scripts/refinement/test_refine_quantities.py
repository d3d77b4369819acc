"""Quantities of answers: how they are read from prose, when two agree, and what supports one."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pdf_samples import COLUMN, HEIGHT, LEFT, Sheet, read

from cephalo.dataset_scripts.refinement import facts, printed, units
from cephalo.dataset_scripts.refinement.figure_words import read_words
from cephalo.dataset_scripts.refinement.formulas import missing_formula
from cephalo.dataset_scripts.refinement.quantities import agrees, parse
from cephalo.dataset_scripts.refinement.quotation import Source, source_of
from cephalo.dataset_scripts.refinement.reasoning import account
from cephalo.dataset_scripts.refinement.tasks import Talk, Turn
from cephalo.dataset_scripts.refinement.teachers import measures


def one(text: str):
    (found,) = parse(text)
    return found


def source(caption: str = "", mentions=(), panels=(), words=()):
    return source_of(
        [
            {
                "title": None,
                "caption": caption,
                "panels": [{"letter": "a", "bbox": None, "caption": text} for text in panels],
                "mentions": list(mentions),
                "figure_text": list(words),
                "image": {"bytes": None},
            }
        ]
    )


def missing_quantity(text: str, told: str) -> str | None:
    """The first quantity of a text that a source of one passage alone speaks against."""
    return account((("", text),), Source("", (told,), "")).missing


def supported(answer: str, *, question: str = "What is it?", **said) -> list[tuple[str, str, str]]:
    """(claim, by, basis) of each quantity of an answer, whose last is the first without support."""
    found = account(((question, answer),), source(**said))
    supports = [(s.claim, s.by, s.basis) for s in found.supports]
    return supports + ([(found.missing.partition(":")[0], "missing", "")] if found.missing else [])


# --- reading


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("580 mA h g\u22121", [(580, "h * mA / g")]),
        ("166.3 mAhg\u22121 and 40Ks\u22121", [(166.3, "mAh / g"), (40, "K / s")]),
        ("1714.8 m2 g \u22121 of it", [(1714.8, "m ** 2 / g")]),
        ("4.7 \u00d7 10\u22122 S cm\u22121", [(0.047, "S / cm")]),
        ("10-3 S/cm", [(0.001, "S / cm")]),
        ("10\u207b\u00b3 S cm\u207b\u00b9", [(0.001, "S / cm")]),
        ("3 \u00d710^5 cells", [(3e5, None)]),
        ("0.3 W/mK", [(0.3, "W / K / m")]),
        ("5 MPa m1/2", [(5, "MPa * m ** 0.5")]),
        ("1700 square meters per gram", [(1700, "m ** 2 / g")]),
        ("half an hour, a third of a millimetre", [(0.5, "h"), (1 / 3, "mm")]),
        ("1.6\u00b1 0.7 \u03bcm", [(1.6, "µm"), (0.7, "µm")]),
        ("2mm, 6mm and 20 mm", [(2, "mm"), (6, "mm"), (20, "mm")]),
        ("80 instead of 135 s", [(80, "s"), (135, "s")]),
        ("650HV1 and 106 \u00b13 HV1", [(650, "vickers"), (106, "vickers"), (3, "vickers")]),
        ("25 \U0001d707g/mL at 700 \u25e6C", [(25, "µg / ml"), (700, "degC")]),
        ("twenty-five samples", [(25, None)]),
        ("sub-100 nm", [(100, "nm")]),
        ("10\u201315 nm", [(10, "nm"), (15, "nm")]),
    ],
)
def test_numbers_come_with_their_units(text, found):
    assert [(q.value, q.unit and q.unit.name) for q in parse(text)] == [
        (pytest.approx(value), name) for value, name in found
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Ti6Al4V, Ti-6Al-4V, LiFePO4, C60 and AA7075",
        "304 stainless steel, 316L steel, AISI 304, EN AW-6005A",
        "the (110) plane, 2\u03b8, Pm-3m, 1D, 2D and 3D",
        "Figures 5\u20137, Table 7, Refs. 3, [12, 46]",
        "2,2-diphenyl-1-picrylhydrazyl and 4-terpineol",
        "a double bond in the 1990s, sixfold symmetry, a half-cell, the upper half of the image",
        "a few hundred nanometres, several thousand cycles",
        "two-dimensional, three-point bending, the 5th, one of them",
    ],
)
def test_numbers_in_names_are_none(text):
    assert parse(text) == ()


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("it doubled", "times", 2),
        ("ninefold", "times", 9),
        ("one hundred and twenty-five times", "times", 125),
        ("a factor of 3", "times", 3),
        ("half of it", "times", 0.5),
        ("two orders of magnitude", "orders", 2),
        ("an order of magnitude", "orders", 1),
    ],
)
def test_multiples_are_told_from_values(text, kind, value):
    assert (one(text).kind, one(text).value) == (kind, value)


def test_every_unit_is_known_to_pint():
    for name in (*units._SYMBOLS, *units._NAMES):
        found = units.unit(name)
        assert found and found.factor > 0, name


PIECES = (
    "5|-|1.2e3| |10^|\u2212|1|mA|g|°C|/|m2|(|)|K|%|wt%|half| of |a |\u00b1|dB|per |HV|\u00b9|twice "
)
TOKENS = st.lists(
    st.sampled_from(PIECES.split("|")),
    max_size=14,
).map("".join)


@settings(max_examples=150)
@given(TOKENS)
def test_no_text_stops_the_reader(text):
    for found in parse(text):
        assert found.place > 0 and 0 <= found.start < found.end <= len(text)


def test_threads_share_one_registry(monkeypatch):
    made = []
    monkeypatch.setattr(units, "_registry", cache(lambda: made.append(1) or object()))
    with ThreadPoolExecutor(4) as pool:
        found = set(map(id, pool.map(lambda _: units.registry(), range(4))))
    assert len(made) == len(found) == 1


@pytest.mark.parametrize(
    "text",
    [
        "1" + "0" * 500,
        "one " + "hundred " * 400,
        "5 " + "m\u00b7" * 3000,
        "5 m" + "/m" * 3000,
        "a-" * 4000 + ", b and c",
        "x" * 20000,
        "0 K and -273.15 °C, 1/0 of 0 %",
        "1, " * 400,
    ],
    ids=range(8),
)
def test_hostile_answers_cost_little_and_stop_nothing(text):
    started = time.perf_counter()
    account((("How many?", text), ("Three?", "It is half of 5 s.")), source(text, words=[text]))
    assert time.perf_counter() - started < 5


# --- agreement

CONVERSIONS = [
    ("h", "min", 60, 0),
    ("min", "s", 60, 0),
    ("days", "hours", 24, 0),
    ("nm", "Å", 10, 0),
    ("GPa", "N mm-2", 1000, 0),
    ("MPa", "kPa", 1000, 0),
    ("°C", "K", 1, 273.15),
    ("S/cm", "S m-1", 100, 0),
    ("mAh g-1", "A h kg-1", 1, 0),
    ("g cm-3", "kg/m3", 1000, 0),
]


@settings(max_examples=60)
@given(st.integers(11, 9999), st.sampled_from(CONVERSIONS))
def test_a_quantity_agrees_with_itself_in_another_unit(value, conversion):
    unit, other, factor, offset = conversion
    stated = one(f"{value} {unit}")
    assert agrees(one(f"{value * factor + offset:.2f} {other}"), stated)
    assert not agrees(one(f"{value * factor * 1.1 + offset + 1:.2f} {other}"), stated)
    assert not agrees(one(f"{value} {other}"), stated) or (factor == 1 and not offset)


@pytest.mark.parametrize(
    ("said", "stated", "agree"),
    [
        ("about 1700 m2/g", "1714.83 m2 g\u22121", True),
        ("about 190 nm", "175 nm", False),
        ("about 35 mm", "36.1 mm", True),
        ("nearly 200 MPa", "193 MPa", True),
        ("nearly 200 MPa", "230 MPa", False),
        ("over 600 K", "649 K", True),
        ("over 727 °C", "800 °C", False),
        ("3.142 nm", "3.14 nm", False),
        ("5 wt%", "5 %", True),
        ("5 wt%", "5 at%", False),
        ("30 vol%", "30 wt%", False),
        ("0.25", "25 %", True),
        ("half of it", "50%", True),
        ("20 K", "20 °C", False),
        ("a rise of 20 K", "a rise of 20 °C", True),
        ("4.7 S m\u22121", "4.7 S cm\u22121", False),
        ("650 MPa", "650 HV1", False),
        ("40 degrees", "40 °C", True),
    ],
)
def test_agreement(said, stated, agree):
    assert agrees(one(said), one(stated)) is agree


# --- support


@pytest.mark.parametrize(
    ("answer", "caption", "basis"),
    [
        (
            "A loss of 413 V, 1062.5 less 649.2 V.",
            "1062.5 and 649.2 V",
            "1062.5 - 649.2 V = 413.3 V",
        ),
        ("Five times as wide, 64.7 and 12.8 mm.", "64.7 mm; 12.8 mm", "64.7 / 12.8 mm = 5.055"),
        ("It keeps 56 %, 86.4 of 154.8 g.", "86.4 g, 154.8 g", "86.4 / 154.8 g = 55.81 %"),
        (
            "A rise of 40 %, from 86.4 to 120.9 g.",
            "86.4 g 120.9 g",
            "(120.9 g - 86.4 g) / 86.4 g = 39.93 %",
        ),
        ("It takes 2 h, 10 mm at 5 mm/h.", "10 mm at 5 mm/h", "10 mm / 5 mm/h = 2 h"),
        (
            "In total 70 wt%: 60 wt% and 10 wt%.",
            "60 wt% A, 10 wt% B",
            "60 wt% + 10 wt% = 70 weight %",
        ),
        ("Their sum is 9 g, of 2, 3 and 4 g.", "2 g, 3 g and 4 g", "4 g + 3 + 2 = 9 g"),
        ("About 4.9 % remain, besides 95.1 %.", "95.1 %", "100 % - 95.1 % = 4.9 %"),
        ("An order of magnitude, 3 to 31 V.", "3 V or 31 V", "31 V / 3 = 10.33"),
        ("It is 190 K colder, 350 and not 540 °C.", "540 °C, 350 °C", "540 °C - 350 °C = 190 K"),
    ],
)
def test_results_of_quantities_are_told_with_their_derivation(answer, caption, basis):
    assert basis in [b for _, by, b in supported(answer, caption=caption) if by == "derived"]


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        ("It grows by a factor of 3.47.", "3.47"),
        ("It lost 52 V, from 1062.5 to 649.2 V.", "52 V"),
        ("It is 4.73 V.", "4.73 V"),
        ("Seventeen samples were cast.", "Seventeen"),
        ("An increase of 3.27 %.", "3.27 %"),
    ],
)
def test_what_does_not_follow_is_named(answer, missing):
    caption = "Arms of 1.6, 3, 5, 8.5 and 15 µm in rods of 2, 6, 10, 20 mm; 1062.5 V and 649.2 V."
    assert (missing, "missing", "") in supported(answer, caption=caption)


def test_operands_need_not_be_told_where_few_could_give_the_result():
    text = "The capacity of the anode falls from 1062.5 to 649.2 mAh g-1."
    claim = "The anode loses about 413.3 mAh g-1 of its capacity."
    ((_, by, basis),) = supported(claim, caption=text)
    assert (by, basis) == ("derived", "1062.5 - 649.2 mAh g-1 = 413.3 mAh / g")


@pytest.mark.parametrize(
    ("answer", "said", "basis"),
    [
        ("Four plots.", {"panels": ["A", "B", "C", "D"]}, "4 panels"),
        (
            "Three micrographs.",
            {"panels": ["micrograph"] * 3 + ["plot"]},
            "3 panels of micrographs",
        ),
        ("Five images.", {"caption": "(a\u2013e) Images."}, "5 in a range of letters or numbers"),
        (
            "Six lanes.",
            {"caption": "lane 4\u20139, with oil"},
            "6 in a range of letters or numbers",
        ),
        (
            "Three oils.",
            {"caption": "thyme oil, clove oil and tea oil"},
            "a list of 3 in the source",
        ),
        ("Five rates, 0.1, 1, 3, 5 and 10 C.", {"caption": "0.1 C, 1 C, 3 C, 5 C, 10 C"}, "listed"),
    ],
)
def test_counts_are_of_panels_letters_and_lists(answer, said, basis):
    _, by, found = supported(answer, **said)[0]
    assert by == "counted" and found.startswith(basis)


def test_facts_are_cited_and_no_measured_value():
    assert len(facts.facts()) > 150
    assert all(fact.quantity.unit and not fact.source.endswith("()") for fact in facts.facts())
    cold = "Nitrogen boils at 77 K, so it condenses."
    assert supported(cold) == [
        ("77 K", "known", "77.36 K (chemicals: CRC Handbook, 95th edition; mendeleev; CoolProp)")
    ]
    assert supported("Nitrogen boils at 97.3 K.")[-1][1] == "missing"
    measured = "In our graphite the layers lie 0.36 nm apart, a spacing seen here."
    assert (
        supported("The layers of this graphite lie 0.336 nm apart.", caption=measured)[-1][1]
        == "missing"
    )
    ideal = "Ideal graphite has layers 0.335 nm apart."
    assert supported(ideal, caption=measured)[0][1] == "known"


WORDS = ["0", "200", "400", "1200", "Specific capacity (mAh g-1)", "5 nm", "9K"]


@pytest.mark.parametrize(
    ("answer", "by"),
    [
        ("The axis runs from 0 to 1200 mAh g-1.", "printed"),
        ("The axis runs from 0 to 1213 K.", "missing"),
        ("The capacity is 400 mAh g-1.", "seen"),
        ("A bar of 5 nm is drawn.", "printed"),
        ("It was taken at 9 K.", "printed"),
        ("The axis ends at 433 mAh g-1.", "missing"),
    ],
)
def test_numbers_printed_in_the_figure_support_what_is_said_of_it(answer, by, monkeypatch):
    assert supported(answer, words=WORDS)[-1][1] == by
    monkeypatch.setattr(printed, "read_words", lambda image: tuple(WORDS))
    row = {"title": None, "caption": "", "panels": [], "mentions": [], "image": {"bytes": b"x"}}
    found = account((("What is it?", answer),), source_of([row]))  # read by OCR
    assert (found.missing is None) == (by != "missing")


def test_what_is_no_picture_has_no_words():
    assert read_words(b"no picture") == ()


def test_rows_keep_what_supports_their_quantities():
    told = source("The anode falls from 1062.5 to 649.2 V.")
    talk = Talk((Turn("How much is lost?", "413.3 V of the 1062.5 V are lost, 649.2 V are left."),))
    assert json.loads(json.dumps(measures(talk, told)))["quantities"] == [
        {"claim": "413.3 V", "by": "derived", "basis": "1062.5 - 649.2 V = 413.3 V"}
    ]


@pytest.mark.parametrize(
    ("text", "caption", "missing"),
    [
        ("SiO2 attracts CF2 and CH2 units.", "A film with silica.", None),
        ("TiO2 is the filler.", "A film with silica.", "TiO2"),
        ("Fe3C forms.", "Pearlite in a steel.", None),
        ("Be2Zr and Cu10Zr7 form.", "A glass of Ti32Zr30Cu9Co5Be24.", None),
        ("Fe2O3 forms.", "Magnetite is Fe3O4, with FeO.", "Fe2O3"),
        ("The (111) plane is seen.", "The peak of 111.", None),
        ("The (220) plane is seen.", "The peak of 111.", "220"),
        ("A 316L stainless steel.", "A 304 stainless steel.", "316"),
    ],
)
def test_names_of_compounds_support_their_formulas(text, caption, missing):
    assert missing_formula(text, caption) == missing


def test_missing_says_why():
    assert missing_quantity("It is 5.13 V.", "It is 6 V.") == (
        "5.13 V: neither in the source nor a result"
    )


def test_figures_keep_the_text_in_them(tmp_path):
    sheet = Sheet(tmp_path / "plot.pdf")
    sheet.plot([LEFT + 20, 72.0, LEFT + COLUMN, 222.0])
    sheet.canvas.saveState()
    sheet.canvas.translate(LEFT + 16, HEIGHT - 160)
    sheet.canvas.rotate(90)
    sheet.canvas.drawString(0, 0, "Load (N)")
    sheet.canvas.restoreState()
    sheet.caption(LEFT, 240, "Figure 1.", "Load against displacement.")
    sheet.body(LEFT, 300, 700)
    (row,) = read(sheet)
    ticks = ["2.0", "1.0", "0.0", "0", "1", "2", "3", "4"]
    assert row["figure_text"] == ["4.0", "3.0", "Load (N)", *ticks]  # it runs from bottom to top
    assert not any("Load against" in text for text in row["figure_text"])
