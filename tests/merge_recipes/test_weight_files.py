"""Bytes of weights go from file to file, by the system or piece by piece, and are hashed."""

import errno
import hashlib
import os
from concurrent.futures import Future
from pathlib import Path

import pytest
import torch
from tqdm import tqdm

from cephalo.merge_recipes import weight_files
from cephalo.merge_recipes.sources import sha256_of
from cephalo.merge_recipes.weight_files import Piece, Target, distribute

COPY = getattr(os, "copy_file_range", None)


def refused(*arguments):
    raise OSError(errno.EXDEV, "Invalid cross-device link")


def ten_bytes_then_refused(source, target, count, start, place):
    if count < 4000:
        refused()
    return COPY(source, target, 10, start, place)


def hashed(path: Path) -> Future:
    """The hash of a file as `hashed_meanwhile` gives it, done already."""
    digest: Future = Future()
    digest.set_result(sha256_of(path))
    return digest


def test_hash_of_a_file_is_its_sha256(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(bytes(range(256)) * 9000)
    assert sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("copy", [COPY, refused, ten_bytes_then_refused])
@pytest.mark.skipif(COPY is None, reason="os.copy_file_range is Linux's")
def test_pieces_arrive_whole_whatever_the_system_copies(tmp_path, monkeypatch, copy):
    monkeypatch.setattr(os, "copy_file_range", copy)
    monkeypatch.setattr(weight_files, "CHUNK_BYTES", 64)
    source = tmp_path / "source"
    values = torch.arange(1001, dtype=torch.float32)
    source.write_bytes(b"head" + values.numpy().tobytes() + b"tail")
    piece = Piece(source, torch.float32, 4, 4004)
    with (tmp_path / "target").open("wb") as file:
        same = [Target(file.fileno(), place, torch.float32) for place in (8, 6000)]
        half = Target(file.fileno(), 12000, torch.bfloat16)
        bar = tqdm(disable=True)
        distribute(source, {piece: [*same, half]}, hashed(source), bar)
    written = (tmp_path / "target").read_bytes()
    assert written[:8] == bytes(8)
    for place in (8, 6000):
        assert written[place : place + 4004] == values.numpy().tobytes()
    assert written[12000:] == values.bfloat16().view(torch.uint8).numpy().tobytes()


def test_file_that_ends_too_early_is_no_weights(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(bytes(100))
    piece = Piece(source, torch.float32, 4, 400)
    with (tmp_path / "target").open("wb") as file:
        target = Target(file.fileno(), 0, torch.float32)
        with pytest.raises(EOFError, match="is shorter than its header states"):
            distribute(source, {piece: [target]}, hashed(source), tqdm(disable=True))
