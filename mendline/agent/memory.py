"""Keeps the memory of a program that is nothing but an agent small."""

from __future__ import annotations

import contextlib
import gc

M_ARENA_MAX = -8


def spare_memory() -> None:
    """Let all threads share one arena of the C library, and free what start-up left behind.

    Call it before `run`, for the arena, and once all parts are at work, for what importing and connecting left: 2 MB.
    Each thread would get an arena of its own otherwise, half empty: 3 MB in all. Python's threads take turns anyway.
    What is alive now lives as long as the program, so the garbage collector need not look at it again.
    """
    import ctypes

    with contextlib.suppress(OSError, AttributeError):  # a C library without arenas
        library = ctypes.CDLL(None)
        library.mallopt(M_ARENA_MAX, 1)
        gc.collect()
        library.malloc_trim(0)
    gc.freeze()
