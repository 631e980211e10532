"""What a requirement says after a bump or a pin; pure text in, text out."""

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
_KEPT = ("==", "===", ">=", "~=")


def revise_requirement(edit: BumpPackage, says: str, where: str) -> str:
    """A PEP 508 requirement with another version; name, extras, parentheses, marker and spacing are kept."""
    try:
        requirement = Requirement(says)
        version = Version(edit.version)
    except InvalidRequirement:
        raise EditError("unsupported_format", f"{where} is no requirement that can be read: {says[:80]}") from None
    except InvalidVersion:
        raise EditError("bad_value", f"{edit.version} is not a Python version") from None
    head = _NAMED.match(says)
    if requirement.url or head is None:
        raise EditError("unsupported_format", f"{where} does not require {edit.package} by version")
    begin, end = _specified(says, head.end())
    specified, rest = says[begin:end], says[end:]
    parts = [_PART.fullmatch(part) for part in specified.split(",")] if specified else []
    bounds = [part for part in parts if part is not None]
    if len(bounds) < len(parts):
        raise EditError("unsupported_format", f"{where} is no requirement that can be read: {says[:80]}")
    _check_was(edit, [bound[4] for bound in bounds if bound[2] in _KEPT], where)
    if edit.exact:
        space = bounds[0][3] if bounds else ""
        return f"{says[:begin]}=={space}{_plain(edit)}{rest}"
    kept = [number for number, bound in enumerate(bounds) if bound[2] in _KEPT]
    others = [bound for number, bound in enumerate(bounds) if number not in kept]
    clear = len(kept) == 1 and _keeps_its_reach(bounds[kept[0]], edit.version)
    if not clear or not all(_allows(bound[2] + bound[4], version) for bound in others):
        has = specified or "no version"
        message = f"{where} asks for {edit.package} with {has}, so a bump to {edit.version} is not clear"
        raise EditError("ambiguous", message, f"Say: pin {edit.package} to {edit.version}.")
    chosen = kept[0]
    revised = [bound[0] for bound in bounds]
    bound = bounds[chosen]
    _refuse_older(edit, bound[4], where)
    revised[chosen] = f"{bound[1]}{bound[2]}{bound[3]}{_plain(edit)}{bound[5]}"
    return says[:begin] + ",".join(revised) + rest


def _specified(says: str, begin: int) -> tuple[int, int]:
    """Where the versions of a requirement stand, without the parentheses that Poetry writes round them."""
    end = semicolon if (semicolon := says.find(";")) >= 0 else len(says)
    end = begin + len(says[begin:end].rstrip())
    if says[begin:end].startswith("(") and says[begin:end].endswith(")"):
        return begin + 1, end - 1
    return begin, end


def _keeps_its_reach(bound: re.Match[str], version: str) -> bool:
    """Whether the operator means with the new version what it means now: `==2.*` and `~=2.1` reach differently far."""
    operator, now = bound[2], bound[4]
    return "*" not in now and (operator != "~=" or now.count(".") == version.removeprefix("v").count("."))


def revise_prefixed(edit: BumpPackage, says: str, where: str) -> str:
    """An npm or Poetry version with another number; `^`, `~` and the like are kept by a bump, dropped by a pin."""
    if not _SEMVER.fullmatch(edit.version):
        raise EditError("bad_value", f"{edit.version} is not a version")
    prefixed = _PREFIXED.fullmatch(says)
    if prefixed is None or _ANY_PART.search(says):
        message = f"{where} asks for {edit.package} with {says[:60]!r}, which is not a single version"
        raise EditError("ambiguous", message, "Say exactly which text to replace with which.")
    _check_was(edit, [prefixed[3]], where)
    if not edit.exact:
        _refuse_older(edit, prefixed[3], where)
    number = edit.version.removeprefix("v")
    return number if edit.exact else prefixed[1] + prefixed[2] + number


def _refuse_older(edit: BumpPackage, now: str, where: str) -> None:
    """EditError when a bump would go down, unless the person named the version that is there."""
    if edit.was is not None or edit.down or not _is_older(edit.version, now):
        return
    message = f"{edit.version} is older than {now}, which {where} asks for {edit.package}"
    place = f" in {edit.path}" if edit.path is not None else ""
    mend = f"To go back on purpose, say: bump {edit.package} from {now} to {edit.version}{place}."
    raise EditError("ambiguous", message, mend)


def _is_older(one: str, other: str) -> bool:
    """Whether a version comes before another, in the order of npm or of Python; False when neither has an order."""
    first, second = _SEMVER_PARTS.fullmatch(one), _SEMVER_PARTS.fullmatch(other)
    if first is not None and second is not None:
        return _semver_key(first) < _semver_key(second)
    try:
        return Version(one) < Version(other)
    except InvalidVersion:
        return False


def _semver_key(version: re.Match[str]) -> tuple[object, ...]:
    """By https://semver.org, 11: a pre-release comes before its release, numbers in it before words."""
    before = (version[4] or "").split(".")
    words = tuple((0, int(word), "") if word.isdigit() else (1, 0, word) for word in before)
    return (int(version[1]), int(version[2]), int(version[3]), version[4] is None, words)


def _plain(edit: BumpPackage) -> str:
    return edit.version.removeprefix("v")


def _allows(bound: str, version: Version) -> bool:
    """Whether a single bound such as `<2` admits the version, pre-releases included."""
    return Requirement(f"x{bound}").specifier.contains(version, prereleases=True)


def _check_was(edit: BumpPackage, versions: list[str], where: str) -> None:
    if edit.was is None or any(_equal(edit.was, version) for version in versions):
        return
    has = ", ".join(versions) or "no version"
    raise EditError("not_found", f"{where} has {edit.package} at {has}, not {edit.was}")


def _equal(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other
