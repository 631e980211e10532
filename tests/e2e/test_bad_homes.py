"""A home that is read-only, full, damaged, newer, gone or already served: one clear sentence, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core.model.errors import Problem
from lanes.sandbox import find_bwrap
from tests.homes import SCRIPT, CliHome, Said, clean_environment, copy_home

ASK = ("ask", "set server.timeout to 30 in config/app.yaml", "--as", "ana")
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


# -- the database --------------------------------------------------------------------------------------------------


def _garbage(file: Path) -> None:
    file.write_bytes(b"this is no database " * 500)


def _emptied(file: Path) -> None:
    file.write_bytes(b"")


def _scribbled(file: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[100:60_000] = b"\x55" * 59_900
    file.write_bytes(raw)


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")


@pytest.mark.parametrize("damage", [_garbage, _emptied, _scribbled, _cut, _folder, _newer])
def test_a_database_that_cannot_be_used_is_named_and_left_as_it_was(home: CliHome, damage: Callable[[Path], None]):
    damage(home.database)
    before = home.database.read_bytes() if home.database.is_file() else b""
    for words in (("list",), (*ASK, "--wait"), ("worker", "--drain"), ("serve",), ("migrate",)):
        said = home.call(*words)
        assert said.code == 7, said
        assert any(word in said.sentence() for word in ("Restore", "restore", "Install", "state directory")), said
    assert home.call("doctor").code == 1
    assert (home.database.read_bytes() if home.database.is_file() else b"") == before


def test_a_database_that_is_gone_from_a_home_in_use_is_missed(home: CliHome):
    home.staged()
    home.database.unlink()
    said = home.call("list")
    assert said.code == 7
    assert "Restore a backup" in said.sentence()
    assert not home.database.exists(), "an empty one in its place would hide the loss"
    assert home.call("migrate").code == 0, "unless that is what somebody wants"
    assert home.call("list", "--json").json() == []


def test_what_the_durable_runs_remembered_may_be_lost(home: CliHome):
    for n, content in enumerate((b"", b"rubbish" * 999), start=1):
        home.database.with_name("engine.sqlite").write_bytes(content)
        assert home.staged(f"set server.timeout to {n} in config/app.yaml")["state"] == "staged"


def test_a_backup_is_restored_paused_and_proves_what_was_published(home: CliHome, tmp_path: Path):
    home.published()
    file = tmp_path / "backup.tar.gz"
    assert home.call("backup", file).code == 0
    shutil.rmtree(home.root)
    assert home.call("restore", file).code == 0
    assert home.document("queue")["paused"]["reason"].startswith("restored from backup.tar.gz")
    assert home.call("verify", 1).code == 0
    for broken in (file.read_bytes()[:700], b"no archive"):
        (tmp_path / "broken.tar.gz").write_bytes(broken)
        other = CliHome(tmp_path / "other")
        said = other.call("restore", tmp_path / "broken.tar.gz")
        assert said.code == 1
        assert "Use another backup" in said.sentence()
        shutil.rmtree(other.root)


# -- read-only -----------------------------------------------------------------------------------------------------


@pytest.fixture
def shown(template_home: CliHome) -> Iterator[CliHome]:
    """A home that everybody may read: pytest's own folders are closed to others."""
    with tempfile.TemporaryDirectory(prefix="countersign-") as folder:
        Path(folder).chmod(0o755)
        yield copy_home(template_home, Path(folder))


def _as_nobody(home: CliHome, *words: object) -> Said:
    """Run the console script as a user who may read everything in the home's folder and write nothing."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become nobody: the owner of a home may always write to it")
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv, of the Debian package util-linux")
    environment = {**clean_environment(), "HOME": "/"}
    run: dict[str, Any] = {"capture_output": True, "text": True, "env": environment, "cwd": "/"}
    if subprocess.run([*NOBODY, str(SCRIPT), "--version"], **run, check=False).returncode != 0:
        pytest.skip("nobody may not run this Python: put the checkout, and Python itself, where others may read them")
    subprocess.run(["chmod", "-R", "a+rX,go-w", str(home.folder)], check=True)
    done = subprocess.run([*NOBODY, str(SCRIPT), *home.argv(*words)], **run, check=False)
    return Said(tuple(map(str, words)), done.returncode, done.stdout, done.stderr).checked()


def test_a_read_only_home_is_said_by_every_command(shown: CliHome):
    shown.staged()
    for words in (("list",), (*ASK, "--wait"), ("serve",), ("migrate",)):
        said = _as_nobody(shown, *words)
        assert said.code == 7, said
        assert "is not writable. Make the home directory writable, or run as its owner." in said.sentence()
    assert _as_nobody(shown, "doctor").code == 1
    assert _as_nobody(shown, "policy", "check").code == 0


def test_a_home_that_may_not_be_made_here_is_said(shown: CliHome):
    for path in (shown.bare, *shown.bare.rglob("*")):
        os.chown(path, 65534, 65534)
    other = CliHome(shown.folder / "new")
    other.folder.mkdir()
    said = _as_nobody(other, "init", "--repo", f"web={shown.bare}")
    assert said.code == 7, said
    assert "Permission denied" in said.sentence()
    assert not other.root.exists()


# -- full ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MiB in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs root and leave to mount a tmpfs: a disk that is full cannot be had otherwise")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _fill(disk: Path, leave_bytes: int) -> None:
    """Leave this much room on the disk."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    spare = shutil.disk_usage(disk).free - leave_bytes
    filler.write_bytes(b"\0" * (spare - spare % 4096))


def test_a_full_disk_refuses_in_a_sentence_and_everything_goes_on_when_there_is_room(template_home, small_disk: Path):
    home = copy_home(template_home, small_disk / "h")
    home.quicken()
    digest = home.staged()["staged"]["digest"]
    approve = ("approve", 1, digest, "--as", "lee")
    for leave in (0, 40_960, 150_000, 300_000):
        _fill(small_disk, leave)
        for words in ((*ASK, "--wait"), approve, ("worker", "--drain"), ("backup", small_disk / "b.tgz")):
            said = home.call(*words)
            assert said.code in ((0, 5, 7) if words is approve else (0, 7)), said
            if said.code == 7:
                last = said.err.splitlines()[-1]
                assert last.startswith("countersign: "), said
                assert any(word in last for word in ("Free some disk space", "Make room", "doctor", "kept")), said
        (small_disk / "b.tgz").unlink(missing_ok=True)
    (small_disk / "filler").unlink()
    asked = len(home.call("list", "--json").json())
    assert asked > 1, "with some room, requests were taken in"
    home.call(*approve)
    for _ in range(2):  # the first may only get round to writing that the try before it met a full disk
        home.hurry()
        assert home.call("worker", "--drain").code == 0
    states = [row["state"] for row in home.call("list", "--json").json()]
    assert states == ["staged"] * (asked - 1) + ["published"]
    assert home.call("verify", 1).code == 0


def test_a_new_home_on_a_full_disk_leaves_no_half_home(template_home, small_disk: Path):
    home = copy_home(template_home, small_disk / "h")
    other = CliHome(small_disk / "other")
    other.folder.mkdir()
    for leave in (0, 8192, 100_000):
        _fill(small_disk, leave)
        said = other.call("init", "--repo", f"web={home.bare}")
        assert said.code == 7, said
        assert "Free some disk space" in said.sentence() or "Make room" in said.sentence(), said
        assert not (other.root / "countersign.yaml").exists()
    (small_disk / "filler").unlink()
    assert other.call("init", "--repo", f"web={home.bare}").code == 0


# -- served --------------------------------------------------------------------------------------------------------


def _line(process: subprocess.Popen[bytes]) -> str:
    """The next line on the process's stderr; waits for it."""
    assert process.stderr is not None
    return process.stderr.readline().decode()


def test_a_second_serve_on_one_home_is_refused_and_the_first_drains_at_sigterm(home: CliHome):
    first = home.start("serve")
    assert _line(first).startswith("countersign: serving ")
    second = home.run("serve")
    assert second.code == 5
    assert "another `countersign serve` is running on" in second.sentence()
    assert home.document(*ASK)["number"] == 1
    assert _rests(home, 1) == "staged", "a served home needs no --wait"
    first.send_signal(signal.SIGTERM)
    _, err = first.communicate(timeout=30)
    assert (first.returncode, err) == (0, b"")


@pytest.mark.sandbox
@pytest.mark.parametrize("signals", [1, 2])
def test_a_server_told_to_stop_finishes_what_runs_and_told_twice_gives_it_back(home: CliHome, signals: int):
    if isinstance(find_bwrap(), Problem):
        pytest.skip("needs a sandbox: install the Debian package bubblewrap")
    home.scripted(f"import time; time.sleep({2 if signals == 1 else 60}); open('src/x.txt', 'w').write('hi')")
    server = home.start("serve")
    assert _line(server).startswith("countersign: serving ")
    home.document("ask", "run it", "--lane", "scripted", "--as", "ana")
    _wait_for(home, 1, "task.started")
    for _ in range(signals):
        server.send_signal(signal.SIGTERM)
        _wait_until_heard(server)
    _, err = server.communicate(timeout=30)
    assert b"Traceback" not in err
    if signals == 1:
        assert server.returncode == 0
        assert home.document("show", 1)["state"] == "staged"
    else:
        assert server.returncode == 130
        assert [(job["state"], job["worker"]) for job in home.document("queue")["jobs"]] == [("ready", None)]


def _wait_until_heard(process: subprocess.Popen[bytes]) -> None:
    """Two signals at once may arrive as one, so wait until the first is no longer pending."""
    status = Path(f"/proc/{process.pid}/status")
    while status.exists():
        pending = next(line for line in status.read_text().splitlines() if line.startswith("ShdPnd:"))
        if not int(pending.split()[1], 16):
            return


def _rests(home: CliHome, number: int) -> str:
    """The state of a task once a server brought it to rest."""
    _wait_for(home, number, "task.staged", "task.failed")
    state: str = home.document("show", number)["state"]
    return state


def _wait_for(home: CliHome, number: int, *kinds: str) -> None:
    """Follow the stream of events until one of these is told."""
    follow = home.start("events", "--task", number, "--follow", "--json")
    assert follow.stdout is not None
    try:
        for line in follow.stdout:
            if json.loads(line)["kind"] in kinds:
                return
    finally:
        follow.kill()
        follow.communicate()
