"""The policy, which decides on requests, and the guard, which judges the resulting trees."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from core.model.change import Change, FileChange
from core.model.decision import ApprovalRequirements, Decision, PolicyRequest
from core.model.lane import Lane
from core.model.staged_diff import GuardReport


class Policy(Protocol):
    """The policy in force: decides before the work, and gives the requirements again for every later check."""

    @property
    def digest(self) -> str:
        """64 hex digits naming the policy in force."""

    def decide(self, request: PolicyRequest) -> Decision:
        """Allow with a lane and its requirements, deny, or ask a question; pure."""

    def trace(self, request: PolicyRequest) -> tuple[str, ...]:
        """The result of every rule and every lane for the request, a line each; pure, and slower than `decide`."""

    def open_lanes(self, request: PolicyRequest) -> tuple[str, ...]:
        """The lanes that the person may use there for at least some paths; pure."""

    def lanes_of(self, repository: str) -> tuple[str, ...]:
        """The lanes that exist for a repository; once there are teams, those that a rule opens there; pure."""

    def requirements_of(self, request: PolicyRequest) -> ApprovalRequirements | None:
        """The current requirements of a request whose lane is chosen already, or None if it would be denied now."""

    def objection_to_files(
        self, lane: str, requirements: ApprovalRequirements, files: Sequence[FileChange]
    ) -> str | None:
        """Why `lane` may not make exactly these changes now, or None if it may; pure."""


BlobReader = Callable[[str], Awaitable[bytes]]
"""Reads a blob by its object id."""


class Guard(Protocol):
    """Policy on the result: judges trees and blobs, never what a model says."""

    async def judge(
        self, change: Change, lane: Lane, requirements: ApprovalRequirements, read: BlobReader
    ) -> GuardReport:
        """Every check's verdict on `change`."""

    async def masked(self, change: Change, patch: bytes, read: BlobReader) -> bytes:
        """`patch`, the text of the blocked `change`, with its secrets masked."""

    def mask(self, text: str) -> str:
        """`text` with the secrets in it masked."""

    def leaks(self, text: str) -> bool:
        """Whether a short text (a title, a turn) contains a secret and must not be sent to the forge."""
