"""Lanes to begin with, and lanes as files that travel: a lane's own text under a line that names its digest."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import Final

from core.model.errors import NotFoundError, UsageError
from core.model.lane import Lane
from core.strict_yaml.document import loads
from lanes.registry import Shared, lane_of, nothing_shared

_NAME: Final = re.compile(r"^name:.*$", re.MULTILINE)
_HEAD: Final = re.compile(r"# countersign lane (?P<format>[0-9]+) sha256:(?P<digest>[0-9a-f]{64})\r?\n")
_FORMAT: Final = "1"
_ARCHIVES: Final = (
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\0",
    b"7z\xbc\xaf",
    b"\x28\xb5\x2f\xfd",
)
_TAR: Final = slice(257, 262)


@dataclass(frozen=True, slots=True)
class Carried:
    """A lane with its text and the digest of that; `signed` is whether its file named the digest."""

    lane: Lane
    text: str
    digest: str
    signed: bool


def templates() -> dict[str, str]:
    """The text of every built-in template by its name."""
    folder = resources.files("lanes") / "templates"
    found = {entry.name.removesuffix(".yaml"): entry for entry in folder.iterdir() if entry.name.endswith(".yaml")}
    return {name: found[name].read_text(encoding="utf-8") for name in sorted(found)}


def template(name: str) -> str:
    """The text of one; raises `NotFoundError`."""
    found = templates()
    if name not in found:
        raise NotFoundError("no_such_template", f"there is no template called {name!r}", f"Known: {', '.join(found)}.")
    return found[name]


def renamed(text: str, name: str) -> str:
    """A lane's text under another name."""
    return _NAME.sub(lambda _found: f"name: {name}", text, count=1)


def digest_of(text: str) -> str:
    """64 hex digits over a lane's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def exported(text: str) -> str:
    """A lane's text under the line that names its digest; still a lane file."""
    body = _HEAD.sub("", text, count=1) if _HEAD.match(text) else text
    return f"# countersign lane {_FORMAT} sha256:{digest_of(body)}\n{body}"


def imported(raw: bytes, source: str, shared: Shared = nothing_shared) -> Carried:
    """The lane in a file from elsewhere; raises `ConfigError` or `UsageError` for what is none, or was changed.

    `shared` finds the checks that a lane takes from plugins. Archives are refused: nothing is ever unpacked.
    """
    if raw.startswith(_ARCHIVES) or raw[_TAR] == b"ustar":
        mend = "Unpack it yourself, and import the file of its lane."
        raise UsageError("lane_archive", f"{source} is an archive, and a lane is one file of text", mend)
    lane = lane_of(loads(raw, source), shared)
    text = raw.decode("utf-8")
    head = _HEAD.match(text)
    if head is None:
        return Carried(lane, text, digest_of(text), signed=False)
    if head["format"] != _FORMAT:
        message = f"{source} has the format {head['format']}, and this version reads {_FORMAT}"
        raise UsageError("lane_format", message, "Import it with the version that wrote it.")
    body = text[head.end() :]
    if digest_of(body) != head["digest"]:
        message = f"{source} is not as it was exported: its digest is {digest_of(body)[:12]}"
        mend = f"Get it again; its first line says {head['digest'][:12]}. Or delete that line, if you changed it."
        raise UsageError("lane_digest", message, mend)
    return Carried(lane, body, head["digest"], signed=True)
