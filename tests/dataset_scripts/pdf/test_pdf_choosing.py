"""Which candidates become captions, on candidates and pages made by hand."""

from types import SimpleNamespace

import pytest

from cephalo.dataset_scripts.pdf import captions
from cephalo.dataset_scripts.pdf.captions import find_captions

MARKED = ("figure", False, ".", False, 9.0, "Times")
UNMARKED = ("image", False, "", False, 9.0, "Times")


def page(number: int, solid: int = 1, lines: tuple[str, ...] = (), body: bool = True):
    """A page with lines of running text, and with graphics."""
    lines = [SimpleNamespace(text=text, tags=set()) for text in lines]
    return SimpleNamespace(
        page=SimpleNamespace(number=number, lines=lines),
        solid=[None] * solid,
        is_body=lambda line: body,
    )


def candidate(text, number: str = "1", score: float = 2.0, head: str = "A crack.", **more):
    """A candidate on a page; its first line is one of the page's."""
    line = SimpleNamespace(text=more.get("line", f"Figure {number}. {head}"), tags=set())
    text.page.lines.append(line)
    return captions.Candidate(
        kind=more.get("kind", "figure"),
        label=f"Figure {number}",
        number=number,
        head=head,
        continued=False,
        style=more.get("style", MARKED),
        growing=SimpleNamespace(text=text, rows=[[line]], lines=[line]),
        score=score,
    )


@pytest.fixture
def chosen(monkeypatch):
    """The numbers of the captions of each page, of candidates as they are weighed."""

    def numbers(*weighed, after=None):
        monkeypatch.setattr(captions, "weigh_candidates", lambda *_: list(weighed))
        monkeypatch.setattr(captions, "page_after", lambda text, _: after)
        monkeypatch.setattr(captions, "_caption", lambda one, after: (one.number, after))
        found = find_captions([], [], None)
        assert all(more is after for own in found for _, more in own)
        return [[number for number, _ in own] for own in found]

    return numbers


def test_likely_candidates_are_captions_and_others_are_not(chosen):
    one, two = page(0), page(1)
    own = [candidate(one, "1"), candidate(one, "2", score=-0.1), candidate(one, "3", score=0.0)]
    assert chosen((one, own), (two, [candidate(two, "4", score=0.1)]), after=two) == [["1"], ["4"]]
    assert chosen((one, []), (two, [])) == [[], []]


def test_a_word_without_a_number_is_no_caption_where_figures_are_numbered(chosen):
    one = page(0)
    both = [candidate(one, "1"), candidate(one, "")]
    assert chosen((one, both)) == [["1"]]
    assert chosen((one, [candidate(one, ""), candidate(one, "")])) == [["", ""]]
    # Numbers of tables say nothing of figures.
    assert chosen((one, [candidate(one, "5", kind="table"), candidate(one, "")])) == [["5", ""]]


def test_a_sort_of_figure_without_a_mark_is_a_caption_where_running_text_cites_it(chosen):
    """Parts of a picture have such labels, too."""
    told = page(0, lines=("As Image 3 shows, the crack winds.",))
    alone = [
        candidate(told, "ima3", style=UNMARKED, line="Image 3: a crack."),
        candidate(told, "1"),
    ]
    assert chosen((told, alone)) == [["ima3", "1"]]
    # The candidate's own line is no citation, nor is one in other type.
    silent = page(0)
    alone = [
        candidate(silent, "ima3", style=UNMARKED, line="Image 3: a crack."),
        candidate(silent, "1"),
    ]
    assert chosen((silent, alone)) == [["1"]]
    small = page(0, lines=("As Image 3 shows, the crack winds.",), body=False)
    assert chosen((small, [candidate(small, "ima3", style=UNMARKED)])) == [[]]
    # With a mark it needs none.
    marked = ("image", False, ":", False, 9.0, "Times")
    assert chosen((silent, [candidate(silent, "ima3", style=marked)])) == [["ima3"]]


LONG = "x" * 41  # characters; a line of running text


def test_a_bare_label_is_the_caption_of_a_page_that_has_little_else_but_a_figure(chosen):
    def bare(text, number="1", **more):
        return candidate(text, number, score=-1.0, head="", **more)

    sole = page(0, lines=("x" * 28,))
    assert chosen((sole, [bare(sole)])) == [["1"]]
    blank = page(0, solid=0)
    assert chosen((blank, [bare(blank)])) == [[]]
    prose = page(0, lines=(LONG,))
    assert chosen((prose, [bare(prose)])) == [[]]
    edge = page(0, lines=(LONG[1:],))
    assert chosen((edge, [bare(edge)])) == [["1"]]
    # It stands once; those of other numbers and kinds are others.
    assert chosen((sole, [bare(sole), bare(sole)])) == [[]]
    assert chosen((sole, [bare(sole), bare(sole, "2"), bare(sole, kind="table")])) == [
        ["1", "2", "1"]
    ]
    # A text, however unlikely, is no bare label.
    assert chosen((sole, [candidate(sole, "1", score=-1.0)])) == [[]]


def test_a_bare_label_may_stand_on_another_page_than_the_caption_of_its_number(chosen):
    def bare(text, head=""):
        return candidate(text, "1", score=-1.0, head=head)

    prose, other = page(0, lines=(LONG,), solid=0), page(1)
    listed = (other, [candidate(other, "1")])
    assert chosen((prose, [bare(prose)]), listed) == [["1"], ["1"]]
    # Not on the same page, and not beside a caption of its own page, unless it says where to look.
    assert chosen((other, [candidate(other, "1"), bare(other)])) == [["1"]]
    beside = [candidate(prose, "2"), bare(prose)]
    assert chosen((prose, beside), listed) == [["2"], ["1"]]
    beside = [candidate(prose, "2"), bare(prose, "(See legend on next page.)")]
    assert chosen((prose, beside), listed) == [["2", "1"], ["1"]]
    # A bare label that is likely is a caption, but tells no other label its text.
    likely = (other, [candidate(other, "1", head="")])
    assert chosen((prose, [bare(prose)]), likely) == [[], ["1"]]


def test_what_tells_where_the_caption_is_is_none_however_likely(chosen):
    one = page(0, lines=(LONG,))
    assert chosen((one, [candidate(one, "1", head="(See legend on next page.)")])) == [[]]
