"""Fit the principal components of local features.

    python -m benchmarks.copies.fit FOLDER...

FOLDER is an output folder of `cephalo extract` that is not used for measuring. Writes
`dataset_scripts/publication/components.npz`.
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from cephalo.dataset_scripts.common.shards import read_rows
from cephalo.dataset_scripts.common.tables import find_tables
from cephalo.dataset_scripts.publication import local_features
from cephalo.dataset_scripts.publication.dedup_images import open_grey
from cephalo.dataset_scripts.publication.local_features import (
    KEYPOINTS,
    MIRRORED,
    detector,
    root_sift,
)


def main() -> None:
    """Fit the components on all figures of the folders, and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="folders of `cephalo extract`")
    shards = find_tables(parser.parse_args().folders)["figures"]
    found = []
    for row in tqdm(read_rows(shards, ["image"]), unit=" figures", disable=None):
        picture = local_features.working_picture(open_grey(row["image"]["bytes"], "a figure"))
        descriptors = detector(KEYPOINTS).detectAndCompute(picture, None)[1]
        if descriptors is not None:
            found.append(root_sift(descriptors))
    path = Path(local_features.__file__).with_name("components.npz")
    np.savez_compressed(path, **fit(np.concatenate(found)))
    print(f"fitted on {sum(map(len, found))} keypoints; wrote {path}")


def fit(descriptors: np.ndarray) -> dict[str, np.ndarray]:
    """Return the `Components` of RootSIFT descriptors (n, 128) and their mirror images, by name."""
    mean = descriptors.mean(0)
    mean = (mean + mean[MIRRORED]) / 2
    centred = descriptors - mean
    covariance = centred.T @ centred / len(centred)
    covariance = (covariance + covariance[MIRRORED][:, MIRRORED]) / 2
    vectors = np.linalg.eigh(covariance)[1][:, ::-1]
    # The covariance is invariant under mirroring, so each eigenvector is symmetric or
    # antisymmetric.
    antisymmetric = (vectors * vectors[MIRRORED]).sum(0) < 0
    return {
        "mean": mean.astype(np.float16),
        "vectors": vectors.astype(np.float16),
        "antisymmetric": antisymmetric,
    }


if __name__ == "__main__":
    main()
