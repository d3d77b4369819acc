"""Measure which versions of a paper `cephalo publish` assigns to one split.

    python -m benchmarks.copies.versions FOLDER...

FOLDER is an output folder of `cephalo extract`. Each paper gets a second version: one word of its
title is changed, every caption is rewritten (synonyms, reordered sentences, another form of numbers
and panel letters, omitted words), and the images are replaced. Links between different papers are
false.
"""

import argparse
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.copies.__main__ import publish, row_of
from cephalo.dataset_scripts.common.groups import Groups
from cephalo.dataset_scripts.common.schema import FIGURES
from cephalo.dataset_scripts.common.shards import read_rows
from cephalo.dataset_scripts.common.tables import find_tables

SIDE = 64  # pixels of the images, which do not matter
LEFT_OUT = 0.08  # share of omitted words
GROUPS = (
    "images micrographs pictures photographs",
    "image micrograph picture photograph",
    "dependence variation change",
    "function relation",
    "different various several",
    "comparison contrast",
    "measured recorded determined",
    "calculated computed evaluated",
    "increase rise growth",
    "decrease drop reduction",
    "schematic sketch diagram",
    "obtained acquired found",
    "shown depicted displayed",
    "shows presents displays",
    "samples specimens",
    "sample specimen",
    "results findings",
    "during throughout",
    "high large",
    "low small",
    "method approach technique",
    "effect influence impact",
    "distribution spread",
    "represents denotes indicates",
    "represent denote indicate",
    "curves lines",
    "values numbers",
    "prepared made produced fabricated",
    "structure arrangement",
    "model simulation",
    "error uncertainty",
    "treatment exposure",
    "concentration content amount",
    "observed seen",
    "average mean",
    "number count",
    "performance efficiency",
)
SYNONYMS = {word: group.split() for group in GROUPS for word in group.split()}


def main() -> None:
    """Print how many versions are linked and held on one side, and the false links."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="folders of `cephalo extract`")
    shards = find_tables(parser.parse_args().folders)["figures"]
    figures = [row for row in read_rows(shards, FIGURES) if row["caption"]]
    made = [with_other_image(figure, "first", number) for number, figure in enumerate(figures)]
    rewritten = [rewrite(row, number) for number, row in enumerate(made)]
    numbers, links, splits, _ = publish([*made, *rewritten])
    groups = Groups(len(splits))
    for link in links:
        groups.merge(*link)
    pairs = {
        (numbers[row["document_sha256"]], numbers[other["document_sha256"]])
        for row, other in zip(made, rewritten, strict=True)
    }
    found = sum(groups.find(one) == groups.find(other) for one, other in pairs)
    held = sum(len({splits[one], splits[other]} - {-1}) < 2 for one, other in pairs)
    papers = {number: paper for paper, pair in enumerate(pairs) for number in pair}
    false = {link for link in links if papers[link[0]] != papers[link[1]]}
    print(f"{len(pairs)} papers, {len(made)} captions: {found / len(pairs):.3f} linked, ", end="")
    print(f"{held / len(pairs):.3f} on one side, {len(false)} false links")


def with_other_image(row: dict[str, Any], version: str, number: int) -> dict[str, Any]:
    """Return a figure's row with an image of noise, in a separate document per version."""
    pixels = np.random.default_rng([number, len(version)]).integers(0, 256, (SIDE, SIDE, 3))
    name = f"{row['document_sha256']} {version}"
    other = row_of(row, name, Image.fromarray(pixels.astype(np.uint8)))
    return other | {"caption": row["caption"], "title": row["title"]}


def rewrite(row: dict[str, Any], seed: int) -> dict[str, Any]:
    """Return the row of a figure in another version of the paper."""
    other = with_other_image(row, "second", seed)
    title = (row["title"] or "").split()
    changed = [word for place, word in enumerate(title) if place != len(title) // 2]
    return other | {"caption": rewritten(row["caption"], seed), "title": " ".join(changed)}


def rewritten(caption: str, seed: int) -> str:
    """Return a caption in other words, with reordered sentences."""
    rng = random.Random(seed)
    sentences = re.split(r"(?<=[.;]) +", caption)
    rng.shuffle(sentences)
    text = " ".join(sentences)
    text = re.sub(r"\(([a-z])\)", r"\1)", text)
    text = re.sub(r"(\d) (?=[^\W\d_%])", r"\1", text)
    text = re.sub(r"(\d\.\d)(?!\d)", r"\g<1>0", text)
    words = [word for word in text.split() if rng.random() >= LEFT_OUT]
    return " ".join(rng.choice(SYNONYMS.get(word.casefold(), [word])) for word in words)


if __name__ == "__main__":
    main()
