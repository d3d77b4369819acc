"""Convert corrections of `cephalo review` to papers with ground truth, for `fit` and `score`.

    python -m benchmarks.extraction.corrected runs/figures --out runs/corrected

`fit --corrections runs/figures/corrections.jsonl` does the same for itself.

Only documents in which every figure was reviewed are used. Accepted and corrected figures are
ground truth, rejected ones are not figures. A figure that extraction missed has no row, so check
the pages for missing figures before you use a paper. Writes OUT/pdf and OUT/truth in the format of
the benchmark.
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
    """Write the set, and print the result for each document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="output folder of `cephalo extract`")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    for line in write_set(options.folder, options.out):
        print(line)


def write_set(folder: Path, out: Path) -> list[str]:
    """Write the completely reviewed documents. Return a message per document with decisions."""
    messages = []
    for part in ("pdf", "truth"):
        (out / part).mkdir(parents=True, exist_ok=True)
    for shard in sorted((folder / "figures").glob("*.parquet")):
        rows = list(corrected_rows(shard, COLUMNS, batch_rows=100))
        judged = [row for row in rows if row["verdict"] and row["verdict"].person]
        if not judged:
            continue
        name, document = shard.stem, rows[0]["document"]
        if len(judged) < len(rows):
            messages.append(f"{document}: {len(judged)} of {len(rows)} figures reviewed; left out")
            continue
        pdf = find_document(folder, rows[0]["document_sha256"])
        if pdf is None:
            messages.append(f"{document}: the PDF was moved or changed; left out")
            continue
        truth = truth_of(name, [row for row in rows if row["verdict"].state != REJECTED], rows[0])
        shutil.copyfile(pdf, out / "pdf" / f"{name}.pdf")
        (out / "truth" / f"{name}.json").write_text(
            json.dumps(truth, ensure_ascii=False, indent=1), encoding="utf-8"
        )
        frozen = "; frozen, so that `fit` leaves it out" if is_frozen(truth["publisher"]) else ""
        messages.append(f"{document}: {len(truth['figures'])} figures{frozen}")
    return messages


def truth_of(name: str, rows: list[dict[str, Any]], first: dict[str, Any]) -> dict[str, Any]:
    """Return the ground truth of a document with the figures `rows`; `first` is its first row.

    The publisher is the registrant of the DOI, since layouts depend on it.
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
    """Return a figure in the format of the benchmark."""
    names = ("label", "caption", "page", "bbox", "caption_bbox", "panels")
    return {name: row[name] for name in names}
