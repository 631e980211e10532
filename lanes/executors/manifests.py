"""Requiring another version of a package in the manifest that names it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from packaging.utils import canonicalize_name

from core.model.edits import BumpPackage
from lanes.executors import versions
from lanes.executors.errors import EditError, did_you_mean
from lanes.executors.formats import decoded, json_file, toml_file
from lanes.executors.formats.place import Path, spell

_NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*[ \t]*(?:\[[^\]]*\])?")
_MAX_REQUIREMENT = 500
_BOM = "\ufeff"
_NPM_GROUPS = ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies")
_HATCH_LISTS = frozenset({"dependencies", "extra-dependencies", "requires"})
_LISTS = ("requirements", "constraints")
_VENDORED = frozenset({"node_modules", "vendor", "third_party", ".venv", "venv", "site-packages"})


@dataclass(frozen=True, slots=True)
class Mention:
    """One place that requires a package: where, what it says now, and how to write what it shall say."""

    where: str
    says: str
    write: Callable[[str], str]
    revise: Callable[[BumpPackage, str, str], str]
    refused: str = ""


def is_manifest(path: str) -> bool:
    """Whether a path names a file that lists packages."""
    folder, _, name = path.rpartition("/")
    if name in ("pyproject.toml", "package.json"):
        return True
    stem, _, ending = name.rpartition(".")
    named = stem.startswith(_LISTS) or stem.endswith(_LISTS)
    return ending in ("txt", "in") and (named or folder.rpartition("/")[2] in _LISTS)


def searched(paths: Iterable[str]) -> list[str]:
    """The manifests of a tree, copies of other people's packages not counted."""
    return [path for path in paths if is_manifest(path) and _VENDORED.isdisjoint(path.split("/")[:-1])]


def mentions(path: str, content: bytes, package: str) -> list[Mention]:
    """The places in a manifest that require the package; EditError when the manifest cannot be read."""
    text = decoded(path, content).removeprefix(_BOM)
    name = path.rpartition("/")[2]
    if name == "package.json":
        return _in_package_json(path, text, package)
    if name == "pyproject.toml":
        return _in_pyproject(path, text, package)
    return _in_requirements(path, text, package)


def packages(content: bytes) -> list[str]:
    """The names that a requirements file mentions, for suggestions."""
    found = (_NAMED.match(line.strip()) for line in content.decode(errors="replace").split("\n"))
    return [match[0].split("[")[0].strip() for match in found if match]


def bump(edit: BumpPackage, path: str, found: list[Mention], content: bytes) -> bytes:
    """The manifest's content with the one mention revised; EditError when it is none or several."""
    if not found:
        names = packages(content) if path.endswith((".txt", ".in")) else []
        raise EditError("not_found", f"{path} does not name {edit.package}", did_you_mean(edit.package, names))
    if len(found) > 1:
        where = ", ".join(mention.where for mention in found[:4])
        first = found[0].says
        mend = f'Say: replace "{first}" with "…" in {path}.'
        raise EditError("ambiguous", f"{path} names {edit.package} {len(found)} times: {where}", mend)
    mention = found[0]
    if mention.refused:
        raise EditError("unsupported_format", f"{mention.where} {mention.refused}")
    revised = mention.revise(edit, mention.says, mention.where)
    mark = _BOM if content.startswith(_BOM.encode()) else ""
    return content if revised == mention.says else (mark + mention.write(revised)).encode()


def _in_requirements(path: str, text: str, package: str) -> list[Mention]:
    """The mentions in a requirements file; one logical line may go on after a backslash."""
    found = []
    wanted = canonicalize_name(package)
    begin = 0
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        first, start = number, begin
        number += 1
        while lines[number - 1].rstrip("\r").endswith("\\") and number < len(lines):
            number += 1
        whole = "\n".join(lines[first:number])
        begin += len(whole) + 1
        bare = whole.lstrip(" \t")
        named = _NAMED.match(bare)
        if named is None or canonicalize_name(named[0].split("[")[0].strip()) != wanted:
            continue
        at = start + len(whole) - len(bare)
        says = re.split(r"[ \t]#|[ \t]--|\\|\r|\n", bare, maxsplit=1)[0].rstrip()
        refused = "is too long to be read" if len(says) > _MAX_REQUIREMENT else ""
        if "--hash" in whole:
            refused = "is pinned with --hash; compile the file again instead"
        write = partial(_spliced, text, at, at + len(says))
        found.append(Mention(f"{path}:{first + 1}", says, write, versions.revise_requirement, refused))
    return found


def _in_pyproject(path: str, text: str, package: str) -> list[Mention]:
    document = toml_file.read(text, path)
    wanted = canonicalize_name(package)
    found = []
    for place, value in _walk(document, (), 0):
        write = partial(toml_file.set_text, text, place, file=path)
        where = f"{path} {spell(place)}"
        if _lists_requirements(place):
            named = _NAMED.match(value)
            if named and canonicalize_name(named[0].split("[")[0].strip()) == wanted:
                found.append(Mention(where, value, _by_value(write), versions.revise_requirement))
        elif (name := _poetry_name(place)) and canonicalize_name(name) == wanted:
            found.append(Mention(where, value, _by_value(write), versions.revise_prefixed))
    return found


def _in_package_json(path: str, text: str, package: str) -> list[Mention]:
    root = json_file.read(text, path)
    found = []
    for group in _NPM_GROUPS:
        listed = root.value.get(group) if isinstance(root.value, dict) else None
        says = listed.get(package) if isinstance(listed, dict) else None
        if isinstance(says, str):
            node = json_file.find(root, (group, package))
            write = partial(_spliced, text, node.start + 1, node.end - 1)
            found.append(Mention(f"{path} {group}", says, write, versions.revise_prefixed))
    return found


def _by_value(write: Callable[..., str]) -> Callable[[str], str]:
    return lambda value: write(value=value)


def _spliced(text: str, start: int, end: int, written: str) -> str:
    return text[:start] + written + text[end:]


def _walk(value: object, path: Path, depth: int) -> Iterable[tuple[Path, str]]:
    """Every string in a parsed TOML file with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict) and depth < 20:
        for key, inner in value.items():
            yield from _walk(inner, (*path, key), depth + 1)
    elif isinstance(value, list) and depth < 20:
        for index, inner in enumerate(value):
            yield from _walk(inner, (*path, index), depth + 1)


def _lists_requirements(path: Path) -> bool:
    """Whether a path is an item of a list of PEP 508 requirements."""
    match path:
        case (
            ("project", "dependencies", int())
            | ("project", "optional-dependencies", str(), int())
            | ("dependency-groups", str(), int())
            | ("build-system", "requires", int())
            | ("tool", "uv", str(), int())
            | ("tool", "pdm", "dev-dependencies", str(), int())
            | ("tool", "flit", "metadata", "requires", int())
            | ("tool", "flit", "metadata", "requires-extra", str(), int())
            | ("tool", "tox", *_, "deps", int())
        ):
            return path[:2] != ("tool", "uv") or str(path[2]).endswith("-dependencies")
        case ("tool", "hatch", "envs" | "build" | "metadata", *_, str(name), int()):
            return name in _HATCH_LISTS
        case ("tool", "hatch", "env", "requires", int()):
            return True
        case _:
            return False


def _poetry_name(path: Path) -> str:
    """The package that a path in a Poetry table gives a version to, or an empty string."""
    match path:
        case ("tool", "poetry", "dependencies" | "dev-dependencies" | "requires-plugins", str(name), *rest) | (
            "tool",
            "poetry",
            "group",
            str(),
            "dependencies",
            str(name),
            *rest,
        ) if rest in ([], ["version"]) or (len(rest) == 2 and isinstance(rest[0], int) and rest[1] == "version"):
            return name
        case _:
            return ""
