"""Built-in lane templates, and the export and import of lanes as files whose first line names their digest."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import Final

from core.model.errors import NotFoundError, UsageError
from core.model.lane import Lane
from core.strict_yaml.document import loads
from lanes.registry import SharedChecks, lane_from_document, no_shared_checks

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
class ImportedLane:
    """An imported lane with its text and digest; `signed` is True if its file named the digest."""

    lane: Lane
    text: str
    digest: str
    signed: bool


def list_templates() -> dict[str, str]:
    """The text of every built-in template by name."""
    folder = resources.files("lanes") / "templates"
    entries = {entry.name.removesuffix(".yaml"): entry for entry in folder.iterdir() if entry.name.endswith(".yaml")}
    return {name: entries[name].read_text(encoding="utf-8") for name in sorted(entries)}


def read_template(name: str) -> str:
    """The text of a template; raises `NotFoundError` when there is none of this name."""
    known = list_templates()
    if name not in known:
        raise NotFoundError("no_such_template", f"There is no template {name!r}", f"Known: {', '.join(known)}.")
    return known[name]


def rename_lane(text: str, name: str) -> str:
    """A lane's text with another name."""
    return _NAME.sub(lambda _match: f"name: {name}", text, count=1)


def digest_of(text: str) -> str:
    """64 hex digits over a lane's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def export_lane(text: str) -> str:
    """A lane's text below a line that names its digest; the result is still a lane file."""
    body = _HEAD.sub("", text, count=1) if _HEAD.match(text) else text
    return f"# countersign lane {_FORMAT} sha256:{digest_of(body)}\n{body}"


def import_lane(raw: bytes, source: str, shared: SharedChecks = no_shared_checks) -> ImportedLane:
    """The lane in an exported file; archives are refused, since nothing is ever unpacked.

    Args:
        raw: The file's content.
        source: The file's name, for errors.
        shared: Finds the checks that the lane takes from plugins.

    Raises:
        ConfigError: The file is not a valid lane.
        UsageError: It is an archive, has another format, or was changed after its export.
    """
    if raw.startswith(_ARCHIVES) or raw[_TAR] == b"ustar":
        mend = "Unpack it yourself, then import the lane's file."
        raise UsageError("lane_archive", f"{source} is an archive, but a lane is one text file", mend)
    lane = lane_from_document(loads(raw, source), shared)
    text = raw.decode("utf-8")
    head = _HEAD.match(text)
    if head is None:
        return ImportedLane(lane, text, digest_of(text), signed=False)
    if head["format"] != _FORMAT:
        message = f"{source} has format {head['format']}, but this version reads format {_FORMAT}"
        raise UsageError("lane_format", message, "Import it with the version that wrote it.")
    body = text[head.end() :]
    if digest_of(body) != head["digest"]:
        message = f"{source} was changed after its export: its digest is {digest_of(body)[:12]}"
        mend = f"Get it again; its first line says {head['digest'][:12]}. If you changed it yourself, delete that line."
        raise UsageError("lane_digest", message, mend)
    return ImportedLane(lane, body, head["digest"], signed=True)
