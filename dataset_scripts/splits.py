"""Train, validation and test by groups of documents: no near-copy of a test image is in train."""

import hashlib
from collections.abc import Iterable

from scipy.cluster.hierarchy import DisjointSet

SPLITS = ("train", "validation", "test")
TEST_SHARE = 0.1
VALIDATION_SHARE = 0.1


def split_documents(
    documents: Iterable[str], links: Iterable[tuple[str, str]] = ()
) -> dict[str, str]:
    """The split of every document, given and keyed by its sha256.

    Documents that `links` join, directly or through others, are one group and share a split.
    A document's place on [0, 1) is a hash of its own hash, and a group's is the highest of its
    documents'. So a paper that is added moves another only where it joins its group to one of a
    higher place, from test towards train: what was trained on is never tested on later. Only a
    corpus too small for the shares differs: two groups give one for testing, three give one for
    validation too, those lowest in place; one is always left to train on.
    """
    documents = set(documents)
    groups = DisjointSet(sorted(documents))
    for one, other in links:
        groups.add(one)
        groups.add(other)
        groups.merge(one, other)
    members = [group & documents for group in groups.subsets()]
    order = sorted(filter(None, members), key=lambda group: max(map(place, group)))
    spare = max(len(order) - 1, 0)
    places = [max(map(place, group)) for group in order]
    tests = sum(place < TEST_SHARE for place in places)
    held_out = sum(place < TEST_SHARE + VALIDATION_SHARE for place in places)
    tests = min(max(tests, 1), spare - (spare > 1))
    held_out = min(max(held_out, tests + 1), spare)
    return {
        document: "test" if rank < tests else "validation" if rank < held_out else "train"
        for rank, group in enumerate(order)
        for document in group
    }


def place(document_sha256: str) -> float:
    """Where a document stands on [0, 1): the first 8 bytes of the SHA-256 of its hash."""
    digest = hashlib.sha256(f"split:{document_sha256}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
