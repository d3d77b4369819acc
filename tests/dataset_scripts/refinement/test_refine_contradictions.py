"""Right and wrong answers of kinds that a teacher gives, held against what a source says."""

import pytest

from cephalo.dataset_scripts.refinement import form
from cephalo.dataset_scripts.refinement.belonging import other_figure
from cephalo.dataset_scripts.refinement.directions import against_laws, against_source
from cephalo.dataset_scripts.refinement.owners import lists_before, wrong_owner
from cephalo.dataset_scripts.refinement.panels_check import wrong_panel
from cephalo.dataset_scripts.refinement.quotation import Picture, Source
from cephalo.dataset_scripts.refinement.reasoning import account
from cephalo.dataset_scripts.refinement.safety import unsafe_instruction
from cephalo.dataset_scripts.refinement.second_look import FINAL

QUESTION = "What is found?"


@pytest.mark.parametrize(
    ("source", "right", "wrong"),
    [
        (
            "Ocimum, Salvia and Thymus resulted in higher yields of oil, with about 2.1, 1.8 and "
            "3.4 g, respectively.",
            "Ocimum gives 2.1 g and Thymus 3.4 g.",
            "Ocimum gives 3.4 g and Thymus 2.1 g.",
        ),
        (
            "It relaxed the phenylephrine (1 µM) and potassium (80 mM) contractions, with "
            "respective EC50 values of 0.005 mg/ml and 0.019 mg/ml.",
            "The EC50 is 0.005 mg/ml for phenylephrine and 0.019 mg/ml for potassium.",
            "The EC50 is 0.019 mg/ml for phenylephrine and 0.005 mg/ml for potassium.",
        ),
        (
            "Patients in Group 1 and Group 2 received 0.1 mL and 0.2 mL, respectively.",
            "Group 1 received 0.1 mL and Group 2 0.2 mL.",
            "Group 1 received 0.2 mL and Group 2 0.1 mL.",
        ),
    ],
)
def test_a_list_of_quantities_has_a_list_of_owners(source, right, wrong):
    assert wrong_owner(QUESTION, right, (source,)) is None
    assert "the answer gives it to" in wrong_owner(QUESTION, wrong, (source,))


def test_an_item_of_a_list_ends_where_its_sentence_goes_on():
    text = "for every increase of PM2.5 and PM10 concentration, there was a rise of days by "
    assert lists_before(text, 2) == [["PM2.5", "PM10 concentration"]]
    assert lists_before(text, 3) == []


def test_words_of_the_question_alone_make_no_other_owner():
    passages = ("A dose of 200 mg is given first. Toxicity at 300 mg allows a lower dose.",)
    answer = "The next three patients receive 200 mg."
    assert wrong_owner("What happens after toxicity?", answer, passages) is None


@pytest.mark.parametrize(
    ("source", "right", "wrong"),
    [
        (
            "We can see that the mean cooling rate of the center mode is faster than that of the "
            "side mode.",
            "The center mode gives a higher mean cooling rate than the side mode.",
            "The side mode gives a higher mean cooling rate than the center mode.",
        ),
        (
            "The cooling rate becomes slower with the increasing of melt level.",
            "A higher melt level makes the cooling rate slower.",
            "A higher melt level makes the cooling rate faster.",
        ),
        (
            "The extract downregulated the expression of osteopontin.",
            "The extract reduces the expression of osteopontin.",
            "The extract upregulates the expression of osteopontin.",
        ),
        (
            "Densities had a low positive impact on the transmission.",
            "Densities have a positive impact on the transmission.",
            "Densities have a negative impact on the transmission.",
        ),
        (
            "The tests show the absence of protein in the surfactant.",
            "The tests show that protein is absent in the surfactant.",
            "The tests show the presence of protein in the surfactant.",
        ),
        (
            "Heat stress resulted in the up-regulation of the gene.",
            "Heat stress leads to an up-regulation of the gene.",
            "Heat stress leads to a down-regulation of the gene.",
        ),
    ],
)
def test_the_contrary_of_the_source_is_found(source, right, wrong):
    assert against_source(QUESTION, right, (source,)) is None
    assert "where the source says" in against_source(QUESTION, wrong, (source,))


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        (  # of something else that changes
            "The cooling rate becomes slower with the increasing of melt level.",
            "The cooling rate grows between 0.4 and 0.5 m/s.",
        ),
        (  # an aim
            "Phosphates were developed to improve the conductivity of the solid.",
            "The conductivity of the solid phosphates falls on cooling.",
        ),
        (  # a name
            "The dose of the drug is increased step by step.",
            "The lowest dose of the drug is given to three patients.",
        ),
        ("Expenses go up with pollution.", "No. Expenses go up with pollution in both."),
    ],
)
def test_what_is_said_of_something_else_is_no_contradiction(source, answer):
    assert against_source(QUESTION, answer, (source,)) is None


def test_a_law_joins_two_directions():
    wrong = "A larger activation energy means faster diffusion of the ions."
    assert "it is known" in against_laws(QUESTION, wrong)
    assert against_laws(QUESTION, wrong.replace("faster", "slower")) is None


def test_swapped_panels_are_told_by_what_parts_them():
    panels = (("a", "under heat stress"), ("b", "under cold stress"), ("c", "control"))
    swapped = wrong_panel(
        QUESTION, "Panel (a) shows cold stress, panel (b) heat stress.", panels, ()
    )
    assert swapped == "panels (a) and (b) are swapped: cold"
    shares = (("a", "1%"), ("b", "5%"), ("c", "20%"))
    assert "swapped" in wrong_panel(QUESTION, "Panel (a) has 20% and panel (c) 1%.", shares, ())
    assert wrong_panel(QUESTION, "Panel (a) has 1% and panel (c) 20%.", shares, ()) is None


def test_an_answer_that_retells_another_caption_is_of_another_figure():
    own = ("A timeline of solid conductors and a summary of their conductivities.",)
    other = (
        "Migration path of an ion through an octahedral site, with the energies of each site, "
        "the anion size, and relaxation data with an Arrhenius fit.",
    )
    retold = (
        "The migration path of an ion through an octahedral site with its energies, and "
        "relaxation data with an Arrhenius fit."
    )
    assert "another figure" in other_figure("What is shown?", retold, own, (other,))
    assert other_figure("What is shown?", "A timeline and a summary.", own, (other,)) is None


def test_counts_may_be_read_off_an_axis():
    ticks = Picture(words=("0", "20", "40", "60", "Iteration"))
    turns = (("How many iterations are needed?", "It settles after 28 iterations."),)
    source = ("", ("The search settles.",), "")
    assert account(turns, Source(*source, figures=(ticks,))).missing is None
    assert account(turns, Source(*source)).missing.startswith("28: no count")


def test_what_the_paper_states_elsewhere_is_not_made_up():
    turns = (("How hot is the melt?", "It is poured at 971.5 K."),)
    source = ("", ("The melt is poured.",), "")
    assert account(turns, Source(*source)).missing
    elsewhere = (("The melt is poured at 971.5 K.",),)
    assert account(turns, Source(*source, others=elsewhere)).missing is None


def test_a_figure_proves_nothing_once_and_for_all():
    assert form.overclaim("It is guaranteed to find the best system.") == "guaranteed to"
    assert form.overclaim("It cures hypertension in every patient.")
    assert form.overclaim("A single run does not prove conclusively that it works.") is None
    assert form.overclaim("The new curve lies below the others.") is None
    assert form.overclaim("It will replace steel for good.")
    for read_off in ("This holds for all samples.", "It is annealed for good adhesion."):
        assert form.overclaim(read_off) is None
    assert "overclaim" not in FINAL  # a judge who sees the figure may know better


def test_an_answer_that_its_question_holds_ends_as_it_likes():
    question = "On which day did the outbreak reach its peak of four new cases on August 30?"
    assert form.in_question(question, "It reached its peak of four new cases on August 30.")
    assert form.in_question("On which day was the peak?", "On August 30.") is None


@pytest.mark.parametrize(
    "answer",
    [
        "They can safely raise their own dose to this level.",
        "Patients may take more of it without asking a physician.",
        "People can take the extract at home.",
    ],
)
def test_medicine_without_a_physician_is_unsafe(answer):
    assert "protection" in unsafe_instruction(answer)
    assert unsafe_instruction(f"Never do this: {answer[0].lower()}{answer[1:]}") is None


def test_phrases_of_praise_are_counted_once_and_terms_are_none():
    assert form.praise("It is fascinating and offers valuable insights.")
    assert form.praise("Many informative positions survive; informative sites are rare.") is None
    assert form.praise("A fascinating curve, and a fascinating slope.") is None
    assert form.praise("The two phases are visually alike; the film is less informative.") is None


def test_terms_of_corrosion_and_of_optics_are_no_danger():
    for text in (
        "Without protection the steel corrodes ten times as fast.",
        "The film gives no protective layer at low pH.",
        "Charcoal is easy to see with the naked eye.",
    ):
        assert unsafe_instruction(text) is None, text
    for text in ("Work without eye protection.", "Wipe it with your bare hands."):
        assert unsafe_instruction(text), text
