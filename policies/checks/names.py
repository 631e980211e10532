"""Checks for paths that other systems read differently, cannot store, or that hide what they are."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from core.model.change import FileChange
from core.model.staged_diff import Finding
from policies.checks.neighbours import entries_by_folder, same_on_disk
from policies.checks.scope import Scope, block, capped, count, warn
from policies.globs import fold, is_ignorable

MAX_PATH_BYTES: Final = 1024
MAX_PART_BYTES: Final = 255

# Windows: learn.microsoft.com/windows/win32/fileio/naming-a-file.
_DEVICES: Final = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])\s*(\..*)?",
    re.IGNORECASE | re.DOTALL,
)
_SHORT_NAME: Final = re.compile(r"[^.]{1,6}~[0-9]{1,4}(\.[^.]{0,3})?", re.DOTALL)
_NOT_PORTABLE: Final = frozenset('<>:|?*"\\')
_BIDI: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
# Names that git refuses to check out on some system (verify_path in read-cache.c, is_ntfs_dotgit, is_hfs_dotgit).
_GIT_FOLDERS: Final = frozenset({".git", "git~1"})


def check_names(scope: Scope) -> list[Finding]:
    """Block dangerous names, and odd names unless the lane allows them."""
    findings: list[tuple[FileChange, Finding]] = []
    for file in scope.files:
        text = file.path.decode("utf-8", "surrogateescape")
        if danger := next(dangers(text), None):
            findings.append((file, block("names", danger, file)))
        elif oddity := next(oddities(text), None):
            report = warn if scope.lane.odd_names else block
            findings.append((file, report("names", oddity, file)))
    findings.extend(_collisions(scope))
    reported = {file.path for file, _ in findings}  # as bytes: different paths can have the same display form
    others = same_on_disk(scope, entries_by_folder(scope))
    findings.extend((file, finding) for file, finding in others if file.path not in reported)
    return capped("names", (finding for _, finding in findings), f"{count(scope.files, 'plain name')}")


def dangers(text: str) -> Iterator[str]:
    """What no lane may have in a path: parts outside the tree or of git's folder, and invisible characters."""
    parts = text.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        yield "has an empty, '.' or '..' part"
    if any(fold(part).partition(":")[0].rstrip(". ") in _GIT_FOLDERS for part in parts):
        yield "is inside git's own folder, or another spelling of it"
    if hidden := next((c for c in text if is_ignorable(c) or unicodedata.bidirectional(c) in _BIDI), None):
        yield f"has the invisible character {code_point(hidden)}"


def oddities(text: str) -> Iterator[str]:
    """What some system cannot store, reads differently, or takes for an option (security.md 53, 54)."""
    raw = text.encode("utf-8", "surrogateescape")
    if any(0xDC80 <= ord(c) <= 0xDCFF for c in text):
        yield "is not valid UTF-8"
        return
    if control := next((c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp", "Cn", "Co"}), None):
        yield f"has the character {code_point(control)}"
    if bad := next((c for c in text if c in _NOT_PORTABLE), None):
        yield f"has the character {bad}, which is not portable"
    if len(raw) > MAX_PATH_BYTES or any(len(p.encode()) > MAX_PART_BYTES for p in text.split("/")):
        yield "is too long"
    if unicodedata.normalize("NFC", text) != text:
        yield "is not in Unicode's composed form (NFC), so a Mac may rename it"
    if text.startswith("~"):
        yield "begins with ~"
    for part in text.split("/"):
        yield from _odd_part(part)


def _odd_part(part: str) -> Iterator[str]:
    if part.startswith("-"):
        yield "has a part that begins with -, like an option"
    if part != part.strip() or part.endswith("."):
        yield "has a part with a space at one end, or a dot at the end"
    if _DEVICES.fullmatch(part):
        yield f"has the part {part}, which is a device on Windows"
    if _SHORT_NAME.fullmatch(part):
        yield f"has the part {part}, which is a short name on Windows"
    if "'" in part or "`" in part:
        yield "has a quote, which shells interpret"


def _collisions(scope: Scope) -> Iterator[tuple[FileChange, Finding]]:
    """Written paths that are one path on systems that ignore case, width or accents."""
    seen: dict[str, FileChange] = {}
    for file in scope.written:
        first = seen.setdefault(fold(file.path.decode("utf-8", "surrogateescape")), file)
        if first is not file:
            report = warn if scope.lane.odd_names else block
            yield file, report("names", f"is the same file as {first.shown_path} on some systems", file)


def code_point(char: str) -> str:
    """A character's code point and name, such as ``U+202E RIGHT-TO-LEFT OVERRIDE``."""
    return f"U+{ord(char):04X} {unicodedata.name(char, '')}".strip()
