"""How the server's process uses memory and its threads; imported before anything large is loaded.

Arrow's own allocator keeps what tables took, and glibc what arrays took, for a next time that may never come: at 1.28 M samples
half of the server. What a page is done with goes back to the system instead. Elsewhere than on glibc, and where Arrow is loaded
already, that is left as it is. Threads take turns ten times as often as by default, so that what a page's script has made reaches
the browser while the script goes on.
"""

import ctypes
import os
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8  # malloc.h


def give_memory_back() -> None:
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, 256 * 1024)
        mallopt(TRIM_THRESHOLD, 1024 * 1024)
        mallopt(ARENA_MAX, 2)


give_memory_back()
sys.setswitchinterval(0.0005)
