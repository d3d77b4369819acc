"""Assign groups of documents that share images or text to train, validation and test splits."""

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
    """Assign every document to a split.

    Documents that `links` connect, directly or through others (including unpublished ones), form a
    group and share a split. The place of a group is the highest place of its published documents. A
    paper that is added can therefore move another one only by connecting its group to a group of a
    higher place, from test towards train: nothing that was trained on is tested on later. Corpora
    too small for the shares are an exception: of two groups one is for testing, of three another is
    for validation, those of the lowest places; one group always remains for training.

    Memory is about 40 bytes per document.

    Args:
        places: `place` of each document, (n,) float64.
        published: Whether each document gets a split, (n,) bool.
        links: Pairs of connected documents.

    Returns:
        The index in `SPLITS` of each document, (n,) int8; -1 if it is not published.
    """
    groups = Groups(len(places))
    for one, other in links:
        groups.merge(one, other)
    roots = groups.roots()
    highest = np.full(len(places), -1.0)  # of each group, at the index of its representative
    np.maximum.at(highest, roots[published], places[published])
    order = np.sort(highest[highest >= 0])
    spare = max(len(order) - 1, 0)
    tests, held_out = np.searchsorted(order, [TEST_SHARE, TEST_SHARE + VALIDATION_SHARE])
    tests = min(max(tests, 1), spare - (spare > 1))
    held_out = min(max(held_out, tests + 1), spare)
    ranks = np.searchsorted(order, highest)[roots]
    # Starting from "train", one step in SPLITS for each bound above the rank.
    splits = (ranks < tests).astype(np.int8) + (ranks < held_out)
    return np.where(published, splits, np.int8(-1))


def place(document_sha256: str) -> float:
    """Return the position of a document in [0, 1): the first 8 bytes of the SHA-256 of its hash."""
    digest = hashlib.sha256(f"split:{document_sha256}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
