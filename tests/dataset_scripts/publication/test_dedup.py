"""Near-copies across documents: found, dropped or kept in one split; logos and benchmarks out."""

import hashlib
import io
import itertools
import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Features, List, Value, load_dataset
from datasets import Image as ImageFeature
from figure_samples import figure_row
from PIL import Image, ImageDraw, ImageEnhance

from benchmarks.copies.alterations import beside
from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.common.conversations import caption_conversation
from cephalo.dataset_scripts.common.near_text import TextIndex, same, shingles
from cephalo.dataset_scripts.common.schema import TEXT
from cephalo.dataset_scripts.common.tables import CONFIGS, find_tables
from cephalo.dataset_scripts.publication import dedup_text
from cephalo.dataset_scripts.publication.dataset_folder import build_dataset
from cephalo.dataset_scripts.publication.dedup import select_rows
from cephalo.dataset_scripts.publication.dedup_images import ImageIndex, open_grey, thumbnail
from cephalo.dataset_scripts.publication.dedup_text import TextCopies
from cephalo.dataset_scripts.publication.exclude import images_of

PASSAGE = (
    "Nacre is a layered composite of aragonite tablets and organic matrix whose toughness exceeds "
    "that of its mineral by three orders of magnitude because cracks are deflected at interfaces."
)


def plot(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A plot with axes and random curves on white, as figures of papers are."""
    rng = random.Random(seed)
    width, height = size
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    draw.line([(40, 20), (40, height - 30), (width - 20, height - 30)], "black", 2)
    for _ in range(3):
        points = [(x, rng.randint(25, height - 35)) for x in range(45, width - 20, 12)]
        draw.line(points, rng.choice(["red", "blue", "black", "green"]), 3)
    for _ in range(4):
        x, y = rng.randint(45, width - 60), rng.randint(25, height - 60)
        draw.rectangle([x, y, x + 30, y + 20], fill=rng.choice(["grey", "navy", "orange"]))
    return image


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def row(document: int, image: Image.Image, caption: str, **changes: Any) -> dict[str, Any]:
    """A FIGURES row of a document with this picture."""
    pixels = np.asarray(image)
    return figure_row(
        document,
        1,
        image={"bytes": encode(image), "path": None},
        image_sha256=hashlib.sha256(pixels.tobytes()).hexdigest(),
        caption=caption,
        width=image.width,
        height=image.height,
        **changes,
    )


def write(folder: Path, config: str, rows: list[dict[str, Any]]) -> Path:
    """Add rows to a config of `folder`, a shard for each document."""
    (folder / config).mkdir(parents=True, exist_ok=True)
    for document, group in itertools.groupby(rows, lambda row: row["document"]):
        table = pa.Table.from_pylist(list(group), schema=CONFIGS[config].arrow_schema)
        pq.write_table(table, folder / config / f"{document}.parquet")
    return folder


def passage(document: int, text: str, **changes: Any) -> dict[str, Any]:
    figure = figure_row(document, 1)
    shared = {name: figure[name] for name in TEXT if name in figure}
    return {**shared, "images": [], "prompt": [], "completion": [], "text": text, **changes}


ALTERATIONS = {
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "larger": lambda image: image.resize((image.width * 3 // 2, image.height * 3 // 2)),
    "JPEG": lambda image: Image.open(io.BytesIO(encode(image, "JPEG", quality=40))),
    "cropped": lambda image: image.crop((4, 4, image.width - 4, image.height - 4)),
    "grey": lambda image: image.convert("L"),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "on transparency": lambda image: image.convert("RGBA"),
}


@pytest.fixture(scope="module")
def many_plots() -> ImageIndex:
    """More plots than one block of the index holds."""
    index = ImageIndex()
    for seed in range(300):
        index.add(thumbnail(open_grey(encode(plot(seed)), "here")))
    return index


@pytest.mark.parametrize("name", ALTERATIONS)
def test_altered_copies_are_near_and_other_plots_are_not(many_plots, name):
    for seed in range(0, 300, 30):
        copy = ALTERATIONS[name](plot(seed))
        assert many_plots.near(thumbnail(open_grey(encode(copy), "here"))) == [seed]


def test_figures_of_one_layout_are_not_near():
    """A dark micrograph beside a plot on white: alike as a whole, different in every part."""
    index = ImageIndex()
    for seed in range(20):
        image = Image.new("RGB", (700, 240), "white")
        levels = np.random.default_rng(seed).integers(20, 110, (12, 17), np.uint8)
        image.paste(Image.fromarray(levels).resize((340, 240)), (0, 0))
        image.paste(plot(seed), (360, 0))
        picture = thumbnail(open_grey(encode(image), "here"))
        assert index.near(picture) == []
        index.add(picture)


def test_bytes_that_are_no_image_name_their_place():
    whole = encode(plot(0))
    for broken in (b"", b"<svg/>", whole[:200], whole[: len(whole) // 2]):
        with pytest.raises(CephaloError, match=r"^figure 3 contains an image that cannot be read"):
            open_grey(broken, "figure 3")


def test_text_is_compared_by_its_runs_of_words():
    edited = PASSAGE.replace("Nacre", "NACRE,").replace("three orders", "three  orders")
    other = PASSAGE.replace("aragonite", "calcite").replace("cracks", "x")
    kept = TextIndex()
    for number, text in enumerate((PASSAGE, "")):
        kept.add(text, number)
    found = [list(kept.near(text)) for text in (edited, "", other, "Figure")]
    assert found == [[0], [1], [], []]
    texts = TextCopies(sqlite3.connect(":memory:"), "some")
    for number, text in enumerate([PASSAGE, edited, "Experimental setup.", "Experimental setup."]):
        texts.add(10 + number, text, number)
    assert list(texts.originals()) == [(1, 11, 10)]


def test_texts_of_one_pattern_are_split_into_runs_once_and_memory_changes_no_copy(monkeypatch):
    """Such texts are candidates for each other, and comparing them is quadratic."""
    patterned = [
        f"The curve rises up to a strain of {i} percent and a stress of {7 * i} MPa, where the "
        "material begins to yield; from there it hardens slowly until it breaks in the end."
        for i in range(60)
    ]
    some = [*patterned, patterned[3].upper(), patterned[50] + " So it is."]
    split = []
    monkeypatch.setattr(dedup_text, "shingles", lambda text: split.append(text) or shingles(text))
    found, times = [], []
    for most in (0, 5, 1000):
        monkeypatch.setattr(dedup_text, "MAX_IN_MEMORY", most)
        texts = TextCopies(sqlite3.connect(":memory:"), "some")
        for number, text in enumerate(some):
            texts.add(number, text, number)
        split.clear()
        found.append(list(texts.originals()))
        times.append(len(split))
    assert found == [[(60, 60, 3), (61, 61, 50)]] * 3
    assert times[0] > times[1] > 1000
    assert times[2] <= 2 * len(some)  # as a candidate, and as the text that is compared


def test_texts_of_one_pattern_take_a_bounded_number_of_comparisons(monkeypatch):
    monkeypatch.setattr(dedup_text, "MAX_OF_BAND", 20)
    monkeypatch.setattr(dedup_text, "MAX_COMPARED", 5)
    compared = []
    monkeypatch.setattr(
        dedup_text, "same", lambda one, other: compared.append(one) or same(one, other)
    )
    texts = TextCopies(sqlite3.connect(":memory:"), "some")
    patterned = [
        f"The curve rises up to a strain of {i} percent and a stress of {7 * i} MPa, where the "
        "material begins to yield; from there it hardens slowly until it breaks in the end."
        for i in range(300)
    ]
    longer = f"{patterned[10]} So it is."  # before the bands are full
    for number, text in enumerate([*patterned, patterned[299].upper(), longer]):
        texts.add(number, text, number)
    assert list(texts.originals()) == [(300, 300, 299), (301, 301, 10)]
    assert len(compared) <= 5 * 302
    counts = texts._database.execute("SELECT count(*) FROM some_kept GROUP BY band").fetchall()
    assert max(count for (count,) in counts) == 20


class Decisions(NamedTuple):
    """What was decided on a folder's rows; documents by their sha256."""

    kept: dict[str, list[bool]]
    dropped: Counter[tuple[str, str]]
    links: list[tuple[str, str]]


def decide(*folders: Path, **options: Any) -> Decisions:
    with (
        TemporaryDirectory() as scratch,
        closing(select_rows(Path(scratch, "compared"), find_tables(folders), **options)) as made,
    ):
        return Decisions(
            {config: [keep for _, keep in made.decisions(config)] for config in made.configs()},
            made.dropped(),
            [(made.sha256(one), made.sha256(other)) for one, other in made.links()],
        )


def kept(folder: Path, config: str, **options: Any) -> list[bool]:
    return decide(folder, **options).kept[config]


def test_a_copy_with_the_same_caption_is_dropped_and_with_another_is_linked(tmp_path):
    copy = plot(1).resize((640, 480))
    write(
        tmp_path,
        "figures",
        [
            row(0, plot(1), PASSAGE),
            row(1, copy, PASSAGE),
            row(2, copy, "Toughness against the thickness of the tablets, redrawn from others."),
            row(3, plot(2), "Another plot"),
        ],
    )
    selection = decide(tmp_path)
    assert selection.kept["figures"] == [True, False, True, True]
    # The captions are the answers; that of the copy went with its figure.
    assert selection.kept["conversations"] == [True, False, True, True]
    assert selection.dropped == {("figures", "duplicate"): 1, ("conversations", "figure"): 1}
    shas = [figure_row(number, 1)["document_sha256"] for number in range(4)]
    assert {frozenset(link) for link in selection.links} >= {
        frozenset(shas[:2]),
        frozenset(shas[1:3]),
    }
    assert not any(shas[3] in link for link in selection.links)


def test_like_plots_of_one_document_are_kept_but_equal_pixels_are_not(tmp_path):
    near = plot(1)
    near.putpixel((1, 1), (250, 250, 250))
    rows = [row(0, plot(1), "At 20 K"), row(0, near, "At 20 K"), row(0, plot(1), "At 20 K")]
    assert kept(write(tmp_path, "figures", rows), "figures") == [True, True, False]


def test_recurring_logos_are_dropped_and_a_reproduced_figure_is_not(tmp_path):
    badge, wide = plot(7).resize((88, 66)), plot(8)
    rows = []
    for document in range(3):
        rows += [
            row(document, badge, f"Figure of merit of the alloy number {document}"),  # small
            row(document, wide, ""),  # without a caption
            row(document, plot(9), f"Reproduced curve, with the comments of group {document}"),
        ]
    selection = decide(write(tmp_path, "figures", rows))
    assert selection.kept["figures"] == [False, False, True] * 3
    assert selection.dropped["figures", "recurring"] == 6
    assert len(selection.links) == 2  # by the reproduced figure


def test_passages_and_answers_are_kept_once_across_documents(tmp_path):
    write(tmp_path, "figures", [row(n, plot(n), PASSAGE) for n in range(2)])
    other = "Spider silk owes its strength to crystallites of protein in a soft amorphous matrix."
    write(tmp_path, "text", [passage(0, other), passage(1, other), passage(1, PASSAGE[::-1])])
    selection = decide(tmp_path)
    assert selection.kept == {
        "figures": [True, True],
        "conversations": [True, False],  # two pictures, one answer
        "text": [True, False, True],
    }
    assert len(selection.links) == 1  # they share half of their text


def test_a_notice_that_recurs_links_no_documents(tmp_path):
    rows = [
        passage(document, text)
        for document in range(5)
        for text in [
            PASSAGE,
            *(" ".join(f"w{document}{n}{k}" for k in range(20)) for n in range(9)),
        ]
    ]
    selection = decide(write(tmp_path, "text", rows))
    assert selection.links == [] and selection.dropped == {("text", "duplicate"): 4}


def test_only_open_licences_are_kept_where_asked_and_the_first_of_them(tmp_path):
    closed = row(0, plot(1), PASSAGE, license="CC-BY-NC-4.0")
    write(tmp_path, "figures", [closed, row(1, plot(1), PASSAGE), row(2, plot(2), "x")])
    write(tmp_path, "text", [passage(0, PASSAGE[::-1], license=None)])
    selection = decide(tmp_path, only_open=True)
    assert selection.kept["figures"] == [False, True, True]
    assert selection.dropped == {
        ("figures", "licence"): 1,
        ("conversations", "licence"): 1,
        ("text", "licence"): 1,
    }


def test_conversations_alone_are_compared_by_their_images(tmp_path):
    rows = [caption_conversation(row(n, plot(5), PASSAGE)) for n in range(2)]
    write(tmp_path, "conversations", rows)
    selection = decide(tmp_path)
    assert selection.kept == {"conversations": [True, False]}
    rows[0]["figures"] = []
    write(tmp_path, "conversations", rows)
    with pytest.raises(CephaloError, match=r"about paper-0.pdf has 1 images and the keys of 0"):
        decide(tmp_path)


def benchmark(folder: Path, images: list[Image.Image]) -> Path:
    """A dataset folder with images in a plain column and in lists."""
    features = Features(
        {"name": Value("string"), "picture": ImageFeature(), "more": List(ImageFeature())}
    )
    rows = [{"name": "x", "picture": image, "more": [plot(900), image]} for image in images]
    folder.mkdir()
    Dataset.from_list(rows, features=features).to_parquet(folder / "test.parquet")
    return folder


def test_figures_that_show_what_is_kept_out_are_in_no_split(tmp_path):
    """A near-copy, a crop, a panel, a turned one, and one with a benchmark's image as a panel."""
    large = {seed: plot(seed, (640, 480)) for seed in (1, 2, 5, 6, 7)}
    pair = beside(large[6], plot(61, (640, 480)))
    bench = benchmark(tmp_path / "bench", [large[1].resize((400, 300)), large[2], pair, large[7]])
    assert len(list(images_of(str(bench)))) == 12
    shown = [
        large[1],
        large[2].crop((60, 50, 620, 470)),
        large[6].transpose(Image.Transpose.ROTATE_90),
        beside(plot(71, (640, 480)), large[7]),
        large[5],
        plot(3),
    ]
    folder = write(
        tmp_path / "made", "figures", [row(n, image, f"Plot {n}") for n, image in enumerate(shown)]
    )
    exclude = {"lab/bench": images_of(str(bench))}
    dataset = build_dataset([folder], "a/b", exclude=exclude, workers=1)
    data = load_dataset(str(dataset), "figures", cache_dir=str(tmp_path / "cache"))
    published = sorted(caption for split in data.values() for caption in split["caption"])
    assert published == ["Plot 4", "Plot 5"]
    card = (dataset / "README.md").read_text(encoding="utf-8")
    assert "an image of `lab/bench`, a part of one, or one\nas a panel: 4." in card
    assert "| `conversations` | about a figure that was left out | 4 |" in card


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{folder}/none", r"none cannot be loaded: .*"),
        ("{folder}", r"contains no images; check its name and config"),
        ("a/b@", r"give a folder or NAMESPACE/NAME\[:CONFIG\]"),
    ],
)
def test_what_cannot_be_excluded_is_one_line(tmp_path, monkeypatch, spec, message):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    Dataset.from_list([{"text": "no picture"}]).to_parquet(tmp_path / "test.parquet")
    with pytest.raises(CephaloError, match=message) as refusal:
        list(images_of(spec.format(folder=tmp_path)))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("seed", range(2))
def test_no_test_image_nor_its_near_copy_is_in_train(tmp_path, seed):
    """Near-copies are planted between random documents, under captions of their own or not."""
    rng = random.Random(seed)
    rows = [
        row(document, plot(1000 * seed + 10 * document + n), f"Curve {n} of sample {document}")
        for document in range(40)
        for n in range(2)
    ]
    drawn_as = {figure["image_sha256"]: number for number, figure in enumerate(rows)}
    for number in range(25):
        original = rng.choice(rows)
        image = Image.open(io.BytesIO(original["image"]["bytes"]))
        copy = ALTERATIONS[rng.choice([*ALTERATIONS])](image).convert("RGB")
        caption = rng.choice([original["caption"], f"Copy {number} with words of its own"])
        rows.append(row(rng.randrange(40), copy, caption))
        drawn_as[rows[-1]["image_sha256"]] = drawn_as[original["image_sha256"]]
    rows.sort(key=lambda row: row["document"])
    dataset = build_dataset([write(tmp_path / "made", "figures", rows)], "a/b")
    data = load_dataset(str(dataset), "figures", cache_dir=str(tmp_path / "cache"))
    splits: dict[int, set[str]] = {}
    documents: dict[int, set[str]] = {}
    for split, published in data.items():
        for image, document in zip(published["image_sha256"], published["document"], strict=True):
            splits.setdefault(drawn_as[image], set()).add(split)
            documents.setdefault(drawn_as[image], set()).add(document)
    assert len(splits) == 80 and all(len(found) == 1 for found in splits.values())
    assert sum(len(found) > 1 for found in documents.values()) >= 5  # copies that are published
    assert all(len(data[split]) > 1 for split in ("train", "validation", "test"))
