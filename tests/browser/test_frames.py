"""What a hostile client may send to the server's door without a browser: nothing of it ends the server or fills its memory."""

import base64
import contextlib
import os
import re
import socket
import struct
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.browser.conftest import ROOT, start_server

HUGE = 210_000_000  # bytes; Streamlit takes messages up to 200 MB
FRAMES = {
    "not a message": b"\x82\x86\0\0\0\0\xff\xff\xff\x01\x02\x03",
    "an opcode that is not there": b"\x83\x80\0\0\0\0",
    "unmasked": b"\x82\x05hello",
    "text": b"\x81\x85\0\0\0\0hello",
    "cut off": b"\x82\xff\0\0",
}


@pytest.fixture(scope="module")
def door(many_root, tmp_path_factory):
    server, address = start_server(many_root, tmp_path_factory.mktemp("log") / "server.log")
    yield server, address.removeprefix("http://")
    server.terminate()
    server.wait(20)


@contextlib.contextmanager
def connected(host: str):
    """A WebSocket whose handshake was accepted, as a plain socket."""
    name, port = host.split(":")
    with socket.create_connection((name, int(port)), timeout=20) as link:
        key = base64.b64encode(os.urandom(16)).decode()
        head = f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        link.sendall(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: streamlit\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += link.recv(4096)
        assert b" 101 " in answer.split(b"\r\n")[0]
        yield link


def lives(server, host: str) -> bool:
    return server.poll() is None and urllib.request.urlopen(f"http://{host}/_stcore/health", timeout=20).read() == b"ok"


@pytest.mark.parametrize("name", FRAMES)
def test_a_malformed_frame_closes_its_own_connection_at_most(name, door):
    server, host = door
    with connected(host) as link:
        link.settimeout(1)
        link.sendall(FRAMES[name])
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            assert str(ROOT).encode() not in link.recv(65536)
        assert lives(server, host)
    assert lives(server, host)


def test_a_message_beyond_the_limit_is_refused_before_it_is_read(door):
    server, host = door
    before = memory(server.pid)
    with connected(host) as link, pytest.raises(OSError):
        link.sendall(b"\x82\xff" + struct.pack(">Q", HUGE) + b"\0\0\0\0")
        for _ in range(HUGE // 1_000_000):
            link.sendall(b"\0" * 1_000_000)
    assert lives(server, host) and memory(server.pid) - before < 50


def test_an_upload_without_a_session_is_refused_and_names_no_path(door):
    server, host = door
    asked = urllib.request.Request(f"http://{host}/_stcore/upload_file/one/two", data=b"x" * 3_000_000, method="PUT")
    with pytest.raises((urllib.error.HTTPError, urllib.error.URLError)) as refused:
        urllib.request.urlopen(asked, timeout=20)
    if isinstance(refused.value, urllib.error.HTTPError):
        assert refused.value.code == 403 and str(ROOT).encode() not in refused.value.read()
    assert lives(server, host)


def memory(pid: int) -> float:
    """MB of a process that are its own."""
    return int(re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024
