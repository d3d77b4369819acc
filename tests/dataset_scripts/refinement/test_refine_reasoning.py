"""Answers that are followed: workings that are shown, chains of results, what is read by eye."""

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_refine_quantities import missing_quantity, source, supported

from cephalo.dataset_scripts.refinement.facts import molar_mass
from cephalo.dataset_scripts.refinement.molar_masses import mass_of
from cephalo.dataset_scripts.refinement.printed import axes_in
from cephalo.dataset_scripts.refinement.quantities import digits_of, parse
from cephalo.dataset_scripts.refinement.reasoning import account
from cephalo.dataset_scripts.refinement.workings import workings


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("The ratio is 64.7 / 12.8 = 5.05.", "64.7 / 12.8 = 5.05"),
        ("(1062.5 − 649.2)/1062.5 ≈ 0.39", "(1062.5 - 649.2) / 1062.5 = 0.39"),
        ("η = 5.3/12 = 44 %", "5.3 / 12 = 44 %"),
        ("d = 0.154/(2 sin 13.25°) = 0.336 nm", "0.154 / (2 sin 13.25°) = 0.336 nm"),
        ("ln(2)/0.1 = 6.9", "ln (2) / 0.1 = 6.9"),
        ("90 min × 2 m/h = 3 m", "90 min × 2 m/h = 3 m"),
        ("2.5 mm × 1000 = 2500 µm", "2.5 mm × 1000 = 2500 µm"),
        ("2 h = 120 min", "2 h = 120 min"),
        ("30 divided by 6 equals 5", "30 divided by 6 = 5"),
        ("a peak of 1/(0.1 √(2π)), which is 3.99 cm³/g", "1 / (0.1 √(2π)) = 3.99 cm³/g"),
        ("√(2 × 8) = 4 and 3² + 4² = 25", "√(2 × 8) = 4"),
    ],
)
def test_workings_are_evaluated_as_they_stand(text, shown):
    found = workings(text)
    assert found[0].text == shown and all(one.agrees and one.holds for one in found)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("It gives 12/4 = 5.", "12 / 4 = 5"),
        ("Then x is 2/3 = 0.33.", "2 / 3 = 0.33"),
        ("That is 2 h = 12 min.", "2 h = 12 min"),
    ],
)
def test_a_working_that_does_not_hold_is_refused(text, wrong):
    assert missing_quantity(text, "12, 4 and 3; 2 h") == f"{wrong}: the working does not hold"


@pytest.mark.parametrize(
    "text",
    [
        "from 400 to 800",
        "2θ = 26.5°",
        "0.15 nm = λ",
        "1 or 2 pores",
        "5 × = 3",
        "((((1) = 1/0",
        "x",
    ],
)
def test_prose_is_no_working(text):
    assert workings(text) == ()


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="0123456789.+-−×/()^²√=≈ πx%µmh", max_size=40))
def test_no_text_stops_the_evaluation(text):
    for one in workings(text):
        assert one.numbers and one.text


OPERATIONS = {
    "+": lambda a, b: a + b,
    "−": lambda a, b: a - b,
    "×": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}


def rounded(value: float, digits: int = 4) -> str:
    """A value with so many significant digits, without an exponent."""
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{places}f}"


NUMBERS = st.integers(1001, 9999).filter(lambda n: n % 10).map(lambda n: n / 100)


@settings(max_examples=60, deadline=None)
@given(NUMBERS, NUMBERS, NUMBERS, st.sampled_from("+−×/"), st.sampled_from("+×/"))
def test_a_chain_that_follows_is_accepted_and_a_perturbed_one_refused(a, b, c, one, other):
    first = OPERATIONS[one](max(a, b) + 1, min(a, b))
    last = OPERATIONS[other](first, c)
    told = f"{max(a, b) + 1:.2f} {one} {min(a, b):.2f} = {rounded(first, 6)}"
    chain = f"First {told}. Then {rounded(first, 6)} {other} {c:.2f} = "
    text = f"Values of {max(a, b) + 1:.2f}, {min(a, b):.2f} and {c:.2f} were found."
    assert missing_quantity(f"{chain}{rounded(last)}.", text) is None
    assert missing_quantity(f"{chain}{rounded(last * 1.2)}.", text) is not None


@settings(max_examples=60, deadline=None)
@given(NUMBERS, NUMBERS, st.sampled_from(["nm", "V", "MPa", "mg/L", "s"]))
def test_results_of_results_keep_their_derivation(a, b, unit):
    a, b = max(a, b) + 10.37, min(a, b)
    difference = rounded(a - b, 5)
    half = rounded(float(difference) / 2, 5)
    text = f"It falls from {a:.2f} to {b:.2f} {unit}."
    answer = f"It loses {difference} {unit} and, half of that, {half} {unit}."
    found = {claim: by for claim, by, _ in supported(answer, caption=text)}
    assert found[f"{difference} {unit}"] == "derived"
    assert found[f"{half} {unit}"] in ("derived", "source", "seen")
    wrong = rounded(1.3 * (a - b) + 0.0137, 6)
    if digits_of(parse(wrong)[0]) > 3:
        assert missing_quantity(f"The rest is {wrong} {unit}.", text) is not None


def test_numbers_that_only_support_each_other_support_nothing():
    text = "Rods of 2 mm were cast."
    assert missing_quantity("Of 31.73 V and 63.46 V one is half of the other.", text) is not None


@pytest.mark.parametrize(
    ("answer", "by"),
    [
        ("The curve reaches about 137 V.", "seen"),
        ("The curve reaches 140 V.", "seen"),
        ("The curve reaches 125 V.", "seen"),
        ("The curve reaches 137.3 V.", "missing"),
        ("The axis ends at 600 V.", "printed"),
    ],
)
def test_what_is_read_by_eye_is_no_more_exact_than_the_eye(answer, by):
    words = ["0", "200", "400", "600", "Voltage (V)"]
    assert supported(answer, words=words)[-1][1] == by


def test_a_measure_to_two_digits_wants_a_scale():
    assert supported("It is 77 nm wide.", caption="Grains.")[-1][1] == "missing"
    assert supported("It is 77 nm wide.", words=["1", "2", "3"])[-1][1] == "seen"


def test_axes_are_numbers_in_rows():
    words = ("0", "50", "100", "150", "Time (s)", "0.01", "0.1", "1", "10", "x", "7", "9")
    assert [(axis.low, axis.high, axis.step) for axis in axes_in(words)] == [
        (0, 150, 50),
        (0.01, 10, pytest.approx(0.09)),
    ]


@pytest.mark.parametrize(
    ("answer", "said", "refused"),
    [
        ("It is 166.3 Ah/g.", {"caption": "166.3 mAh g-1"}, "the source says 166.3 mAh g-1"),
        (
            "The values are about 7.8 and 9.1 µg/ml.",
            {"words": ["0", "5", "10", "15", "Level (pg/ml)"]},
            "the figure has pg / ml",
        ),
        (
            "It needs 20 mL against 2.5 mL, eighty times as much.",
            {"caption": "20 mL and 2.5 mL"},
            "20 mL and 2.5 mL give another result",
        ),
        (
            "A rise of 45 %, from 20 to 25 s.",
            {"caption": "20 s and 25 s"},
            "20 and 25 s give another result",
        ),
    ],
)
def test_what_the_source_contradicts_is_refused(answer, said, refused):
    found = account((("What is it?", answer),), source(**said))
    assert found.missing and found.missing.endswith(refused)


@pytest.mark.parametrize(
    "answer",
    [
        "Of 34 answers 85 % are 29 people.",
        "It grows 64-fold, from 16 V to 1024 V.",
        "It is five times as wide and has 25 times the area.",
        "It falls from 12 to 3 cm, a loss of three quarters.",
        "A mole of LiFePO4 weighs 157.8 g/mol.",
        "The width is 2.355 standard deviations.",
    ],
)
def test_what_follows_in_other_ways_is_supported(answer):
    assert missing_quantity(answer, "34 answers, 85 %, 16 V, five times, 12 cm, 3 cm") is None


def test_molar_masses():
    assert mass_of("Ca(OH)2") == pytest.approx(74.09, abs=0.01)
    assert mass_of("LiFePO4") == pytest.approx(157.76, abs=0.01)
    assert mass_of("Xx2") is None and mass_of("(CH2") is None and mass_of("CH2)") is None
    assert molar_mass(parse("18.0 g/mol")[0], "H2O") == "H2O: 18.02 g/mol"
    assert molar_mass(parse("19.0 g/mol")[0], "H2O") is None


def test_many_quantities_take_little_time():
    text = " ".join(f"A{n} has {n * 1.37:.2f} V and {n * 3.11:.2f} mA." for n in range(200))
    answer = " ".join(f"It is {n * 2.03:.2f} W, {n * 0.77:.2f} Ω more." for n in range(60))
    started = time.process_time()
    account((("How much more?", answer),), source(text[:4000], mentions=[text[:1500]] * 6))
    assert time.process_time() - started < 3  # 0.3 to 0.7 s
