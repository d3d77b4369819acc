"""Groups of documents, not rows, are split; adding papers moves none towards test."""

import hashlib
from collections.abc import Iterable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cephalo.dataset_scripts.common import splits
from cephalo.dataset_scripts.common.splits import SPLITS, place

DOCUMENTS = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(1000)]


def split_documents(
    documents: Iterable[str], links: Iterable[tuple[str, str]] = ()
) -> dict[str, str]:
    """The split of every document; others that are linked are not published."""
    published, links = set(documents), list(links)
    names = [*published, *{name for link in links for name in link} - published]
    numbers = {name: number for number, name in enumerate(names)}
    given = splits.split_documents(
        np.array([place(name) for name in names], np.float64),
        np.array([name in published for name in names], bool),
        [(numbers[one], numbers[other]) for one, other in links],
    )
    assert all((given[numbers[name]] == -1) == (name not in published) for name in names)
    return {name: SPLITS[given[numbers[name]]] for name in published}


def count(splits: dict[str, str]) -> tuple[int, int, int]:
    values = list(splits.values())
    return values.count("train"), values.count("validation"), values.count("test")


def test_small_corpora_hold_documents_out_while_they_can():
    assert split_documents([]) == {}
    assert count(split_documents(DOCUMENTS[:1])) == (1, 0, 0)
    assert count(split_documents(DOCUMENTS[:2])) == (1, 0, 1)
    assert count(split_documents(DOCUMENTS[:3])) == (1, 1, 1)


def test_shares_of_a_large_corpus():
    train, validation, test = count(split_documents(DOCUMENTS))
    assert (train, validation, test) == (
        sum(place(document) >= 0.2 for document in DOCUMENTS),
        sum(0.1 <= place(document) < 0.2 for document in DOCUMENTS),
        sum(place(document) < 0.1 for document in DOCUMENTS),
    )
    assert 760 < train < 840 and 70 < validation < 130 and 70 < test < 130


def test_adding_papers_moves_none():
    before, after = split_documents(DOCUMENTS[:500]), split_documents(DOCUMENTS)
    assert {document: after[document] for document in before} == before


@given(st.lists(st.text(max_size=8), max_size=40))
def test_every_document_has_one_split_whatever_the_order(documents):
    splits = split_documents(documents)
    assert splits == split_documents(reversed(documents))
    assert set(splits) == set(documents)
    assert not documents or "train" in splits.values()
    assert len(set(documents)) < 3 or set(splits.values()) == {"train", "validation", "test"}


def test_linked_documents_share_the_split_of_the_highest_place():
    order = sorted(DOCUMENTS, key=place)
    lowest, middle, highest = order[0], order[150], order[-1]
    alone = split_documents(DOCUMENTS)
    assert (alone[lowest], alone[middle], alone[highest]) == ("test", "validation", "train")
    assert split_documents(DOCUMENTS, [(lowest, middle)]) == alone | {lowest: "validation"}
    joined = split_documents(DOCUMENTS, [(lowest, highest), (middle, highest)])
    assert joined == alone | {lowest: "train", middle: "train"}


def test_a_document_that_is_not_published_still_links_others():
    one, other = sorted(DOCUMENTS, key=place)[:: len(DOCUMENTS) - 1]
    splits = split_documents(DOCUMENTS, [(one, "left out"), ("left out", other)])
    assert splits[one] == "train" and "left out" not in splits


def test_one_group_is_all_train():
    assert count(split_documents(DOCUMENTS[:2], [(DOCUMENTS[0], DOCUMENTS[1])])) == (2, 0, 0)


PLACES = {"train": 2, "validation": 1, "test": 0}
PAIRS = st.tuples(st.sampled_from(DOCUMENTS[:200]), st.sampled_from(DOCUMENTS[:200]))


@given(st.lists(PAIRS, max_size=30), PAIRS)
def test_a_new_link_moves_documents_towards_train_only(links, new):
    before = split_documents(DOCUMENTS[:200], links)
    after = split_documents(DOCUMENTS[:200], [*links, new])
    assert all(before[one] == before[other] for one, other in links)
    assert all(PLACES[after[name]] >= PLACES[before[name]] for name in before)


def numbers(places: list[float], links=(), left_out=()) -> list[int]:
    """The splits of documents at places, as numbers in SPLITS."""
    published = np.array([number not in left_out for number in range(len(places))], bool)
    given = splits.split_documents(np.array(places, float), published, links)
    assert given.dtype == np.int8
    return given.tolist()


def test_documents_are_split_at_their_places():
    places = [0.0, 0.05, 0.0999, 0.1, 0.15, 0.1999, 0.2, 0.5, 0.99]
    assert numbers(places) == [2, 2, 2, 1, 1, 1, 0, 0, 0]
    # One is held out for validation where nothing lies between the bounds.
    assert numbers([0.0, 0.3, 0.4, 0.5]) == [2, 1, 0, 0]


def test_two_and_three_groups_hold_out_the_lowest_in_place():
    assert numbers([0.9]) == [0] and numbers([0.01]) == [0]
    assert numbers([0.9, 0.8]) == [0, 2] and numbers([0.01, 0.02]) == [2, 0]
    assert numbers([0.9, 0.7, 0.8]) == [0, 2, 1] and numbers([0.03, 0.02, 0.01]) == [0, 1, 2]
    assert numbers([0.01, 0.02, 0.03, 0.04]) == [2, 2, 1, 0]
    assert numbers([0.11, 0.12, 0.13, 0.14]) == [2, 1, 1, 0]
    # What is not published is no group, and takes no part in the place of one.
    assert numbers([0.9, 0.95, 0.8, 0.7], left_out=[1, 3]) == [0, -1, 2, -1]
    assert numbers([0.0, 0.99, 0.5, 0.6], [(0, 1)], left_out=[1]) == [2, -1, 1, 0]
    assert numbers([0.5, 0.5], left_out=[0, 1]) == [-1, -1]


def test_a_place_is_the_first_eight_bytes_of_a_hash():
    digest = hashlib.sha256(b"split:abc").digest()
    assert place("abc") == int.from_bytes(digest[:8], "big") / 2**64
    assert 0.4 < np.mean([place(document) for document in DOCUMENTS]) < 0.6
