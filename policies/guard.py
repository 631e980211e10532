"""The guard: policy on the result. It judges git's raw tree comparison and the blobs, never words or diff text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from core.model.change import EXECUTABLE, REGULAR, Change, FileChange
from core.model.decision import ApprovalRequirements
from core.model.lane import MIB, Lane
from core.model.secret_files import is_secret_file
from core.model.staged_diff import Finding, GuardReport, GuardVerdict
from core.ports import BlobReader
from policies.checks import CHECKS, NAME_CHECKS, Blob, Content, Scope
from policies.checks.deception import alarms_first
from policies.checks.scope import block
from policies.checks.tree import size
from policies.globs import Globs
from policies.masking import mask_shown
from policies.protected import protected

MAX_FILES_BEYOND: Final = 1000
"""Files of a change over its limit that are judged further: it is blocked already, and 10^6 would take minutes."""

MAX_BEFORE_BYTES: Final = 16 * MIB
"""A blob that was larger before counts as new in whole: the strict reading, and memory stays bounded."""

_UNKNOWN: Final = ("", "", "", "", 0, 0, 0, 0)  # blobs, their digests, sizes and lines: no check of names looks at them

MAX_MASKED_BYTES: Final = 32 * MIB
TOO_MUCH: Final = b"[redacted: the change is too large to look for secrets in it]\n"

CONTENT_CHECKS: Final = ("blobs", "binaries", "unicode", "secrets")


class TreeGuard:
    """`core.ports.Guard` by the checks of `policies.checks`; `protect` adds to what every lane protects."""

    def __init__(self, protect: Iterable[str] = ()) -> None:
        self._protect = tuple(protect)

    async def judge(
        self, change: Change, lane: Lane, requirements: ApprovalRequirements, read: BlobReader
    ) -> GuardReport:
        """Every check's verdict on `change`; blobs are read only when names, kinds and sizes are within bounds.

        Errors of `read` pass through: a blob that cannot be read is a fault, not a verdict.
        """
        try:
            scope = self._scope(change, lane, requirements)
        except ValueError as error:
            return GuardReport((block("paths", f"lane {lane.name} cannot be judged: {error}"),))
        findings = await asyncio.to_thread(judge_tree, scope)
        if any(f.check == "size" and f.verdict is GuardVerdict.BLOCK for f in findings):
            unread = (block(check, "not looked into: the change is too large") for check in CONTENT_CHECKS)
            return GuardReport((*findings, *unread))
        return GuardReport(tuple(alarms_first([*findings, *await _judge_content(scope, read)])))

    def refusal_in(self, lane: Lane) -> Callable[[str], str]:
        """Says of a path why no change of it can pass in this lane, whatever the change is; nothing when one may.

        What it says goes on from the path, as in "may not be changed in any lane (by **/.env)". Raises `ValueError`
        for a lane whose globs are wrong.
        """
        write, protect = Globs(lane.write), protected(self._protect, lane.protect)
        whole = Globs(lane.whole or lane.write)

        def refusal(path: str) -> str:
            if whole.covers(path.encode("utf-8", "surrogateescape")) is None:
                return f"is outside lane {lane.name} ({', '.join(whole.patterns)})"
            file = FileChange(path.encode("utf-8", "surrogateescape"), REGULAR, REGULAR, *_UNKNOWN)
            scope = Scope((file,), lane, lane.limits, write, protect)
            blocks = (found for check in NAME_CHECKS for found in check(scope) if found.verdict is GuardVerdict.BLOCK)
            return next((found.detail for found in blocks), "")

        return refusal

    async def masked(self, change: Change, patch: bytes, read: BlobReader) -> bytes:
        """`patch` without the secrets of the files that it changes, and without a line of files of secrets."""
        if sum(file.old_size + file.new_size for file in change.files) > MAX_MASKED_BYTES:
            return TOO_MUCH
        blobs: list[bytes] = []
        secret: list[bytes] = []
        for file in change.files:
            name = file.path.decode("utf-8", "surrogateescape")
            for mode, oid in ((file.old_mode, file.old_blob), (file.mode, file.new_blob)):
                if mode not in {REGULAR, EXECUTABLE} or oid is None:
                    continue
                (secret if is_secret_file(name) else blobs).append(await read(oid))
        from policies.secrets import mask_patch  # noqa: PLC0415 - the patterns take a while to compile

        return await asyncio.to_thread(mask_patch, patch, blobs, secret)

    def mask(self, text: str) -> str:
        """`text` without the secrets in it."""
        return mask_shown(text)

    def leaks(self, text: str) -> bool:
        """Whether a title or a turn holds a known secret (security.md 84, 98)."""
        from policies.secrets import leaks_in  # noqa: PLC0415 - the patterns take a while to compile

        return bool(leaks_in(text))

    def _scope(self, change: Change, lane: Lane, requirements: ApprovalRequirements) -> Scope:
        limits = lane.limits.tightened(requirements.limits) if requirements.limits else lane.limits
        protect = protected(self._protect, lane.protect)
        return Scope(change.files, lane, limits, Globs(lane.write), protect, change.beside)


def paths_judged(change: Change) -> frozenset[bytes]:
    """Every path the guard judges: exactly those of ``git diff-tree -r -z --raw --no-renames`` (security.md 82)."""
    return frozenset(file.path for file in change.files)


def judge_tree(scope: Scope) -> list[Finding]:
    """The findings of every check on the tree, of the first files only when there are far too many."""
    if len(scope.files) <= max(scope.limits.files, MAX_FILES_BEYOND):
        return [finding for check in CHECKS for finding in check(scope)]
    first = replace(scope, files=scope.files[:MAX_FILES_BEYOND])
    findings = [finding for check in CHECKS for finding in check(scope if check is size else first)]
    return [*findings, block("size", f"only the first {MAX_FILES_BEYOND:,} files were judged further")]


async def _judge_content(scope: Scope, read: BlobReader) -> list[Finding]:
    """The findings on all written regular files, one blob in memory at a time."""
    content = Content(scope.lane)
    deleted = {f.old_blob for f in scope.files if f.new_blob is None}
    for file in scope.written:
        if file.mode not in {REGULAR, EXECUTABLE} or file.new_blob is None:
            continue
        after = await read(file.new_blob)
        before = await _before(file, after, read)
        blob = Blob(file, after, before, moved=file.new_blob in deleted)
        await asyncio.to_thread(content.inspect, blob)
    return content.findings()


async def _before(file: FileChange, after: bytes, read: BlobReader) -> bytes:
    """The bytes that were at this path before, or nothing if there were none or they were no regular file."""
    if file.old_blob == file.new_blob:
        return after
    if file.old_blob is None or file.old_mode not in {REGULAR, EXECUTABLE} or file.old_size > MAX_BEFORE_BYTES:
        return b""
    return await read(file.old_blob)
