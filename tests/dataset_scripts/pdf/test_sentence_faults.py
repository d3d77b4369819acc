"""Marks of a PDF file's text that are set right, and sentences that did not come through whole."""
# ruff: noqa: RUF001  (accents and signs are what this is about)

import time

import pytest

from cephalo.dataset_scripts.pdf.joining import settle_hyphens
from cephalo.dataset_scripts.pdf.main_matter import GAP, with_holes
from cephalo.dataset_scripts.pdf.prose import is_prose, whole_sentences, without_citations
from cephalo.dataset_scripts.pdf.scripts import MARK, _Run, _set
from cephalo.dataset_scripts.pdf.sentence_faults import is_damaged, set_right, without_heading
from cephalo.dataset_scripts.pdf.text import Line


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("la ra´ız del ma´ız", "la raíz del maíz"),
        (
            "signifi cativas e perfi s, mas sci-fi movies",
            "significativas e perfi s, mas sci-fi movies",
        ),
        ("of many paths (e.g.,, but see also) here", "of many paths here"),
        ("in work (cf. ) on fibres (CF) (see, but also)", "in work on fibres (CF)"),
        ("with fit(), or by motors (), or Set(())", "with fit(), or by motors, or Set()"),
        ("at (289.6 ◦,−5.0 ◦) and 80 ◦C", "at (289.6°,−5.0°) and 80°C"),
        ("the f luoride in it", "the fluoride in it"),
        ("as Najafi and others, by Sharifi et al.",) * 2,
        ("that f implies it, f into R, f increases",) * 2,
        ("the f inding of f ields and f low", "the finding of fields and flow"),
        ("every 5 th frame of peak B ′", "every 5th frame of peak B′"),
        ("• Upper region. • Lower region (see below).", "Upper region. Lower region (see below)."),
        (
            "staff of Hejblumet al. and of the π ∗ states",
            "staff of Hejblum et al. and of the π∗ states",
        ),
    ],
)
def test_what_came_in_pieces_is_put_together(text, right):
    assert set_right(text) == right


@pytest.mark.parametrize(
    "sentence",
    [
        "We have seen that it implies that 1 ≤⊕ Similarly, it holds.",
        "The calculation is for zero emittance (complete coherence, or the section extends them.",
        "2020; Falkenmark et al., 2022).",
        "The velocity is estimated at step n as ˆu at the point of the wall.",
        "The results of the model (ex “ 0) are shown on the next page.",
        "5. REVISION TRACKING Authors sometimes use colour in their text.",
        "B. RATES OF LOSS Samples lose mass in all cases.",
        "3.2.2. Partial coherence The mission of the slit is to improve the beam.",
        "It is in the preprint APPENDIX For a given field the condition holds.",
        "In Lemma ?? it is proved that the walk ends.",
        "x = ( a + b ) / c , y = d .",
        "2017.",
        "4.2.5 Adenine Edge Figure 9 displays the edge of adenine.",
        "2 Where v is the velocity of each segment.",
        "(the surface of the star).",
        "The rate E˙ of the hole is known.",
        "The estimate 𝑓 \u0303 of the field was low in all of them.",
    ],
)
def test_damaged_sentences_are_told(sentence):
    assert is_damaged(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "We use 1) plots and 2) tables, and (i) both of them (as others do).",
        "The level is T = 15.07 within 0.5 degrees, and p < 0.05 for E = mc² in all.",
        "It is given (see Fig. 1), then 2) as a list (line 9 and 10).",
        "At 80 °C the sample of 5 × 10⁻³ m² was heated for 3 h in N2 and cooled to 20 °C.",
        "A model of the field is given in Section 5. It holds for 3 of 4 cases.",
        "El maíz crece a partir de la raíz, por sobre el suelo.",
        "Data from The Cancer Genome Atlas are used in Sect. 3 of The Paper.",
        "The ¹³C NMR and ¹H NMR spectra were recorded, with ⁵⁷Fe as a probe.",
        "A Ga and In alloy was grown on glass.",
        "“0 is the least value”, he said.",
    ],
)
def test_whole_sentences_pass(sentence):
    assert not is_damaged(sentence)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Regions of the basin When calculating it, all count.", "When calculating it, all count."),
        ("It sums over the paths, We can deduce the rule.", "We can deduce the rule."),
        ("In the field, the rate of The Great Lakes is low.", None),
        ("Data from The Cancer Genome Atlas are used in Rome.", None),
        ("Regions of the basin In this part, all count.", "In this part, all count."),
        ("The alloy of Ga and In has a low melting point.", None),
        ("The concentration of As in water was low.", None),
    ],
)
def test_what_runs_on_into_a_sentence_is_taken_off(text, rest):
    assert without_heading(text) == (rest or text)


def test_a_heading_in_capitals_is_taken_off():
    text = "ORIGIN OF THE FIELD In this section the field is told. DNA is long."
    assert whole_sentences(text) == ["In this section the field is told. DNA is long."]


def test_damaged_sentences_part_runs():
    text = "It was dry at first. The rate (of the two fell at once. It rose again. 2017."
    assert whole_sentences(without_citations(text)) == ["It was dry at first.", "It rose again."]


def line(text: str, x0: float, x1: float, y: float, span: tuple[int, int] = (0, 0)) -> Line:
    return Line(
        text=text, box=(x0, y, x1, y + 10), size=10.0, font="Times", lead="Times", span=span
    )


def test_a_row_with_a_hole_ends_in_a_gap():
    class Body:
        size = 10.0

    rows = [
        line("every sequence contains an increasing", 0, 200, 0),
        line("pair x", 0, 30, 12),  # the rest of its row was no prose
        line("tool powering many arguments, which were", 0, 199, 24),
        line("applied to the χ", 0, 70, 36),
        line("statistic of all systems.", 110, 200, 36),
    ]
    found = [one.text.endswith(GAP) for one in with_holes(rows, Body())]
    assert found == [False, True, False, True, False]
    assert with_holes(rows[:2], Body()) == rows[:2]


def test_numbers_of_lines_part_no_words():
    first, number, second = (
        line("that incor-", 0, 90, 0, (0, 10)),
        line("282", -20, -5, 12, (12, 14)),
        line("porates ideas", 0, 90, 12, (16, 28)),
    )
    settle_hyphens([[first, number, second]])
    assert first.text == "that incor\xad"


@pytest.mark.parametrize(
    ("before", "raised", "after", "read"),
    [
        ("in the 1990s", "25", " and", f"in the 1990s{MARK}25{MARK} and"),
        ("No. 530", "15", " of", f"No. 530{MARK}15{MARK} of"),
        ("reported for Al2O3", "7", ".", f"reported for Al2O3{MARK}7{MARK}."),
        ("losses of IR", "2", " in", "losses of IR² in"),
        ("films of SiC", "15", " of", f"films of SiC{MARK}15{MARK} of"),
        ("some 10", "6", " spores", "some 10⁶ spores"),
        ("the 2", "nd", " of", "the 2nd of"),
        ("was found", "a,b", " here", f"was found{MARK}a,b{MARK} here"),
        ("each x", "n", " is", "each x^n is"),
        ("each C", "(t)", " is", "each C^{(t)} is"),
        ("at 3 MPa m", "1/2", " in", "at 3 MPa m^{1/2} in"),
    ],
)
def test_what_is_raised_is_an_exponent_or_cites(before, raised, after, read):
    run = _Run(before, raised, "raised", len(before), len(before + raised))
    assert _set(before + raised + after, [run]) == read


@pytest.mark.parametrize(
    ("before", "lowered", "after", "read"),
    [
        ("of TiO", "2", " and", "of TiO₂ and"),
        ("for K", "IC", " of", "for K_IC of"),
        ("of La", "1−x", "Sr", "of La_{1−x}Sr"),
        ("of Sr", "x", "MnO", "of Sr_{x}MnO"),
        ("a list,", "3", " of", "a list,3 of"),
        ("the 𝑥", "𝑖", " of", "the 𝑥_𝑖 of"),
    ],
)
def test_what_is_lowered_is_an_index(before, lowered, after, read):
    run = _Run(before, lowered, "lowered", len(before), len(before + lowered))
    assert _set(before + lowered + after, [run]) == read


def test_a_small_number_over_another_is_a_fraction():
    assert _set("ratio 34 is", [_Run("ratio ", "3/4", "fraction", 6, 8)]) == "ratio 3/4 is"


def test_long_hostile_sentences_take_a_moment():
    started = time.process_time()
    for text in (
        "(" * 20000,
        "e.g., " * 5000,
        "(" + " " * 20000 + "see " * 5000,
        "1. " + "AB " * 9000,
        "fi " * 8000,
        "´a" * 9000,
        "= " * 9000,
        "a) " * 9000,
        "1 " + "A" * 50000,
        "_" * 50000,
        " " * 50000,
        "a@" * 25000,
        "http://a" * 6000,
    ):
        is_damaged(without_heading(without_citations(text)))
        is_prose(text)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("at http://www. clinsci.org/cs/126 and", "at http://www.clinsci.org/cs/126 and"),
        ("at http:// www.bio.net/rega here", "at http://www.bio.net/rega here"),
        ("10 mg/ ml in interviews\u2014 which", "10 mg/ml in interviews\u2014which"),
        ("of 11.21 +\u2212 0.74 nM", "of 11.21 ± 0.74 nM"),
        ("+e method and 3ese, but Ca+ and +5", "The method and These, but Ca+ and +5"),
        ("with F_T (x) and K_IC (in MPa)", "with F_T(x) and K_IC (in MPa)"),
        ("by χ² (1) as [... ] of R ätzel", "by χ²(1) as [...] of Rätzel"),
        ("in skim milk\u2013 TBST at 5′ -ATGG", "in skim milk\u2013TBST at 5′-ATGG"),
        ("of protein\u2212protein pairs, J\u2212V", "of protein\u2013protein pairs, J\u2212V"),
        ("from amiR^{CWC15}or dx^{a}dy", "from amiR^{CWC15} or dx^{a}dy"),
        (
            "clone K12-L10\u2212 4R5 of Fig. 3B7\u2013 B9",
            "clone K12-L10\u22124R5 of Fig. 3B7\u2013B9",
        ),
        ("inter- and intra-cell, pH- or MOF- to", "inter- and intra-cell, pH- or MOF- to"),
        ("a MOF- coated wire at 29 μC\u00b7 cm⁻²", "a MOF-coated wire at 29 μC\u00b7cm⁻²"),
        ("of AB₅ -type and the O₂ \u2013speed curve", "of AB₅-type and the O₂\u2013speed curve"),
        ("at 14°40′ 08″ S and 32 °C(n = 10)", "at 14°40′08″ S and 32 °C (n = 10)"),
        ("of 0.5 °Cd⁻¹ in ``dry'' \u2018\u2018air\u2019\u2019", "of 0.5 °C d⁻¹ in “dry” “air”"),
        ("small particles(<10 nm) in Figure 3e, f", "small particles (<10 nm) in Figure 3e, f"),
        (
            "for 400Myr at 900μatm, fluxes(Bhat et al., 2010)",
            "for 400 Myr at 900 μatm, fluxes (Bhat et al., 2010)",
        ),
        (
            "the electrode\u2212 electrolyte of two\u2013 and",
            "the electrode\u2013electrolyte of two\u2013 and",
        ),
        (
            "of 10² \u201310⁶ cells at an angle of 87○, or so",
            "of 10²\u201310⁶ cells at an angle of 87°, or so",
        ),
        ("despite 0031-9007/21/127(17)/175502(6) some", "despite some"),
        ("by Gru\u0308nberg with \U0001d465_\U0001d456 up", "by Grünberg with x_i up"),
    ],
)
def test_what_rows_and_fonts_parted_is_put_together(text, right):
    assert set_right(text) == right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("6 μC cm\u2212² of O²\u2212, 10\u2212⁶", "6 μC cm⁻² of O²⁻, 10⁻⁶"),
        ("T\u2212₁t₀ and a_n\u2212₁, (PEA)_n\u2212₁", "T₋₁t₀ and a_{n\u22121}, (PEA)_{n\u22121}"),
        ("5\u22123 of x² \u2212 1 and d²\u22124", "5\u22123 of x² \u2212 1 and d²\u22124"),
    ],
)
def test_a_minus_is_where_its_digits_are(text, right):
    assert set_right(text) == right


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("of 0 .5 and .7 in all .", "of 0.5 and .7 in all."),
        ("in the interval [0, 1] of x [3, 5].", "in the interval [0, 1] of x."),
        ("with t \u2208 [1, 10] here [7].", "with t \u2208 [1, 10] here."),
        ("within this range [28].", "within this range."),
        ("Figure 3 : la mesure [4] ; puis [5].", "Figure 3 : la mesure; puis."),
        ("in two reports ([3], with ten studies [4]).", "in two reports (with ten studies)."),
    ],
)
def test_intervals_are_no_citations(text, read):
    assert without_citations(text) == read


@pytest.mark.parametrize(
    "sentence",
    [
        "We set the payoff matrix to b\u2212c], where c is the cost of each step.",
        "19) originally developed for resistance and widely cultivated.",
        "The result is analogous to the bound of Cor.",
        "2019 Methodological reporting behavior and sample size of 40 trials.",
        "At leading order, we have M² = M², which implies nothing.",
        "(G) Co-staining of the specified intron in the same cell.",
        "(A-J) Binding isotherm plots were generated using a model.",
        "K. Cong et al., Replication gaps are a key determinant of lethality. Mol.",
        "The dose was $ 5 % of the others, as was seen.",
        "The return hx_{t}i of the current step is taken.",
        "^{†} These authors are named in the order of the alphabet.",
        "5.1 Volatility in the S&P 500.........",
        "It wasnt until later that this was recognized by others.",
        "With d(i, j) of j̸_{=i,k} the mean is taken of all.",
        "1. screening of the sample 2. sintering of the steel A total of 6 were read.",
        "The limit of an alloy of i components equals to where x_i is the number of atoms.",
        "The energy is expressed as with k the constant of Boltzmann.",
        "We introduced the matrix of values, given respectively by where I is the identity.",
        "The energy is calculated by the following equations: where E is the energy.",
        "The transform is applied to the signal, ut(), and its harmonics.",
        "The orbitals (d_{x}²\u2212_{y}²) of the metal are filled.",
    ],
)
def test_pieces_of_sentences_are_left_out(sentence):
    assert is_damaged(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "The values lie in (0, 1] and in [0, 1) for all samples that were tested.",
        "30 patients were included, and 13C, ¹³C and ⁷Li spectra (see Table 2) were taken.",
        "The alloy [Fe(CN)₆]⁴⁻ has a band at 2100 cm⁻¹ in all of the solutions.",
        "It is given as a mean with fit() of the library, where x is the size.",
        "The mass is determined by weighing, with the pan at rest.",
    ],
)
def test_intervals_and_formulas_are_kept(sentence):
    assert not is_damaged(sentence)


@pytest.mark.parametrize(
    ("sentence", "left"),
    [
        ("Ethics The present trial was approved.", "The present trial was approved."),
        ("Details of the inhibition test The aim was told.", "The aim was told."),
        ("Trials in The Hague and The Netherlands ended.", None),
    ],
)
def test_a_heading_without_a_stop_is_taken_off(sentence, left):
    assert without_heading(sentence) == (left or sentence)


def test_what_stands_over_its_base_is_not_read():
    assert _set("each ∆b is", [_Run("each ∆", "b", "over", 6, 7)]) == f"each ∆{GAP} is"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("in robotics and care [1]–[3].", "in robotics and care."),
        ("with a model [4], [5], and so on.", "with a model, and so on."),
        ("the map atan2 ◦ f of √ d at 20 ◦C and 90◦.", "the map atan2 ◦ f of √d at 20°C and 90°."),
    ],
)
def test_rows_of_citations_leave_nothing_behind(text, read):
    assert without_citations(text) == read
