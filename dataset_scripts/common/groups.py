"""Connected components of numbered items."""

from array import array

import numpy as np

PART = 1_000_000  # numbers processed at a time


class Groups:
    """A disjoint-set forest over the numbers 0 to `size` - 1, at 4 bytes each.

    The lowest number of a group represents it.
    """

    def __init__(self, size: int) -> None:
        self._parents = array("i", np.arange(size, dtype=np.int32).tobytes())

    def find(self, number: int) -> int:
        """Return the representative of the group of a number."""
        parents = self._parents
        while (parent := parents[number]) != number:
            parents[number] = number = parents[parent]
        return number

    def merge(self, one: int, other: int) -> None:
        """Merge two groups."""
        one, other = self.find(one), self.find(other)
        self._parents[max(one, other)] = min(one, other)

    def roots(self) -> np.ndarray:
        """`find` of every number, (size,) int32, in place."""
        parents = np.frombuffer(self._parents, np.int32)
        # No parent is above its number, so those of earlier parts are roots already.
        for start in range(0, len(parents), PART):
            some = parents[start : start + PART]
            while ((above := parents[some]) != some).any():
                some[:] = above
        return parents
