"""Packs that unpack to more than anyone has, each through every real path: run alone, so that its memory is its own.

Writes what came of each as JSON to standard output: by name, an error's code and words, or null where none was due;
and the most memory that this process, and any git that it started, ever held, in MiB.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from core.model.errors import CountersignError
from lanes.repository import GitRepository, TreeView
from lanes.repository.command import MIB
from tests.integration.lanes import origin
from tests.integration.lanes.packs import BLOB, TREE, HostileServer, Pack

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
FILE = b"100644"
DIRECTORY = b"40000"
ZEROS = [bytes(MIB)] * 160


def zeros(pack: Pack) -> bytes:
    """Seven files of 160 MiB in a fifth of a megabyte."""
    blob = pack.stream(BLOB, ZEROS)
    return pack.commit(pack.tree(*((FILE, b"zeros%d" % n, blob) for n in range(7)), (FILE, b"~small", pack.blob())))


def layers(pack: Pack) -> bytes:
    """Ten times the same folder, ten deep: 10^10 files."""
    mode, oid = FILE, pack.blob()
    for _ in range(10):
        oid = pack.tree(*((mode, b"%d" % n, oid) for n in range(10)))
        mode = DIRECTORY
    return pack.commit(oid)


def depth(pack: Pack) -> bytes:
    """A file below 10^5 folders."""
    mode, oid = FILE, pack.blob()
    for _ in range(100_000):
        oid, mode = pack.tree((mode, b"d", oid)), DIRECTORY
    return pack.commit(oid)


def delta(pack: Pack) -> bytes:
    """One kilobyte that copies 16 MiB a hundred times."""
    base = bytes(16 * MIB)
    pack.delta(pack.add(BLOB, base), len(base), 100)
    return pack.commit(pack.tree((FILE, b"a", pack.blob())))


def size(pack: Pack) -> bytes:
    """A tree whose header claims a terabyte."""
    pack.lying(TREE, 1 << 40, b"")
    return pack.commit(pack.tree())


def short(pack: Pack) -> bytes:
    """A file whose header claims less than there is."""
    pack.lying(BLOB, 3, b"four")
    return pack.commit(pack.tree())


def count(pack: Pack) -> bytes:
    """A header that claims 4 * 10^9 objects."""
    tip = pack.commit(pack.tree())
    pack.count = 0xFFFFFFFF
    return tip


BOMBS: dict[str, Callable[[Pack], bytes]] = {
    "zeros": zeros, "layers": layers, "depth": depth, "delta": delta, "size": size, "short": short, "count": count
}  # fmt: skip


def good() -> tuple[bytes, bytes]:
    """An ordinary repository."""
    pack = Pack()
    return pack.commit(pack.tree((FILE, b"a", pack.blob()))), pack.written()


async def told(work: Awaitable[object]) -> list[str] | None:
    """How it failed, for a person."""
    try:
        await work
    except CountersignError as error:
        return [error.problem.code, error.problem.message, str(error.problem.mend), type(error).__name__]
    return None


async def throw(server: HostileServer, root: Path, name: str) -> dict[str, object]:
    """One bomb, through everything that takes objects in, lists them, reads them or writes them out."""
    pack = Pack()
    tip = BOMBS[name](pack)
    raw = pack.written()
    came: dict[str, object] = {"bytes": len(raw)}
    repo = origin.store(server.offer(name, tip, raw), root / "fetched")
    came["fetch"] = await told(repo.fetch_base())
    unpacked = origin.store(server.offer(name, tip, raw), root / "unpacked")
    came["unpack"] = await told(unpacked.unpack(raw))
    came["has"] = await told(unpacked.has(tip.hex()))
    if came["fetch"] is None:
        came |= await use(repo, tip.hex(), root)
    kept = [file for file in root.rglob("*") if file.is_file() and not file.is_symlink()]
    came["disk"] = sum(file.stat().st_blocks * 512 for file in kept) // MIB
    came["next"] = await told(origin.store(server.offer("good", *good()), root / "fetched").fetch_base())
    return came


async def use(repo: GitRepository, tip: str, root: Path) -> dict[str, object]:
    """What the host does with a tree."""
    tree = await repo.tree_of(tip)
    out = root / "out"
    out.mkdir()
    came: dict[str, object] = {
        "paths": await told(repo.paths(tip)),
        "export": await told(repo.export(tree, out)),
        "write_tree": await told(repo.write_tree(tree, {"new": b"1"}, [], {})),
    }
    empty = await repo.write_tree(EMPTY_TREE, {"x": b""}, [], {})
    came["change"] = await told(repo.change(await repo.write_root(empty, "x", AT), tree))
    came["import_tree"] = await told(repo.import_tree(out, tree))
    came["out"] = origin.names_in(out)
    if came["paths"] is None:
        came |= await read(repo, tree)
    return came


async def read(repo: GitRepository, tree: str) -> dict[str, object]:
    """Reading the large file, and one beside it."""
    files = await repo.list_paths(tree)
    large = files[b"zeros0"][1]

    def view() -> bytes | None:
        with TreeView(repo.store, tree) as shown:
            return shown.read("zeros0")

    async def shown() -> None:
        await asyncio.to_thread(view)

    some = await repo.read_files(tree, ["zeros0", "~small"], 1000)
    return {"read_blob": await told(repo.read_blob(large)), "view": await told(shown()), "read_files": sorted(some)}


async def main(root: Path, names: list[str]) -> None:
    """All of them, or those of these names."""
    report: dict[str, object] = {}
    with HostileServer().serving() as server:
        for name in names or BOMBS:
            folder = root / name
            folder.mkdir()
            report[name] = await throw(server, folder, name)
    # not what getrusage says of ourselves: that counts the process too that we were forked from
    status = Path("/proc/self/status").read_text(encoding="ascii")
    report["self_mib"] = int(status.split("VmHWM:")[1].split()[0]) // 1024
    report["git_mib"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
