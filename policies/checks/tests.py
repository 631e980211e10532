"""The check of tests: a change that takes tests away, or skips them, removes what would have found fault with it."""

from __future__ import annotations

import re
from typing import Final

from core.model.change import FileChange
from core.model.staged_diff import Finding
from policies.checks.scope import Scope, capped, count, warn
from policies.globs import Globs

TESTS: Final = Globs((
    "**/test_*", "**/*_test.*", "**/*.test.*", "**/*.spec.*", "**/*_spec.*", "**/*Test.java", "**/*Tests.java",
    "**/*Test.kt", "**/*Tests.cs", "**/*Test.cs", "**/*Test.php", "**/*Tests.swift", "**/*Tests.fs", "**/tests/**",
    "**/test/**", "**/__tests__/**", "**/spec/**", "**/testdata/**", "**/e2e/**", "**/*.snap", "**/*.feature",
))  # fmt: skip

# How a test begins, and how one is left out: pytest, unittest, Jest, Mocha, Jasmine, Go, JUnit, NUnit, xUnit, Rust,
# RSpec and PHPUnit.
_BEGINS: Final = re.compile(
    rb"^[ \t]*(?:(?:async[ \t]+)?def[ \t]+test|func[ \t]+(?:Test|Fuzz)[A-Z_]|@Test\b|@ParameterizedTest\b"
    rb"|\[(?:Test|Fact|Theory)|#\[(?:\w+::)?test\]|(?:it|test|specify)(?:\.each\b[^\n]{0,200})?[ \t]*[( ][ \t]*[\"'`]"
    rb"|public[ \t]+function[ \t]+test)",
    re.MULTILINE,
)
_SKIPS: Final = re.compile(
    rb"pytest\.(?:mark\.(?:skip|skipif|xfail)|skip\(|xfail\()|unittest\.(?:skip|expectedFailure)|\bself\.skipTest\("
    rb"|\b(?:it|test|describe|context|suite)\.(?:skip|todo|only|fixme)\b"
    rb"|\b(?:xit|xtest|xdescribe|xcontext|fit|fdescribe)[ \t]*\("
    rb"|\bt\.Skip(?:f|Now)?\(|@(?:Disabled|Ignore)\b|\[Ignore\b|Skip[ \t]*=[ \t]*\"|#\[ignore\b|\bmarkTestSkipped\("
)

_SKIP_HINTS: Final = (
    b"skip", b"Skip", b"xfail", b"expectedFailure", b".todo", b".only", b".fixme", b"xit", b"xtest", b"xdescribe",
    b"xcontext", b"fit", b"fdescribe", b"@Disabled", b"@Ignore", b"[Ignore", b"#[ignore",
)  # fmt: skip


def tests(scope: Scope) -> list[Finding]:
    """Say which tests are deleted; a test that only moves is not."""
    kept = {file.new_sha256 for file in scope.written if is_test(file)}
    gone = [file for file in scope.files if file.new_blob is None and is_test(file)]
    found = (warn("tests", "deletes a test", file) for file in gone if file.old_sha256 not in kept)
    return capped("tests", found, "no test is deleted")


def is_test(file: FileChange) -> bool:
    """Whether a file is a test, or belongs to one, by its path."""
    return TESTS.denies(file.path) is not None


def weakened(file: FileChange, after: bytes, before: bytes) -> list[Finding]:
    """Findings on a changed file that has fewer tests than before, or skips more of them."""
    found, had = [], _number(_BEGINS, before)
    if had and (fewer := had - _number(_BEGINS, after)) > 0:
        found.append(warn("tests", f"has {count(fewer, 'test')} less than before", file))
    if any(hint in after for hint in _SKIP_HINTS) and (is_test(file) or had or _BEGINS.search(after)):
        more = _number(_SKIPS, after) - _number(_SKIPS, before)
        if more > 0:
            found.append(warn("tests", f"skips tests in {count(more, 'more place')} than before", file))
    return found


def _number(pattern: re.Pattern[bytes], blob: bytes) -> int:
    return sum(1 for _ in pattern.finditer(blob))
