"""Rewrites a requirement for a bump or a pin; pure functions from text to text."""

from __future__ import annotations

import re

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from core.model.edits import BumpPackage
from lanes.executors.errors import EditError

_NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*[ \t]*(?:\[[^\]]*\])?[ \t]*")
_PART = re.compile(r"([ \t]*)(===|==|~=|>=|<=|!=|<|>)([ \t]*)(\S+)([ \t]*)")
_PREFIXED = re.compile(r"(\^|~=|~|>=|===?|=|)([ \t]*)(v?[0-9][A-Za-z0-9.+-]*)")
_ANY_PART = re.compile(r"\.[xX*](?:\.|$)")  # 1.x is every version of 1
_SEMVER = re.compile(r"v?[0-9]+(?:\.[0-9]+){0,3}(?:[-+][0-9A-Za-z.+-]+)?")
_SEMVER_PARTS = re.compile(r"v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:-([\w.-]{1,60}))?(?:\+[\w.-]+)?", re.ASCII)
_KEPT_OPERATORS = ("==", "===", ">=", "~=")


def revise_requirement(edit: BumpPackage, requirement_text: str, where: str) -> str:
    """A PEP 508 requirement with another version; name, extras, parentheses, marker and spacing are preserved."""
    try:
        requirement = Requirement(requirement_text)
        version = Version(edit.version)
    except InvalidRequirement:
        raise EditError(
            "unsupported_format", f"{where} is not a readable requirement: {requirement_text[:80]}"
        ) from None
    except InvalidVersion:
        raise EditError("bad_value", f"{edit.version} is not a Python version") from None
    head = _NAMED.match(requirement_text)
    if requirement.url or head is None:
        raise EditError("unsupported_format", f"{where} does not require {edit.package} by version")
    begin, end = _specifier_span(requirement_text, head.end())
    specifier, rest = requirement_text[begin:end], requirement_text[end:]
    parts = [_PART.fullmatch(part) for part in specifier.split(",")] if specifier else []
    bounds = [part for part in parts if part is not None]
    if len(bounds) < len(parts):
        raise EditError("unsupported_format", f"{where} is not a readable requirement: {requirement_text[:80]}")
    _check_was(edit, [bound[4] for bound in bounds if bound[2] in _KEPT_OPERATORS], where)
    if edit.exact:
        space = bounds[0][3] if bounds else ""
        return f"{requirement_text[:begin]}=={space}{_bare_version(edit)}{rest}"
    kept_indexes = [number for number, bound in enumerate(bounds) if bound[2] in _KEPT_OPERATORS]
    others = [bound for number, bound in enumerate(bounds) if number not in kept_indexes]
    is_clear = len(kept_indexes) == 1 and _keeps_meaning(bounds[kept_indexes[0]], edit.version)
    if not is_clear or not all(_allows(bound[2] + bound[4], version) for bound in others):
        current = specifier or "no version"
        message = f"{where} asks for {edit.package} with {current}, so a bump to {edit.version} is not clear"
        raise EditError("ambiguous", message, f"Say: pin {edit.package} to {edit.version}.")
    chosen = kept_indexes[0]
    revised = [bound[0] for bound in bounds]
    bound = bounds[chosen]
    _refuse_older(edit, bound[4], where)
    revised[chosen] = f"{bound[1]}{bound[2]}{bound[3]}{_bare_version(edit)}{bound[5]}"
    return requirement_text[:begin] + ",".join(revised) + rest


def _specifier_span(requirement_text: str, begin: int) -> tuple[int, int]:
    """The span of a requirement's versions, without the parentheses that Poetry puts around them."""
    end = semicolon if (semicolon := requirement_text.find(";")) >= 0 else len(requirement_text)
    end = begin + len(requirement_text[begin:end].rstrip())
    if requirement_text[begin:end].startswith("(") and requirement_text[begin:end].endswith(")"):
        return begin + 1, end - 1
    return begin, end


def _keeps_meaning(bound: re.Match[str], version: str) -> bool:
    """True if the operator means the same with the new version: `==2.*` and `~=2.1` depend on its precision."""
    operator, current = bound[2], bound[4]
    return "*" not in current and (operator != "~=" or current.count(".") == version.removeprefix("v").count("."))


def revise_prefixed(edit: BumpPackage, version_text: str, where: str) -> str:
    """An npm or Poetry version with another number; a bump preserves `^`, `~` and the like, a pin drops them."""
    if not _SEMVER.fullmatch(edit.version):
        raise EditError("bad_value", f"{edit.version} is not a version")
    prefixed = _PREFIXED.fullmatch(version_text)
    if prefixed is None or _ANY_PART.search(version_text):
        message = f"{where} asks for {edit.package} with {version_text[:60]!r}, which is not a single version"
        raise EditError("ambiguous", message, "Say exactly which text to replace with which.")
    _check_was(edit, [prefixed[3]], where)
    if not edit.exact:
        _refuse_older(edit, prefixed[3], where)
    number = edit.version.removeprefix("v")
    return number if edit.exact else prefixed[1] + prefixed[2] + number


def _refuse_older(edit: BumpPackage, current: str, where: str) -> None:
    """Raise EditError when a bump would lower the version, unless the request names the current version."""
    if edit.was is not None or edit.down or not _is_older(edit.version, current):
        return
    message = f"{edit.version} is older than {current}, which {where} asks for {edit.package}"
    place = f" in {edit.path}" if edit.path is not None else ""
    mend = f"To downgrade on purpose, say: bump {edit.package} from {current} to {edit.version}{place}."
    raise EditError("ambiguous", message, mend)


def _is_older(one: str, other: str) -> bool:
    """True if a version precedes another in npm's or Python's order; False when neither order applies."""
    first, second = _SEMVER_PARTS.fullmatch(one), _SEMVER_PARTS.fullmatch(other)
    if first is not None and second is not None:
        return _semver_key(first) < _semver_key(second)
    try:
        return Version(one) < Version(other)
    except InvalidVersion:
        return False


def _semver_key(version: re.Match[str]) -> tuple[object, ...]:
    """The sort key of https://semver.org, item 11: pre-releases precede their release, numbers precede words."""
    prerelease = (version[4] or "").split(".")
    words = tuple((0, int(word), "") if word.isdigit() else (1, 0, word) for word in prerelease)
    return (int(version[1]), int(version[2]), int(version[3]), version[4] is None, words)


def _bare_version(edit: BumpPackage) -> str:
    return edit.version.removeprefix("v")


def _allows(bound: str, version: Version) -> bool:
    """True if a single bound such as `<2` admits the version, pre-releases included."""
    return Requirement(f"x{bound}").specifier.contains(version, prereleases=True)


def _check_was(edit: BumpPackage, versions: list[str], where: str) -> None:
    if edit.was is None or any(_equal(edit.was, version) for version in versions):
        return
    current = ", ".join(versions) or "no version"
    raise EditError("not_found", f"{where} has {edit.package} at {current}, not {edit.was}")


def _equal(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other
