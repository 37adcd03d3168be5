"""The door: `streamlit run app.py`. The frame is ui/frame.py; it must not stand beside the folder pages/."""

import ipaddress

import streamlit as st

LOOPBACK_NAMES = ("localhost",)


def check_address(address: str | None) -> None:
    """Refuse to serve other machines: the dashboard has no login, and training is started from it."""
    if address in LOOPBACK_NAMES:
        return
    try:
        loopback = address is not None and ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise SystemExit(
            f"The dashboard has no login, so it is served to this machine only: expected a loopback address, got "
            f"{address or 'every interface'!r}. Start it with --server.address 127.0.0.1, and reach it from elsewhere through "
            f"'ssh -L 8501:127.0.0.1:8501 <this machine>'."
        )


check_address(st.get_option("server.address"))
app = st.App("ui/frame.py")
