"""Lane files: reads, checks, compares and writes them for the commands and the page about lanes."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.model.advice import RESTORE, CommandName, Suggestion, advise
from core.model.errors import ConflictError, CountersignError, NotFoundError, UsageError

if TYPE_CHECKING:
    from bot.configuration.home import Home
    from core.model.lane import Lane, LaneCheck
    from lanes.templates import ImportedLane


def plugin_checks(home: Home) -> Callable[[str], LaneCheck]:
    """Returns a function that finds a plugin's check by name; it imports a plugin only when a lane names its check."""

    def find(name: str) -> LaneCheck:
        from bot.configuration.config import load_config
        from bot.plugins.load import Plugins
        from lanes.registry import no_shared_checks

        if not home.config.is_file():
            return no_shared_checks(name)
        return Plugins(load_config(home.config).plugins, home.state).check(name)

    return find


def read_lane(home: Home, raw: bytes, source: str) -> ImportedLane:
    """The lane in `raw`, checked without the rest of the home; raises `ConfigError` or `UsageError`."""
    from lanes.templates import import_lane

    carried = import_lane(raw, source, plugin_checks(home))
    check_sentences(carried.lane)
    return carried


def lane_bytes(home: Home, name: str) -> tuple[bytes, str]:
    """The content and path of a lane's file in the home, else of the template `name`; raises `NotFoundError`."""
    from lanes.registry import NAME
    from lanes.templates import list_templates

    path = home.lanes / f"{name}.yaml"
    if NAME.fullmatch(name) and len(name) <= 40 and path.is_file():
        return path.read_bytes(), str(path)
    builtin = list_templates()
    if name not in builtin:
        short = name if len(name) <= 60 else f"{name[:60]}…"
        message = f"no lane or template is called {short!r}"
        raise NotFoundError("no_such_lane", message, advise("See ", Suggestion(CommandName.LANE_SEARCH), "."))
    return builtin[name].encode(), f"{name}.yaml"


def file_bytes(file: Path) -> bytes:
    """A file's first bytes, one more than a lane may have; raises `NotFoundError`."""
    from core.strict_yaml.document import MAX_BYTES

    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFoundError("no_such_file", f"the file {file} does not exist", "Check its path.") from error


def write_lane(home: Home, name: str, text: str, source: str, *, replace: bool) -> tuple[Path, str | None]:
    """Write a lane's file; returns its path and the missing rule. A lane that the home cannot load is removed again.

    Raises `ConflictError` if another file exists, `UsageError` if the home cannot use the lane.
    """
    path, new = home.lanes / f"{name}.yaml", text.encode()
    before = path.read_bytes() if path.exists() else None
    if before is not None and before != new and not replace:
        mend = "Rename one of them, or compare both and use `lane import --replace`."
        raise ConflictError("lane_exists", f"{path} already exists with other content", mend)
    _write(path, new)
    try:
        return path, missing_rule(home, name)
    except BaseException as error:
        if before is None:
            path.unlink()
        else:
            _write(path, before)
        if isinstance(error, CountersignError):
            problem = error.problem
            raise UsageError("lane_refused", f"{source} was not added: {problem.message}", problem.mend) from error
        raise


def _write(path: Path, content: bytes) -> None:
    if not path.parent.is_dir():
        raise NotFoundError("no_lanes", f"the folder {path.parent} is missing", RESTORE)
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(content)
    draft.replace(path)


def lane_difference(home: Home, name: str, text: str) -> str:
    """A unified diff from the home's file of a lane to `text`; empty if they are the same, or there is no such file."""
    path = home.lanes / f"{name}.yaml"
    if not path.is_file():
        return ""
    before = path.read_text(encoding="utf-8", errors="replace")
    sides = (f"{name} here", f"{name} imported")
    lines = difflib.unified_diff(before.splitlines(), text.splitlines(), *sides, lineterm="")
    return "".join(f"{line}\n" for line in lines)


def effects_of(of: Lane) -> dict[str, list[str]]:
    """What a lane may write, what it runs, and which hosts it may reach."""
    runs = [f"{step.name}: {step.run} {_does(step.command, step.do)}".rstrip() for step in of.steps]
    runs = runs or [f"{of.executor} {_does(of.command, '')}".rstrip()]
    runs += [f"check {each.name}: {_does(each.command, '')}" for each in of.checks]
    if of.agent is not None:
        runs.append(f"agent: {_does(of.agent.argv, '')}")
    return {"writes": list(of.write), "runs": runs, "hosts": list(of.isolation.hosts)}


def lane_text(of: Lane) -> str:
    """The words of a lane that a search looks in."""
    steps = [f"{step.name} {step.run} {step.do}" for step in of.steps]
    return " ".join([of.name, of.describe, of.executor, *of.write, *steps]).casefold()


def _does(command: Sequence[str], do: str) -> str:
    return shlex.join(command) if command else do


def missing_rule(home: Home, name: str) -> str | None:
    """The rule to add to policy.yaml if no rule lets anyone use the lane, else None."""
    from bot.configuration.live_settings import load_settings
    from core.rules.planning import people_allowed_in

    if people_allowed_in(load_settings(home), name):
        return None
    return (
        f"  - name: {name}-changes\n    when: {{lane: {name}, from: [member, maintainer]}}\n"
        "    allow: {approvals: {count: 1, from: [maintainer]}, self_approve: false}\n"
    )


def check_sentences(lane: Lane) -> None:
    """Raise `ConfigError` for globs that the policy refuses and edit steps that the grammar cannot parse."""
    from bot.interpret.grammar import read_sentence
    from core.model.errors import ConfigError
    from core.model.workflow import EDIT
    from lanes.workflow.fill import fill_edits, sample_values
    from policies.policy import check_lane

    check_lane(lane)
    for n, step in enumerate(lane.steps):
        if step.run != EDIT:
            continue
        try:
            fill_edits(step.do, lane.parameters, sample_values(lane.parameters), read_sentence)
        except UsageError as error:
            problem = error.problem
            raise ConfigError(lane.source, None, f"steps[{n}].do", problem.message, problem.mend) from error
        except ValueError as error:
            mend = "Use parameters only in place of values."
            raise ConfigError(lane.source, None, f"steps[{n}].do", str(error).rstrip("."), mend) from error
