"""Risk: which files of a change to read first, and why. It orders and warns; only the guard decides."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from typing import Any, Final

from core.model.change import ABSENT, EXECUTABLE, GITLINK, SYMLINK
from core.model.staged_diff import GuardVerdict

MANY_FILES: Final = 20
MANY_LINES: Final = 400


class RiskLevel(StrEnum):
    """How carefully to read a change."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


RiskFlag = tuple[str, RiskLevel]
"""A property of a file and its risk."""

_ORDER: Final = (RiskLevel.LOW, RiskLevel.MEDIUM, RiskLevel.HIGH)
_WEIGHTS: Final = {
    GuardVerdict.PASS: RiskLevel.LOW,
    GuardVerdict.WARN: RiskLevel.MEDIUM,
    GuardVerdict.BLOCK: RiskLevel.HIGH,
}
_CI: Final = r"""
    \.github/.* | \.circleci/.* | \.buildkite/.* | \.husky/.* | \.gitlab/.* | \.gitlab-ci\.yml | \.travis\.yml |
    \.drone\.yml | jenkinsfile[^/]* | azure-pipelines\.ya?ml | bitbucket-pipelines\.yml | action\.ya?ml |
    \.pre-commit-config\.yaml | codeowners
"""
_GIT: Final = r"\.gitattributes | \.gitmodules | \.gitconfig"
_TOOLS: Final = r"""
    agents\.md | claude\.md | \.claude/.* | \.codex/.* | \.cursor/.* | \.mcp\.json | \.vscode/.* | \.devcontainer/.* |
    \.envrc | \.env(?:\.[^/]*)?
"""
_DEPENDENCIES: Final = r"""
    package\.json | package-lock\.json | npm-shrinkwrap\.json | yarn\.lock | pnpm-lock\.yaml | bun\.lockb? |
    deno\.(?:json|lock) | pyproject\.toml | setup\.cfg |
    requirements[^/]*\.(?:txt|in) | requirements/[^/]*\.(?:txt|in) |
    poetry\.lock | uv\.lock | pdm\.lock | pipfile(?:\.lock)? | environment\.ya?ml | cargo\.(?:toml|lock) |
    go\.(?:mod|sum) | gemfile(?:\.lock)? | [^/]*\.gemspec | composer\.(?:json|lock) | pom\.xml |
    build\.gradle(?:\.kts)? | gradle\.lockfile | mix\.(?:exs|lock) | pubspec\.(?:yaml|lock) |
    package\.(?:swift|resolved) | flake\.(?:nix|lock) | [^/]*\.csproj | packages\.lock\.json
"""
_BUILDS: Final = r"""
    setup\.py | conftest\.py | (?:gnu)?makefile | [^/]*\.mk | build\.rs | [^/]*\.pth | (?:site|user)customize\.py |
    dockerfile[^/]* | containerfile | justfile | noxfile\.py | tox\.ini
"""
_NAMES: Final = (
    ("CI", RiskLevel.HIGH, _CI),
    ("git settings", RiskLevel.HIGH, _GIT),
    ("tool settings", RiskLevel.HIGH, _TOOLS),
    ("dependencies", RiskLevel.MEDIUM, _DEPENDENCIES),
    ("runs in builds", RiskLevel.MEDIUM, _BUILDS),
)
"""Names in lower case of files that control programs (security.md 60-65), in any folder."""


def risk_flags(row: Mapping[str, Any]) -> tuple[RiskFlag, ...]:
    """The risky properties of one file of a staged diff, highest risk first."""
    flags = [*_mode_flags(row), *_name_flags(str(row["path"]))]
    return tuple(sorted(flags, key=lambda flag: -_ORDER.index(flag[1])))


def risk_level(flags: Iterable[RiskFlag], verdicts: Iterable[GuardVerdict], files: int, lines: int) -> RiskLevel:
    """The level of a whole change: its highest flag, at least medium if the guard warned or it is large."""
    levels = [level for _, level in flags]
    levels.extend(_WEIGHTS[verdict] for verdict in verdicts)
    if files > MANY_FILES or lines > MANY_LINES:
        levels.append(RiskLevel.MEDIUM)
    return max(levels, key=_ORDER.index, default=RiskLevel.LOW)


def _mode_flags(row: Mapping[str, Any]) -> list[RiskFlag]:
    old, new = str(row["old_mode"]), str(row["mode"])
    flags: list[RiskFlag] = []
    if SYMLINK in (old, new):
        flags.append(("symlink", RiskLevel.HIGH))
    if GITLINK in (old, new):
        flags.append(("submodule", RiskLevel.HIGH))
    elif row["added"] is None:
        flags.append(("binary", RiskLevel.MEDIUM))
    if new == EXECUTABLE != old:
        flags.append(("executable", RiskLevel.HIGH))
    elif old == EXECUTABLE and new not in (EXECUTABLE, ABSENT):
        flags.append(("no longer executable", RiskLevel.MEDIUM))
    if row["status"] == "T":
        flags.append(("type changed", RiskLevel.HIGH))
    if row["status"] == "D":
        flags.append(("deleted", RiskLevel.MEDIUM))
    return flags


def _name_flags(path: str) -> list[RiskFlag]:
    folded = _folded(path)
    flags = [(name, level) for name, level, names in _NAMES if _pattern(names).search(folded)][:1]
    if "\\" in path:  # `show_path` escaped something
        flags.append(("odd name", RiskLevel.HIGH))
    return flags


@cache
def _pattern(names: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|/)(?:{names})$", re.VERBOSE)


def _folded(path: str) -> str:
    """`path` as a lenient file system or reader sees it: normalised, lower case, no invisible characters (52)."""
    unescaped = re.sub(r"\\(?:x[0-9a-f]{2}|u\{[0-9a-f]+\})", "", path)
    normalized = "".join(
        char for char in unicodedata.normalize("NFKC", unescaped) if unicodedata.category(char)[0] != "M"
    ).casefold()
    return "/".join(part.rstrip(". ") or part for part in normalized.split("/"))
