"""Documents, not rows, are split; adding papers moves none."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from cephalo.dataset_scripts.splits import place, split_documents

DOCUMENTS = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(1000)]


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
