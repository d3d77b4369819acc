"""Predict the displayed colours of an embedded image without rendering it.

pdfium decodes the whole image and transforms each pixel by its colour profile, which takes up to a
second for a table profile. A sample of the pixels is sufficient if the page only applies the
profile, or nothing at all.
"""

import ctypes
import io
import mmap
import re
from functools import lru_cache
from pathlib import Path

import pypdfium2.raw as pdfium
from PIL import Image, ImageCms

from cephalo.dataset_scripts.pdf import pdfium as fast

_HEAD = 1024  # bytes; the dictionary of an image without masks has about 200
_NAME = re.compile(rb"/([^\s/<>\[\]()]*)")
# Names in the dictionary of an image that is displayed as its JPEG and profile specify: no mask, no
# /Decode, no /DecodeParms.
_HARMLESS = frozenset(
    b"Type XObject Subtype Image Width Height BitsPerComponent ColorSpace ICCBased DeviceRGB "
    b"DeviceGray Filter DCTDecode Length Metadata Interpolate Intent Perceptual "
    b"RelativeColorimetric Name X".split()
)
_PLAIN = (pdfium.FPDF_COLORSPACE_DEVICEGRAY, pdfium.FPDF_COLORSPACE_DEVICERGB)
_MOST_BYTES = 4 << 20  # of a profile; printer profiles have about a megabyte


def shown_colours(
    path: Path, page: fast.Page, jpeg: bytes, image: fast.Handle, sample: Image.Image
) -> Image.Image | None:
    """Return the displayed colours of a sample of an embedded image.

    Args:
        path: PDF file.
        page: Page of pdfium.
        jpeg: JPEG file of the image.
        image: Handle of the image object.
        sample: Pixels of the image, RGB.

    Returns:
        The sample in sRGB, or `None` if the page may do more than apply a profile: the image is
        clipped or covered, or the dictionary of its stream requires it or is not found. Transfer
        functions, which are for printers, are ignored.
    """
    facts = pdfium.FPDF_IMAGEOBJ_METADATA()
    pdfium.FPDFImageObj_GetImageMetadata(image, page.handle, facts)
    profiled = facts.colorspace == pdfium.FPDF_COLORSPACE_ICCBASED and facts.bits_per_pixel == 24
    if not profiled and facts.colorspace not in _PLAIN:
        return None
    names = _dictionary_names(path, jpeg) if _is_bare(page, image) else None
    if names is None or not names <= _HARMLESS:
        return None
    if not profiled:
        return sample
    size = ctypes.c_size_t()
    pdfium.FPDFImageObj_GetIccProfileDataDecoded(image, page.handle, None, 0, size)
    if not 0 < size.value <= _MOST_BYTES:
        return None
    profile = (ctypes.c_ubyte * size.value)()
    pdfium.FPDFImageObj_GetIccProfileDataDecoded(image, page.handle, profile, size, size)
    transform = _to_srgb(bytes(profile))
    return transform and ImageCms.applyTransform(sample, transform)


@lru_cache(maxsize=4)
def _to_srgb(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from an RGB profile to sRGB as in pdfium, `None` for other profiles."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        return ImageCms.buildTransform(source, target, "RGB", "RGB")
    except (ImageCms.PyCMSError, OSError, ImportError):
        return None


def _is_bare(page: fast.Page, image: fast.Handle) -> bool:
    """Return whether an image has no clip and nothing is drawn over it."""
    handle = ctypes.cast(image, ctypes.c_void_p).value
    clip = fast.object_clip(handle)
    if clip and fast.clip_count(clip) > 0:
        return False
    sides = (ctypes.c_float * 4)()
    at = [ctypes.addressof(sides) + 4 * k for k in range(4)]
    fast.object_bounds(handle, *at)
    left, bottom, right, top = sides
    for number in reversed(range(fast.count_objects(page.handle))):
        other = fast.get_object(page.handle, number)
        if other == handle:
            return True
        if not fast.object_bounds(other, *at):
            return False
        if sides[0] < right and sides[2] > left and sides[1] < top and sides[3] > bottom:
            return False
    return False


def _dictionary_names(path: Path, jpeg: bytes) -> set[bytes] | None:
    """Return the names in the dictionary of the stream with the bytes of `jpeg`.

    `None` if the file has no such stream, for example because it is encrypted, or several.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            start = data.find(jpeg)
            if start < 0 or data.find(jpeg, start + 1) >= 0:
                return None
            head = data[max(0, start - _HEAD) : start]
    except (OSError, ValueError):
        return None
    _, begin, entries = head.rpartition(b" obj")
    if not begin or not entries.rstrip().endswith(b"stream"):
        return None
    return set(_NAME.findall(entries))
