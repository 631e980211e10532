"""Checks on the tree alone: paths, modes and sizes as git's raw comparison tells them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from core.model.change import EXECUTABLE, GITLINK, REGULAR, SYMLINK, FileChange
from core.model.staged_diff import Finding
from policies.checks.manifests import manifests
from policies.checks.names import names
from policies.checks.neighbours import repositories
from policies.checks.scope import Scope, block, capped, count, passed, warn
from policies.checks.tests import tests
from policies.globs import spellings
from policies.protected import PROTECTED

_ATTRIBUTES: Final = frozenset({".gitattributes", ".gitmodules"})


def empty(scope: Scope) -> list[Finding]:
    """A change that changes nothing is not worth a countersign."""
    if not scope.files:
        return [block("empty", "nothing changed")]
    return [passed("empty", f"{count(scope.files, 'file')} changed")]


def size(scope: Scope) -> list[Finding]:
    """The lane's and the rule's limits on files, bytes and each file, from tree entries: before any blob is read."""
    limits, found = scope.limits, []
    total = sum(f.new_size for f in scope.written)
    if len(scope.files) > limits.files:
        found.append(block("size", f"{count(scope.files, 'file')}, at most {limits.files:,} allowed"))
    if total > limits.bytes:
        found.append(block("size", f"{total:,} bytes, at most {limits.bytes:,} allowed"))
    found.extend(
        block("size", f"{f.new_size:,} bytes, at most {limits.file_bytes:,} in a file", f)
        for f in scope.written
        if f.new_size > limits.file_bytes
    )
    return capped("size", found, f"{count(scope.files, 'file')}, {total:,} bytes")


def paths(scope: Scope) -> list[Finding]:
    """Every path lies inside what the lane may write."""
    inside = dict.fromkeys(p for f in scope.files if (p := scope.write.covers(f.path)))
    found = (
        block("paths", f"outside lane {scope.lane.name} ({', '.join(scope.lane.write)})", f)
        for f in scope.files
        if scope.write.covers(f.path) is None
    )
    where = f" inside {', '.join(inside)}" if inside else ""
    return capped("paths", found, f"{count(scope.files, 'file')}{where}")


def protected(scope: Scope) -> list[Finding]:
    """No path is protected, in whatever spelling, on either side of a rename, also when it is deleted."""
    matched = ((f, scope.protect.denies(f.path)) for f in scope.files)
    found = (
        block("protected", f"may not be changed in {_where(pattern, scope)} (by {pattern})", f)
        for f, pattern in matched
        if pattern
    )
    return capped("protected", found, "no protected path is touched")


def _where(pattern: str, scope: Scope) -> str:
    return "any lane" if pattern in PROTECTED else f"lane {scope.lane.name}"


def attributes(scope: Scope) -> list[Finding]:
    """Nothing that changes how git reads or shows other files."""
    touched = (f for f in scope.files if any(s.rpartition("/")[2] in _ATTRIBUTES for s in spellings(f.path)))
    found = (block("attributes", "changes how git reads, shows or fetches other files", f) for f in touched)
    return capped("attributes", found, "no .gitattributes or .gitmodules")


def symlinks(scope: Scope) -> list[Finding]:
    """No symbolic link is made, changed, or turned into something else; deleting one is allowed."""
    found = [block("symlinks", "is a symbolic link", f) for f in scope.files if f.mode == SYMLINK]
    found += [
        block("symlinks", "was a symbolic link and is none now", f)
        for f in scope.written
        if f.old_mode == SYMLINK and f.mode != SYMLINK
    ]
    return capped("symlinks", found, "none")


def gitlinks(scope: Scope) -> list[Finding]:
    """No submodule or nested repository is made, moved or taken away, and nothing is written into one kept as files."""
    touched = (f for f in scope.files if GITLINK in {f.mode, f.old_mode})
    found = [block("gitlinks", "is a submodule or a nested repository", f) for f in touched]
    return capped("gitlinks", [*found, *repositories(scope)], "none")


def modes(scope: Scope) -> list[Finding]:
    """Only ordinary files; an executable bit that appears needs the lane's leave."""
    found = [f for file in scope.written if (f := _mode(scope, file)) is not None]
    return capped("modes", found, "only ordinary files")


def _mode(scope: Scope, file: FileChange) -> Finding | None:
    if file.mode in {SYMLINK, GITLINK, REGULAR}:  # links have checks of their own
        return warn("modes", "is no longer executable", file) if file.old_mode == EXECUTABLE else None
    if file.mode != EXECUTABLE:
        return block("modes", f"has the mode {file.mode}", file)
    if file.old_mode == EXECUTABLE:
        return None
    if scope.lane.executables:
        return warn("modes", "becomes executable", file)
    return block("modes", f"becomes executable, and lane {scope.lane.name} does not allow that", file)


CHECKS: Final[tuple[Callable[[Scope], list[Finding]], ...]] = (
    empty, size, paths, protected, names, modes, symlinks, gitlinks, attributes, manifests, tests,
)  # fmt: skip

NAME_CHECKS: Final[tuple[Callable[[Scope], list[Finding]], ...]] = (paths, protected, names, attributes)
"""Those that judge a path by its name alone, whatever the change is."""
