"""The memory of a run with many threads, kept near what is in use."""

import ctypes
import gc

import pyarrow

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
LARGE = 8 << 20  # bytes; the pixels of a large image
HEAPS = 2
# Bytes at the end of a heap that are kept for the next image: to give them back and to take them
# again costs more than to shrink it.
SPARE = 32 << 20


def keep_small() -> None:
    """Have freed memory used again or given back, as far as the C library can.

    Threads take turns at large blocks, for images and row groups. Each has a heap of its own with
    glibc, and Arrow has another one: what they keep of such blocks adds up to 200 MB.

    What is there before the first document stays there to the end, and the garbage collector does
    not look through it again and again.
    """
    gc.freeze()
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_MMAP_THRESHOLD, LARGE)
        mallopt(_M_TRIM_THRESHOLD, SPARE)
        mallopt(_M_ARENA_MAX, HEAPS)
