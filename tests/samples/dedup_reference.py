"""The rules of `publication.dedup` once more: plainly, in memory, each with all."""

import functools
from collections import Counter, defaultdict
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from datasketch import MinHash, MinHashLSH
from scipy.cluster.hierarchy import DisjointSet

from cephalo.dataset_scripts.common.near_text import shingles, words
from cephalo.dataset_scripts.publication.dedup_images import Thumbnail, open_grey, thumbnail
from cephalo.dataset_scripts.publication.local_features import Local, local_features
from cephalo.dataset_scripts.publication.local_index import decode, encode
from cephalo.dataset_scripts.publication.local_match import same_picture

OPEN = {"CC-BY-4.0"}
Row = tuple[str, dict[str, Any]]  # the shard, with its folder before a slash, and the row


def near(one: Thumbnail, other: Thumbnail) -> bool:
    """Whether two pictures are near-copies."""
    ratio = one.aspect / other.aspect
    if (one.phash ^ other.phash).bit_count() > 16 or not 1 / 1.1 <= ratio <= 1.1:
        return False
    correlations = []
    for top in range(0, 32, 8):
        for left in range(0, 32, 8):
            first, second = (
                picture.pixels[top : top + 8, left : left + 8].astype(float).ravel()
                for picture in (one, other)
            )
            if max(first.std(), second.std()) >= 4:
                first, second = first - first.mean(), second - second.mean()
                size = np.sqrt((first @ first) * (second @ second))
                correlations.append(first @ second / size if size else 0.0)
    return bool(correlations) and np.quantile(correlations, 0.25) >= 0.5


def same(one: str, other: str) -> bool:
    """Whether two texts are near-copies."""
    first, second = shingles(one), shingles(other)
    return len(first & second) >= 0.8 * len(first | second)


class Texts:
    """Texts in the order in which they are added, and the documents of their originals."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str]] = []
        self.lsh = MinHashLSH(num_perm=125, params=(25, 5))

    def add(self, document: str, text: str) -> str | None:
        if len(words(text)) < 10:
            return None
        minhash = MinHash(125)
        minhash.update_batch(shingle.encode() for shingle in shingles(text))
        for number in sorted(self.lsh.query(minhash)):
            if same(text, self.kept[number][1]):
                return self.kept[number][0]
        self.lsh.insert(len(self.kept), minhash)
        self.kept.append((document, text))
        return None


def repeated(rows: list[Row], *says: str) -> list[str | None]:
    """The reason "repeated" of rows whose document stands in an earlier shard of the folder, and
    says the same in an earlier row, by the columns `says`."""
    first: dict[tuple[str, str], str] = {}
    met: set[tuple[str, ...]] = set()
    reasons = []
    for shard, row in rows:
        document = row["document_sha256"]
        again = first.setdefault((shard.split("/")[0], document), shard) != shard
        content = document, *(row[name] for name in says)
        reasons.append("repeated" if again and content in met else None)
        met.add(content)
    return reasons


def decide(
    figures: list[Row], passages: list[Row], only_open: bool
) -> tuple[dict[str, list[str | None]], set[frozenset[str]]]:
    """The reason of every row by config, None if it is published; the documents that are linked.

    The conversations are those that the captions make.
    """
    links: set[frozenset[str]] = set()
    again = repeated(figures, "image_sha256", "caption")
    reasons = {"figures": again.copy(), "conversations": [], "text": repeated(passages, "text")}
    for rows, why in ((figures, reasons["figures"]), (passages, reasons["text"])):
        for number, (_, row) in enumerate(rows):
            if why[number] is None and only_open and row["license"] not in OPEN:
                why[number] = "licence"
    judge_images([row for _, row in figures], reasons["figures"], links)

    published = {
        (row["document_sha256"], row["image_sha256"])
        for (_, row), reason in zip(figures, reasons["figures"], strict=True)
        if reason is None
    }
    answers = Texts()
    for (_, row), reason in zip(figures, again, strict=True):
        document = row["document_sha256"]
        if not row["caption"]:
            continue
        if reason is None and only_open and row["license"] not in OPEN:
            reason = "licence"
        elif reason is None and (document, row["image_sha256"]) not in published:
            reason = "figure"
        elif reason is None and answers.add(document, row["caption"]) not in (None, document):
            reason = "duplicate"
        reasons["conversations"].append(reason)
    judge_texts(figures, passages, reasons, links)
    return reasons, links


@functools.cache
def described(data: bytes) -> tuple[Thumbnail, Local]:
    """An encoded picture as a whole, and its local features as they are kept."""
    grey = open_grey(data, "here")
    return thumbnail(grey), decode(encode(local_features(grey)).record)


@functools.cache
def show_the_same(one: bytes, other: bytes) -> bool:
    """Whether two encoded pictures are near-copies that agree when laid over each other."""
    (whole, local), (other_whole, other_local) = described(one), described(other)
    return near(whole, other_whole) and same_picture(local, other_local)


def judge_images(
    rows: list[dict[str, Any]], reasons: list[str | None], links: set[frozenset[str]]
) -> None:
    """Group the figures by near-copies, and give the furniture and the duplicates a reason."""
    pictures = {
        row["image_sha256"]: row["image"]["bytes"]
        for row, reason in zip(rows, reasons, strict=True)
        if reason is None
    }
    images = DisjointSet(pictures)
    for one, other in combinations(pictures, 2):
        if show_the_same(pictures[one], pictures[other]):
            images.merge(one, other)
    groups = defaultdict(list)
    for number, row in enumerate(rows):
        if reasons[number] is None:
            groups[images[row["image_sha256"]]].append(number)
    for numbers in groups.values():
        documents = {rows[number]["document_sha256"] for number in numbers}
        pages = {(rows[number]["document_sha256"], rows[number]["page"]) for number in numbers}
        linked, kept = [], []
        for number in numbers:
            row = rows[number]
            small = min(row["width"], row["height"]) / row["dpi"] < 0.6
            if (len(documents) >= 3 or len(pages) >= 5) and (
                small or len(words(row["caption"])) < 4
            ):
                reasons[number] = "recurring"
                continue
            linked.append(row["document_sha256"])
            if any(
                same(row["caption"], other["caption"])
                for other in kept
                if row["document_sha256"] != other["document_sha256"]
                or row["image_sha256"] == other["image_sha256"]
            ):
                reasons[number] = "duplicate"
            else:
                kept.append(row)
        links |= {frozenset(pair) for pair in pairwise(linked) if len(set(pair)) == 2}


def judge_texts(
    figures: list[Row],
    passages: list[Row],
    reasons: dict[str, list[str | None]],
    links: set[frozenset[str]],
) -> None:
    """Give passages that are near-copies a reason, and link documents that share many texts."""
    seen, sizes, shared = Texts(), Counter(), Counter()
    for config, column, rows in (("figures", "caption", figures), ("text", "text", passages)):
        for number, (_, row) in enumerate(rows):
            if reasons[config][number] is not None:
                continue
            document = row["document_sha256"]
            sizes[document] += 1
            original = seen.add(document, row[column])
            if original is not None and config == "text":
                reasons["text"][number] = "duplicate"
            if original not in (None, document):
                shared[original, document] += 1
    links |= {
        frozenset(pair)
        for pair, count in shared.items()
        if count >= 0.2 * min(sizes[pair[0]], sizes[pair[1]])
    }
