"""Compute local features of an image, which survive in crops, panels and joined figures.

SIFT keypoints and corners are computed on the image at a fixed size, each with the signs of the 128
principal components of its SIFT descriptor. The components are fitted on figures (`python -m
benchmarks.copies.fit`) under the constraint that mirroring only changes the signs of known ones.
Mirrored copies are thus found by an exclusive or, without processing the image again.
"""

import functools
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import cv2

KEYPOINTS = 300  # of an image of `AREA`, proportional for others
# Pixels of the working size: 256 x 256 for a figure as wide as a column, and proportional for
# others, so that a crop or a panel has the scale of the whole.
AREA, COLUMN_AREA = 65_536, 400_000
SMALLEST, LARGEST = 0.45, 1.7  # times `AREA`
FEWEST = 0.6  # times `KEYPOINTS`
# SIFT's thresholds include faint and slightly curved lines. With a contrast below 6 / 255 OpenCV
# refines each speck of a flat background, which takes half as long again.
CONTRAST, EDGE = 0.024, 25
# Corners in addition, for line drawings, where SIFT finds little but letters and hatching: their
# number in an image of `AREA`; the minimum strength relative to the strongest; the minimum distance
# in pixels; and the side in pixels of the search window.
CORNERS, CORNER_QUALITY, CORNER_DISTANCE, CORNER_BLOCK = 60, 0.02, 5, 5
# Diameters in pixels of what is described around each, with SIFT's octave and layer of that blur.
CORNER_SIZES = ((6.4, 0, 3), (12.8, 1, 3))
CORNER_BLUR = 3.5  # pixels, of the gradient whose direction is a corner's angle
KEY_BITS = 48
# For each order, the bytes of the signs whose bits form a keypoint's number, the first ones first:
# a bit that differs between copies is late in one of the orders.
KEY_BYTES = ((0, 1, 2, 3, 4, 5), (2, 3, 4, 5, 0, 1), (4, 5, 6, 7, 0, 1))

# The order of SIFT's 4 x 4 x 8 bins in a mirrored image: rows reversed, directions negated.
_BINS = np.arange(128).reshape(4, 4, 8)
MIRRORED = _BINS[::-1][:, :, -np.arange(8) % 8].ravel()


class Local(NamedTuple):
    """The local features of an image: SIFT's keypoints, strongest first, and corners.

    Attributes:
        points: (n, 4) float32: x, y, diameter in pixels of `picture`, and angle in radians.
        signs: (n, 16) uint8: 128 bits.
        picture: (height, width) uint8 grey levels at the working size.
        indexed: Number of points that the index uses; corners are too similar for it.
    """

    points: np.ndarray
    signs: np.ndarray
    picture: np.ndarray
    indexed: int


class Components(NamedTuple):
    """Principal components of RootSIFT descriptors: `mean` (128,), `vectors` (128, 128) in
    columns, `antisymmetric` (128,) bool, those whose sign changes in a mirrored picture."""

    mean: np.ndarray
    vectors: np.ndarray
    antisymmetric: np.ndarray


@functools.cache
def components() -> Components:
    """Return the packaged components."""
    with (
        resources.files("cephalo.dataset_scripts.publication")
        .joinpath("components.npz")
        .open("rb") as file
    ):
        stored = np.load(file)
        return Components(
            stored["mean"].astype(np.float32),
            stored["vectors"].astype(np.float32),
            stored["antisymmetric"],
        )


@functools.cache
def mirror_mask() -> np.ndarray:
    """Return the bits of `Local.signs` that change in a mirrored image, (16,) uint8."""
    return np.packbits(components().antisymmetric)


def local_features(grey: Image.Image) -> Local:
    """Compute the local features of an image of mode "L"."""
    picture = working_picture(grey)
    share = max(share_of(grey.width * grey.height), FEWEST)
    wanted = round(KEYPOINTS * share)
    sift = detector(wanted)
    found, descriptors = sift.detectAndCompute(picture, None)
    order = sorted(range(len(found)), key=lambda one: (-found[one].response, found[one].pt))
    # Corners are described separately, on the image at its working size; SIFT doubles it for its
    # keypoints. If SIFT finds the maximum number, corners found no further crop or panel of 201
    # figures.
    beside = corners(picture, round(CORNERS * share)) if len(found) < wanted else []
    others, other_descriptors = sift.compute(picture, beside) if beside else ((), None)
    all_descriptors = [
        some
        for some in (descriptors[order] if found else None, other_descriptors)
        if some is not None
    ]
    if not all_descriptors:
        return Local(np.empty((0, 4), np.float32), np.empty((0, 16), np.uint8), picture, 0)
    points = [
        (*one.pt, one.size, np.deg2rad(one.angle)) for one in (*(found[n] for n in order), *others)
    ]
    signs = signs_of(np.concatenate(all_descriptors))
    return Local(np.array(points, np.float32), signs, picture, len(found))


def corners(picture: np.ndarray, count: int) -> "list[cv2.KeyPoint]":
    """Return the `count` strongest corners of an image, as OpenCV keypoints of all
    `CORNER_SIZES`."""
    import cv2

    places = cv2.goodFeaturesToTrack(
        picture, count, CORNER_QUALITY, CORNER_DISTANCE, blockSize=CORNER_BLOCK
    )
    if places is None:
        return []
    levels = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), CORNER_BLUR)
    across, down = cv2.Sobel(levels, cv2.CV_32F, 1, 0), cv2.Sobel(levels, cv2.CV_32F, 0, 1)
    columns, rows = places[:, 0].astype(np.int64).T
    angles = np.rad2deg(np.arctan2(down[rows, columns], across[rows, columns])) % 360
    return [
        cv2.KeyPoint(x, y, size, angle, 0, octave | layer << 8)
        for (x, y), angle in zip(places[:, 0].tolist(), angles.tolist(), strict=True)
        for size, octave, layer in CORNER_SIZES
    ]


def share_of(area: int) -> float:
    """Return the working size of an image of `area` pixels, as a multiple of `AREA`."""
    return min(max(area / COLUMN_AREA, SMALLEST), LARGEST)


def working_picture(grey: Image.Image) -> np.ndarray:
    """Return the grey levels of an image of mode "L" at its working size, uint8."""
    area = grey.width * grey.height
    factor = min(1.0, (AREA * share_of(area) / area) ** 0.5)
    # Strips narrower than SIFT's minimum are padded.
    size = max(16, round(grey.width * factor)), max(16, round(grey.height * factor))
    return np.asarray(grey.resize(size, Image.Resampling.BOX))


@functools.cache
def detector(keypoints: int) -> "cv2.SIFT":
    """Create a SIFT detector on one thread, since processes share the cores."""
    import cv2

    cv2.setNumThreads(1)
    create = cv2.SIFT.create
    return create(nfeatures=keypoints, contrastThreshold=CONTRAST, edgeThreshold=EDGE)


def root_sift(descriptors: np.ndarray) -> np.ndarray:
    """Return SIFT descriptors (n, 128) of length 1 under the Hellinger kernel (Arandjelović and
    Zisserman, CVPR 2012), float32."""
    shares = descriptors.astype(np.float32)
    return np.sqrt(shares / np.maximum(shares.sum(1, keepdims=True), 1e-6))


def signs_of(descriptors: np.ndarray) -> np.ndarray:
    """Return the signs of the principal components of (n, 128) descriptors, (n, 16) uint8."""
    fitted = components()
    return np.packbits((root_sift(descriptors) - fitted.mean) @ fitted.vectors > 0, axis=1)


def keys_of(signs: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a number of `KEY_BITS` bits for each keypoint, (n,) uint64, in an order of the bits,
    and whether it is that of the mirrored keypoint, (n,) bool.

    The first bits of order 0 are the most reliable ones. The number is the lower one of the
    keypoint's own and the mirrored one's, so mirrored copies have equal numbers.
    """
    own, mirrored = (key_bits(bits, order) for bits in (signs, signs ^ mirror_mask()))
    return np.minimum(own, mirrored), mirrored < own


def key_bits(signs: np.ndarray, order: int) -> np.ndarray:
    """Return the `KEY_BITS` bits of an order as (n,) uint64."""
    padded = np.zeros((len(signs), 8), np.uint8)
    padded[:, 8 - KEY_BITS // 8 :] = signs[:, KEY_BYTES[order]]
    return padded.view(">u8")[:, 0].astype(np.uint64)
