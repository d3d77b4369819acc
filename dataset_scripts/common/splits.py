"""Train, validation and test by groups of documents: what shares images or text is in one."""

import hashlib
from collections.abc import Iterable

import numpy as np

from cephalo.dataset_scripts.common.groups import Groups

SPLITS = ("train", "validation", "test")
TEST_SHARE = 0.1
VALIDATION_SHARE = 0.1


def split_documents(
    places: np.ndarray, published: np.ndarray, links: Iterable[tuple[int, int]] = ()
) -> np.ndarray:
    """The split of every document as its number in `SPLITS`, (n,) int8; -1 of one not published.

    `places` (n,) float64 has the `place` of each document, `published` (n,) bool marks those that
    have a split. Documents that `links` join, directly or through others (also through one that is
    not published), are one group and share a split. A group's place is the highest of its published
    documents'. So a paper that is added moves another only where it joins its group to one of a
    higher place, from test towards train: what was trained on is never tested on later. Only a
    corpus too small for the shares differs: two groups give one for testing, three give one for
    validation too, those lowest in place; one is always left to train on.

    Memory is about 40 bytes a document.
    """
    groups = Groups(len(places))
    for one, other in links:
        groups.merge(one, other)
    roots = groups.roots()
    highest = np.full(len(places), -1.0)  # of each group, at the number that stands for it
    np.maximum.at(highest, roots[published], places[published])
    order = np.sort(highest[highest >= 0])
    spare = max(len(order) - 1, 0)
    tests, held_out = np.searchsorted(order, [TEST_SHARE, TEST_SHARE + VALIDATION_SHARE])
    tests = min(max(tests, 1), spare - (spare > 1))
    held_out = min(max(held_out, tests + 1), spare)
    ranks = np.searchsorted(order, highest)[roots]
    # From "train" on, one further in SPLITS for each of the bounds that the rank is below.
    splits = (ranks < tests).astype(np.int8) + (ranks < held_out)
    return np.where(published, splits, np.int8(-1))


def place(document_sha256: str) -> float:
    """Where a document stands on [0, 1): the first 8 bytes of the SHA-256 of its hash."""
    digest = hashlib.sha256(f"split:{document_sha256}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
