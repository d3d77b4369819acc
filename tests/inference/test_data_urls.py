"""Images that are sent unchanged, and those that must not be."""

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from cephalo.cli.errors import CephaloError
from cephalo.inference.data_urls import data_url, shrunk

ORIENTATION, CLOCKWISE = 0x0112, 6
GREY = np.arange(40 * 20, dtype=np.uint8).reshape(20, 40)


def png(**options) -> bytes:
    out = io.BytesIO()
    Image.fromarray(GREY).save(out, "PNG", **options)
    return out.getvalue()


def sent(data: bytes) -> bytes:
    return base64.b64decode(data_url(data, 256).partition(b"base64,")[2])


def turned_by_exif() -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = CLOCKWISE
    return png(exif=exif)


def turned_after_pixels() -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = CLOCKWISE
    content = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(content) - 4) + content
    chunk += struct.pack(">I", zlib.crc32(content))
    plain, end = png(), 12  # bytes of the last chunk
    return plain[:-end] + chunk + plain[-end:]


def turned_by_xmp() -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", f'<x tiff:Orientation="{CLOCKWISE}"/>')
    return png(pnginfo=texts)


def test_a_plain_image_is_sent_unchanged():
    assert sent(png()) == png()


@pytest.mark.parametrize("make", [turned_by_exif, turned_after_pixels, turned_by_xmp])
def test_a_png_is_sent_upright_wherever_it_names_its_orientation(make):
    shown = Image.open(io.BytesIO(sent(make())))
    assert np.array_equal(np.asarray(shown.convert("L")), np.rot90(GREY, -1))
    assert shown.getexif().get(ORIENTATION, 1) == 1


def test_a_cut_or_changed_png_is_refused():
    with pytest.raises(CephaloError, match="the image is broken"):
        data_url(png()[:-30], 256)
    changed = bytearray(png())
    changed[changed.index(b"IDAT") + 20] ^= 255
    with pytest.raises(CephaloError, match="the image is broken"):
        data_url(bytes(changed), 256)


@pytest.mark.parametrize("edge", [400, 460, 560, 640])
def test_thin_lines_stay_when_an_image_is_shrunk(edge):
    pixels = np.full((240, 700, 3), 255, np.uint8)
    pixels[20:220, 3::11] = 0  # lines of one pixel, at all phases of the new pixels
    image = Image.fromarray(pixels)
    small = np.asarray(shrunk(image, edge))[..., 0].astype(float)
    assert small.shape == (round(240 * edge / 700), edge)
    rows = 255 - small[small.shape[0] // 4 : -small.shape[0] // 4]
    # Every line keeps its ink, spread over two or three pixels.
    drawn = range(3, 700, 11)
    inks = [
        rows[:, max(0, round((x + 0.5) * edge / 700) - 2) :][:, :4].sum(axis=1).mean()
        for x in drawn
    ]
    assert np.allclose(inks, 255 * edge / 700, rtol=0.2)
    wide = Image.Resampling.LANCZOS
    exact = np.asarray(image.resize(small.shape[::-1], wide))[..., 0].astype(float)
    assert np.sqrt(np.mean((small - exact) ** 2)) < 12


def test_an_image_far_larger_than_the_edge_becomes_means_of_areas():
    pixels = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6).repeat(3, axis=1).repeat(3, axis=0)
    image = Image.fromarray(np.stack([pixels] * 3, axis=-1))
    assert np.array_equal(np.asarray(shrunk(image, 6))[..., 0], pixels[::3, ::3])
