"""Where each check of a teacher's answer begins and ends, on texts of counted words."""

import random

import pytest
from rapidfuzz import fuzz

from cephalo.dataset_scripts.refinement import checks
from cephalo.dataset_scripts.refinement.checks import CHECKS, Context, failed_checks
from cephalo.dataset_scripts.refinement.quotation import Picture, Source
from cephalo.dataset_scripts.refinement.tasks import Talk, Turn

STARTS = ["bal", "cor", "dim", "fen", "gup", "hat", "jol", "kir", "lum", "nox"]
ENDS = ["ok", "um", "ar", "ix", "ob", "ak", "ug", "im", "op", "ut"]
WORDS = [f"{start}{end}" for start in STARTS for end in ENDS]  # a hundred, of as many stems


def source(*passages: str, instructions: str = "", others: tuple = ()) -> Source:
    return Source("", passages, instructions, others=others)


def detail(name: str, answer: str, question: str = "Why so?", given: Source | None = None, **more):
    """What one check says of one question with its answer."""
    context = Context(given or source(), more.get("min_words", 3), more.get("prompt", ""))
    return CHECKS[name](Talk((Turn(question, answer),)), context)


@pytest.mark.parametrize(
    ("asked", "said", "found"),
    [
        (1, 10, "a question of 1 words"),
        (2, 10, None),
        (120, 10, None),
        (121, 10, "a question of 121 words"),
        (0, 0, "a question of 0 words"),
        (2, 2, "an answer of 2 words"),
        (2, 3, None),
        (2, 600, None),
        (2, 601, "an answer of 601 words"),
    ],
)
def test_length_counts_words(asked, said, found):
    assert detail("length", "word " * said, "word " * asked) == found


@pytest.mark.parametrize(
    ("least", "found"), [(2, None), (4, None), (5, None), (6, "an answer of 2 words")]
)
def test_a_quantity_is_long_enough_where_few_words_are(least, found):
    assert detail("length", "0.5 g/L", min_words=least) == found


def test_every_turn_is_counted():
    talk = Talk((Turn("Why so?", "one two three"), Turn("Why then?", "it did")))
    assert CHECKS["length"](talk, Context(source(), 3, "")) == "an answer of 2 words"


OTHER = " ".join(WORDS[80:90])  # what a source says of its figure


@pytest.mark.parametrize(
    ("said", "shared", "off"),
    [
        (20, 0, True),
        (20, 1, True),
        (20, 2, False),  # a tenth is shared
        (8, 0, True),
        (7, 0, False),  # too few words to judge by
        (0, 0, False),
    ],
)
def test_off_topic_weighs_what_an_answer_shares_with_the_source(said, shared, off):
    answer = WORDS[:said]
    found = detail("off_topic", " ".join(answer), "What is so?", source(OTHER, *answer[:shared]))
    assert found == (f"{shared} of {said} content words are in the source" if off else None)


@pytest.mark.parametrize(
    ("question", "told", "printed", "off"),
    [
        (f"Why is {WORDS[90]} so?", OTHER, "", True),
        (f"Why is {WORDS[80]} so?", OTHER, "", False),  # asks about the figure
        ("Why is the curve so?", f"{OTHER} curve", "", True),  # as one asks about any figure
        ("Why is it so?", " ".join(WORDS[80:87]), "", False),  # little is said of the figure
        ("Why is it so?", OTHER, WORDS[5], False),
        (f"Why is {WORDS[90]} so?", OTHER, WORDS[90], False),
    ],
)
def test_off_topic_leaves_questions_on_the_figure_to_knowledge(question, told, printed, off):
    given = Source("", (told,), "", figures=(Picture(None, (printed,)),))
    found = detail("off_topic", " ".join(WORDS[:20]), question, given)
    assert found == ("0 of 20 content words are in the source" if off else None)


@pytest.mark.parametrize("looks", ["left right curve axis panel line circle row dotted square"])
def test_words_of_any_image_are_of_no_topic(looks):
    assert detail("off_topic", looks, given=source(OTHER)) is None
    assert detail("off_topic", f"{looks} {' '.join(WORDS[:8])}", given=source(OTHER)) == (
        "0 of 8 content words are in the source"
    )


@pytest.mark.parametrize(("among", "off"), [(2, True), (3, True), (4, False), (6, False)])
def test_words_of_the_other_figures_count_half(among, off):
    given = source(OTHER, others=((WORDS[0],), (" ".join(WORDS[1:among]), "nothing")))
    found = detail("off_topic", " ".join(WORDS[:20]), given=given)
    assert (found == "0 of 20 content words are in the source") == off and (found is None) != off


def test_off_topic_looks_at_every_turn():
    turns = (Turn("Why so?", " ".join(WORDS[:20])), Turn("And then?", " ".join(WORDS[20:40])))
    context = Context(source(" ".join(WORDS[:20])), 3, "")
    assert CHECKS["off_topic"](Talk(turns), context) == "0 of 20 content words are in the source"


@pytest.mark.parametrize(
    ("words", "taken", "copied"),
    [
        (10, 10, True),
        (20, 9, False),
        (20, 10, True),
        (40, 19, False),
        (40, 20, True),
        (8, 8, False),
    ],
)
def test_an_answer_repeats_the_source_from_half_of_its_words_on(words, taken, copied):
    # The passage is far longer than the answer, and the other words stand nowhere in it.
    passage = " ".join([*WORDS[60:70], *WORDS[:taken], *WORDS[70:90]])
    answer = " ".join([*WORDS[:taken], *(f"q{word}" for word in WORDS[taken:words])])
    found = detail("repeats_source", answer, given=source("Another one.", passage))
    assert found == (answer[:80] if copied else None)


@pytest.mark.parametrize(("extra", "copied"), [("ab", True), ("a", False), ("12", False)])
def test_nine_words_of_two_letters_or_more_can_be_a_copy(extra, copied):
    answer = " ".join([*WORDS[:8], extra])
    assert (detail("repeats_source", answer, given=source(answer)) == answer) == copied


def test_a_part_is_repeated_from_the_likeness_on_that_rapidfuzz_finds():
    # Letters are left out, or put between, at all rates around the limit.
    chance = random.Random(0)
    passage = " ".join(chance.choices(WORDS, k=80))
    found = []
    for rate in [*range(0, 40)] * 4:
        start, size = chance.randrange(200), chance.randrange(40, 200)
        kept = [one for one in passage[start : start + size] if chance.random() > rate / 200]
        answer = "".join(one + "z" * (chance.random() < rate / 400) for one in kept)
        found.append(checks.repeats_part(answer, passage))
        assert found[-1] == bool(fuzz.partial_ratio(answer, passage, score_cutoff=90))
    assert 40 < sum(found) < 120
    assert not checks.repeats_part(passage, passage)


def test_copied_runs_have_five_words_and_count_letters_only():
    copied = checks.runs((" ".join(WORDS[:9]), "too short for one"))
    assert copied == {" ".join(WORDS[start : start + 5]) for start in range(5)}

    def share(answer: str) -> float:
        return checks.shared_run_share(answer, copied)

    assert share(" ".join(WORDS[:4])) == 0 and share(" ".join(WORDS[:5])) == 5 / 20
    assert share(" ".join([*WORDS[:5], *WORDS[20:45]])) == 5 / 30
    assert share(" ".join([*WORDS[20:45], *WORDS[2:9]])) == 7 / 32
    assert share("") == 0
    assert checks.shared_run_share("a bc 12 de fg", frozenset(["a bc 12 de fg"])) == 3 / 20


def test_nearly_equal_answers_repeat_a_passage_however_it_is_set():
    passage = " ".join(word.title() for word in WORDS[:9]) + "."
    changed = " ".join([*WORDS[:8], WORDS[8][:-1]])  # runs alone are 8 of 20 words
    assert detail("repeats_source", changed, given=source("Other.", passage)) == changed[:80]
    # A part of a longer passage is a copy, a passage within a longer answer is none.
    longer = source(f"{' '.join(WORDS[30:40])} {passage} {' '.join(WORDS[40:60])}")
    assert detail("repeats_source", changed, given=longer) == changed[:80]
    around = " ".join([*WORDS[60:90], *WORDS[:8], WORDS[8][:-1]])
    assert detail("repeats_source", around, given=source(passage)) is None
    # Eight words may well be the paper's; numbers and single letters are none.
    assert detail("repeats_source", " ".join(WORDS[:8]), given=source(passage)) is None
    few = " ".join([*WORDS[:8], "12", "34", "x", "y"])
    assert detail("repeats_source", few, given=source(few)) is None
    # Eighty characters of a long copy are shown; these words stand in no run of the passage.
    long = " ".join(WORDS[:40])
    parted = source(" ".join(word if n % 4 else word[:-1] for n, word in enumerate(WORDS[:40])))
    assert detail("repeats_source", long, given=parted) == long[:80]


def test_a_copy_is_found_after_an_answer_too_short_to_be_one():
    copy = " ".join(WORDS[:9])
    talk = Talk((Turn("Why so?", "Because bal."), Turn("Why then?", copy)))
    assert CHECKS["repeats_source"](talk, Context(source(copy), 3, "")) == copy


@pytest.mark.parametrize(("echoed", "words", "obeys"), [(1, 5, True), (1, 6, False), (0, 5, False)])
def test_words_that_only_instructions_hold_are_obeyed_from_a_fifth_on(echoed, words, obeys):
    given = source("nothing", WORDS[50], instructions=" ".join([*WORDS[:3], WORDS[50]]))
    answer = " ".join([*WORDS[:echoed], WORDS[50], *WORDS[20 : 20 + words - echoed - 1]])
    found = detail("obeys_source", answer, given=given)
    assert (found is not None) == obeys
    assert not obeys or found == "words of an instruction: " + next(iter(checks.content(WORDS[0])))


def test_five_words_of_an_instruction_are_named():
    given = source("nothing", instructions=" ".join(WORDS[:7]))
    found = detail("obeys_source", " ".join(WORDS[:6]), given=given)
    named = sorted(checks.content(" ".join(WORDS[:6])))[:5]
    assert len(named) == 5 and found == f"words of an instruction: {', '.join(named)}"


def test_eight_words_in_a_row_of_the_prompt_leak_it():
    prompt = " ".join(WORDS[:12])
    assert (
        detail("leaks_prompt", " ".join(WORDS[3:11]), prompt=prompt) == " ".join(WORDS[3:11])[:80]
    )
    assert detail("leaks_prompt", " ".join(WORDS[3:10]), prompt=prompt) is None
    assert detail("leaks_prompt", "see <<< here", prompt=prompt) == "see <<< here"
    assert detail("leaks_prompt", "<" * 90, prompt=prompt) == "<" * 80
    assert detail("leaks_prompt", "x", " ".join(WORDS[:8]), prompt=prompt) is not None
    assert len(checks.shingles(" ".join(WORDS[:20]))) == 13
    assert checks.shingles(" ".join(WORDS[:9])) == {" ".join(WORDS[:8]), " ".join(WORDS[1:9])}


def test_a_loop_is_long_and_compresses_to_a_quarter():
    assert detail("loops", "abcd " * 61) == ("abcd " * 61)[-80:]
    assert detail("loops", "abcd " * 60) is None
    assert detail("loops", "x" * 301) == "x" * 80
    assert detail("loops", " ".join(WORDS[:60])) is None


def test_outsized_texts_meet_no_other_check():
    context = Context(source(), 1, "")

    def failures(answer: str) -> dict[str, str]:
        return failed_checks(Talk((Turn("Why so?", answer),)), context, skip=set(CHECKS))

    assert failures("x" * 8000) == {}
    assert failures("x" * 8001) == {"length": "a text of 8,001 characters"}
    assert failures("a" + " " * 49 + "b") == {}
    assert failures("a" + "\n" * 50 + "b") == {"length": "many white space characters in a row"}
