"""Checks on what the blobs hold: binaries, deceptive text, secrets, tests. Each blob is read once."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

from core.model.change import FileChange, is_lfs_pointer
from core.model.lane import Lane
from core.model.staged_diff import Finding
from policies.checks.deception import judge_text
from policies.checks.scope import block, capped, count, warn
from policies.checks.tests import weakened
from policies.secrets import leaks_in, scan

MAX_SHOWN: Final = 3
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Blob:
    """A written file with its bytes, and the bytes that were there before (empty for a new file)."""

    file: FileChange
    after: bytes
    before: bytes = b""
    moved: bool = False  # the very same blob was deleted elsewhere in this change


@dataclass(slots=True)
class Content:
    """Collects the findings on every blob of one change."""

    lane: Lane
    read: int = 0
    wrong: list[Finding] = field(default_factory=list)
    binary: list[Finding] = field(default_factory=list)
    deceptive: list[Finding] = field(default_factory=list)
    leaking: list[Finding] = field(default_factory=list)
    untested: list[Finding] = field(default_factory=list)

    def inspect(self, blob: Blob) -> None:
        """Judge one blob; linear in its size."""
        self.read += 1
        file = blob.file
        if len(blob.after) != file.new_size or hashlib.sha256(blob.after).hexdigest() != file.new_sha256:
            self.wrong.append(block("blobs", "the stored bytes are not those of the change", file))
        text = text_of(blob.after)
        if text is None and (text := _old_text(blob)) is not None:
            told = "is not UTF-8, as before: its letters beyond ASCII are shown as \\x.."
            self.binary.append(warn("binaries", told, file))
        if text is None:
            self.binary.append(_binary(self.lane, blob))
        else:
            self.deceptive.extend(judge_text(self.lane, file, text, blob.before))
        self.untested.extend(weakened(file, blob.after, blob.after if blob.moved else blob.before))
        self._pointers(blob)
        self._secrets(blob)

    def _pointers(self, blob: Blob) -> None:
        """What Git LFS keeps elsewhere is not in any tree, so nobody here can say what such a change brings."""
        is_pointer, was_pointer = is_lfs_pointer(blob.after), is_lfs_pointer(blob.before)
        if is_pointer and not blob.moved and blob.after != blob.before:
            tell = warn if self.lane.binaries else block
            self.binary.append(tell("binaries", "is a Git LFS pointer: nobody can read what it stands for", blob.file))
        elif was_pointer and not is_pointer:
            self.binary.append(warn("binaries", "was a Git LFS pointer, and is the content itself now", blob.file))

    def _secrets(self, blob: Blob) -> None:
        file = blob.file
        if any(leak.certain for leak in leaks_in(file.path.decode("utf-8", "surrogateescape"))):
            self.leaking.append(block("secrets", "its name holds a secret", file))
        found = scan(blob.after, blob.after if blob.moved else blob.before)
        sealed = [leak.sentence() for leak in found.new if leak.sealed]
        if sealed:
            tell = warn if self.lane.binaries else block
            self.leaking.append(tell("secrets", f"uninspectable: {_listed(sealed)}", file))
        certain = [leak.sentence() for leak in found.new if leak.certain and not leak.sealed]
        if certain:
            self.leaking.append(block("secrets", _listed(certain), file))
        guessed = [leak.sentence() for leak in found.new if not leak.certain]
        if guessed and not certain:
            self.leaking.append(warn("secrets", f"may be a secret: {_listed(guessed)}", file))
        if found.old:
            kept = _listed([leak.sentence() for leak in found.old])
            self.leaking.append(warn("secrets", f"was there before: {kept}", file))

    def findings(self) -> list[Finding]:
        """What came of all blobs, check by check."""
        blobs = count(self.read, "blob")
        return [
            *capped("blobs", self.wrong, f"{blobs} read and hashed"),
            *capped("binaries", self.binary, "only text"),
            *capped("unicode", self.deceptive, "no deceptive characters"),
            *capped("secrets", self.leaking, f"none found in {blobs}"),
            *(capped("tests", self.untested, "") if self.untested else ()),
        ]


def text_of(blob: bytes) -> str | None:
    """The blob as text, or None for a binary: a NUL anywhere or invalid UTF-8, attributes or not (security.md 78)."""
    if b"\0" in blob:
        return None
    try:
        return blob.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _old_text(blob: Blob) -> str | None:
    """A text in an older encoding such as Latin-1, where there was one before; what is new must be UTF-8.

    Sequences that are UTF-8 are read as such, so that nothing deceptive hides behind one byte that is not.
    """
    before = blob.after if blob.moved else blob.before
    if text_of(before) is not None or any(_CONTROL.search(side) for side in (before, blob.after)):
        return None
    return blob.after.decode("utf-8", "surrogateescape")


def _binary(lane: Lane, blob: Blob) -> Finding:
    what = "is UTF-16 text, a binary for git" if blob.after.startswith(_UTF_16) else "is a binary"
    if lane.binaries:
        return warn("binaries", f"{what}: nobody can read it on the card", blob.file)
    return block("binaries", f"{what}, and lane {lane.name} does not allow that", blob.file)


def _listed(sentences: list[str]) -> str:
    more = f" and {len(sentences) - MAX_SHOWN} more" if len(sentences) > MAX_SHOWN else ""
    return ", ".join(sentences[:MAX_SHOWN]) + more
