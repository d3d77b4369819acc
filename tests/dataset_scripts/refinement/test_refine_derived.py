"""What an answer may work out: results by law, balanced equations, parts, slopes, counts; and the
conditions, comparisons and questions that it has to keep to."""

import pytest
from test_refine_quantities import missing_quantity, supported

from cephalo.dataset_scripts.refinement.belonging import other_figure
from cephalo.dataset_scripts.refinement.checks import Context, failed_checks
from cephalo.dataset_scripts.refinement.conditions import wrong_condition
from cephalo.dataset_scripts.refinement.directions import against_source
from cephalo.dataset_scripts.refinement.form import in_question, only_hedges
from cephalo.dataset_scripts.refinement.formulas import missing_formula
from cephalo.dataset_scripts.refinement.owners import wrong_owner
from cephalo.dataset_scripts.refinement.quantities import parse
from cephalo.dataset_scripts.refinement.quotation import Source
from cephalo.dataset_scripts.refinement.reactions import balanced
from cephalo.dataset_scripts.refinement.tasks import Talk, Turn


@pytest.mark.parametrize(
    ("answer", "caption", "basis"),
    [
        ("A photon of 620 nm has 2.0 eV.", "620 nm", "of a quantum of 620 nm = 2 eV"),
        ("A band at 806.6 cm-1 has 0.1 eV.", "806.6 cm-1", "of a quantum of 806.6 cm-1 = 0.1 eV"),
        ("2 eV are 193 kJ/mol.", "2 eV", "of a quantum of 2 eV = 193 kJ / mol"),
        ("That is 0.3 g/L, as 300 ppm say.", "300 ppm", "300 ppm in water = 0.3 g / l"),
        (
            "At 30° a wavelength of 0.2 nm gives a spacing of 0.39 nm.",
            "0.2 nm 30°",
            "0.2 nm / (2 sin 30° / 2) = 0.3864 nm",
        ),
        (
            "A disc 4 mm wide and 0.5 mm high has 6.3 mm3.",
            "4 mm 0.5 mm",
            "\u03c0/4 (4 mm)² 0.5 mm = 6.283 mm ** 3",
        ),
        ("Of 40 g, 5 % are 2.0 g.", "40 g, 5 %", "5 % of 40 g = 2 g"),
        (
            "From 90 HV at 2 mm to 60 HV at 8 mm it loses 5 HV per mm.",
            "90 HV at 2 mm, 60 HV at 8 mm",
            "(90 HV - 60 HV) / (2 mm - 8 mm) = 5 vickers / mm",
        ),
        ("13 points, from 20 to 80 K in steps of 5 K.", "20 to 80 K by 5 K", None),
        ("80 %, as it is 4 times the rest.", "4 times", "4 / (4 + 1) = 80 %"),
        ("All in all 10 g: 1, 2, 3 and 4 g.", "1, 2, 3 and 4 g", "1 + 2 + 3 + 4 g = 10 g"),
    ],
)
def test_results_by_law_and_of_parts_are_derived(answer, caption, basis):
    found = [one for one in supported(answer, caption=caption) if one[1] != "source"]
    assert [by for _, by, _ in found] == ["derived"]
    assert basis is None or found[0][2] == basis


def test_a_name_with_50_is_no_median():
    assert missing_quantity("Half of the larvae died.", "It has an LC50 of 3 g.") is None
    (found,) = supported("Half of the larvae died.", caption="It was seen by TEM 50.")
    assert found[1] == "seen"


@pytest.mark.parametrize(
    "answer",
    ["A photon of 620 nm has 2.61 eV.", "Of 40 g, 5 % are 2.63 g.", "2 eV are 96.3 kJ/mol."],
)
def test_wrong_results_are_not_derived(answer):
    assert supported(answer, caption="620 nm, 40 g, 5 %, 2 eV")[-1][1] == "missing"


def test_a_short_answer_is_worked_out_by_what_its_question_names():
    oil = "The oil holds 12.4 % carvone, 31.2 % limonene, 8.1 % cineole, 4.2 % linalool and others."
    asked = "How does limonene compare with cineole?"
    told = "Limonene is 3.9 times as abundant."
    assert supported(told, question=asked, caption=oil)[-1][1] == "derived"
    strip = supported(
        "36.7 m.", question="How much leaves each minute?", mentions=["It runs at 0.6 m/s."]
    )
    assert strip[-1][1] == "missing"  # nothing that the turn tells gives it
    told = supported("36 m, at 0.6 m/s.", question="How much each minute?", caption="0.6 m/s")
    assert told[0] == ("36 m", "derived", "1 minute \u00d7 0.6 m/s = 36 m")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("It was kept for five cycles.", {"mentions": ["after it was cycled 5 times"]}),
        ("It needs half of the larvae dead.", {"mentions": ["with an LT50 of 40 h"]}),
        ("Half of the grains are finer.", {"mentions": ["with a d50 of 40 \u00b5m"]}),
        ("It goes down to -620 mV.", {"mentions": ["the potential is -620 mVSCE"]}),
        ("It failed well before 200 cycles.", {"mentions": ["it decayed after 180 cycles"]}),
        ("It holds 38 of 180, or 21 %.", {"mentions": ["38 accessions of the 180 tested"]}),
        ("Viability rises 1.5-fold.", {"mentions": ["it rose by 1.5, 1.4 and 1.2-fold"]}),
    ],
)
def test_what_sources_say_in_other_forms_is_support(answer, said):
    found = supported(answer, **said)
    assert found and all(by != "missing" for _, by, _ in found)


def test_balanced_equations_support_their_coefficients():
    text = "Then MoS2 + 4 Li+ + 4 e\u2212 \u2192 Mo + 2 Li2S takes place."
    ((start, end),) = balanced(text)
    assert text[start:end] == "MoS2 + 4 Li+ + 4 e\u2212 \u2192 Mo + 2 Li2S"
    assert balanced("Fe2+ \u2192 Fe3+ + e-") and balanced("Ca(OH)2 + 2 HCl = CaCl2 + 2 H2O")
    assert not balanced("MoS2 + 3 Li+ \u2192 Mo + 2 Li2S") and not balanced("A \u2192 Quick")
    assert supported("4 Na + O2 \u2192 2 Na2O.", caption="sodium")[0][1] == "known"
    assert supported("5 Na + O2 \u2192 2 Na2O.", caption="sodium")[0][1] != "known"


def test_units_are_neither_formulas_nor_words_of_a_figure():
    assert missing_formula("\u03c0/4 \u00d7 (5 mm)² \u00d7 1 mm is 20 mm³", "a disc") is None
    assert [one.text for one in parse("\u03c0/4 (5 mm)²")] == ["5 mm"]
    others = (("Doses of 5 mg/L were given to reefs of corals in a lagoon by night.",),)
    assert other_figure("How much?", "It is 5 mg/L.", ("A dose of 5 ppm.",), others) is None


def fails(question: str, answer: str, source: str = "The spectra of ZnO films.") -> set[str]:
    context = Context(Source("", (source,), ""), 3, "")
    return set(failed_checks(Talk((Turn(question, answer),), None), context))


def test_a_quantity_alone_is_an_answer():
    assert not fails("How thick is the ZnO film?", "1.9 µm.", "The ZnO film is 1900 nm thick.")
    assert fails("How thick is the ZnO film?", "2.93 µm.", "The ZnO film is 1900 nm thick.") == {
        "number"
    }
    assert fails("What are the ZnO films?", "Thin ones.") == {"length"}


def test_a_quantity_keeps_the_condition_under_which_it_is_stated():
    source = ("At 370 °C it is over after 25 s. Minima are seen at 440 °C and 370 °C.",)
    wrong = wrong_condition("When is it over at 440 °C?", "After 25 s.", source)
    assert wrong == "25 s is stated with 370 °C; the answer gives it with 440 °C"
    assert wrong_condition("When is it over at 370 °C?", "After 25 s.", source) is None
    assert wrong_condition("When is it over at 643 K?", "After 25 s.", source) is None
    assert wrong_condition("When is it over at 900 °C?", "After 25 s.", source) is None
    doses = ("Growth fell by 30, 60 and 97 % at 1, 2 and 5 µL.",)
    assert wrong_condition("How active is it?", "Growth falls by 97 % at 5 µL.", doses) is None


def test_owners_of_alternatives_and_of_bare_answers():
    source = (
        "With 5 or 9 g of wax the lines remain sharp. With 2 g of wax they are blurred by rust. "
        "The resistance is 79 Ω for the graphene cell and 129 Ω for the carbon cell.",
    )
    assert wrong_owner("What is seen?", "With 5 g of wax the lines remain sharp.", source) is None
    line = wrong_owner("What is the resistance of the graphene cell?", "It is 129 Ω.", source)
    assert line and line.startswith("129 Ω is stated of carbon")
    told = "27 more, 38 instead of 11."
    assert wrong_owner("How many?", told, ("38 in QS and 11 in BJ", "11 or 38")) is None


def test_a_question_about_an_effect_tells_the_condition():
    source = ("The average cooling rate becomes slower with increasing melt level.",)
    asked = "What does a higher melt level do?"
    assert against_source(asked, "It makes the average cooling rate faster.", source)
    assert not against_source(asked, "It makes the average cooling rate slower.", source)
    hardness = ("The hardness increases with depth.",)
    assert against_source("How does the hardness change?", "It decreases with depth.", hardness)
    both = "It is 65 °C lower, 985 against 1050 °C."
    assert not against_source("How is the surface?", both, ("The surface temperature rises.",))


def test_answers_that_take_up_their_question_or_ask_for_more():
    assert in_question(
        "Is there a plateau of hardness at 650 HV?", "Yes, a plateau of hardness at 650 HV."
    )
    assert in_question("Isn't the fresh peak larger?", "Yes, it is larger.")
    assert in_question("Is there a plateau?", "Yes, a plateau of hardness at 650 HV.") is None
    assert only_hedges("It could be cubic, but more information would be needed to tell.")


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("4.2 million CNY", "It saved 4.2 million CNY."),
        ("900 yuan", "It rose by 0.0009 million CNY."),
        ("1.05 billion were saved.", "Savings went from 328.90 to 1,049.41 million."),
        ("The gene has 1,700 base pairs.", "The gene has 1.7 kb."),
        ("It rose threefold.", "They rose by 2.1, 1.8 and 3 folds, respectively."),
        ("Some 1,870 turnovers per minute.", "The rate is 31.13 s-1."),
        ("By 0.1 days, from 0.6 to 0.5.", "It rose by 0.6 first and by 0.5 later."),
        ("It took six years.", "We watched them from 2017 to 2022."),
        ("It was found in 65 of 100 trees.", "Support is 65 %."),
        ("There are six motifs: three sets of two.", "Three sets, with 2 motifs."),
        ("The bar is roughly 9 g high.", "Its mass is shown."),
        ("The bar reaches about 92 %.", "Its share is shown."),
    ],
)
def test_what_follows_by_scale_rate_span_or_eye(text, source):
    assert missing_quantity(text, source) is None


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("328.90 CNY were saved.", "It saved 328.90 million CNY."),
        ("The rate is 1,541 turnovers per minute.", "The rate is 31.13 s-1."),
        ("By 0.347 days, from 0.6 to 0.5.", "It rose by 0.6 first and by 0.5 later."),
        ("The bar is 9.13 g high.", "Its mass is shown."),
    ],
)
def test_what_does_not_follow_by_scale_rate_span_or_eye(text, source):
    assert missing_quantity(text, source) is not None


def test_the_highest_is_not_against_the_lowest_of_a_set():
    said = "In the flower, where the bar is the highest of all tissues."
    source = ("Among the tissues the lowest level was recorded in leaves.",)
    assert against_source("Which is expressed most?", said, source) is None


def test_a_lack_is_a_denial():
    source = ("RNA polymerases lack a proofreading activity.",)
    said = "RNA polymerases do not have proofreading activity."
    assert against_source("Why do they mutate?", said, source) is None


def test_a_result_beside_its_operands_has_no_owner():
    source = ("The yield of PM10 rose by 30 %.", "The cost of PM25 rose by 20 %.")
    said = "The cost of PM25 is about 30 % higher, 0.0009 against 0.0007."
    assert wrong_owner("How do they compare?", said, source) is None
    assert wrong_owner("How do they compare?", "The cost of PM25 rose by 30 %.", source)
    genes = ("The expression of actin rose threefold. The expression of tubulin rose 1.4-fold.",)
    said = "The expression of tubulin rose threefold, at 30 °C and within 5 h."
    line = "threefold is stated of actin; the answer gives it to tubulin"
    assert wrong_owner("How did it change?", said, genes) == line
    assert wrong_owner("How did it change?", said.replace("tubulin", "actin"), genes) is None


def test_a_part_is_counted_by_the_name_of_the_source():
    source = "Isolates form eight clades."
    assert missing_quantity("The isolates form eight clades of the tree.", source) is None
    assert missing_quantity("Eight of the clades are seen.", source) is None
    assert supported("Eight of the lanes are seen.", caption=source)[0][1] == "seen"
