"""Figures tables with known rows, as `cephalo extract` writes them, made without any PDF."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from cephalo.dataset_scripts.common.schema import FIGURES


def figure_row(document: int, number: int, **changes: Any) -> dict[str, Any]:
    """One FIGURES row whose image is noise seeded by document and number."""
    noise = np.random.default_rng([document, number]).integers(0, 255, (60, 90, 3), np.uint8)
    png = io.BytesIO()
    Image.fromarray(noise).save(png, "PNG")
    return {
        "image": {"bytes": png.getvalue(), "path": f"{document}-{number}.png"},
        "caption": f"Stress and strain of specimen {number} of batch {document} in tension.",
        "label": f"Figure {number}",
        "kind": "figure",
        "panels": [{"letter": "a", "bbox": [72, 72, 100, 100], "caption": "left"}],
        "mentions": [f"The strength is seen in Fig. {number}."],
        "figure_text": [],
        "text_faults": [],
        "document": f"paper-{document}.pdf",
        "document_sha256": hashlib.sha256(b"%d" % document).hexdigest(),
        "page": number,
        "bbox": [72, 72, 162, 132],
        "caption_bbox": [72, 140, 300, 160],
        "width": 90,
        "height": 60,
        "dpi": 200,
        "image_sha256": hashlib.sha256(noise.tobytes()).hexdigest(),
        "phash": f"{document:08x}{number:08x}",
        "title": f"Paper {document}",
        "doi": None,
        "license": "CC-BY-4.0",
        "author": None,
        "source_url": None,
        "revision": None,
        **changes,
    }


def write_figures(folder: Path, documents: int = 3, figures: int = 4, **changes: Any) -> Path:
    """Write the shards of `documents` documents below `folder`/figures and return `folder`."""
    (folder / "figures").mkdir(parents=True)
    for document in range(documents):
        rows = [figure_row(document, number + 1, **changes) for number in range(figures)]
        table = pa.Table.from_pylist(rows, schema=FIGURES.arrow_schema)
        pq.write_table(table, folder / "figures" / f"paper-{document}.parquet")
    return folder
