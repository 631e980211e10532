"""Ports: what the heart asks of the outside, each Protocol beside what it exchanges."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from core.model.change import Change, FileChange
from core.model.decision import ApprovalRequirements, Decision, PolicyRequest
from core.model.edits import Edit
from core.model.endpoint_snapshot import EndpointSnapshot
from core.model.errors import Problem
from core.model.intent import Idle, Intent, Unclear
from core.model.inventory import HostHardware
from core.model.lane import Lane
from core.model.place import Place
from core.model.provenance import NOT_TOLD, Provenance, Usage, summed
from core.model.staged_diff import GuardReport
from core.model.task import PullRequest
from core.model.turn import Turn


@dataclass(frozen=True, slots=True)
class LaneOffer:
    """A lane that policy would let the person use; `reads` is true when its executor takes any wording."""

    lane: str
    describe: str
    write: tuple[str, ...]
    reads: bool


@dataclass(frozen=True, slots=True)
class InterpretationContext:
    """Where a request is read: the repository (None: not said yet), its files, and the lanes on offer there.

    `asked` are the questions that people were asked so far, as turns: each has the number of the turn it came after.
    `read` gives one of those files, or None. `usage` takes what reading costs; `spent` says why nothing may be spent on
    it any more, or is empty.
    """

    repository: str | None = None
    offers: tuple[LaneOffer, ...] = ()
    files: Callable[[], Awaitable[Sequence[str]]] | None = None
    journal: Journal | None = None
    asked: tuple[Turn, ...] = ()
    usage: UsageReporter | None = None
    spent: str = ""
    read: Callable[[str], Awaitable[bytes | None]] | None = None


class Interpreter(Protocol):
    """Reads what a text seems to ask. Its answer is untrusted."""

    async def interpret(self, turns: Sequence[Turn], scene: InterpretationContext) -> Intent | Unclear:
        """The intent of the last of `turns`, read in the light of the earlier ones."""


class Reader(Protocol):
    """Reads words at once and without a model, before they change anything."""

    def read(self, text: str) -> tuple[Edit, ...] | Idle | Unclear:
        """The edits that `text` asks for, that it asks for nothing, or why it cannot be read so; pure."""

    def asks_a_model(self) -> bool:
        """Whether a model reads what this cannot."""

    def edits_by_rule(self, lane: Lane) -> bool:
        """Whether the lane's executor makes known edits and nothing else, so that words must be read first."""

    def takes_any_wording(self, lane: Lane, living: Sequence[frozenset[str]]) -> bool:
        """Whether the lane's executor works from any wording, so that nothing has to be read first.

        It must be able to run here, or on a worker that is alive; `living` are what those offer.
        """


class Policy(Protocol):
    """The policy in force now: decides before the work, and says the requirements again at every click."""

    @property
    def digest(self) -> str:
        """64 hex digits naming the policy in force."""

    def decide(self, request: PolicyRequest) -> Decision:
        """Allow with a lane and its requirements, deny, or ask; pure."""

    def trace(self, request: PolicyRequest) -> tuple[str, ...]:
        """What every rule and every lane said of the request, a line each; pure, and slower than the decision."""

    def open_lanes(self, request: PolicyRequest) -> tuple[str, ...]:
        """The lanes that the person may use there at all, whatever the paths will be; pure."""

    def requirements_of(self, request: PolicyRequest) -> ApprovalRequirements | None:
        """The live requirements for a request whose lane is already chosen, or None if it would be denied now."""

    def hindrance(self, lane: str, requirements: ApprovalRequirements, files: Sequence[FileChange]) -> str | None:
        """Why `lane` may not make exactly these changes now, whatever made them, or None when it may; pure."""


BlobReader = Callable[[str], Awaitable[bytes]]
"""Reads a blob by its object id."""


class Guard(Protocol):
    """Policy on the result: judges trees and blobs, never words."""

    async def judge(self, change: Change, lane: Lane, terms: ApprovalRequirements, read: BlobReader) -> GuardReport:
        """Every check's verdict on `change`."""

    async def masked(self, change: Change, patch: bytes, read: BlobReader) -> bytes:
        """`patch`, the text of `change`, as it may be shown when the change was blocked: without its secrets."""

    def mask(self, text: str) -> str:
        """`text` as it may be shown: without the secrets in it."""

    def leaks(self, text: str) -> bool:
        """Whether a short text (a title, a turn) holds a secret and must not leave for the forge."""


@dataclass(frozen=True, slots=True)
class RepositorySpec:
    """A repository the configuration names. `id` is what digests and receipts say; it never changes.

    `forge_id` is the forge's own immutable number of it: a renamed or transferred one is noticed (security.md 71).
    """

    name: str
    id: str
    url: str
    branch: str
    forge: str
    forge_id: int | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit to write: everything that decides its object id, so that writing it twice gives one."""

    tree: str
    parent: str
    message: str
    at: datetime


class Repository(Protocol):
    """The host's own pristine git store of one repository; every method may raise `TransientError`."""

    spec: RepositorySpec

    async def fetch_base(self) -> str:
        """The commit id of the remote's default branch now, with its objects here."""

    async def change(self, base: str, tree: str) -> Change:
        """What differs between commit `base` and tree `tree`, from git's raw tree comparison."""

    async def read_blob(self, oid: str) -> bytes:
        """A blob's bytes."""

    async def paths(self, commit: str) -> Sequence[str]:
        """The paths of a commit's files, in order, odd characters shown; for people and models to read."""

    async def read_path(self, commit: str, path: str) -> bytes | None:
        """The content of a commit's file, None when there is no such file."""

    async def tree_of(self, commit: str) -> str:
        """The tree of a commit."""

    async def has(self, oid: str) -> bool:
        """True if the object, and all it reaches, is here."""

    async def beside(self, tree: str, paths: Collection[bytes]) -> Mapping[bytes, str]:
        """What lies directly in the folders of `tree` that are above `paths`, the top included, path to mode."""

    async def diff_text(self, base: str, tree: str) -> bytes:
        """A unified diff for showing; nothing is decided on it."""

    async def write_commit(self, commit: Commit) -> str:
        """Write the commit object; the same `commit` gives the same id."""

    async def keep(self, name: str, commit: str) -> None:
        """Hold `commit` under ``refs/countersign/<name>`` so that no collection of garbage takes it."""

    async def kept(self, name: str) -> tuple[str, ...]:
        """The commits held under ``refs/countersign/<name>/``."""

    async def pack(self, base: str, tree: str) -> bytes:
        """The objects of `tree` that `base` lacks, as a thin pack another host can `unpack`."""

    async def unpack(self, pack: bytes) -> None:
        """Add the objects of a pack that `pack` made."""

    async def revert(self, commit: str, onto: str) -> str:
        """The tree of `onto` with the change of `commit` taken back; raises `PermanentError` on a conflict."""


class Journal(Protocol):
    """What a piece of work has finished so far, so that whoever takes the work over need not do it again."""

    async def recall(self) -> tuple[Mapping[str, Any], ...]:
        """Every entry so far, in order."""

    async def add(self, entry: Mapping[str, Any]) -> None:
        """Append one entry (JSON), durable on return. Raises `LostClaimError` when the work belongs to another now."""

    def part(self, name: str) -> Journal:
        """The journal of one part of the work, apart from the rest."""


class MemoryJournal:
    """A `Journal` that lasts as long as the process: for work that nobody takes over."""

    def __init__(self) -> None:
        self._entries: list[Mapping[str, Any]] = []
        self._parts: dict[str, MemoryJournal] = {}

    async def recall(self) -> tuple[Mapping[str, Any], ...]:
        """Every entry so far."""
        return tuple(self._entries)

    async def add(self, entry: Mapping[str, Any]) -> None:
        """Append one entry."""
        self._entries.append(entry)

    def part(self, name: str) -> MemoryJournal:
        """The journal of one part, the same one each time."""
        return self._parts.setdefault(name, MemoryJournal())


class ProgressReporter(Protocol):
    """Takes a few words about how far the work is, for the card. It may drop them."""

    async def __call__(self, words: str, /) -> None:
        """Report `words`: facts from the host, never a model's own words."""


async def ignore_progress(_words: str) -> None:
    """A `ProgressReporter` for work that nobody watches."""


class UsageReporter(Protocol):
    """The spending ledger as one part of a piece of work sees it: one entry for each call of a model, never changed."""

    async def report(self, call: str, usage: Usage, /) -> bool:
        """Append what `call` cost; durable on return.

        `call` is an id that no other call of this part has. Reported again, by whoever replays the work, it counts
        once: then the answer is False. Raises `CountersignError` where the work may not go on.
        """

    async def spent(self) -> tuple[Usage, ...]:
        """What this part and the parts below it spent so far, in all tries of the work: a sum for each model."""

    def part(self, name: str) -> UsageReporter:
        """The reporter of one part of the work."""


class MemoryUsage:
    """A `UsageReporter` that lasts as long as the process: for work that is charged to nobody.

    `entries` are those of all parts, by part and call, in the order of their first report.
    """

    def __init__(self, name: str = "", entries: dict[tuple[str, str], Usage] | None = None) -> None:
        self._name = name
        self.entries: dict[tuple[str, str], Usage] = {} if entries is None else entries

    async def report(self, call: str, usage: Usage) -> bool:
        """Append what a call cost, unless it is there already."""
        is_new = (self._name, call) not in self.entries
        self.entries.setdefault((self._name, call), usage)
        return is_new

    async def spent(self) -> tuple[Usage, ...]:
        """The sums of this part and the parts below it."""
        return summed(
            usage
            for (part, _), usage in self.entries.items()
            if not self._name or part == self._name or part.startswith(f"{self._name}/")
        )

    def part(self, name: str) -> MemoryUsage:
        """The reporter of one part, into the same entries."""
        return MemoryUsage(f"{self._name}/{name}" if self._name else name, self.entries)


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """What an executor shall make: `start` is the tree it begins with, `base` the commit it is judged against.

    `feedback` is what the lane's checks said of an earlier try. `parameters` are the lane's, as the request set them.
    The lane's budget limits the sum of what `usage` has, with what earlier tries of the same work spent.
    """

    number: int
    revision: int
    lane: Lane
    intent: Intent
    turns: tuple[Turn, ...]
    base: str
    start: str
    feedback: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    journal: Journal = field(default_factory=MemoryJournal)
    progress: ProgressReporter = ignore_progress
    usage: UsageReporter = field(default_factory=MemoryUsage)


@dataclass(frozen=True, slots=True)
class ExecutorResult:
    """What an executor made: a tree in the repository's git store, files worth keeping, and how it was made."""

    tree: str
    artifacts: Mapping[str, bytes]
    making: Provenance = NOT_TOLD


class Executor(Protocol):
    """One way a lane makes a change."""

    @property
    def name(self) -> str:
        """What lane files call it."""

    @property
    def reads(self) -> bool:
        """Whether it takes any wording, as a model does; else it works by rule, or by its lane's file alone."""

    @property
    def deterministic(self) -> bool:
        """Whether it makes the edits that are known before the work and nothing else: by rule, without a model.

        A plugin that does not say so does not.
        """

    def unavailable(self, lane: Lane) -> Problem | None:
        """Why this lane cannot run here, or None when it can."""

    def needs(self, lane: Lane) -> frozenset[str]:
        """The capabilities a node must have to run this lane."""

    async def produce(self, order: WorkOrder, repository: Repository) -> ExecutorResult:
        """Do the work; raises `PermanentError` or `TransientError` with what to tell the person."""


@runtime_checkable
class RepairRequest(Protocol):
    """An executor of several parts, of which only some lanes have one that reads and can mend what a check found."""

    def mends(self, lane: Lane) -> bool:
        """Whether a part of the lane reads, so that a failing check is worth telling."""


def reads_in(executor: Executor, lane: Lane) -> bool:
    """Whether the executor, or a part of it that this lane has, takes any wording."""
    return executor.reads or (isinstance(executor, RepairRequest) and executor.mends(lane))


@dataclass(frozen=True, slots=True)
class PullRequestDraft:
    """A pull request to open: from `branch` at `head` into `into`."""

    number: int
    branch: str
    head: str
    into: str
    title: str
    body: str
    revision: int
    digest: str
    labels: tuple[str, ...] = ()


class Forge(Protocol):
    """Where pull requests live. Every effect looks for its own earlier success before it acts."""

    async def push(self, repository: Repository, branch: str, commit: str, expected: str | None) -> None:
        """Move `branch` to `commit` if it is at `expected` (None: absent); being at `commit` already is success.

        Raises `ConflictError` when somebody else moved it.
        """

    async def open(self, repository: Repository, proposal: PullRequestDraft) -> PullRequest:
        """Open the pull request, or adopt and update the one this branch already has."""

    async def look(self, repository: Repository, pull_request: PullRequest) -> PullRequest:
        """The pull request as the forge has it now: state, head."""

    async def merge(
        self, repository: Repository, pull_request: PullRequest, message: str, method: str = "merge"
    ) -> str:
        """Merge if its head is still `pull_request.head`, and return the merge commit's id.

        `method` is merge, squash or rebase. Raises `ConflictError` when the head moved or the merge does not apply.
        """

    async def close(self, repository: Repository, pull_request: PullRequest) -> None:
        """Close without merging; being closed already is success."""


@dataclass(frozen=True, slots=True)
class ForgeCheck:
    """One check of a pull request's head: `app` is the id of the app that reported it (None: a commit status).

    `conclusion` is None while it runs; only ``success`` is green: skipped and neutral are not (security.md 40).
    """

    name: str
    app: int | None
    conclusion: str | None


@dataclass(frozen=True, slots=True)
class PullRequestSnapshot:
    """A pull request as its forge has it at this moment: read, never taken from an event's word.

    `tree` is the tree of its head; `checks` are the newest of each name and app on that head; `objections` the logins
    whose latest review asks for changes; `mergeable` is None while the forge has not worked it out; `merged_as` is the
    merge commit and `ended_by` who merged or closed it there.
    """

    pull_request: PullRequest
    tree: str
    checks: tuple[ForgeCheck, ...] = ()
    objections: tuple[str, ...] = ()
    mergeable: bool | None = None
    merged_as: str | None = None
    ended_by: str = ""


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """A commit status to set: `state` is success, pending, failure or error; `words` at most 140 characters."""

    commit: str
    state: str
    words: str


class Followed(Protocol):
    """A forge where others act too: people comment, push, merge and close; checks run."""

    def place_of(self, repository: Repository, pull_request: PullRequest) -> Place:
        """Where people talk about the pull request."""

    async def stand(self, repository: Repository, pull_request: PullRequest) -> PullRequestSnapshot:
        """The pull request as it is now."""

    async def mark(self, repository: Repository, mark: CommitStatus) -> None:
        """Set the commit status ``countersign``; being set so already is success."""

    async def attach(self, repository: Repository, pull_request: PullRequest, files: Mapping[str, bytes]) -> str:
        """Keep files beside the pull request, on a ref of its own; the address where people see them.

        The same files for the same pull request and revision give the same address.
        """


class Milestones(Protocol):
    """Told of every point between two effects, in order; for progress, and for tests that stop there."""

    def reached(self, point: str, **facts: object) -> None:
        """`point` was reached, e.g. ``publish.pushed``."""


@dataclass(frozen=True, slots=True)
class EndpointRefusal:
    """Why no request may be sent to an endpoint now, and in how many seconds to ask again."""

    reason: str
    wait_s: float


class EndpointAdmission(Protocol):
    """Says which endpoints may be asked, from what all who ask them report."""

    async def admit(self, endpoint: str) -> EndpointRefusal | None:
        """None when a request may be sent now: the caller must then report its success or its failure."""

    async def record_success(self, endpoint: str) -> None:
        """Report that the endpoint works, whatever it answered."""

    async def record_failure(self, endpoint: str, retry_after_s: float | None = None, cause: str = "") -> None:
        """Report that the endpoint does not work; `retry_after_s` is what it asked for, `cause` a sentence."""

    async def record_load(self, endpoint: str, model: str, seconds: float) -> None:
        """Report that the endpoint loaded one of its models for a request, and how long that took."""


class EndpointWatch(Protocol):
    """Looks at the configured model servers again and again."""

    def names(self) -> frozenset[str]:
        """The names of the configured endpoints."""

    async def look(
        self,
        known: Mapping[str, EndpointSnapshot],
        hardware: Mapping[str, HostHardware],
        in_use: frozenset[str],
        now: datetime,
    ) -> tuple[EndpointSnapshot, ...]:
        """A snapshot of each endpoint; one that fails is a snapshot that says why.

        `known` are the snapshots of the last look, possibly another process's, `hardware` is that of each node. To
        endpoints `in_use` no test request is sent. Never raises for what a server does.
        """

    def close(self) -> None:
        """Give up what is under way."""


class HardwareReader(Protocol):
    """Reads the GPUs and the main memory of this host."""

    async def read(self) -> HostHardware:
        """The hardware as it is now."""
