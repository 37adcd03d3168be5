"""What the door lets in, and what the dashboard does not load."""

import subprocess
import sys
from pathlib import Path

import pytest

import app

ROOT = Path(__file__).resolve().parents[2]


def test_the_dashboard_leaves_torch_out():
    code = (
        "import sys, ui.data, ui.sidebar, ui.pair, ui.one_sample, ui.details; print({'torch', 'torchvision', 'sklearn'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == "set()"


def test_the_server_ends_at_once_where_it_would_listen_to_others():
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        "--server.address",
        "0.0.0.0",
        "--server.port",
        "0",
        "--server.headless",
        "true",
    ]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 1 and "expected a loopback address, got '0.0.0.0'" in outcome.stderr


@pytest.mark.parametrize("address", ["0.0.0.0", "::", None, "", "192.168.1.5", "example.org"])
def test_other_machines_are_not_served(address):
    with pytest.raises(SystemExit, match="expected a loopback address.*ssh -L"):
        app.check_address(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1", "127.3.2.1"])
def test_this_machine_is(address):
    app.check_address(address)


def test_the_config_binds_to_this_machine():
    import tomllib

    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert config["server"]["address"] == "127.0.0.1" and config["server"]["allowedHosts"] == ["localhost", "127.0.0.1"]
    assert config["server"]["enableXsrfProtection"] and config["server"]["enableCORS"] and not config["browser"]["gatherUsageStats"]
    assert len(config["theme"]["chartSequentialColors"]) == 10 and len(config["theme"]["chartDivergingColors"]) == 10


def test_no_page_shows_html_of_its_own():
    for path in [*(ROOT / "ui").glob("*.py"), *(ROOT / "pages").glob("*.py")]:
        text = path.read_text()
        assert "unsafe_allow_html" not in text and "st.html" not in text and "innerHTML" not in text, path


def test_pages_are_thin():
    for path in (ROOT / "pages").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 120, path
