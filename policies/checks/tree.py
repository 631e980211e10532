"""Checks of a change's paths, modes and sizes, which need no blob."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from core.model.change import EXECUTABLE, GITLINK, REGULAR, SYMLINK, FileChange
from core.model.staged_diff import Finding
from policies.checks.manifests import check_manifests
from policies.checks.names import check_names
from policies.checks.neighbours import bare_repositories
from policies.checks.scope import Scope, block, capped, count, passed, warn
from policies.checks.tests import check_deleted_tests
from policies.globs import spellings
from policies.protected import protected_reason

_ATTRIBUTES: Final = frozenset({".gitattributes", ".gitmodules"})


def check_empty(scope: Scope) -> list[Finding]:
    """Block a change without files."""
    if not scope.files:
        return [block("empty", "nothing changed")]
    return [passed("empty", f"{count(scope.files, 'file')} changed")]


def check_size(scope: Scope) -> list[Finding]:
    """Block a change beyond the limits on files, bytes and file size, by its tree entries, before blobs are read."""
    limits, findings = scope.limits, []
    total = sum(f.new_size for f in scope.written)
    if len(scope.files) > limits.files:
        findings.append(block("size", f"{count(scope.files, 'file')}, at most {limits.files:,} allowed"))
    if total > limits.bytes:
        findings.append(block("size", f"{total:,} bytes, at most {limits.bytes:,} allowed"))
    findings.extend(
        block("size", f"{f.new_size:,} bytes, at most {limits.file_bytes:,} in a file", f)
        for f in scope.written
        if f.new_size > limits.file_bytes
    )
    return capped("size", findings, f"{count(scope.files, 'file')}, {total:,} bytes")


def check_paths(scope: Scope) -> list[Finding]:
    """Block paths that the lane may not write."""
    inside = dict.fromkeys(p for f in scope.files if (p := scope.write.covers(f.path)))
    findings = (
        block("paths", f"outside lane {scope.lane.name} ({', '.join(scope.lane.write)})", f)
        for f in scope.files
        if scope.write.covers(f.path) is None
    )
    where = f" inside {', '.join(inside)}" if inside else ""
    return capped("paths", findings, f"{count(scope.files, 'file')}{where}")


def check_protected(scope: Scope) -> list[Finding]:
    """Block protected paths in any spelling, also when they are deleted or renamed."""
    matched = ((f, scope.protect.denies(f.path)) for f in scope.files)
    findings = (block("protected", protected_reason(pattern, scope.lane), f) for f, pattern in matched if pattern)
    return capped("protected", findings, "no protected path is touched")


def check_attributes(scope: Scope) -> list[Finding]:
    """Block files that change how git reads or shows other files."""
    touched = (f for f in scope.files if any(s.rpartition("/")[2] in _ATTRIBUTES for s in spellings(f.path)))
    findings = (block("attributes", "changes how git reads, shows or fetches other files", f) for f in touched)
    return capped("attributes", findings, "no .gitattributes or .gitmodules")


def check_symlinks(scope: Scope) -> list[Finding]:
    """Block symbolic links that are created, changed or replaced; deleting one is allowed."""
    findings = [block("symlinks", "is a symbolic link", f) for f in scope.files if f.mode == SYMLINK]
    findings += [
        block("symlinks", "was a symbolic link and is now a file", f)
        for f in scope.written
        if f.old_mode == SYMLINK and f.mode != SYMLINK
    ]
    return capped("symlinks", findings, "none")


def check_gitlinks(scope: Scope) -> list[Finding]:
    """Block changes of submodules and nested repositories, and files written into a bare repository."""
    touched = (f for f in scope.files if GITLINK in {f.mode, f.old_mode})
    findings = [block("gitlinks", "is a submodule or a nested repository", f) for f in touched]
    return capped("gitlinks", [*findings, *bare_repositories(scope)], "none")


def check_modes(scope: Scope) -> list[Finding]:
    """Block modes other than those of ordinary files, and new executables unless the lane allows them."""
    findings = [finding for file in scope.written if (finding := _mode(scope, file)) is not None]
    return capped("modes", findings, "only ordinary files")


def _mode(scope: Scope, file: FileChange) -> Finding | None:
    if file.mode in {SYMLINK, GITLINK, REGULAR}:  # links have their own checks
        return warn("modes", "is no longer executable", file) if file.old_mode == EXECUTABLE else None
    if file.mode != EXECUTABLE:
        return block("modes", f"has the mode {file.mode}", file)
    if file.old_mode == EXECUTABLE:
        return None
    if scope.lane.executables:
        return warn("modes", "becomes executable", file)
    return block("modes", f"becomes executable, and lane {scope.lane.name} does not allow executables", file)


CHECKS: Final[tuple[Callable[[Scope], list[Finding]], ...]] = (
    check_empty, check_size, check_paths, check_protected, check_names, check_modes, check_symlinks, check_gitlinks,
    check_attributes, check_manifests, check_deleted_tests,
)  # fmt: skip

NAME_CHECKS: Final[tuple[Callable[[Scope], list[Finding]], ...]] = (
    check_paths, check_protected, check_names, check_attributes,
)  # fmt: skip
"""The checks that depend on a path's name alone."""
