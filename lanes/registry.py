"""Loads lanes from ``lanes/*.yaml`` of a home, one lane a file, and validates every key."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from core.model.advice import RESTORE
from core.model.budget import Budget
from core.model.errors import ConfigError, CountersignError, UsageError
from core.model.lane import AgentCli, Isolation, Lane, LaneCheck, Limits
from core.model.workflow import WORKFLOW
from core.strict_yaml import StrictModel, Word, YamlDocument, load, validate
from lanes.executors.names import BUILT_IN, unknown_executor_message
from lanes.workflow.keys import ParameterFile, StepFile, check_glob, check_variables, parse_workflow

NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_MAX_LANES: Final = 200
_GIB: Final = 1024**3
_DEFAULT: Final = Limits()
_BUDGET: Final = Budget()

Names = Annotated[tuple[Word, ...], Field(min_length=1)]


class LimitsFile(StrictModel):
    """The ``limits`` of a lane file; omitted keys have the defaults of `core.model.lane.Limits`."""

    files: int = Field(_DEFAULT.files, ge=1, le=100_000)
    bytes: int = Field(_DEFAULT.bytes, ge=1, le=_GIB)
    file_bytes: int = Field(_DEFAULT.file_bytes, ge=1, le=_GIB)
    wall_s: int = Field(_DEFAULT.wall_s, ge=1, le=86_400)
    memory_mib: int = Field(_DEFAULT.memory_mib, ge=16, le=1_048_576)
    processes: int = Field(_DEFAULT.processes, ge=4, le=65_536)
    log_bytes: int = Field(_DEFAULT.log_bytes, ge=1024, le=100_000_000)


class BudgetFile(StrictModel):
    """The ``budget`` of a lane file; 0 means no bound."""

    tokens: int = Field(_BUDGET.tokens, ge=0, le=1_000_000_000)
    steps: int = Field(_BUDGET.steps, ge=1, le=10_000)
    repeats: int = Field(_BUDGET.repeats, ge=1, le=100)
    usd: float = Field(_BUDGET.usd, ge=0, le=100_000)
    day_tokens: int = Field(_BUDGET.day_tokens, ge=0, le=100_000_000_000)
    day_usd: float = Field(_BUDGET.day_usd, ge=0, le=1_000_000)


class CheckFile(StrictModel):
    """One of the ``checks`` of a lane file: a command, or with `use` a check that a plugin provides."""

    use: Word | None = None
    name: Word | None = None
    command: Names | None = None
    wall_s: int = Field(0, ge=0, le=86_400)
    required: bool = False


class IsolationFile(StrictModel):
    """The ``isolation`` of a lane file."""

    kind: Literal["bwrap", "podman", "docker", "landlock"] = "bwrap"
    image: str = ""
    hosts: tuple[Word, ...] = ()


class AgentFile(StrictModel):
    """The ``agent`` of a lane file with the executor `agent`: a program without its own adapter."""

    argv: Names
    speaks: Literal["anthropic", "openai", "gemini"] = "openai"
    env: dict[str, str] = Field(default_factory=dict)
    home: dict[str, str] = Field(default_factory=dict)
    events: Literal["jsonl", "text"] = "text"
    success: str = ""


class LaneFile(StrictModel):
    """The keys of a lane file; `docs/lanes.md` explains every one."""

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
    bidi: bool = False
    needs: tuple[Word, ...] = ()
    models: tuple[Word, ...] = ()
    budget: BudgetFile = Field(default_factory=BudgetFile)
    checks: tuple[CheckFile, ...] = ()
    retries: int = Field(1, ge=0, le=10)
    reuse: bool = False
    isolation: IsolationFile = Field(default_factory=IsolationFile)
    agent: AgentFile | None = None
    version: int = Field(1, ge=1, le=1_000_000)
    parameters: dict[str, ParameterFile] = Field(default_factory=dict)
    steps: tuple[StepFile, ...] = ()
    work_class: Literal["chat", "bulk"] | None = Field(None, alias="class")


SharedChecks = Callable[[str], LaneCheck]
"""Returns the check that lane files name with ``use: NAME``; raises `UsageError` when there is none."""


def no_shared_checks(name: str) -> LaneCheck:
    """A `SharedChecks` for installations without plugins."""
    mend = "Enable a plugin that provides it under `plugins.checks` in countersign.yaml: docs/plugins.md."
    raise UsageError("no_check", f"No enabled plugin provides the check {name!r}", mend)


def load_lanes(directory: Path, shared: SharedChecks = no_shared_checks) -> dict[str, Lane]:
    """All lanes of the folder by name; raises `ConfigError` with file, line and key."""
    if not directory.is_dir():
        raise ConfigError(directory, None, "", "the folder of the lanes is missing", RESTORE)
    lanes: dict[str, Lane] = {}
    for path in sorted(directory.iterdir()):
        if path.name.startswith(".") or path.suffix not in (".yaml", ".yml"):
            continue
        if path.suffix == ".yml":
            raise ConfigError(path, None, "", "a lane file must end in .yaml", f"Rename it to {path.stem}.yaml.")
        lane = load_lane(path, shared)
        lanes[lane.name] = lane
        if len(lanes) > _MAX_LANES:
            raise ConfigError(directory, None, "", f"more than {_MAX_LANES} lanes", "Merge some of them.")
    return lanes


def load_lane(path: Path, shared: SharedChecks = no_shared_checks) -> Lane:
    """The lane in one file, which must have the lane's name; raises `ConfigError`."""
    document = load(path)
    lane = lane_from_document(document, shared)
    if path.stem != lane.name:
        mend = f"Rename the file to {lane.name}.yaml, or the lane to {path.stem}."
        raise document.error(("name",), f"the lane {lane.name!r} is in the file {path.name}", mend)
    return lane


def lane_from_document(document: YamlDocument, shared: SharedChecks = no_shared_checks) -> Lane:
    """The lane that a document describes, whatever its file name; raises `ConfigError`."""
    file = validate(document, LaneFile)
    _check_name(document, file)
    _check_command(document, file)
    for key in ("write", "protect"):
        for n, pattern in enumerate(getattr(file, key)):
            check_glob(document, (key, n), pattern)
    check_variables(document, ("env",), file.env)
    checks = tuple(_lane_check(document, n, check, shared) for n, check in enumerate(file.checks))
    names = frozenset(check.name for check in checks)
    parameters, steps = parse_workflow(document, file.executor, file.parameters, file.steps, names)
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
        bidi=file.bidi,
        needs=file.needs,
        models=file.models,
        budget=Budget(**file.budget.model_dump()),
        checks=checks,
        retries=file.retries,
        reuse=file.reuse,
        isolation=Isolation(file.isolation.kind, file.isolation.image, file.isolation.hosts),
        agent=_agent(file.agent) if file.agent else None,
        version=file.version,
        parameters=parameters,
        steps=steps,
        source=document.path,
        work_class=file.work_class or "",
    )


def _lane_check(document: YamlDocument, n: int, file: CheckFile, shared: SharedChecks) -> LaneCheck:
    """A check of a lane: its own, or a shared one that the lane may make stricter and limit in time."""
    at = ("checks", n)
    if file.use is None:
        for key, value in (("name", file.name), ("command", file.command)):
            if value is None:
                raise document.error((*at, key), "is missing", "Add the key.")
        return LaneCheck(file.name or "", file.command or (), file.wall_s, file.required)
    for key, value in (("name", file.name), ("command", file.command)):
        if value is not None:
            raise document.error((*at, key), "is defined by the check that `use` names", "Delete the key.")
    try:
        shared_check = shared(file.use)
    except CountersignError as error:
        raise document.error((*at, "use"), error.problem.message, str(error.problem.mend)) from error
    return replace(
        shared_check, wall_s=file.wall_s or shared_check.wall_s, required=file.required or shared_check.required
    )


def _agent(file: AgentFile) -> AgentCli:
    return AgentCli(
        argv=file.argv,
        speaks=file.speaks,
        environment=tuple(sorted(file.env.items())),
        home=tuple(sorted(file.home.items())),
        events=file.events,
        success=file.success,
    )


def starter_lanes() -> dict[str, str]:
    """The lane files of a new home, file name to text."""
    folder = resources.files("lanes") / "defaults"
    return {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda e: e.name)
        if entry.name.endswith(".yaml")
    }


def _check_name(document: YamlDocument, file: LaneFile) -> None:
    if not NAME.fullmatch(file.name) or len(file.name) > 40:
        raise document.error(
            ("name",), f"{file.name!r} is not a lane name", "Use small letters, digits and single dashes."
        )


def _check_command(document: YamlDocument, file: LaneFile) -> None:
    has_executor_keys = file.command is not None or file.env or file.steps or file.parameters
    if (
        file.executor not in BUILT_IN and has_executor_keys
    ):  # otherwise a plugin may provide it, which is checked at run time
        mend = "Name one of these, or enable its plugin."
        raise document.error(("executor",), unknown_executor_message(file.executor, BUILT_IN), mend)
    if file.executor == "command" and file.command is None:
        mend = 'Add it, as in: command: ["python3", "tools/make.py"]'
        raise document.error(("executor",), "the executor command needs the key `command`", mend)
    if file.executor != "command" and file.command is not None:
        raise document.error(("command",), f"the executor {file.executor} runs no command", "Delete the key.")
    if file.executor not in ("command", WORKFLOW) and file.env:
        raise document.error(("env",), f"the executor {file.executor} has no environment", "Delete the key.")
    for n, word in enumerate(file.command or ()):
        if "\0" in word:
            raise document.error(("command", n), "has a NUL character", "Delete it.")
