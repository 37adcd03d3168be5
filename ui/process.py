"""How the server's process uses memory, its threads and what browsers send; imported before anything large is loaded.

Arrow's own allocator keeps what tables took, and glibc what arrays took, for a next time that may never come: at 1.28 M samples
half of the server. What a page is done with goes back to the system instead. Elsewhere than on glibc, and where Arrow is loaded
already, that is left as it is. Threads take turns ten times as often as by default, so that what a page's script has made reaches
the browser while the script goes on.
"""

import ctypes
import functools
import gc
import os
import sys

from streamlit.runtime.app_session import AppSession

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8  # malloc.h


def give_memory_back() -> None:
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, 256 * 1024)
        mallopt(TRIM_THRESHOLD, 1024 * 1024)
        mallopt(ARENA_MAX, 2)


def displays_bring_no_widgets() -> None:
    """What a display asks that draws itself anew (`run_every`) is run without the states of the widgets.

    Streamlit's browser side sends them all along, and while it is busy it sends a click's state with such a request before it
    sends the click: the callback would then run for a script that draws nothing else, and its effect be lost (what it put into
    another widget is overwritten by the click's own request), or come twice. A request from another page still has them: by them
    Streamlit tells which widgets stay.
    """
    given = AppSession.request_rerun

    @functools.wraps(given)
    def request_rerun(session, client_state):
        if client_state is not None and client_state.is_auto_rerun and client_state.page_script_hash == session.page_script_hash:
            client_state.ClearField("widget_states")
        given(session, client_state)

    AppSession.request_rerun = request_rerun


def keep_what_is_loaded() -> None:
    """At the end of a page: what has been loaded stays, so the search for garbage, one after each request, passes over it.

    Streamlit searches everything each time; over all modules that takes longer than what a display does that draws itself anew, and
    twenty people who only looked kept a core busy.
    """
    global _modules
    if len(sys.modules) != _modules:
        _modules = len(sys.modules)
        gc.collect()
        gc.freeze()


_modules = 0
give_memory_back()
displays_bring_no_widgets()
sys.setswitchinterval(0.0005)
