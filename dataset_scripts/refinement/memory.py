"""Limit the memory that the allocators retain in a run with many threads."""

import ctypes
import gc

import pyarrow

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
LARGE = 8 << 20  # bytes; the pixels of a large image
HEAPS = 2
# Bytes at the end of a heap that are retained for the next image: returning and requesting them
# again costs more than resizing the image.
SPARE = 32 << 20


def keep_small() -> None:
    """Configure the C allocator, Arrow and the garbage collector to retain little freed memory.

    Threads take turns at large blocks, for images and row groups. glibc has one heap per thread,
    and Arrow another one; the blocks that they retain add up to 200 MB.

    Objects that exist before the first document stay until the end, so the garbage collector skips
    them.
    """
    gc.freeze()
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_MMAP_THRESHOLD, LARGE)
        mallopt(_M_TRIM_THRESHOLD, SPARE)
        mallopt(_M_ARENA_MAX, HEAPS)
