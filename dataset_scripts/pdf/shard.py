"""Read one PDF file in a worker process and write a Parquet shard of each table."""

from pathlib import Path

from cephalo.dataset_scripts.common.document_shards import (
    MEMORY_LIMIT,
    DocumentOutcome,
    write_shards,
)
from cephalo.dataset_scripts.pdf.document import extract_document
from cephalo.dataset_scripts.pdf.pdfium import UnreadableError
from cephalo.dataset_scripts.pdf.settings import Settings


def extract_to_shard(path: Path, sha256: str, shard: Path, settings: Settings) -> DocumentOutcome:
    """Read a PDF file and write its figures to `shard` atomically.

    Args:
        path: PDF file.
        sha256: SHA-256 of the file.
        shard: Output file.
        settings: Options of the extraction.

    Returns:
        Counts of the document, or an error if the file cannot be read.

    Raises:
        ShardError: If the shard cannot be written, for example because the disk is full.
    """
    try:
        result = extract_document(path, settings, sha256)
    except UnreadableError as error:
        return DocumentOutcome(error=str(error))
    except MemoryError:
        return DocumentOutcome(error=f"needs more than {MEMORY_LIMIT >> 30} GB of memory")
    except OSError as error:
        return DocumentOutcome(error=f"the file cannot be read: {error.strerror or error}")
    told = {"scans": result.unread, "cut pages": result.cut, "garbled pages": result.garbled}
    left_out = {what: reason for what, reason in told.items() if reason}
    write_shards(shard, result.rows, result.passages, left_out)
    return DocumentOutcome(
        len(result.rows), result.pages, left_out=left_out, sentences=result.sentences
    )
