"""The policy, which decides on requests, and the guard, which judges the resulting trees."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from core.model.change import Change, FileChange
from core.model.decision import ApprovalRequirements, Decision, PolicyRequest
from core.model.lane import Lane
from core.model.staged_diff import GuardReport


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

    def objection_to_files(
        self, lane: str, requirements: ApprovalRequirements, files: Sequence[FileChange]
    ) -> str | None:
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
