"""Crops, panels, mirrored and joined copies across documents are linked; strangers are not."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps
from test_dedup import plot, row, write

from benchmarks.copies.__main__ import kept_out
from benchmarks.copies.alterations import ALTERATIONS, beside
from benchmarks.copies.strangers import fibres, with_data_bar
from benchmarks.copies.strangers import plot as framed_plot
from benchmarks.copies.templates import TEMPLATES
from cephalo.dataset_scripts.common.tables import find_tables
from cephalo.dataset_scripts.publication.dedup import select_rows
from cephalo.dataset_scripts.publication.local_differences import different_share
from cephalo.dataset_scripts.publication.local_features import KEY_BYTES, keys_of, local_features
from cephalo.dataset_scripts.publication.local_index import (
    CANDIDATES,
    EITHER,
    VOTE,
    best_of,
    decode,
    encode,
)
from cephalo.dataset_scripts.publication.local_match import (
    likely_transforms,
    match,
    same_picture,
    shows_part,
)
from cephalo.dataset_scripts.publication.local_overlay import ROUGH, lay_over

# Drawings whose tiles agree under a transform: what differs is a part of each tile.
PAIRS_ALIKE = {
    "one curve": (128, 185, 3, 58, 70, 115, 21, 50),
    "block diagrams": (18, 175, 70, 149),
}


def linked(folder: Path, images: list[Image.Image], workers: int = 1) -> list[tuple[int, int]]:
    """The pairs of images that are linked, each in a document of its own, under another caption."""
    rows = [row(n, image, f"Plate {n} of series {n} alone") for n, image in enumerate(images)]
    tables = find_tables([write(folder, "figures", rows)])
    compared = folder / f"compared-{workers}"
    with closing(select_rows(compared, tables, workers=workers)) as selection:
        return list(selection.links())


@pytest.fixture(scope="module")
def figure() -> Image.Image:
    return plot(1, (640, 480))


@pytest.mark.parametrize(
    "name", ["cropped by 10 %", "turned by 90°", "mirrored", "15 % wider", "review copy"]
)
def test_a_copy_is_laid_over_its_original(figure, name):
    one, other = (
        local_features(image.convert("L")) for image in (figure, ALTERATIONS[name](figure))
    )
    assert shows_part(one, other) and shows_part(other, one)
    assert not shows_part(one, other, [name != "mirrored"])


def test_a_crop_with_few_keypoints_is_found():
    image = framed_plot(np.random.default_rng((9, 700)))
    one, other = (
        local_features(picture.convert("L"))
        for picture in (image, ALTERATIONS["cropped by 20 %"](image))
    )
    assert shows_part(one, other, [False])


@pytest.mark.parametrize("name", ["tables", "block diagrams", "one curve", "hatched bars"])
def test_pictures_of_one_template_show_no_part_of_each_other(name):
    one, other, third = (
        local_features(TEMPLATES[name](np.random.default_rng(seed)).convert("L"))
        for seed in (501, 502, 503)
    )
    assert not any(shows_part(*pair, [False]) for pair in ((one, other), (other, third)))


def test_curves_a_pixel_apart_are_no_copies():
    """The nearest of 200 plots of one curve: less than a pixel lies between the curves."""
    plots = (TEMPLATES["one curve"](np.random.default_rng((3000, seed))) for seed in (15, 74))
    one, other = (local_features(image.convert("L")) for image in plots)
    assert different_share(one, other, np.eye(2, 3)) > 0.018
    assert not shows_part(one, other) and not same_picture(one, other)


@pytest.mark.parametrize("size, share", [(10, 0.0), (60, 0.02)])
def test_one_letter_may_differ_and_no_more(figure, size, share):
    changed = figure.copy()
    ImageDraw.Draw(changed).rectangle([300, 200, 300 + size, 200 + size], "white", "black", 3)
    one, other = (local_features(image.convert("L")) for image in (figure, changed))
    found = different_share(one, other, np.eye(2, 3))
    assert found == 0 if share == 0 else found > share
    assert same_picture(one, other) == (share == 0)


@pytest.mark.parametrize("name", ["one curve", "block diagrams"])
def test_drawings_of_one_template_link_no_documents(name, tmp_path):
    drawn = [TEMPLATES[name](np.random.default_rng((3000, seed))) for seed in PAIRS_ALIKE[name]]
    assert linked(tmp_path, drawn) == []


def test_a_crop_of_a_fifth_is_linked(figure, tmp_path):
    assert linked(tmp_path, [figure, ALTERATIONS["cropped by 20 %"](figure)]) == [(0, 1)]


def test_parts_link_their_documents_in_any_number_of_processes(figure, tmp_path):
    others = [plot(seed, (640, 480)) for seed in (2, 3)]
    images = [
        figure,
        *others,
        beside(figure, plot(4, (640, 480))),
        ImageOps.mirror(figure.crop((0, 0, 500, 400))),
        others[0].rotate(90, expand=True),
    ]
    assert sorted(linked(tmp_path / "one", images)) == [(0, 3), (0, 4), (1, 5), (3, 4)]
    again = linked(tmp_path / "one", images, workers=2)
    assert sorted(again) == [(0, 3), (0, 4), (1, 5), (3, 4)]


def test_the_benchmark_tells_copies_that_are_kept_out_from_others():
    """Of three figures the second is kept out; joined with the next, two copies show it."""
    rows = [row(n, plot(n, (480, 360)), f"Plate {n} of series {n} alone") for n in range(3)]
    assert kept_out(rows, "joined, left").split() == ["2", "1.000", "1", "0"]


def test_a_shared_data_bar_or_frame_links_no_strangers(tmp_path):
    images = [with_data_bar(fibres(np.random.default_rng(seed))) for seed in range(5)]
    images += [framed_plot(np.random.default_rng(seed)) for seed in range(5)]
    assert linked(tmp_path, images) == []


def test_curves_in_one_frame_differ_side_by_side():
    one, other = (
        local_features(framed_plot(np.random.default_rng(n)).convert("L")) for n in range(2)
    )
    first, second = match(one, other)
    points, others = one.points[first], other.points[second]
    transform, inliers = next(likely_transforms(points, others))
    agreement = lay_over(one, other, transform, others[inliers, :2], ROUGH)
    assert agreement.inliers > 20 and agreement.apart > 4 and agreement.cover > 0.9


def test_mirrored_keypoints_have_equal_numbers_in_every_order(figure):
    grey = figure.convert("L")
    one, other = local_features(grey), local_features(ImageOps.mirror(grey))
    for order in range(len(KEY_BYTES)):
        keys, others = (set(keys_of(local.signs, order)[0].tolist()) for local in (one, other))
        assert len(keys & others) > 0.25 * len(keys)


def test_both_ways_are_compared_where_their_votes_are_near():
    """Votes of pictures 1 and 2, as they are and mirrored, and of 1 with others one way."""
    votes = np.zeros(5, VOTE)
    votes["pair"] = [(1 << 32) + other for other in (2, 2, 3, 3, 4)]
    votes["transform"] = [7, 1 << 15, 7, 1 << 15, 1 << 15]
    votes["weight"] = [5, 9, 9, 1, 2]
    keypoints = np.full(5, 100)
    assert best_of(votes, keypoints, 1).tolist() == [[1, 2, EITHER], [1, 3, 0], [1, 4, 1]]
    assert best_of(votes, keypoints, 3).tolist() == [[1, 2, EITHER], [1, 3, 0]]


def test_votes_for_a_picture_with_few_keypoints_count_more():
    """As many pictures as are compared with one have a vote more, and many times its keypoints."""
    votes = np.zeros(CANDIDATES + 1, VOTE)
    votes["pair"] = np.arange(1, CANDIDATES + 2)
    votes["weight"] = [*[6] * CANDIDATES, 5]
    few = [*[300] * (CANDIDATES + 1), 20]
    for keypoints, dropped in ((few, CANDIDATES), (few[::-1], CANDIDATES + 1)):
        compared = set(best_of(votes, np.array(keypoints), 1)[:, 1].tolist())
        assert compared == set(range(1, CANDIDATES + 2)) - {dropped}


def test_corners_are_described_where_keypoints_are_few(figure):
    sparse = Image.new("L", (640, 480), 255)
    sparse.paste(0, (200, 150, 400, 300))
    blocks = np.random.default_rng(0).integers(0, 256, (48, 64), np.uint8)
    rich = Image.fromarray(blocks).resize((640, 480), Image.Resampling.NEAREST)
    few, many = local_features(sparse), local_features(rich)
    assert len(few.points) > few.indexed and len(many.points) == many.indexed > 200


def test_features_survive_the_disk(figure):
    local = local_features(figure.convert("L"))
    read = decode(encode(local).record)
    assert (read.signs == local.signs).all() and read.picture.shape == local.picture.shape
    assert abs(read.points[:, :2] - local.points[:, :2]).max() < 1 / 32
