"""Packs that lie, break off, or unpack to more than anyone has: refused before the memory or the disk is full."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.model.errors import Kind, PermanentError
from lanes.repository import command
from tests.integration.lanes import origin
from tests.integration.lanes.packs import HostileServer, Pack

pytestmark = [pytest.mark.lanes, pytest.mark.xdist_group("packs")]  # the bombs are thrown once
HERE = Path(__file__).parents[3]
MOST_MIB = 300


@pytest.fixture(scope="module")
def thrown(tmp_path_factory):
    """The outcome of every bomb, in a process of its own: `bombs` says what is in it."""
    argv = [sys.executable, "-m", "tests.integration.lanes.bombs", str(tmp_path_factory.mktemp("bombs"))]
    done = subprocess.run(argv, cwd=HERE, capture_output=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def refused(came, code, *words):
    assert came is not None
    assert (came[0], came[3]) == (code, "PermanentError")
    assert all(word in came[1] for word in words), came[1]
    assert came[2], "no mend"


def test_no_bomb_fills_the_memory_or_the_disk_or_spoils_what_comes_next(thrown):
    assert thrown.pop("self_mib") <= MOST_MIB
    assert thrown.pop("git_mib") <= MOST_MIB
    assert len(thrown) == 7
    for came in thrown.values():
        assert came["disk"] <= 32
        assert came["next"] is None


def test_a_fifth_of_a_megabyte_that_is_a_gigabyte_is_not_read_and_not_written_out(thrown):
    came = thrown["zeros"]
    assert came["bytes"] < 300_000
    refused(came["export"], "too_large", "1120 MiB", "at most", "1024 MiB")
    refused(came["read_blob"], "too_large", "64 MiB")
    refused(came["view"], "too_large", "64 MiB", "zeros0")
    assert came["read_files"] == ["~small"]
    assert came["write_tree"] is None  # an edit by rule needs none of it


def test_ten_thousand_million_files_in_a_kilobyte_are_not_listed(thrown):
    came = thrown["layers"]
    assert came["bytes"] < 1000
    assert came["out"] == []
    for step in ("paths", "export", "write_tree"):
        refused(came[step], "too_large", "1000000 files")
    for step in ("change", "import_tree"):
        refused(came[step], "too_large", "256 MiB of memory")


def test_folders_a_hundred_thousand_deep_are_refused(thrown):
    refused(thrown["depth"]["fetch"], "repository_corrupt", "crashed")
    refused(thrown["depth"]["has"], "repository_corrupt", "crashed")  # asked after every pack that was taken in


@pytest.mark.parametrize("bomb", ["delta", "size"])
def test_what_unpacks_to_more_than_the_memory_is_refused_with_the_limit(bomb, thrown):
    for step in ("fetch", "unpack"):
        refused(thrown[bomb][step], "too_large", "512 MiB of memory")
    assert thrown[bomb]["bytes"] < 100_000


@pytest.mark.parametrize("bomb", ["short", "count"])
def test_a_header_that_lies_is_refused(bomb, thrown):
    refused(thrown[bomb]["fetch"], "repository_corrupt")
    refused(thrown[bomb]["unpack"], "bad_pack")


def ordinary():
    pack = Pack()
    return pack.commit(pack.tree((b"100644", b"a", pack.blob(os.urandom(3_000_000))))), pack.written()


BROKEN = {
    "truncated": lambda raw: raw[:-1000],
    "cut after the header": lambda raw: raw[:20],
    "more behind it": lambda raw: raw + b"more" * 10,
    "another checksum": lambda raw: raw[:-20] + bytes(20),
    "one bit turned": lambda raw: raw[:1000] + bytes([raw[1000] ^ 1]) + raw[1001:],
    "another version": lambda raw: raw[:7] + b"\x09" + raw[8:],
    "no pack": lambda raw: b"<html>" + raw[6:],
    "nothing": lambda raw: b"",
}


@pytest.fixture(scope="module")
def server():
    with HostileServer().serving() as serving:
        yield serving


@pytest.mark.parametrize("how", BROKEN)
async def test_a_broken_pack_leaves_nothing(how, server, tmp_path):
    tip, raw = ordinary()
    broken = BROKEN[how](raw)
    repo = origin.store(server.offer("broken", tip, broken), tmp_path)
    with pytest.raises(PermanentError) as fetched:
        await repo.fetch_base()
    assert fetched.value.problem.code == "repository_corrupt"
    assert origin.git("for-each-ref", at=repo.store.path) == b""
    if how == "more behind it":  # the pack is whole, so that its objects stay; nothing reaches them
        return
    with pytest.raises(PermanentError) as unpacked:
        await repo.unpack(broken)
    assert unpacked.value.problem.code == "bad_pack"
    assert not await repo.has(tip.hex())


async def test_a_pack_beyond_the_limit_of_a_file_is_refused_and_its_draft_goes(server, tmp_path, monkeypatch):
    tip, raw = ordinary()
    repo = origin.store(server.offer("large", tip, raw), tmp_path)
    monkeypatch.setattr(command, "FILE_BYTES", 1_000_000)
    with pytest.raises(PermanentError) as caught:
        await repo.fetch_base()
    assert (caught.value.problem.code, caught.value.problem.kind) == ("too_large", Kind.BLOCKED)
    drafts = list((repo.store.path / "objects" / "pack").glob("tmp_*"))
    assert sum(draft.stat().st_size for draft in drafts) <= 1_000_000
    for draft in drafts:
        os.utime(draft, (0, time.time() - 3600))  # as if its git had been dead for an hour
    with pytest.raises(PermanentError):
        await repo.unpack(raw)
    left = list((repo.store.path / "objects" / "pack").glob("tmp_*"))
    assert not set(left) & set(drafts)
    monkeypatch.undo()
    assert await repo.fetch_base() == tip.hex()


async def test_a_remote_that_sends_something_else_than_it_said_is_refused(server, tmp_path):
    _, raw = ordinary()
    repo = origin.store(server.offer("other", b"\1" * 20, raw), tmp_path)
    with pytest.raises(PermanentError) as caught:
        await repo.fetch_base()
    assert caught.value.problem.code == "repository_corrupt"


async def test_an_index_that_lies_is_not_believed(bare, tmp_path):
    """The remote's own index gives a file's bytes for every object; what arrives is named by its bytes."""
    origin.git("repack", "-adq", at=bare)
    readme = bytes.fromhex(origin.line("rev-parse", "main:README.md", at=bare))
    index = next((bare / "objects" / "pack").glob("*.idx"))
    raw = bytearray(index.read_bytes())
    objects = int.from_bytes(raw[8 + 255 * 4 : 8 + 256 * 4], "big")
    ids = 8 + 256 * 4
    offsets = ids + objects * 24  # after the ids and the checksums
    file = offsets + (raw.index(readme, ids) - ids) // 20 * 4
    raw[offsets : offsets + 4 * objects] = raw[file : file + 4] * objects
    index.chmod(0o644)
    index.write_bytes(raw)
    with pytest.raises(PermanentError) as caught:
        await origin.store(bare, tmp_path / "s").fetch_base()
    assert caught.value.problem.code == "repository_corrupt"
    assert caught.value.problem.mend
