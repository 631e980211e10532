"""Lanes from their files: ``lanes/*.yaml`` of a home, one lane a file, each checked key by key."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from core.errors import ConfigError
from core.lane import Lane, Limits
from core.strict_yaml import Document, StrictModel, Word, load, validate

NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_MAX_LANES: Final = 200
_GIB: Final = 1024**3
_DEFAULT: Final = Limits()

Names = Annotated[tuple[Word, ...], Field(min_length=1)]


class LimitsFile(StrictModel):
    """The ``limits`` of a lane file; what is left out has the default of `core.lane.Limits`."""

    files: int = Field(_DEFAULT.files, ge=1, le=100_000)
    bytes: int = Field(_DEFAULT.bytes, ge=1, le=_GIB)
    file_bytes: int = Field(_DEFAULT.file_bytes, ge=1, le=_GIB)
    wall_s: int = Field(_DEFAULT.wall_s, ge=1, le=86_400)
    memory_mib: int = Field(_DEFAULT.memory_mib, ge=16, le=1_048_576)
    processes: int = Field(_DEFAULT.processes, ge=4, le=65_536)
    log_bytes: int = Field(_DEFAULT.log_bytes, ge=1024, le=100_000_000)


class LaneFile(StrictModel):
    """One lane file, as people write it; `docs/lanes.md` explains every key."""

    name: Word
    describe: Word
    write: Names
    executor: Word
    command: Names | None = None
    env: dict[str, str] = Field(default_factory=dict)
    protect: tuple[Word, ...] = ()
    limits: LimitsFile = Field(default_factory=LimitsFile)
    binaries: bool = False
    executables: bool = False
    odd_names: bool = False
    needs: tuple[Word, ...] = ()


def load_lanes(directory: Path) -> dict[str, Lane]:
    """Every lane of the folder by name; raises `ConfigError` naming file, line and key."""
    if not directory.is_dir():
        raise ConfigError(
            directory, None, "", "the folder of lanes is missing", "Run `countersign init`, or restore it."
        )
    lanes: dict[str, Lane] = {}
    for path in sorted(directory.iterdir()):
        if path.name.startswith(".") or path.suffix not in (".yaml", ".yml"):
            continue
        if path.suffix == ".yml":
            raise ConfigError(path, None, "", "a lane's file ends in .yaml", f"Rename it to {path.stem}.yaml.")
        lane = load_lane(path)
        lanes[lane.name] = lane
        if len(lanes) > _MAX_LANES:
            raise ConfigError(directory, None, "", f"more than {_MAX_LANES} lanes", "Merge some of them.")
    return lanes


def load_lane(path: Path) -> Lane:
    """The lane in one file, whose name the file has; raises `ConfigError`."""
    document = load(path)
    file = validate(document, LaneFile)
    _check_name(document, path, file)
    _check_command(document, file)
    for key in ("write", "protect"):
        for n, pattern in enumerate(getattr(file, key)):
            _check_glob(document, (key, n), pattern)
    for variable in file.env:
        if not _VARIABLE.fullmatch(variable) or variable.startswith("LD_"):
            raise document.error(("env", variable), "is no name for a variable of a lane", "Use letters, digits and _.")
    return Lane(
        name=file.name,
        describe=file.describe,
        write=file.write,
        executor=file.executor,
        limits=Limits(**file.limits.model_dump()),
        command=file.command or (),
        environment=tuple(sorted(file.env.items())),
        protect=file.protect,
        binaries=file.binaries,
        executables=file.executables,
        odd_names=file.odd_names,
        needs=file.needs,
        source=str(path),
    )


def starter_lanes() -> dict[str, str]:
    """The lane files of a new home: file name to text."""
    folder = resources.files("lanes") / "defaults"
    return {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda e: e.name)
        if entry.name.endswith(".yaml")
    }


def _check_name(document: Document, path: Path, file: LaneFile) -> None:
    if not NAME.fullmatch(file.name) or len(file.name) > 40:
        raise document.error(
            ("name",), f"{file.name!r} is no lane name", "Use small letters, digits and single dashes."
        )
    if path.stem != file.name:
        mend = f"Rename the file to {file.name}.yaml, or the lane to {path.stem}."
        raise document.error(("name",), f"the lane {file.name!r} is in the file {path.name}", mend)


def _check_command(document: Document, file: LaneFile) -> None:
    if file.executor == "command" and file.command is None:
        mend = 'Add it, as in: command: ["python3", "tools/make.py"]'
        raise document.error(("executor",), "the executor command needs the key `command`", mend)
    if file.executor != "command" and file.command is not None:
        raise document.error(("command",), f"the executor {file.executor} runs no command", "Delete the key.")
    if file.executor != "command" and file.env:
        raise document.error(("env",), f"the executor {file.executor} has no environment", "Delete the key.")
    for n, word in enumerate(file.command or ()):
        if "\0" in word:
            raise document.error(("command", n), "has a NUL character", "Delete it.")


def _check_glob(document: Document, key: tuple[str, int], pattern: str) -> None:
    """Refuse what is plainly no anchored glob, with its line; the policy checks the rest of the style."""
    parts = pattern.removeprefix("/").split("/")
    if pattern.endswith("/"):
        raise document.error(key, f"the pattern {pattern!r} floats", f"Write {pattern}** for everything inside.")
    if pattern.startswith("!") or "\\" in pattern or any(part in ("", ".", "..") for part in parts):
        mend = "Write it from the repository's root, such as src/** or *.toml."
        raise document.error(key, f"the pattern {pattern!r} is not anchored", mend)
