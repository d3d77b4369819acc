"""Read figures and write conversations, one shard per document.

Rejected answers go to OUT/rejected/STEM.jsonl, and those for manual decisions to
OUT/undecided/STEM.jsonl. OUT/conversations/STEM.parquet is written last and atomically; its
metadata holds a fingerprint of the inputs, so that a restarted run can skip finished shards.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import replacing, write_whole
from cephalo.cli.json_files import parse_object
from cephalo.cli.rows import Row
from cephalo.cli.where import Where
from cephalo.dataset_scripts.common.chosen import columns_of, takes
from cephalo.dataset_scripts.common.corrected import corrected_rows, left_out, verdicts_of
from cephalo.dataset_scripts.common.corrections import facts_of
from cephalo.dataset_scripts.common.inputs import REMOVED, move
from cephalo.dataset_scripts.common.schema import CONVERSATIONS, PROVENANCE
from cephalo.dataset_scripts.common.shards import MAX_GROUP_BYTES, row_groups

COLUMNS = [
    *("image", "caption", "label", "panels", "mentions", "figure_text"),
    *("document", "document_sha256", "page", "image_sha256", "kind", "bbox", *PROVENANCE),
]
OTHER_CHECKS = {
    "no_answer": "No reply within the retries; asked again by the next run.",
    "schema": "A reply without the required form.",
    "near_equal": "Nearly equal to an earlier answer.",
    "same_question": "Asks for the same as an earlier question about the same figure.",
    "second_look": "The judges disagree, or score it below the threshold.",
    "without_image": "A model without the image gave the same answer.",
    "person": "A person rejected it.",
}
"""Reasons for rejection other than the checks of the text."""
FINGERPRINT = b"cephalo.refine"  # key in the metadata of a shard
ASIDE = ("rejected", "undecided")
# Required fields of each line of their files.
SET_ASIDE = ("id", "figures", "failed", "turns", "text", "scores", "key", "round")
"""Folders of the answers that are not accepted."""


def figure_shards(folder: Path) -> list[Path]:
    """Return the shards that `cephalo extract` wrote, sorted. Raises CephaloError if there are
    none."""
    shards = sorted((folder / "figures").glob("*.parquet"))
    if not shards:
        raise CephaloError(f"{folder} contains no figures; run `cephalo extract` into it first")
    return shards


def read_figures(shard: Path) -> Iterator[Row]:
    """Yield the COLUMNS of a shard's FIGURES rows that have a caption and an image, one at a time.

    Manual corrections are applied; images are not decoded.

    Raises:
        CephaloError: If the file cannot be read or lacks a column.
    """
    for row in corrected_rows(shard, COLUMNS):
        if left_out(row) or not row["caption"]:
            continue
        if is_image((row["image"] or {}).get("bytes")):
            yield row


def part_figures(shard: Path, where: Where | None = None) -> tuple[list[Row], list[str]]:
    """Return the rows of `read_figures` for which a condition holds, without image bytes.

    `Images` finds the bytes by the "row" in the shard, or the "crop".

    Returns:
        The rows, and one line for each row whose image cannot be read.
    """
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
    """Return whether bytes are a complete image that Pillow can read: PNG by its checksums, JPEG by
    decoding at one eighth of its size."""
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


def fingerprint(shard: Path, settings: dict[str, object]) -> str:
    """Return a digest of what determines the conversations of a shard: its file, its manual
    corrections, and the settings of the run."""
    state = shard.stat()
    facts = [shard.name, state.st_size, state.st_mtime_ns, settings]
    if verdicts := verdicts_of(shard):
        facts.append(facts_of(verdicts))
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def is_finished(path: Path, wanted: str) -> bool:
    """Return whether a shard of conversations is complete and has the fingerprint `wanted`."""
    try:
        found = pq.read_metadata(path).metadata or {}
    except (OSError, ValueError):
        return False
    return found.get(FINGERPRINT) == wanted.encode()


def read_answers(path: Path) -> list[str]:
    """Return the answers in a shard of conversations."""
    return pq.read_table(path, columns=["answer"])["answer"].to_pylist()


def write_conversations(path: Path, rows: Iterable[Row], made_from: str) -> None:
    """Write CONVERSATIONS rows atomically. `made_from` is the fingerprint, empty if questions are
    open."""
    schema = CONVERSATIONS.arrow_schema
    schema = schema.with_metadata({**(schema.metadata or {}), FINGERPRINT: made_from.encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    # With so large a dictionary, an image repeated within a row group is stored once.
    with (
        replacing(path) as aside,
        pq.ParquetWriter(aside, schema, dictionary_pagesize_limit=MAX_GROUP_BYTES) as writer,
    ):
        for group in row_groups(rows):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


def set_aside(out: Path, gone: set[str], there: set[str]) -> list[str]:
    """Move the output of removed shards to OUT/removed, and that of restored ones back.

    Args:
        out: Output folder.
        gone: File names of shards that are no longer in the input.
        there: File names of shards in the input.

    Returns:
        The names of the shards whose output was moved to OUT/removed.
    """
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


def write_lines(path: Path, answers: list[Row]) -> None:
    """Write one line of JSON per rejected answer; no file if there are none."""
    if not answers:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(line, ensure_ascii=False) + "\n" for line in answers)
    write_whole(path, "".join(lines))


def read_lines(path: Path) -> list[Row]:
    """Return the rejected or undecided answers of a document. Raises CephaloError if the file is
    damaged."""
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
