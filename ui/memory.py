"""Memory that a page is done with goes back to the system, before anything large is loaded. At 1.28 M samples it halves the server.

Arrow's own allocator keeps what tables took, and glibc what arrays took, for a next time that may never come. Elsewhere than on
glibc, and where Arrow is loaded already, nothing happens.
"""

import ctypes
import os

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8  # malloc.h


def give_back() -> None:
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, 256 * 1024)
        mallopt(TRIM_THRESHOLD, 1024 * 1024)
        mallopt(ARENA_MAX, 2)


give_back()
