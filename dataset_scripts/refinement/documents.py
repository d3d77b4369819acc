"""The files of a refinement: figures in, conversations out, by document, and what is set aside:
OUT/rejected/STEM.jsonl, and OUT/undecided/STEM.jsonl for people to decide.

OUT/conversations/STEM.parquet is written last and whole; its metadata says what it was made from,
so that a run which is started again knows what is finished.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import replacing, write_whole
from cephalo.cli.json_files import parse_object
from cephalo.cli.where import Where
from cephalo.dataset_scripts.common.chosen import columns_of, takes
from cephalo.dataset_scripts.common.corrected import corrected_rows, left_out, verdicts_of
from cephalo.dataset_scripts.common.corrections import facts_of
from cephalo.dataset_scripts.common.inputs import REMOVED, move
from cephalo.dataset_scripts.common.schema import CONVERSATIONS, PROVENANCE

COLUMNS = [
    *("image", "caption", "label", "panels", "mentions", "figure_text"),
    *("document", "document_sha256", "page", "image_sha256", "kind", "bbox", *PROVENANCE),
]
OTHER_CHECKS = {
    "no_answer": "No reply within the retries; asked again by the next run.",
    "schema": "A reply that has not the form that was asked for.",
    "near_equal": "Nearly equal to an answer before it.",
    "same_question": "Asks for the same as a question before it about the same figure.",
    "second_look": "A second look by judges disagrees, or scores it below the threshold.",
    "without_image": "A model that saw no image gave the same answer.",
    "person": "A person rejected it.",
}
"""Why an answer is rejected besides the checks of its text."""
FINGERPRINT = b"cephalo.refine"  # key in the metadata of a shard
ASIDE = ("rejected", "undecided")
# What every line of their files has, at least.
SET_ASIDE = ("id", "figures", "failed", "turns", "text", "scores", "key", "round")
"""Folders of the answers that are not accepted."""
GROUP_ROWS = 100
GROUP_BYTES = 32 << 20  # of images; within a group, an image that comes again is stored once


def figure_shards(folder: Path) -> list[Path]:
    """The shards that `cephalo extract` wrote, sorted. Raises CephaloError where there are none."""
    shards = sorted((folder / "figures").glob("*.parquet"))
    if not shards:
        raise CephaloError(f"{folder} holds no figures; run `cephalo extract` into it first")
    return shards


def read_figures(shard: Path) -> Iterator[dict[str, Any]]:
    """The FIGURES rows of a shard, as people corrected them, with a caption and an image, with
    COLUMNS and undecoded images, one at a time.

    Raises CephaloError if the file cannot be read or lacks a column.
    """
    for row in corrected_rows(shard, COLUMNS):
        if left_out(row) or not row["caption"]:
            continue
        if is_image((row["image"] or {}).get("bytes")):
            yield row


def part_figures(shard: Path, where: Where | None = None) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of `read_figures` for which a condition holds, without the bytes of their images,
    which `Images` has by their "row" in the shard, or their "crop"; and a line for each row whose
    image cannot be read."""
    kept, unread = [], []
    columns = dict.fromkeys([*COLUMNS, *columns_of(where)])
    for number, row in enumerate(corrected_rows(shard, columns)):
        if not takes(where, row):
            continue
        verdict = row.pop("verdict")
        reason = left_out({"verdict": verdict})
        if reason == "uncropped":
            unread.append(
                f"{shard.name}, row {number}: there is no image of the corrected box of "
                f"{row['label']} of {row['document']}; left out"
            )
        elif reason:
            continue
        elif not is_image((row["image"] or {}).get("bytes")):
            unread.append(
                f"{shard.name}, row {number}: the image of {row['label']} of {row['document']} "
                "cannot be read; left out"
            )
        elif row["caption"]:
            image = {"bytes": None, "path": row["image"]["path"]}
            crop = verdict and verdict.crop
            kept.append(row | {"image": image, "row": number, "crop": crop})
    return kept, unread


def is_image(data: bytes | None) -> bool:
    """Whether bytes are a whole image that Pillow reads: a PNG by its check sums, a JPEG by an
    eighth of its pixels."""
    try:
        with Image.open(io.BytesIO(data or b"")) as image:
            if image.format == "PNG":
                image.verify()
            else:
                image.draft("RGB", (1, 1))
                image.load()
            return True
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


def fingerprint(shard: Path, settings: dict[str, Any]) -> str:
    """What the conversations of a shard are made from: its file, what people corrected in it, and
    all settings of the run."""
    state = shard.stat()
    facts = [shard.name, state.st_size, state.st_mtime_ns, settings]
    if verdicts := verdicts_of(shard):
        facts.append(facts_of(verdicts))
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def is_finished(path: Path, wanted: str) -> bool:
    """Whether a shard of conversations is there, whole, and made from what is `wanted`."""
    try:
        found = pq.read_metadata(path).metadata or {}
    except (OSError, ValueError):
        return False
    return found.get(FINGERPRINT) == wanted.encode()


def read_answers(path: Path) -> list[str]:
    """The answers in a shard of conversations."""
    return pq.read_table(path, columns=["answer"])["answer"].to_pylist()


def write_conversations(path: Path, rows: Iterable[dict[str, Any]], made_from: str) -> None:
    """Write CONVERSATIONS rows whole. `made_from` is empty where questions are still open."""
    schema = CONVERSATIONS.arrow_schema
    schema = schema.with_metadata({**(schema.metadata or {}), FINGERPRINT: made_from.encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        replacing(path) as aside,
        pq.ParquetWriter(aside, schema, dictionary_pagesize_limit=GROUP_BYTES) as writer,
    ):
        for group in row_groups(rows):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


def row_groups(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Groups of rows that are bounded in number and in the bytes of their images."""
    group: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        more = sum(len(image["bytes"]) for image in row["images"])
        if group and (len(group) == GROUP_ROWS or size + more > GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(row)
        size += more
    if group:
        yield group


def set_aside(out: Path, gone: set[str], there: set[str]) -> list[str]:
    """Move what was made of shards that are `gone` from the input to OUT/removed, and back what
    was made of those that are `there`, by their names; returns the names of those that went."""
    places = {"conversations": ".parquet", **dict.fromkeys(ASIDE, ".jsonl")}
    went = []
    for name in sorted(gone):
        files = [out / kind / f"{Path(name).stem}{ending}" for kind, ending in places.items()]
        went += [Path(name).stem] * any(file.exists() for file in files)
        for file in files:
            move(file, out / REMOVED / file.parent.name)
    for kind, ending in places.items():
        for file in (out / REMOVED / kind).glob(f"*{ending}"):
            if f"{file.stem}.parquet" in there:
                move(file, out / kind)
    return went


def write_lines(path: Path, answers: list[dict[str, Any]]) -> None:
    """Write one line of JSON per rejected answer; no file if there are none."""
    if not answers:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(line, ensure_ascii=False) + "\n" for line in answers)
    write_whole(path, "".join(lines))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The answers set aside of a document. Raises CephaloError where the file is damaged."""
    if not path.exists():
        return []
    try:
        with path.open("rb") as file:
            lines = [parse_object(line) for line in file]
        if missing := [name for line in lines for name in SET_ASIDE if name not in line]:
            raise ValueError(f"no {missing[0]}")
        return lines
    except ValueError as error:
        raise CephaloError(f"{path} is damaged ({error}); delete it") from error
