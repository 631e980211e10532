"""Checks whether a change deletes or skips tests, which could have found an error in it."""

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

# The beginnings of tests, and the marks of skipped ones:
# pytest, unittest, Jest, Mocha, Jasmine, Go, JUnit, NUnit, xUnit, Rust,
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


def check_deleted_tests(scope: Scope) -> list[Finding]:
    """Warn about deleted tests; moving a test does not count."""
    remaining = {file.new_sha256 for file in scope.written if is_test(file)}
    deleted = [file for file in scope.files if file.new_blob is None and is_test(file)]
    findings = (warn("tests", "deletes a test", file) for file in deleted if file.old_sha256 not in remaining)
    return capped("tests", findings, "no test is deleted")


def is_test(file: FileChange) -> bool:
    """True if the file is a test or belongs to one, by its path."""
    return TESTS.denies(file.path) is not None


def removed_tests(file: FileChange, after: bytes, before: bytes) -> list[Finding]:
    """Warnings about a file that has fewer tests, or skips more tests, than before."""
    findings, earlier = [], _count_matches(_BEGINS, before)
    if earlier and (fewer := earlier - _count_matches(_BEGINS, after)) > 0:
        findings.append(warn("tests", f"has {count(fewer, 'test')} less than before", file))
    if any(hint in after for hint in _SKIP_HINTS) and (is_test(file) or earlier or _BEGINS.search(after)):
        more = _count_matches(_SKIPS, after) - _count_matches(_SKIPS, before)
        if more > 0:
            findings.append(warn("tests", f"skips tests in {count(more, 'more place')} than before", file))
    return findings


def _count_matches(pattern: re.Pattern[bytes], blob: bytes) -> int:
    return sum(1 for _ in pattern.finditer(blob))
