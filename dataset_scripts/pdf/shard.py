"""One PDF file to one Parquet shard of each table: what a worker process does."""

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
    """Read one PDF file and write its figures to `shard`, aside first, then renamed.

    A file that cannot be read gives a DocumentOutcome with an error. Raises ShardError where the
    shard cannot be written: the disk is full, the folder is not writable.
    """
    try:
        result = extract_document(path, settings, sha256)
    except UnreadableError as error:
        return DocumentOutcome(error=str(error))
    except MemoryError:
        return DocumentOutcome(error=f"needs more than {MEMORY_LIMIT >> 30} GB of memory")
    except OSError as error:
        return DocumentOutcome(error=f"the file cannot be read: {error.strerror or error}")
    told = {"scans": result.unread, "cut pages": result.cut}
    left_out = {what: reason for what, reason in told.items() if reason}
    write_shards(shard, result.rows, result.passages, left_out)
    return DocumentOutcome(
        len(result.rows), result.pages, left_out=left_out, sentences=result.sentences
    )
