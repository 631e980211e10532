"""Changes the version of a package in the manifest that lists it: requirements files, pyproject.toml, package.json."""

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
from lanes.executors.formats.locate import KeyPath, format_path

_NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*[ \t]*(?:\[[^\]]*\])?")
_MAX_REQUIREMENT = 500
_BOM = "\ufeff"
_NPM_GROUPS = ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies")
_HATCH_LISTS = frozenset({"dependencies", "extra-dependencies", "requires"})
_LIST_NAMES = ("requirements", "constraints")
_VENDORED = frozenset({"node_modules", "vendor", "third_party", ".venv", "venv", "site-packages"})


@dataclass(frozen=True, slots=True)
class Mention:
    """One requirement of a package: its place and text, and how to write another; `refusal` says why that cannot be."""

    where: str
    text: str
    write: Callable[[str], str]
    revise: Callable[[BumpPackage, str, str], str]
    refusal: str = ""


def is_manifest(path: str) -> bool:
    """True if the path names a file that lists packages."""
    folder, _, name = path.rpartition("/")
    if name in ("pyproject.toml", "package.json"):
        return True
    stem, _, ending = name.rpartition(".")
    is_list = stem.startswith(_LIST_NAMES) or stem.endswith(_LIST_NAMES)
    return ending in ("txt", "in") and (is_list or folder.rpartition("/")[2] in _LIST_NAMES)


def find_manifests(paths: Iterable[str]) -> list[str]:
    """The manifests of a tree, without those of vendored packages."""
    return [path for path in paths if is_manifest(path) and _VENDORED.isdisjoint(path.split("/")[:-1])]


def find_mentions(path: str, content: bytes, package: str) -> list[Mention]:
    """The requirements of the package in a manifest; EditError when the manifest cannot be read."""
    text = decoded(path, content).removeprefix(_BOM)
    name = path.rpartition("/")[2]
    if name == "package.json":
        return _in_package_json(path, text, package)
    if name == "pyproject.toml":
        return _in_pyproject(path, text, package)
    return _in_requirements(path, text, package)


def listed_packages(content: bytes) -> list[str]:
    """The package names in a requirements file, for suggestions."""
    matches = (_NAMED.match(line.strip()) for line in content.decode(errors="replace").split("\n"))
    return [match[0].split("[")[0].strip() for match in matches if match]


def bump(edit: BumpPackage, path: str, mentions: list[Mention], content: bytes) -> bytes:
    """The manifest's content with the one requirement changed; EditError when there is none or several."""
    if not mentions:
        names = listed_packages(content) if path.endswith((".txt", ".in")) else []
        raise EditError("not_found", f"{path} does not name {edit.package}", did_you_mean(edit.package, names))
    if len(mentions) > 1:
        where = ", ".join(mention.where for mention in mentions[:4])
        first = mentions[0].text
        mend = f'Say: replace "{first}" with "…" in {path}.'
        raise EditError("ambiguous", f"{path} names {edit.package} {len(mentions)} times: {where}", mend)
    mention = mentions[0]
    if mention.refusal:
        raise EditError("unsupported_format", f"{mention.where} {mention.refusal}")
    revised = mention.revise(edit, mention.text, mention.where)
    mark = _BOM if content.startswith(_BOM.encode()) else ""
    return content if revised == mention.text else (mark + mention.write(revised)).encode()


def _in_requirements(path: str, text: str, package: str) -> list[Mention]:
    """The requirements in a requirements file, where a line continues after a backslash."""
    mentions = []
    canonical_name = canonicalize_name(package)
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
        name_match = _NAMED.match(bare)
        if name_match is None or canonicalize_name(name_match[0].split("[")[0].strip()) != canonical_name:
            continue
        at = start + len(whole) - len(bare)
        current = re.split(r"[ \t]#|[ \t]--|\\|\r|\n", bare, maxsplit=1)[0].rstrip()
        refusal = "is too long to read" if len(current) > _MAX_REQUIREMENT else ""
        if "--hash" in whole:
            refusal = "is pinned with --hash; regenerate the file instead"
        write = partial(_splice, text, at, at + len(current))
        mentions.append(Mention(f"{path}:{first + 1}", current, write, versions.revise_requirement, refusal))
    return mentions


def _in_pyproject(path: str, text: str, package: str) -> list[Mention]:
    document = toml_file.read(text, path)
    canonical_name = canonicalize_name(package)
    mentions = []
    for key_path, value in _walk(document, (), 0):
        write = partial(toml_file.set_text, text, key_path, file=path)
        where = f"{path} {format_path(key_path)}"
        if _lists_requirements(key_path):
            name_match = _NAMED.match(value)
            if name_match and canonicalize_name(name_match[0].split("[")[0].strip()) == canonical_name:
                mentions.append(Mention(where, value, _by_value(write), versions.revise_requirement))
        elif (name := _poetry_name(key_path)) and canonicalize_name(name) == canonical_name:
            mentions.append(Mention(where, value, _by_value(write), versions.revise_prefixed))
    return mentions


def _in_package_json(path: str, text: str, package: str) -> list[Mention]:
    root = json_file.read(text, path)
    mentions = []
    for group in _NPM_GROUPS:
        listed = root.value.get(group) if isinstance(root.value, dict) else None
        current = listed.get(package) if isinstance(listed, dict) else None
        if isinstance(current, str):
            node = json_file.find(root, (group, package))
            write = partial(_splice, text, node.start + 1, node.end - 1)
            mentions.append(Mention(f"{path} {group}", current, write, versions.revise_prefixed))
    return mentions


def _by_value(write: Callable[..., str]) -> Callable[[str], str]:
    return lambda value: write(value=value)


def _splice(text: str, start: int, end: int, replacement: str) -> str:
    return text[:start] + replacement + text[end:]


def _walk(value: object, path: KeyPath, depth: int) -> Iterable[tuple[KeyPath, str]]:
    """Every string in a parsed TOML file with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict) and depth < 20:
        for key, inner in value.items():
            yield from _walk(inner, (*path, key), depth + 1)
    elif isinstance(value, list) and depth < 20:
        for index, inner in enumerate(value):
            yield from _walk(inner, (*path, index), depth + 1)


def _lists_requirements(path: KeyPath) -> bool:
    """True if the path is an item of a list of PEP 508 requirements."""
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


def _poetry_name(path: KeyPath) -> str:
    """The package whose version is at this path of a Poetry table; empty when there is none."""
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
