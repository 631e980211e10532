"""The log has no words of people in it: not of ours, not of libraries, not in faults."""

from __future__ import annotations

import subprocess
import sys

import pytest

from core.log import fault_of
from core.model.errors import TransientError

WORDS = "the-secret-plan"

PROGRAM = f"""
import asyncio, logging
from core.log import configure, log
configure(level="WARNING", as_json=True)

def broken():
    raise KeyError("{WORDS}")

try:
    broken()
except KeyError:
    log.exception("it_broke", surface="telegram")
logging.getLogger("telegram").critical("Received data was %r", "{WORDS}", exc_info=True)
logging.getLogger("slack_sdk").error(f"Failed: {WORDS}")

async def main():
    async def fails():
        raise ValueError("{WORDS}")
    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
asyncio.run(main())
"""


def test_chat_01_no_words_reach_stderr_by_faults_libraries_or_tasks():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=120)
    assert WORDS not in done.stdout + done.stderr
    for expected in ("it_broke", "KeyError", "Received data was %r", "slack_sdk", "Task exception was never retrieved"):
        assert expected in done.stderr, expected


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (KeyError(WORDS), "KeyError"),
        (OSError(28, "No space left on device", WORDS), "OSError (No space left on device)"),
        (TransientError("x", "Telegram is away", "Wait."), "Telegram is away. Wait."),
    ],
)
def test_a_fault_is_named_by_its_kind(error, why):
    assert fault_of(error)["why"] == why
