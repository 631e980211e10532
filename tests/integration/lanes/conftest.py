"""Fixtures of the tests of lanes: a remote, its store, and the sandboxes that work here."""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401 (an ordinary user could not read root's Python any more, once forked)
import functools
import os
import pickle
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lanes.repository import GitRepository
from lanes.sandbox import SandboxResult, find_bwrap
from lanes.sandbox.bwrap import Bwrap, BwrapSandbox
from lanes.sandbox.find_bwrap import known_options
from tests.integration.lanes import origin

USER = 61_999

START = {
    "README.md": "# Web\n",
    "config/app.yaml": "# keep me\nserver:\n  timeout: 10   # seconds\n  host: a\n",
    "src/a.py": "print(1)\nprint(2)\nprint(3)\n",
    "run.sh": "#!/bin/sh\n",
}


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    return origin.remote(tmp_path / "origin.git", START)


@pytest.fixture
def repo(bare: Path, tmp_path: Path) -> GitRepository:
    return origin.store(bare, tmp_path / "state")


def _missing(why: str) -> None:
    told = f"needs the Debian package bubblewrap, and user namespaces: {why}"
    if os.environ.get("CI") == "true":
        pytest.fail(told)
    pytest.skip(told)


class AsOrdinaryUser:
    """A sandbox whose every run is asked for by a process of an ordinary user; for tests that root runs."""

    def __init__(self, bwrap: Bwrap) -> None:
        self.bwrap = bwrap

    async def run(self, *args: Any) -> SandboxResult:
        """What `BwrapSandbox.run` gives to such a user; cancelling kills the asking process."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            self._serve(writing, *args)
        os.close(writing)
        with os.fdopen(reading, "rb") as answer:
            try:
                came: SandboxResult | BaseException = pickle.loads(await asyncio.to_thread(answer.read))
            except asyncio.CancelledError:
                os.kill(child, signal.SIGKILL)
                raise
            finally:
                os.waitpid(child, 0)  # noqa: ASYNC222 - it has ended or was killed
        if isinstance(came, BaseException):
            raise came
        return came

    def _serve(self, writing: int, *args: Any) -> None:
        os.setgroups([])
        os.setgid(USER)
        os.setuid(USER)
        tempfile.tempdir = "/tmp"
        came: SandboxResult | BaseException
        asyncio._set_running_loop(None)
        try:
            came = asyncio.run(BwrapSandbox(self.bwrap).run(*args))
        except BaseException as error:  # noqa: BLE001 - the other process tells it
            came = RuntimeError(repr(error))
        os.write(writing, pickle.dumps(came))
        os._exit(0)


@pytest.fixture(scope="session")
def found() -> BwrapSandbox:
    """The sandbox that this host finds."""
    sandbox = find_bwrap()
    if not isinstance(sandbox, BwrapSandbox):
        _missing(sandbox.message)
        raise AssertionError
    return sandbox


_WAYS = ["as found", "as an ordinary user"] if hasattr(os, "geteuid") and os.geteuid() == 0 else ["as found"]


@pytest.fixture(params=_WAYS)
def sandbox(request: pytest.FixtureRequest, found: BwrapSandbox) -> BwrapSandbox | AsOrdinaryUser:
    """The sandbox that this host finds; for root also the one that an ordinary user would find."""
    if request.param == "as found":
        return found
    program = found.bwrap.program
    return AsOrdinaryUser(Bwrap(program, _options_of(program), syscall_filter=found.bwrap.syscall_filter))


@functools.cache
def _options_of(program: str) -> frozenset[str]:
    return known_options(program)


@pytest.fixture
def work(sandbox: BwrapSandbox | AsOrdinaryUser) -> Iterator[Path]:
    """A folder with one file, which the sandbox may bind."""
    with tempfile.TemporaryDirectory(prefix="countersign-test-") as name:
        folder = Path(name)
        (folder / "mine").write_text("in\n")
        if sandbox.bwrap.setpriv is None and os.geteuid() == 0:
            for path in (folder, folder / "mine"):
                os.chown(path, USER, USER)
        yield folder


def given_to_user(sandbox: BwrapSandbox | AsOrdinaryUser, *paths: Path) -> None:
    """Make `paths` the ordinary user's, where the sandbox is asked for by one."""
    if isinstance(sandbox, AsOrdinaryUser):
        for path in paths:
            os.chown(path, USER, USER)


async def as_user(work: Callable[..., Any], *args: Any, fork: bool = True) -> Any:
    """What `work` gives when a process of an ordinary user calls it; in this process if no one needs to change."""

    def become() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(USER)
            os.setuid(USER)
            tempfile.tempdir = "/tmp"
            os.environ["HOME"] = "/tmp"

    if not fork:
        become()
        return await asyncio.to_thread(work, *args)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        asyncio._set_running_loop(None)
        try:
            become()
            came = work(*args)
        except BaseException as error:  # noqa: BLE001 - the other process tells it
            came = RuntimeError(repr(error))
        os.write(writing, pickle.dumps(came))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        came = pickle.loads(await asyncio.to_thread(answer.read))
    os.waitpid(child, 0)  # noqa: ASYNC222 - it has ended
    if isinstance(came, BaseException):
        raise came
    return came
