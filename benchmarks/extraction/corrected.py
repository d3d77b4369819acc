"""Corrections of `cephalo review` as papers with truth, for `fit` and `score`.

    python -m benchmarks.extraction.corrected runs/figures --out runs/corrected

`fit --corrections runs/figures/corrections.jsonl` does the same for itself.

Takes the documents of which a person decided on every figure: what was accepted or edited is as it
should be, what was rejected is no figure. A figure that extraction missed is in no row, so look for
such before a paper counts as judged. Writes OUT/pdf and OUT/truth, in the benchmark's format.
"""

import argparse
import json
import re
import shutil
from pathlib import Path
from typing import Any

from benchmarks.extraction.publishers import is_frozen
from cephalo.dataset_scripts.common.corrected import corrected_rows
from cephalo.dataset_scripts.common.correction_values import REJECTED
from cephalo.dataset_scripts.pdf.crops import find_document

COLUMNS = ("document", "document_sha256", "label", "caption", "kind", "page", "bbox")
COLUMNS += ("caption_bbox", "panels", "doi", "license")
TABLE = "table"


def main() -> None:
    """Write the set, and print what became of each document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="that `cephalo extract` wrote")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    for line in write_set(options.folder, options.out):
        print(line)


def write_set(folder: Path, out: Path) -> list[str]:
    """Write the documents that are judged whole; returns a line for each that has decisions."""
    told = []
    for part in ("pdf", "truth"):
        (out / part).mkdir(parents=True, exist_ok=True)
    for shard in sorted((folder / "figures").glob("*.parquet")):
        rows = list(corrected_rows(shard, COLUMNS, batch_rows=100))
        judged = [row for row in rows if row["verdict"] and row["verdict"].person]
        if not judged:
            continue
        name, document = shard.stem, rows[0]["document"]
        if len(judged) < len(rows):
            told.append(f"{document}: {len(judged)} of {len(rows)} figures judged; left out")
            continue
        pdf = find_document(folder, rows[0]["document_sha256"])
        if pdf is None:
            told.append(f"{document}: the PDF is not where it was read; left out")
            continue
        truth = truth_of(name, [row for row in rows if row["verdict"].state != REJECTED], rows[0])
        shutil.copyfile(pdf, out / "pdf" / f"{name}.pdf")
        (out / "truth" / f"{name}.json").write_text(
            json.dumps(truth, ensure_ascii=False, indent=1), encoding="utf-8"
        )
        frozen = "; frozen, so that `fit` leaves it out" if is_frozen(truth["publisher"]) else ""
        told.append(f"{document}: {len(truth['figures'])} figures{frozen}")
    return told


def truth_of(name: str, rows: list[dict[str, Any]], first: dict[str, Any]) -> dict[str, Any]:
    """The truth file of a document, whose figures are `rows`; `first` knows the document.

    The publisher is the registrant of the DOI, of which a layout goes with one.
    """
    registrant = re.match(r"10\.\d+", first["doi"] or "")
    return {
        "id": name,
        "publisher": registrant[0] if registrant else "unknown",
        "license": first["license"],
        "caption_source": "corrections",
        "sha256": first["document_sha256"],
        "figures": [entry(row) for row in rows if row["kind"] != TABLE],
        "tables": [entry(row) for row in rows if row["kind"] == TABLE],
    }


def entry(row: dict[str, Any]) -> dict[str, Any]:
    """A figure as the benchmark has it."""
    names = ("label", "caption", "page", "bbox", "caption_bbox", "panels")
    return {name: row[name] for name in names}
