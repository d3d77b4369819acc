"""The bytes of a PNG depend on its pixels alone."""

import threading

import numpy as np
import pytest

from cephalo.dataset_scripts.common.pixels import encode_png

PLACES = 100  # in memory, at which images are deflated
STEP = 1 << 16  # bytes between two


@pytest.fixture
def stacks():
    """Threads get stacks of other sizes, and so at other addresses, one after the other."""
    yield
    threading.stack_size(0)


def test_equal_wherever_in_memory_they_are_made(stacks):
    # From their third byte on, the rows that are stored come again.
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 256, (600, 3, 200, 1), np.uint8)
    stored[:, 2, 1:] = stored[:, 0, 1:]
    images = np.cumsum(stored, axis=1, dtype=np.uint8)
    found, held = [], []

    def encode():
        held.append(bytearray(STEP))  # what is on the heap comes to lie behind it
        found.append([encode_png(image) for image in images])

    for place in range(PLACES):
        threading.stack_size((4 + place % 50) * STEP)
        thread = threading.Thread(target=encode)
        thread.start()
        thread.join()
    differing = [number for number, made in enumerate(zip(*found, strict=True)) if len({*made}) > 1]
    assert len(found) == PLACES
    assert differing == []
