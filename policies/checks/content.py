"""Checks the contents of blobs for binaries, deceptive text, secrets and removed tests; reads each blob once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from core.model.change import FileChange, is_lfs_pointer
from core.model.lane import Lane
from core.model.staged_diff import Finding
from policies.checks.deception import check_text
from policies.checks.scope import block, capped, count, passed, warn
from policies.checks.tests import removed_tests

if TYPE_CHECKING:
    from policies.secrets import SecretFinding

MAX_SHOWN: Final = 3
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Blob:
    """A written file with its bytes and its earlier bytes (empty for a new file)."""

    file: FileChange
    after: bytes
    before: bytes = b""
    moved: bool = False  # the change deletes the same blob elsewhere


@dataclass(slots=True)
class ContentChecks:
    """Collects the findings on all blobs of a change."""

    lane: Lane
    accepted: Callable[[str], bool] = lambda _fingerprint: False
    read: int = 0
    mismatched: list[Finding] = field(default_factory=list)
    binary: list[Finding] = field(default_factory=list)
    deceptive: list[Finding] = field(default_factory=list)
    leaking: list[Finding] = field(default_factory=list)
    untested: list[Finding] = field(default_factory=list)

    def inspect(self, blob: Blob) -> None:
        """Check one blob; takes time linear in its size."""
        self.read += 1
        file = blob.file
        if len(blob.after) != file.new_size or hashlib.sha256(blob.after).hexdigest() != file.new_sha256:
            self.mismatched.append(block("blobs", "the stored bytes differ from the change", file))
        text = text_of(blob.after)
        if text is None and (text := _old_text(blob)) is not None:
            detail = "is not UTF-8, as before: its letters beyond ASCII are shown as \\x.."
            self.binary.append(warn("binaries", detail, file))
        if text is None:
            self.binary.append(_binary(self.lane, blob))
        else:
            self.deceptive.extend(check_text(self.lane, file, text, blob.before))
        self.untested.extend(removed_tests(file, blob.after, blob.after if blob.moved else blob.before))
        self._check_lfs_pointer(blob)
        self._check_secrets(blob)

    def _check_lfs_pointer(self, blob: Blob) -> None:
        """Report Git LFS pointers: their content is not in the tree, so it cannot be checked."""
        is_pointer, was_pointer = is_lfs_pointer(blob.after), is_lfs_pointer(blob.before)
        if is_pointer and not blob.moved and blob.after != blob.before:
            report = warn if self.lane.binaries else block
            self.binary.append(report("binaries", "is a Git LFS pointer: its content cannot be checked", blob.file))
        elif was_pointer and not is_pointer:
            self.binary.append(warn("binaries", "was a Git LFS pointer and is now the content itself", blob.file))

    def _check_secrets(self, blob: Blob) -> None:
        from policies.secrets import leaks_in, scan  # noqa: PLC0415 - the patterns take memory of an idle server

        file = blob.file
        if any(leak.certain for leak in leaks_in(file.path.decode("utf-8", "surrogateescape"))):
            self.leaking.append(block("secrets", "its name holds a secret", file))
        leaks = scan(blob.after, blob.after if blob.moved else blob.before)
        sealed = [leak.sentence() for leak in leaks.new if leak.sealed]
        if sealed:
            report = warn if self.lane.binaries else block
            self.leaking.append(report("secrets", f"uninspectable: {_listed(sealed)}", file))
        new = [leak for leak in leaks.new if not leak.sealed and not self._excused(leak, file)]
        certain = [leak.sentence() for leak in new if leak.certain]
        if certain:
            self.leaking.append(block("secrets", _listed(certain), file))
        guessed = [leak.sentence() for leak in new if not leak.certain]
        if guessed and not certain:
            self.leaking.append(warn("secrets", f"may be a secret: {_listed(guessed)}", file))
        if leaks.old:
            earlier = _listed([leak.sentence() for leak in leaks.old])
            self.leaking.append(warn("secrets", f"was there before: {earlier}", file))

    def _excused(self, leak: SecretFinding, file: FileChange) -> bool:
        """True, with a note, for a documented example key and for a secret in the operator's baseline."""
        if leak.example:
            note = f"{leak.sentence()} is an example key of {leak.example}"
        elif self.accepted(leak.fingerprint):
            note = f"{leak.sentence()} is in this home's baseline of secrets"
        else:
            return False
        self.leaking.append(passed("secrets", note, file))
        return True

    def findings(self) -> list[Finding]:
        """The findings on all blobs, check by check."""
        blobs = count(self.read, "blob")
        return [
            *capped("blobs", self.mismatched, f"{blobs} read and hashed"),
            *capped("binaries", self.binary, "only text"),
            *capped("unicode", self.deceptive, "no deceptive characters"),
            *capped("secrets", self.leaking, f"none found in {blobs}"),
            *(capped("tests", self.untested, "") if self.untested else ()),
        ]


def text_of(blob: bytes) -> str | None:
    """The blob as text; None for a binary, with a NUL or invalid UTF-8, whatever its attributes (security.md 78)."""
    if b"\0" in blob:
        return None
    try:
        return blob.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _old_text(blob: Blob) -> str | None:
    """The blob as text in an older encoding such as Latin-1, if the file had one before; a new file must be UTF-8.

    Valid UTF-8 sequences are decoded, so that one invalid byte cannot hide deceptive characters.
    """
    before = blob.after if blob.moved else blob.before
    if text_of(before) is not None or any(_CONTROL.search(side) for side in (before, blob.after)):
        return None
    return blob.after.decode("utf-8", "surrogateescape")


def _binary(lane: Lane, blob: Blob) -> Finding:
    what = "is UTF-16 text, a binary for git" if blob.after.startswith(_UTF_16) else "is a binary"
    if lane.binaries:
        return warn("binaries", f"{what}: it cannot be read on the card", blob.file)
    return block("binaries", f"{what}, and lane {lane.name} does not allow binaries", blob.file)


def _listed(sentences: list[str]) -> str:
    more = f" and {len(sentences) - MAX_SHOWN} more" if len(sentences) > MAX_SHOWN else ""
    return ", ".join(sentences[:MAX_SHOWN]) + more
