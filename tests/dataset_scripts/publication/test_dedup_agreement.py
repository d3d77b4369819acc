"""When two pictures count as the same, on tiles and hashes by hand."""

import numpy as np
import pytest
from PIL import Image

from cephalo.dataset_scripts.publication.dedup_images import agree, alike, tiles_of, without_margins


def tiles_with(correlations: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Two pictures' tiles, (1, 16, 4) each, of these correlations; the others of 1."""
    one = np.tile(np.array([1.0, 1.0, -1.0, -1.0]), (1, 16, 1))
    across = np.tile(np.array([1.0, -1.0, 1.0, -1.0]), (1, 16, 1))
    wanted = np.ones((1, 16, 1))
    wanted[0, : len(correlations), 0] = correlations
    return one, wanted * one + np.sqrt(1 - wanted**2) * across


def agreed(correlations, deviation=None, deviations=None) -> bool:
    first, second = tiles_with(correlations)
    usual = np.full((1, 16), 9.0)
    given = [usual if one is None else np.array([one], float) for one in (deviation, deviations)]
    found = agree(first, given[0], second, given[1])
    assert found.shape == (1,) and found.dtype == bool
    return bool(found[0])


@pytest.mark.parametrize("low", [0.0, 0.49, -1.0])
def test_a_quarter_of_the_tiles_may_differ(low):
    assert agreed([])
    assert agreed([low] * 3)
    assert not agreed([low] * 5)


def test_the_lower_quartile_lies_between_tiles():
    """Of 16 values it is three quarters of the way from the fourth lowest to the fifth."""
    assert agreed([0.2, 0.2, 0.2, 0.44, 0.53])
    assert not agreed([0.2, 0.2, 0.2, 0.40, 0.53])
    assert agreed([0.5] * 16) and not agreed([0.499] * 16)


def test_tiles_flat_in_both_are_passed_over_and_those_flat_in_one_are_not():
    flat, drawn = [3.9] * 8 + [9.0] * 8, [9.0] * 16
    assert agreed([0.0] * 8, flat, flat)
    assert not agreed([0.0] * 8, flat, drawn) and not agreed([0.0] * 8, drawn, flat)
    assert not agreed([0.0] * 8, [4.0] * 8 + [9.0] * 8, flat)
    # Of the eight that are seen, a quarter may differ.
    assert agreed([0.0] * 9, flat, flat) and not agreed([0.0] * 11, flat, flat)
    # Two pictures without anything seen are not the same.
    assert not agreed([], [3.9] * 16, [3.9] * 16)


def test_many_pictures_are_compared_with_one():
    first, second = tiles_with([])
    other = tiles_with([-1.0] * 16)[1]
    deviation = np.full((2, 16), 9.0)
    found = agree(np.concatenate([second, other]), deviation, first, deviation[:1])
    assert found.tolist() == [True, False]


def test_tiles_have_mean_0_and_deviation_1():
    pixels = np.zeros((1, 32, 32), np.uint8)
    pixels[0, :8, 8:12], pixels[0, 8:16, :8] = 200, 77
    tiles, deviation = tiles_of(pixels)
    assert tiles.shape == (1, 16, 64) and deviation.shape == (1, 16)
    assert deviation[0].tolist() == [0, 100, *[0] * 14]
    assert tiles[0, 1].reshape(8, 8)[:, :4].tolist() == [[1.0] * 4] * 8
    assert tiles[0, 1].reshape(8, 8)[:, 4:].tolist() == [[-1.0] * 4] * 8
    assert not tiles[0, [0, *range(2, 16)]].any()
    both, deviations = tiles_of(np.concatenate([pixels[:, ::-1], pixels]))
    assert np.array_equal(both[1:], tiles) and np.array_equal(deviations[1:], deviation)
    assert deviations[0].tolist() == [0] * 13 + [100, 0, 0]


def test_pictures_are_alike_by_hash_and_aspect():
    hashes = np.array([0, 2**16 - 1, 2**17 - 1], np.uint64)
    one, other = alike(hashes[:1], np.array([1.0]), hashes, np.ones(3))
    assert (one.tolist(), other.tolist()) == ([0, 0], [0, 1])
    aspects = np.array([1.1, 1.11, 1 / 1.1, 1 / 1.11, 1.0])
    one, other = alike(hashes[[2, 0]], np.ones(2), np.zeros(5, np.uint64), aspects)
    assert (one.tolist(), other.tolist()) == ([1, 1, 1], [0, 2, 4])


def test_aspects_are_compared_by_their_ratio():
    none = np.zeros(4, np.uint64)
    one, other = alike(none[:2], np.array([2.0, 0.5]), none, np.array([2.19, 2.21, 0.46, 0.45]))
    assert (one.tolist(), other.tolist()) == ([0, 1], [0, 2])


def test_margins_are_cut_where_they_differ_from_what_is_drawn():
    levels = np.full((20, 30), 250, np.uint8)
    levels[3:11, 5:25] = 250 - 32
    assert without_margins(Image.fromarray(levels)).size == (30, 20)
    levels[4:10, 6:24] = 250 - 33
    cut = without_margins(Image.fromarray(levels))
    assert cut.size == (18, 6) and np.asarray(cut).max() == 217


@pytest.mark.parametrize("turns", range(4))
def test_one_edge_of_four_is_no_margin(turns):
    levels = np.zeros((20, 20), np.uint8)
    levels[0] = levels[5:9, 7:9] = 250
    cut = without_margins(Image.fromarray(np.rot90(levels, turns)))
    assert cut.size == ((20, 9) if turns % 2 == 0 else (9, 20))


@pytest.mark.parametrize("turns", range(4))
def test_a_margin_has_the_colour_of_most_of_the_four_edges(turns):
    levels = np.zeros((20, 20), np.uint8)
    levels[[0, -1]] = levels[:, 0] = 250
    levels[1:-1, -1] = 0
    cut = without_margins(Image.fromarray(np.rot90(levels, turns)))
    assert cut.size == ((19, 18) if turns % 2 == 0 else (18, 19))
