"""Pixels: encoding, ink and hashes."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from cephalo.dataset_scripts.common.pixels import (
    compact,
    encode_png,
    ink_box,
    perceptual_hash,
    pixel_hash,
)

pictures = st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)).flatmap(
    lambda shape: arrays(np.uint8, shape)
)


@given(pictures)
def test_png_keeps_every_pixel(pixels):
    decoded = Image.open(io.BytesIO(encode_png(pixels)))
    assert np.array_equal(np.asarray(decoded.convert("RGB")), pixels)


def test_grey_pictures_are_stored_as_grey():
    grey = np.repeat(np.arange(200, dtype=np.uint8).reshape(10, 20, 1), 3, axis=2)
    assert Image.open(io.BytesIO(encode_png(compact(grey)))).mode == "L"
    grey[5, 5, 0] += 1
    assert Image.open(io.BytesIO(encode_png(compact(grey)))).mode == "RGB"


@given(st.integers(0, 59), st.integers(0, 59), st.integers(1, 60), st.integers(1, 60))
def test_ink_box_is_the_box_of_the_ink(left, top, width, height):
    pixels = np.full((120, 120, 3), 255, np.uint8)
    pixels[top : top + height, left : left + width] = 0
    assert ink_box(pixels) == (left, top, left + width, top + height)


def test_ink_box_of_white_is_none():
    assert ink_box(np.full((20, 30, 3), 250, np.uint8)) is None


def test_pixel_hash_tells_shape_and_values():
    pixels = np.zeros((4, 6, 3), np.uint8)
    assert pixel_hash(pixels) != pixel_hash(pixels.reshape(6, 4, 3))
    assert pixel_hash(pixels) == pixel_hash(pixels.copy())


def test_perceptual_hash_survives_scaling_and_tells_pictures_apart():
    rng = np.random.default_rng(0)
    small = np.kron(rng.integers(0, 255, (8, 8, 1)), np.ones((32, 32, 3))).astype(np.uint8)
    other = np.kron(rng.integers(0, 255, (8, 8, 1)), np.ones((32, 32, 3))).astype(np.uint8)
    large = np.asarray(Image.fromarray(small).resize((512, 512)))
    hashes = [int(perceptual_hash(p), 16) for p in (small, large, other)]
    assert (hashes[0] ^ hashes[1]).bit_count() <= 10
    assert (hashes[0] ^ hashes[2]).bit_count() >= 20
    assert len(perceptual_hash(small)) == 16


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("row", [0, 151, 599])
def test_one_coloured_pixel_of_a_large_picture_keeps_its_colour(row, channel):
    levels = np.random.default_rng(0).integers(0, 255, (600, 900, 1), np.uint8)
    pixels = np.repeat(levels, 3, axis=2)
    assert np.array_equal(compact(pixels), levels)
    pixels[row, 899, channel] += 1
    assert np.array_equal(compact(pixels), pixels)
