"""The live view on a real terminal: it draws, fits 80 columns, and Ctrl-C ends it as asked."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from tests.homes import clean_environment

pytestmark = [
    pytest.mark.queue,
    pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX's; run this on Linux or macOS"),
]

LEAVES_SCREEN = b"\x1b[?1049l"


def read_until(terminal: int, wanted: bytes, within_s: float = 60) -> bytes:
    """What is written to a terminal until `wanted` is among it, or until its end."""
    seen, until = b"", time.monotonic() + within_s
    while wanted not in seen:
        assert time.monotonic() < until, seen
        if not select.select([terminal], [], [], 0.5)[0]:
            continue
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # Linux, when the other side is closed
            break
        if not chunk:
            break
        seen += chunk
    return seen


def test_the_live_view_draws_the_queue_and_ends_with_ctrl_c(home):
    import fcntl
    import pty
    import struct
    import termios

    assert home.call("ask", "set server.port to 81 in config/app.yaml", "--as", "ana").code == 0
    terminal, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    watching = subprocess.Popen(
        [sys.executable, "-c", "from bot.cli import main; main()", *home.argv("queue", "--watch")],
        env={**clean_environment(), "PYTHONSAFEPATH": "1", "TERM": "xterm-256color"},
        cwd=home.folder,
        stdin=other,
        stdout=other,
        stderr=other,
        start_new_session=True,
    )
    os.close(other)
    try:
        drawn = read_until(terminal, b"Ctrl-C ends")
        assert b"begins within a minute" in drawn
        text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", drawn).decode()
        assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
        os.killpg(watching.pid, signal.SIGINT)
        rest = read_until(terminal, LEAVES_SCREEN)
        assert LEAVES_SCREEN in rest
        assert b"Traceback" not in rest
        assert watching.wait(60) == 0
    finally:
        watching.kill()
        os.close(terminal)
