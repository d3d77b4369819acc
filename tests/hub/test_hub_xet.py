"""The formats of Xet: what is well-formed comes back, everything else is one error, no bombs."""

import os
import struct
import tracemalloc

import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cephalo.hub.xet import (
    MAX_CHUNK_BYTES,
    BadXet,
    Chunk,
    ShardFile,
    Term,
    check_repeats,
    check_term,
    chunk_offsets,
    cut_term,
    hash_text,
    parse_shard,
    unpack_chunk,
    xorb_chunks,
)

SHARD_HEADER = b"HFRepoMetaData\0".ljust(32, b"x") + struct.pack("<QQ", 2, 0)
BOOKEND = b"\xff" * 32 + bytes(16)


def pack_chunk(content: bytes, scheme: int, unpacked: int | None = None) -> bytes:
    packed = content
    if scheme == 2:
        packed = b"".join(content[offset::4] for offset in range(4))
    if scheme:
        packed = lz4.frame.compress(packed)
    size = len(content) if unpacked is None else unpacked
    return struct.pack("<II", len(packed) << 8, size << 8 | scheme) + packed


def pack_file(file_hash: bytes, sha256: bytes | None, terms: list[tuple]) -> bytes:
    flags = (1 << 31) | ((1 << 30) if sha256 else 0)
    packed = struct.pack("<32sIIQ", file_hash, flags, len(terms), 0)
    packed += b"".join(struct.pack("<32sIIII", xorb, 0, n, a, b) for xorb, n, a, b in terms)
    packed += bytes(48) * len(terms)
    return packed + (sha256 + bytes(16) if sha256 else b"")


def test_hash_text_swaps_words():
    # The example of huggingface.co/docs/xet/api.
    text = "07060504030201000f0e0d0c0b0a0908171615141312111f1e1d1c1b1a1918"
    assert hash_text(bytes(range(32))).startswith(text[:30])
    assert hash_text(bytes(range(32))) == (
        "0706050403020100" "0f0e0d0c0b0a0908" "1716151413121110" "1f1e1d1c1b1a1918"
    )  # fmt: skip


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.integers(0, 2)), min_size=1))
def test_xorb_round_trip(parts):
    footer = b"XETBLOB\1" + bytes(100)
    for end in (b"", footer):
        data = b"".join(pack_chunk(content, scheme) for content, scheme in parts) + end
        chunks = xorb_chunks(data)
        assert [unpack_chunk(data, chunk) for chunk in chunks] == [part for part, _ in parts]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"XETBLOB\1" + bytes(50),
        b"\1" + pack_chunk(b"abc", 0)[1:],
        pack_chunk(b"abc", 0)[:-1],
        pack_chunk(b"abc", 0) + b"\0\1\2",
        pack_chunk(b"abc", 3),
        pack_chunk(b"", 0),
        pack_chunk(bytes(MAX_CHUNK_BYTES + 1), 1),
    ],
)
def test_malformed_xorbs(data):
    with pytest.raises(BadXet):
        xorb_chunks(data)


@pytest.mark.parametrize("scheme", [1, 2])
@pytest.mark.parametrize("unpacked", [10, 4095, 4097, MAX_CHUNK_BYTES])
def test_a_chunk_of_another_length_than_it_says(scheme, unpacked):
    data = pack_chunk(bytes(4096), scheme, unpacked)
    with pytest.raises(BadXet, match="not as long"):
        unpack_chunk(data, xorb_chunks(data)[0])


def test_a_bomb_does_not_unpack():
    data = pack_chunk(bytes(200 << 20), 1, 1000)
    chunk = xorb_chunks(data)[0]
    tracemalloc.start()
    with pytest.raises(BadXet, match="not as long"):
        unpack_chunk(data, chunk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_noise_does_not_decompress():
    noise = struct.pack("<II", 64 << 8, 64 << 8 | 1) + os.urandom(64)
    with pytest.raises(BadXet):
        unpack_chunk(noise, xorb_chunks(noise)[0])


def test_shard():
    xorb, name, sha256 = bytes(range(32)), b"f" * 32, b"s" * 32
    data = SHARD_HEADER + pack_file(name, sha256, [(xorb, 10, 0, 2), (xorb, 7, 5, 6)])
    data += pack_file(name, None, [(xorb, 1, 1, 2)]) + BOOKEND + BOOKEND
    first, second = parse_shard(data)
    assert first.file_hash == hash_text(name) and first.sha256 == hash_text(sha256)
    assert first.terms == [Term(hash_text(xorb), 0, 2, 10), Term(hash_text(xorb), 5, 6, 7)]
    assert (second.sha256, second.terms) == (None, [Term(hash_text(xorb), 1, 2, 1)])


def test_cut_off_shards():
    data = SHARD_HEADER + pack_file(b"f" * 32, b"s" * 32, [(b"x" * 32, 10, 0, 2)]) + BOOKEND
    for size in range(len(data) - 16 - 32):
        with pytest.raises(BadXet):
            parse_shard(data[:size])


@given(st.binary(max_size=400))
def test_a_shard_of_noise_is_refused_or_has_what_was_read(noise):
    for data in (noise, SHARD_HEADER + noise, SHARD_HEADER + noise + BOOKEND):
        try:
            files = parse_shard(data)
        except BadXet:
            continue
        assert data.startswith(SHARD_HEADER) and BOOKEND[:32] in data
        assert 48 * sum(1 + len(file.terms) for file in files) <= len(noise)


@given(st.lists(st.tuples(st.binary(max_size=60), st.integers(0, 3), st.integers(0, 70))))
def test_a_xorb_of_noise_is_refused_or_has_what_its_headers_say(parts):
    headers = [struct.pack("<II", len(noise) << 8, size << 8 | how) for noise, how, size in parts]
    data = b"".join(header + noise for header, (noise, *_) in zip(headers, parts, strict=True))
    try:
        contents = [unpack_chunk(data, chunk) for chunk in xorb_chunks(data)]
    except BadXet:
        # Of these parts only those are sure to read that are stored as they are.
        assert not parts or any(how or len(noise) != size or not size for noise, how, size in parts)
    else:
        assert [len(content) for content in contents] == [size for *_, size in parts]


def test_huge_count_is_refused_before_it_is_read():
    header = struct.pack("<32sIIQ", b"f" * 32, 0, 0xFFFFFFFF, 0)
    with pytest.raises(BadXet, match="more terms"):
        parse_shard(SHARD_HEADER + header + bytes(480))


@pytest.mark.parametrize("term", [(0, 0, 0), (2, 1, 5), (0, 4, 60), (0, 2, 31)])
def test_terms_must_fit(term):
    start, end, unpacked = term
    chunks = [Chunk(0, 18, 0, 10), Chunk(18, 46, 0, 20), Chunk(46, 84, 0, 30)]
    with pytest.raises(BadXet):
        check_term(Term("x", start, end, unpacked), chunk_offsets(chunks))
    check_term(Term("x", 0, 2, 30), chunk_offsets(chunks))


def test_many_small_chunks_and_long_claims_are_refused():
    data = memoryview(pack_chunk(b"x", 0) * (7 << 20))
    tracemalloc.start()
    with pytest.raises(BadXet, match="8192 chunks"):
        xorb_chunks(data)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()
    packed = pack_chunk(bytes(MAX_CHUNK_BYTES), 1)
    assert len(xorb_chunks(packed * 512)) == 512
    with pytest.raises(BadXet, match="bytes unpacked"):
        xorb_chunks(packed * 513)


def test_a_recipe_that_repeats_its_chunks_without_end_is_refused():
    def recipe(times: int, unpacked: int) -> ShardFile:
        return ShardFile("f", "s", [Term("x", 0, 512, unpacked)] * times)

    whole = MAX_CHUNK_BYTES * 512
    check_repeats(recipe(100, whole), {"x": whole})
    with pytest.raises(BadXet, match="repeats"):
        check_repeats(recipe(101, whole), {"x": whole})
    # A gigabyte of zeros is no attack.
    check_repeats(recipe(1024, 1 << 20), {"x": 1 << 20})
    many = SHARD_HEADER + (pack_file(b"f" * 32, b"s" * 32, []) * 20_001) + BOOKEND
    with pytest.raises(BadXet, match="20000 files"):
        parse_shard(many)


@given(st.data())
def test_a_cut_term_holds_what_was_asked(data):
    parts = data.draw(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=8))
    xorb = b"".join(pack_chunk(part, 0) for part in parts)
    chunks = xorb_chunks(xorb)
    first = data.draw(st.integers(0, len(parts) - 1))
    last = data.draw(st.integers(first + 1, len(parts)))
    whole = b"".join(parts[first:last])
    start = data.draw(st.integers(0, len(whole) - 1))
    stop = data.draw(st.integers(start + 1, len(whole)))
    skip, piece = cut_term(Term("x", first, last, len(whole)), chunks, start, stop)
    fetched = xorb[piece.first_byte : piece.last_byte + 1]
    content = b"".join(unpack_chunk(fetched, chunk) for chunk in xorb_chunks(fetched))
    assert len(content) == piece.term.unpacked
    assert content == b"".join(parts[piece.term.start : piece.term.end])
    assert content[skip : skip + stop - start] == whole[start:stop]
    # No chunk more than needed.
    assert skip < chunks[piece.term.start].unpacked
    assert len(content) - skip - (stop - start) < chunks[piece.term.end - 1].unpacked
