"""The executor `shout`: writes the files that a request names in capitals."""

from __future__ import annotations

from bot.plugins import PluginContext
from core.model.errors import Kind, PermanentError, Problem, UsageError
from core.model.lane import Lane
from core.model.provenance import Provenance
from core.ports import Executor, ExecutorResult, Repository, WorkOrder
from lanes.repository import as_git

MOST_BYTES = 1_000_000


class Shout:
    """`loudness` exclamation marks come after the last line."""

    name = "shout"
    reads = False
    deterministic = False

    def __init__(self, loudness: int) -> None:
        self._loudness = loudness

    def unavailable(self, lane: Lane) -> Problem | None:
        return None

    def needs(self, lane: Lane) -> frozenset[str]:
        return frozenset(lane.needs)

    async def produce(self, order: WorkOrder, repository: Repository) -> ExecutorResult:
        git = as_git(repository)
        there = {path.decode("utf-8", "replace") for path in await git.list_paths(order.start)}
        named = [word for word in order.intent.text.split() if word in there]
        if not named:
            mend = "Name one that is there, as in: shout README.md"
            raise PermanentError("no_file", "The request names no file of the repository", mend, kind=Kind.USAGE)
        files = await git.read_files(order.start, named, MOST_BYTES)
        loud = {path: self._loud(content) for path, content in files.items()}
        await order.progress(f"shouted {len(loud)} files")
        tree = await git.write_tree(order.start, loud, (), {})
        return ExecutorResult(tree, {"shout.txt": "\n".join(loud).encode()}, Provenance(self.name))

    def _loud(self, content: bytes) -> bytes:
        return content.decode().rstrip("\n").upper().encode() + b"!" * self._loudness + b"\n"


def make(context: PluginContext) -> Executor:
    """The factory; the setting `loudness` is a number, 1 unless it is said."""
    loudness = context.settings.get("loudness", 1)
    if not isinstance(loudness, int) or loudness not in range(10):
        raise UsageError("bad_setting", f"`loudness` is {loudness!r}", "Write a number from 0 to 9.")
    return Shout(loudness)
