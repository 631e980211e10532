"""What the commands about lanes share: reading their files, judging them as the bot would, and writing one or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from core.model.advice import RESTORE, CommandName, Suggestion, advise
from core.model.errors import ConflictError, CountersignError, NotFoundError, UsageError

if TYPE_CHECKING:
    from bot.cli.context import CliContext
    from bot.configuration.home import Home
    from core.model.lane import Lane, LaneCheck
    from core.settings import Settings
    from lanes.templates import ImportedLane


def shared_of(door: CliContext) -> Callable[[str], LaneCheck]:
    """Finds the checks that the home's plugins offer to lanes; a plugin is imported when a lane names its check."""

    def find(name: str) -> LaneCheck:
        from bot.configuration.config import load_config
        from bot.plugins.load import Plugins
        from lanes.registry import no_shared_checks

        home = door.home()
        if not home.config.is_file():
            return no_shared_checks(name)
        return Plugins(load_config(home.config).plugins, home.state).check(name)

    return find


def carried(door: CliContext, raw: bytes, source: str) -> ImportedLane:
    """The lane in `raw`, checked as far as a lane can be alone; raises `ConfigError` or `UsageError`."""
    from lanes.templates import import_lane

    found = import_lane(raw, source, shared_of(door))
    check_sentences(found.lane)
    return found


def bytes_named(door: CliContext, name: str) -> tuple[bytes, str]:
    """The file of a lane of the home, else the template called `name`, and its path; raises `NotFoundError`."""
    from lanes.registry import NAME
    from lanes.templates import list_templates

    path = door.home().lanes / f"{name}.yaml"
    if NAME.fullmatch(name) and len(name) <= 40 and path.is_file():
        return path.read_bytes(), str(path)
    found = list_templates()
    if name not in found:
        short = name if len(name) <= 60 else f"{name[:60]}…"
        message = f"there is no lane and no template called {short!r}"
        raise NotFoundError("no_such_lane", message, advise("See ", Suggestion(CommandName.LANE_SEARCH), "."))
    return found[name].encode(), f"{name}.yaml"


def bytes_of(file: Path) -> bytes:
    """A file as far as it can be a lane's; raises `NotFoundError`."""
    from core.strict_yaml.document import MAX_BYTES

    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFoundError("no_such_file", f"there is no file {file}", "Check its path.") from error


def put(home: Home, name: str, text: str, source: str, *, replace: bool) -> tuple[Path, str | None]:
    """Write a lane's file; its path, and the rule that is missing. What the home cannot load leaves it as it was.

    Raises `ConflictError` when another file is there, `UsageError` for what does not fit into this home.
    """
    path, new = home.lanes / f"{name}.yaml", text.encode()
    before = path.read_bytes() if path.exists() else None
    if before is not None and before != new and not replace:
        mend = "Rename one of them, or say --replace (import) once you have compared both."
        raise ConflictError("lane_exists", f"{path} is there already, and says something else", mend)
    _write(path, new)
    try:
        return path, missing_rule(home, name)
    except BaseException as error:
        if before is None:
            path.unlink()
        else:
            _write(path, before)
        if isinstance(error, CountersignError):
            told = error.problem
            raise UsageError("lane_refused", f"{source} was not added: {told.message}", told.mend) from error
        raise


def _write(path: Path, content: bytes) -> None:
    if not path.parent.is_dir():
        raise NotFoundError("no_lanes", f"the folder {path.parent} is missing", RESTORE)
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(content)
    draft.replace(path)


def missing_rule(home: Home, name: str) -> str | None:
    """The rule to add to policy.yaml when none opens the lane to anybody, else None."""
    from bot.configuration.live_settings import load_settings

    if people_of(load_settings(home), name):
        return None
    return (
        f"  - name: {name}-changes\n    when: {{lane: {name}, from: [member, maintainer]}}\n"
        "    allow: {approvals: {count: 1, from: [maintainer]}, self_approve: false}\n"
    )


def people_of(settings: Settings, name: str) -> list[str]:
    """Everybody whom a rule lets into the lane, in some repository, from the terminal or a chat."""
    from core.model.decision import PolicyRequest
    from core.model.turn import SURFACES

    return [
        person
        for person in sorted(settings.people.by_name)
        if any(
            name
            in settings.policy.open_lanes(PolicyRequest(person, surface, repository, (), name, deterministic=False))
            for repository in settings.repositories
            for surface in sorted(SURFACES)
        )
    ]


def check_sentences(found: Lane) -> None:
    """Raise `ConfigError` for globs that the policy refuses, and for edit steps whose sentence nobody understands."""
    from bot.interpret.grammar import read_sentence
    from core.model.errors import ConfigError
    from core.model.workflow import EDIT
    from lanes.workflow.fill import fill_edits, sample_values
    from policies.policy import check_lane

    check_lane(found)
    for n, step in enumerate(found.steps):
        if step.run != EDIT:
            continue
        try:
            fill_edits(step.do, found.parameters, sample_values(found.parameters), read_sentence)
        except UsageError as error:
            told = error.problem
            raise ConfigError(found.source, None, f"steps[{n}].do", told.message, told.mend) from error
        except ValueError as error:
            mend = "Put each parameter where a value stands."
            raise ConfigError(found.source, None, f"steps[{n}].do", str(error).rstrip("."), mend) from error
