"""Local features of a picture: what is left of it in a crop, a panel or a joined figure.

SIFT keypoints on the picture at a fixed size, each with 128 signs of its descriptor's principal
components. The components are fitted on figures (`python -m benchmarks.copies.fit`) under the
constraint that a mirrored picture only changes the signs of known ones. So mirrored copies are
found by an exclusive or, without a second look at the picture.
"""

import functools
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

KEYPOINTS = 300  # of a picture of `AREA`, in proportion of another
# Pixels at which a picture is looked at: 256 x 256 for a figure as wide as a column, and in
# proportion for another, so that a crop or a panel is seen at the scale of the whole.
AREA, COLUMN_AREA = 65_536, 400_000
SMALLEST, LARGEST = 0.45, 1.7  # times `AREA`
FEWEST = 0.6  # times `KEYPOINTS`
# SIFT's thresholds: faint lines count too, and where a line bends but little.
CONTRAST, EDGE = 0.01, 25
KEY_BITS = 48

# The order of SIFT's 4 x 4 x 8 bins in a mirrored picture: rows reversed, directions negated.
_BINS = np.arange(128).reshape(4, 4, 8)
MIRRORED = _BINS[::-1][:, :, -np.arange(8) % 8].ravel()


class Local(NamedTuple):
    """A picture's local features, strongest first.

    `points` (n, 4) float32: x, y, diameter in pixels of `picture`, and angle in radians; `signs`
    (n, 16) uint8: 128 bits; `picture` (height, width) uint8 grey levels.
    """

    points: np.ndarray
    signs: np.ndarray
    picture: np.ndarray


class Components(NamedTuple):
    """Principal components of RootSIFT descriptors: `mean` (128,), `vectors` (128, 128) in
    columns, `antisymmetric` (128,) bool, those whose sign changes in a mirrored picture."""

    mean: np.ndarray
    vectors: np.ndarray
    antisymmetric: np.ndarray


@functools.cache
def components() -> Components:
    """The components that are shipped."""
    with resources.files("cephalo.dataset_scripts").joinpath("components.npz").open("rb") as file:
        stored = np.load(file)
        return Components(
            stored["mean"].astype(np.float32),
            stored["vectors"].astype(np.float32),
            stored["antisymmetric"],
        )


@functools.cache
def mirror_mask() -> np.ndarray:
    """The bits of `Local.signs` that change in a mirrored picture, (16,) uint8."""
    return np.packbits(components().antisymmetric)


def local_features(grey: Image.Image) -> Local:
    """The local features of an image of mode "L"."""
    picture = working_picture(grey)
    keypoints = round(KEYPOINTS * max(share_of(grey.width * grey.height), FEWEST))
    found, descriptors = detector(keypoints).detectAndCompute(picture, None)
    if not found:
        return Local(np.empty((0, 4), np.float32), np.empty((0, 16), np.uint8), picture)
    order = sorted(range(len(found)), key=lambda one: (-found[one].response, found[one].pt))
    points = [(*found[one].pt, found[one].size, np.deg2rad(found[one].angle)) for one in order]
    signs = signs_of(descriptors[order])
    return Local(np.array(points, np.float32), signs, picture)


def share_of(area: int) -> float:
    """How many times `AREA` a picture of so many pixels is looked at."""
    return min(max(area / COLUMN_AREA, SMALLEST), LARGEST)


def working_picture(grey: Image.Image) -> np.ndarray:
    """The grey levels of an image of mode "L" at the size at which it is looked at, uint8."""
    area = grey.width * grey.height
    factor = min(1.0, (AREA * share_of(area) / area) ** 0.5)
    # Strips narrower than what SIFT looks at are widened.
    size = max(16, round(grey.width * factor)), max(16, round(grey.height * factor))
    return np.asarray(grey.resize(size, Image.Resampling.BOX))


@functools.cache
def detector(keypoints: int) -> Any:
    """SIFT with so many keypoints, on one thread: processes share the cores."""
    import cv2

    cv2.setNumThreads(1)
    return cv2.SIFT_create(nfeatures=keypoints, contrastThreshold=CONTRAST, edgeThreshold=EDGE)


def root_sift(descriptors: np.ndarray) -> np.ndarray:
    """SIFT descriptors (n, 128) of length 1 under the Hellinger kernel (Arandjelović and
    Zisserman, CVPR 2012), float32."""
    shares = descriptors.astype(np.float32)
    return np.sqrt(shares / np.maximum(shares.sum(1, keepdims=True), 1e-6))


def signs_of(descriptors: np.ndarray) -> np.ndarray:
    """The signs of the principal components of (n, 128) descriptors, (n, 16) uint8."""
    fitted = components()
    return np.packbits((root_sift(descriptors) - fitted.mean) @ fitted.vectors > 0, axis=1)


def keys_of(signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A number of `KEY_BITS` bits for each keypoint, (n,) uint64, and whether it is that of the
    mirrored keypoint, (n,) bool.

    Its first bits are the most certain ones. It is the lower of the keypoint's own and the
    mirrored one's, so mirrored copies have equal numbers.
    """
    own, mirrored = (leading_bits(bits) for bits in (signs, signs ^ mirror_mask()))
    return np.minimum(own, mirrored), mirrored < own


def leading_bits(signs: np.ndarray) -> np.ndarray:
    """The first `KEY_BITS` bits as (n,) uint64."""
    padded = np.zeros((len(signs), 8), np.uint8)
    padded[:, 8 - KEY_BITS // 8 :] = signs[:, : KEY_BITS // 8]
    return padded.view(">u8")[:, 0].astype(np.uint64)
