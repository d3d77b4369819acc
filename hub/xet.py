"""The two binary formats of Xet: xorbs, which contain chunks, and shards, which contain recipes.

A file is split into chunks of up to 128 KiB; chunks are packed into xorbs of up to 64 MiB; a recipe
lists the file's terms, each a range of chunks of one xorb. Formats: huggingface.co/docs/xet, pages
"xorb" and "shard". All integers are little-endian; a hash of 32 bytes is written in hex as four
64-bit integers.
"""

import struct
from array import array
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

import lz4.frame

MAX_CHUNK_BYTES = 128 << 10
MAX_XORB_BYTES = (64 << 20) + (2 << 20)  # the chunks, and the footer with their hashes
# The limits of huggingface.co/docs/xet/xorb; without them 66 MB of chunks of one byte take 1 GB.
MAX_XORB_CHUNKS = 8192
MAX_XORB_UNPACKED = 64 << 20
MAX_SHARD_BYTES = 64 << 20
MAX_SHARD_FILES = 20_000
MAX_SHARD_TERMS = 262_144  # 128 GB of files, at the client's shortest average term of 512 KiB
# A short recipe can repeat the same chunks endlessly. A file of over REPEATS_FREE bytes is at most
# MAX_REPEATS times as long as its xorbs; for real checkpoints the ratio is below 2.
MAX_REPEATS = 100
REPEATS_FREE = 1 << 30

# FileDataSequenceHeader.file_flags
WITH_VERIFICATION = 1 << 31
WITH_METADATA = 1 << 30

_ENTRY = 48  # bytes of every structure in a shard
_SHARD_TAG = b"HFRepoMetaData\0"  # the readable start of MDBShardFileHeader.tag
_FOOTER_IDENT = b"XETBLOB"  # the start of XorbObjectInfo


class BadXet(ValueError):
    """A xorb or a shard that violates the format; the message states where."""


class Term(NamedTuple):
    """Chunks `start` to `end`, exclusive, of a xorb: `unpacked` bytes of a file."""

    xorb: str
    start: int
    end: int
    unpacked: int


class ShardFile(NamedTuple):
    """The recipe of one file. `sha256` is None if the client did not send it."""

    file_hash: str
    sha256: str | None
    terms: list[Term]


class Chunk(NamedTuple):
    """The position of a chunk in its xorb, header included, and its unpacked size in bytes."""

    start: int
    end: int
    scheme: int
    unpacked: int


class Piece(NamedTuple):
    """A term restricted to a request, and the bytes of the xorb that contain it, inclusive."""

    term: Term
    first_byte: int
    last_byte: int


def hash_text(raw: bytes) -> str:
    """Format a hash of 32 bytes as in addresses and tickets."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", raw))


# --- shards


def parse_shard(data: bytes) -> list[ShardFile]:
    """Return the files of a shard; its xorb section, which only helps deduplication, is ignored.

    MDBShardFileHeader is tag [32], version u64, footer_size u64. Then, for each file,
    FileDataSequenceHeader: file_hash [32], file_flags u32, num_entries u32, unused [8]; num_entries
    of FileDataSequenceEntry: cas_hash [32], cas_flags u32, unpacked_segment_bytes u32,
    chunk_index_start u32, chunk_index_end u32; with the flag, as many FileVerificationEntry; with
    the flag, one FileMetadataExt: sha256 [32], unused [16]. A file_hash of all ones ends it.

    Raises BadXet.
    """
    if not data.startswith(_SHARD_TAG) or data[32:40] != struct.pack("<Q", 2):
        raise BadXet("not a shard of version 2")
    files: list[ShardFile] = []
    left, position = MAX_SHARD_TERMS, _ENTRY
    try:
        while data[position : position + 32] != b"\xff" * 32:
            file_hash, flags, count = struct.unpack_from("<32sII", data, position)
            position += _ENTRY
            # Before the list is built, in case the shard is too short for the count.
            if count * _ENTRY > len(data) - position:
                raise BadXet("a file has more terms than the shard has bytes")
            left -= count
            if left < 0 or len(files) == MAX_SHARD_FILES:
                raise BadXet(f"over {MAX_SHARD_TERMS} terms or {MAX_SHARD_FILES} files")
            terms = [_read_term(data, position + index * _ENTRY) for index in range(count)]
            position += count * _ENTRY * (2 if flags & WITH_VERIFICATION else 1)
            sha256 = None
            if flags & WITH_METADATA:
                sha256 = hash_text(struct.unpack_from("<32s", data, position)[0])
                position += _ENTRY
            files.append(ShardFile(hash_text(file_hash), sha256, terms))
    except struct.error as error:
        raise BadXet("the shard ends in the middle of a file") from error
    return files


def _read_term(data: bytes, position: int) -> Term:
    xorb, _flags, unpacked, start, end = struct.unpack_from("<32sIIII", data, position)
    return Term(hash_text(xorb), start, end, unpacked)


# --- xorbs


def xorb_chunks(data: bytes | memoryview) -> list[Chunk]:
    """Return the positions of the chunks of a xorb, up to its footer or its end.

    A chunk starts with version u8 (0), compressed_size u24, scheme u8, uncompressed_size u24.
    Raises BadXet.
    """
    chunks: list[Chunk] = []
    left, position = MAX_XORB_UNPACKED, 0
    while position < len(data) and bytes(data[position : position + 7]) != _FOOTER_IDENT:
        if position + 8 > len(data):
            raise BadXet("the xorb ends inside the header of a chunk")
        low, high = struct.unpack_from("<II", data, position)
        end, scheme, unpacked = position + 8 + (low >> 8), high & 0xFF, high >> 8
        if low & 0xFF or scheme > 2 or not 0 < unpacked <= MAX_CHUNK_BYTES or end > len(data):
            raise BadXet(f"the chunk at byte {position} has a malformed header")
        left -= unpacked
        if left < 0 or len(chunks) == MAX_XORB_CHUNKS:
            raise BadXet(f"over {MAX_XORB_CHUNKS} chunks or {MAX_XORB_UNPACKED} bytes unpacked")
        chunks.append(Chunk(position, end, scheme, unpacked))
        position = end
    if not chunks:
        raise BadXet("the xorb holds no chunks")
    return chunks


def unpack_chunk(data: bytes | memoryview, chunk: Chunk) -> bytes:
    """Return the content of a chunk. Raises BadXet if its length differs from its header.

    The decompressor stops one byte beyond the length in the header, at most MAX_CHUNK_BYTES + 1.
    """
    packed = data[chunk.start + 8 : chunk.end]
    if chunk.scheme == 0:
        content = bytes(packed)
    else:
        try:
            decompressor = lz4.frame.LZ4FrameDecompressor()
            content = decompressor.decompress(packed, max_length=chunk.unpacked + 1)
        except RuntimeError as error:
            raise BadXet(f"the chunk at byte {chunk.start} cannot be decompressed") from error
    if len(content) != chunk.unpacked:
        raise BadXet(f"the chunk at byte {chunk.start} is not as long as stated in its header")
    return _ungroup(content) if chunk.scheme == 2 else content


def _ungroup(grouped: bytes) -> bytes:
    """Undo ByteGrouping4: all first bytes of each group of four, then all second bytes, ..."""
    content = bytearray(len(grouped))
    position = 0
    for offset in range(4):
        count = len(range(offset, len(grouped), 4))
        content[offset::4] = grouped[position : position + count]
        position += count
    return bytes(content)


# --- recipes


def chunk_offsets(chunks: list[Chunk]) -> array:
    """Return the offset of each chunk in the unpacked xorb, and its total length at the end."""
    return array("Q", accumulate((chunk.unpacked for chunk in chunks), initial=0))


def check_term(term: Term, offsets: array) -> None:
    """Raise BadXet if a term does not fit its xorb; see `chunk_offsets`."""
    if not term.start < term.end < len(offsets):
        raise BadXet("a term names chunks that its xorb does not have")
    if offsets[term.end] - offsets[term.start] != term.unpacked:
        raise BadXet("a term is not as long as its chunks")


def check_repeats(file: ShardFile, unpacked: dict[str, int]) -> None:
    """Raise BadXet if a recipe repeats the same chunks too often.

    `unpacked` is the unpacked size of each xorb in bytes.
    """
    size = sum(term.unpacked for term in file.terms)
    distinct = sum(unpacked[xorb] for xorb in {term.xorb for term in file.terms})
    if size > max(REPEATS_FREE, MAX_REPEATS * distinct):
        raise BadXet(
            f"a file of {size} bytes repeats {distinct}; upload it with HF_HUB_DISABLE_XET=1"
        )


def cut_term(term: Term, chunks: list[Chunk], start: int, stop: int) -> tuple[int, Piece]:
    """Return the smallest range of whole chunks of `term` that contains its bytes `start` to
    `stop`, exclusive.

    Returns the number of bytes of the first of these chunks before `start`, and the piece. Requires
    0 <= start < term.unpacked and start < stop.
    """
    bounds = list(_offsets(chunks[term.start : term.end]))
    kept = [index for index, (low, high) in enumerate(bounds) if low < stop and start < high]
    first, last = term.start + kept[0], term.start + kept[-1]
    before, after = bounds[kept[0]][0], bounds[kept[-1]][1]
    piece = Piece(
        Term(term.xorb, first, last + 1, after - before), chunks[first].start, chunks[last].end - 1
    )
    return start - before, piece


def _offsets(chunks: list[Chunk]) -> Iterator[tuple[int, int]]:
    position = 0
    for chunk in chunks:
        yield position, position + chunk.unpacked
        position += chunk.unpacked
