"""The real llama.cpp with its own server, in a process that dies with the test."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.counterparts import engine

SERVE: Final = Path(__file__).with_name("serve.py")
_LONGEST_START_S: Final = 60.0
_BEGUN: Final = re.compile(r"\| processing task")
_CANARY: Final = re.compile(r"\|\s+eval time =.*/ +1 tokens")
"""An answer of one token; no question of these tests has one."""


@dataclass(frozen=True, slots=True)
class Engine:
    """One running engine, with one model."""

    name: str
    address: str
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """What an endpoint's `url` is."""
        return f"{self.address}/v1"

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.address.rpartition(":")[2])

    @property
    def asked(self) -> int:
        """How many questions it began to answer, by its own log; canaries that it answered do not count."""
        text = self.log.read_text(errors="replace")
        return len(_BEGUN.findall(text)) - len(_CANARY.findall(text))

    def kill(self) -> None:
        """End it at once, as a lost host would."""
        self.process.kill()
        self.process.wait()


@contextmanager
def running_engine(file: Path, **parameters: Any) -> Iterator[Engine]:
    """The engine with the model in `file`, which it serves under the file's name; skips where llama.cpp is missing.

    `parameters` are llama.cpp's own, such as ``port`` and ``n_ctx``.
    """
    log = file.with_suffix(".log")
    argv = [str(engine()), "-I", str(SERVE), str(file), json.dumps(parameters)]
    with (
        log.open("wb") as errors,
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        too_late = threading.Timer(_LONGEST_START_S, process.kill)
        try:
            too_late.start()
            assert process.stdout is not None
            address = process.stdout.readline().decode().strip()
            too_late.cancel()
            assert address, f"llama.cpp did not start: {log.read_text(errors='replace')[-2000:]}"
            yield Engine(file.stem, address, log, process)
        finally:
            too_late.cancel()
            process.kill()
