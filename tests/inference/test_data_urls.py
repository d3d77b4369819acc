"""Images that are sent unchanged, and those that must not be."""

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from cephalo.cli.errors import CephaloError
from cephalo.inference.data_urls import data_url

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
