"""Random pages: stacks of figures, captions and paragraphs in random types, sizes and places."""

import random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from paper_samples import LOOKS, Look, Paper, check_rows, prose, rows_of, with_type

from cephalo.dataset_scripts.common.geometry import covered, iou

CASES = settings(
    max_examples=20,
    derandomize=True,  # the same pages each time
    phases=[Phase.generate],  # a page that fails is small enough as it is
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@st.composite
def looks(draw) -> Look:
    """A type area that a journal could have, its captions smaller than its body."""
    columns = draw(st.integers(1, 3))
    size = draw(st.sampled_from([8.5, 9.0, 10.0] if columns > 1 else [10.0, 11.0, 12.0]))
    caption = round(size * draw(st.sampled_from([0.8, 0.85, 0.9])), 1)
    families = st.sampled_from(["times", "helvetica", "stix"])
    family = draw(families)
    return Look(
        family=family,
        size=size,
        leading=round(size * draw(st.sampled_from([1.15, 1.2, 1.3])), 1),
        columns=columns,
        gutter=draw(st.sampled_from([14.0, 18.0, 24.0])) if columns > 1 else 0.0,
        left=draw(st.sampled_from([45.0, 60.0])),
        measure=draw(st.sampled_from([480.0, 500.0])),
        caption_family=draw(st.sampled_from([family, draw(families)])),
        caption_size=caption,
        caption_leading=round(caption * draw(st.sampled_from([1.15, 1.2, 1.25])), 1),
        justified=draw(st.booleans()),
    )


def stack(paper: Paper, seed: int, above: bool, mark: str) -> list[tuple]:
    """Fill two pages column by column; returns the truth."""
    source = random.Random(seed)
    look = paper.look
    truth = []
    align = source.choice(["left", "justify"])
    for page in range(2):
        for column in range(look.columns):
            span = look.column(column)
            y = 60.0
            while y < 480:
                if source.random() < 0.55:
                    number = len(truth) + 1
                    text = prose(1000 * seed + number, source.randint(8, 45))
                    runs = [(f"Figure {number}{mark}", "bold"), (text, "regular")]
                    height = source.uniform(70, 150)
                    gap = source.uniform(5, 12)
                    if above:
                        y = paper.legend(span, y, runs, align) + gap
                    inset = source.choice([0.0, 0.0, 15.0])
                    box = [span[0] + inset, y, span[1] - inset, y + height]
                    source.choice([paper.image, paper.plot])(box)
                    y += height + gap
                    if not above:
                        y = paper.legend(span, y, runs, align)
                    y += source.uniform(14, 24)
                    truth.append((f"Figure {number}", text, page, box))
                else:
                    rows = source.randint(4, 10)
                    paper.fill(span, y, y + (rows + 0.5) * look.leading)
                    y += rows * look.leading + source.uniform(14, 24)
            paper.fill(span, y, 740)
        paper.next()
    return truth


PAGES = {
    "look": looks(),
    "seed": st.integers(0, 10_000),
    "mark": st.sampled_from([".", ":", " |"]),
    "above": st.booleans(),
}


@given(**PAGES)
@CASES
def test_every_caption_is_found_whole(tmp_path, look, seed, mark, above):
    rows, truth = read_stack(tmp_path, look, seed, mark, above)
    got = [(row["label"], row["caption"], row["page"]) for row in rows]
    assert got == [own[:3] for own in truth], got


@given(**PAGES)
@CASES
def test_every_box_holds_its_figure_and_no_neighbours(tmp_path, look, seed, mark, above):
    rows, truth = read_stack(tmp_path, look, seed, mark, above)
    boxes = {row["label"]: row["bbox"] for row in rows}
    for label, _, page, box in truth:
        if label in boxes:
            assert iou(boxes[label], box) > 0.85, (label, boxes[label], box)
            others = [own[3] for own in truth if own[2] == page and own[0] != label]
            assert all(covered(other, boxes[label]) < 0.02 for other in others), label


def read_stack(tmp_path, look: Look, seed: int, mark: str, above: bool) -> tuple[list, list]:
    """Rows in the order of their numbers, and the truth."""
    paper = Paper(tmp_path / "sample.pdf", look)
    truth = stack(paper, seed, above, mark)
    return sorted(rows_of(paper), key=lambda row: int(row["label"].split()[-1])), truth


@given(
    name=st.sampled_from(sorted(LOOKS)),
    seed=st.integers(0, 10_000),
    size=st.sampled_from([0.75, 0.85, 1.0]),
    wide=st.booleans(),
)
@CASES
def test_wide_and_narrow_figures_at_the_head_of_pages(tmp_path, name, seed, size, wide):
    """One figure a page, over all columns or in one, with a caption of its width."""
    look = LOOKS[name]
    small = round(look.size * size, 1)
    look = with_type(look, caption_size=small, caption_leading=round(1.2 * small, 1))
    paper = Paper(tmp_path / "sample.pdf", look)
    source = random.Random(seed)
    truth = []
    for page in range(2):
        span = look.full if wide else look.column(source.randrange(look.columns))
        box = [span[0], 60, span[1], 60 + source.uniform(120, 330)]
        source.choice([paper.image, paper.plot])(box)
        text = prose(seed + page, source.randint(6, 90))
        runs = [(f"Fig. {page + 1}", "bold"), (text, "regular")]
        end = paper.legend(span, box[3] + source.uniform(5, 12), runs, "justify")
        end += source.uniform(14, 24)
        for number in range(look.columns):
            column = look.column(number)
            busy = column[0] < span[1] and column[1] > span[0]
            paper.fill(column, end if busy else 60, 735)
        paper.next()
        truth.append((f"Fig. {page + 1}", text, page, box))
    check_rows(rows_of(paper), truth, 0.8)
