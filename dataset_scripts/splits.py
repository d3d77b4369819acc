"""Train, validation and test by document: no page of a test document is in train."""

import hashlib
from collections.abc import Iterable

SPLITS = ("train", "validation", "test")
TEST_SHARE = 0.1
VALIDATION_SHARE = 0.1


def split_documents(documents: Iterable[str]) -> dict[str, str]:
    """The split of every document, given and keyed by its sha256.

    A document's place on [0, 1) is a hash of its own hash, so adding papers moves none between
    splits. Only a corpus too small for the shares differs: two documents give one for testing,
    three give one for validation too, those lowest in place; one is always left to train on.
    """
    order = sorted(set(documents), key=place)
    spare = max(len(order) - 1, 0)
    tests = sum(place(document) < TEST_SHARE for document in order)
    held_out = sum(place(document) < TEST_SHARE + VALIDATION_SHARE for document in order)
    tests = min(max(tests, 1), spare)
    held_out = min(max(held_out, tests + 1), spare)
    return {
        document: "test" if rank < tests else "validation" if rank < held_out else "train"
        for rank, document in enumerate(order)
    }


def place(document_sha256: str) -> float:
    """Where a document stands on [0, 1): the first 8 bytes of the SHA-256 of its hash."""
    digest = hashlib.sha256(f"split:{document_sha256}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
