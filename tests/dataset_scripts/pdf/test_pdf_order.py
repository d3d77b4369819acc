"""Figures of a page come in the order of their numbers."""

from types import SimpleNamespace

from cephalo.dataset_scripts.pdf.pairing import in_order


def pair(kind: str, number: str) -> SimpleNamespace:
    return SimpleNamespace(caption=SimpleNamespace(kind=kind, number=number))


def test_a_figure_at_the_end_of_a_column_comes_before_one_at_the_beginning_of_the_next():
    from_top = [("figure", "9"), ("scheme", "2"), ("figure", "10"), ("figure", ""), ("figure", "8")]
    from_top += [("scheme", "1"), ("figure", "s1"), ("table", "3")]
    found = in_order([pair(*one) for one in from_top])
    assert [(one.caption.kind, one.caption.number) for one in found] == [
        ("figure", "8"),
        ("scheme", "1"),
        ("figure", "9"),
        ("figure", ""),
        ("figure", "10"),
        ("scheme", "2"),
        ("figure", "s1"),
        ("table", "3"),
    ]


def test_numbers_with_letters_and_chapters_are_in_order_too():
    from_top = ["s9", "3.10", "s10", "9", "3.9", "s8", "10", "8"]
    found = [one.caption.number for one in in_order([pair("figure", one) for one in from_top])]
    assert found == ["s8", "3.9", "s9", "8", "3.10", "s10", "9", "10"]
