"""The guard: checks a change by git's raw tree comparison and its blobs, never by text of a model or a diff."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from core.model.change import EXECUTABLE, REGULAR, Change, FileChange
from core.model.decision import ApprovalRequirements
from core.model.lane import MIB, Lane
from core.model.secret_files import is_secret_file
from core.model.staged_diff import Finding, GuardReport, GuardVerdict
from core.ports.policy import BlobReader
from policies.checks import CHECKS, NAME_CHECKS, Blob, ContentChecks, Scope
from policies.checks.deception import alarms_first
from policies.checks.scope import block
from policies.checks.tree import check_size
from policies.globs import Globs
from policies.masking import mask_text
from policies.protected import protected

MAX_FILES_BEYOND: Final = 1000
"""The most files of an oversized change that get all checks: it is blocked already, and 10^6 would take minutes."""

MAX_BEFORE_BYTES: Final = 16 * MIB
"""A larger earlier blob is not read, to bound memory; all of the new blob counts as new, which is stricter."""

_UNKNOWN: Final = ("", "", "", "", 0, 0, 0, 0)  # blobs, digests, sizes and lines, which the checks of names do not use

MAX_MASKED_BYTES: Final = 32 * MIB
TOO_LARGE_TO_MASK: Final = b"[redacted: the change is too large to look for secrets in it]\n"

CONTENT_CHECKS: Final = ("blobs", "binaries", "unicode", "secrets")


class TreeGuard:
    """`core.ports.policy.Guard` with the checks of `policies.checks`.

    `accepted` says whether the operator accepts the secret with this fingerprint; it is asked at each use, so that a
    change of the operator's list counts at once.
    """

    def __init__(self, accepted: Callable[[str], bool] = lambda _fingerprint: False) -> None:
        self._accepted = accepted

    async def judge(
        self, change: Change, lane: Lane, requirements: ApprovalRequirements, read: BlobReader
    ) -> GuardReport:
        """The findings of every check on `change`; blobs are read only if the sizes are within the limits.

        Errors of `read` are raised, since an unreadable blob is a fault and not a finding.
        """
        try:
            scope = self._scope(change, lane, requirements)
        except ValueError as error:
            return GuardReport((block("paths", f"lane {lane.name} cannot be checked: {error}"),))
        findings = await asyncio.to_thread(check_tree, scope)
        if any(f.check == "size" and f.verdict is GuardVerdict.BLOCK for f in findings):
            unread = (block(check, "not checked: the change is too large") for check in CONTENT_CHECKS)
            return GuardReport((*findings, *unread))
        return GuardReport(tuple(alarms_first([*findings, *await _check_content(scope, read, self._accepted)])))

    def refusal_in(self, lane: Lane) -> Callable[[str], str]:
        """A function that says why any change of a path is blocked in this lane; it returns "" for other paths.

        The reason continues a sentence that begins with the path, as in "may not be changed in any lane (by **/.env)".
        Raises `ValueError` for a lane with invalid globs.
        """
        write, protect = Globs(lane.write), protected(lane.protect)
        whole = Globs(lane.whole or lane.write)

        def refusal(path: str) -> str:
            if whole.covers(path.encode("utf-8", "surrogateescape")) is None:
                return f"is outside lane {lane.name} ({', '.join(whole.patterns)})"
            file = FileChange(path.encode("utf-8", "surrogateescape"), REGULAR, REGULAR, *_UNKNOWN)
            scope = Scope((file,), lane, lane.limits, write, protect)
            blocks = (
                finding for check in NAME_CHECKS for finding in check(scope) if finding.verdict is GuardVerdict.BLOCK
            )
            return next((finding.detail for finding in blocks), "")

        return refusal

    async def masked(self, change: Change, patch: bytes, read: BlobReader) -> bytes:
        """`patch` without the secrets of the files that it changes, and without a line of files of secrets."""
        if sum(file.old_size + file.new_size for file in change.files) > MAX_MASKED_BYTES:
            return TOO_LARGE_TO_MASK
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
        """`text` with its secrets replaced."""
        return mask_text(text)

    def leaks(self, text: str) -> bool:
        """True if a title or a turn contains a known secret (security.md 84, 98)."""
        from policies.secrets import leaks_in  # noqa: PLC0415 - the patterns take a while to compile

        return bool(leaks_in(text))

    def _scope(self, change: Change, lane: Lane, requirements: ApprovalRequirements) -> Scope:
        limits = lane.limits.tightened(requirements.limits) if requirements.limits else lane.limits
        return Scope(change.files, lane, limits, Globs(lane.write), protected(lane.protect), change.beside)


def checked_paths(change: Change) -> frozenset[bytes]:
    """The paths that the guard checks: those of ``git diff-tree -r -z --raw --no-renames`` (security.md 82)."""
    return frozenset(file.path for file in change.files)


def check_tree(scope: Scope) -> list[Finding]:
    """The findings of every check of the tree; of the first files only if there are far too many."""
    if len(scope.files) <= max(scope.limits.files, MAX_FILES_BEYOND):
        return [finding for check in CHECKS for finding in check(scope)]
    first = replace(scope, files=scope.files[:MAX_FILES_BEYOND])
    findings = [finding for check in CHECKS for finding in check(scope if check is check_size else first)]
    return [*findings, block("size", f"only the first {MAX_FILES_BEYOND:,} files were checked further")]


async def _check_content(scope: Scope, read: BlobReader, accepted: Callable[[str], bool]) -> list[Finding]:
    """The findings on all written regular files, with one blob in memory at a time."""
    content = ContentChecks(scope.lane, accepted)
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
    """The earlier bytes at this path; empty if there were none or they were not a regular file."""
    if file.old_blob == file.new_blob:
        return after
    if file.old_blob is None or file.old_mode not in {REGULAR, EXECUTABLE} or file.old_size > MAX_BEFORE_BYTES:
        return b""
    return await read(file.old_blob)
