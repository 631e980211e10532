"""Checks of a request before anything is written: its text, its names and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.model.advice import CommandName, Suggestion, advise
from core.model.errors import UsageError
from core.model.task import FailureRule
from core.model.turn import Actor
from core.model.workflow import values_of
from core.rules.repository_scope import offered_repositories
from core.rules.visibility import requesting_actor, visibility_of, visible_names, visible_repository
from core.settings import Settings

MAX_TEXT_BYTES: Final = 64 * 1024


def checked_text(text: str) -> str:
    """The text without surrounding space; raises `UsageError` for one that is empty, too long or not Unicode."""
    text = text.strip()
    if not text:
        raise UsageError("empty", "the request is empty", 'Say what to change, e.g. "set a.b to 1 in x.yaml".')
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise UsageError("too_long", f"the text is longer than {MAX_TEXT_BYTES} bytes", "Shorten it.")
    if any(0xD800 <= ord(c) <= 0xDFFF for c in text) or "\0" in text:
        raise UsageError("not_text", "the text is not valid Unicode", "Send it as UTF-8.")
    return text


def requested_repository(settings: Settings, actor: Actor, repo: str | None) -> str | None:
    """The repository of a request that names `repo`: that one, else the only one that the actor may ask for, else None.

    Raises `NotFoundError` for one that is not configured or is another team's, `RefusedError` for one that the channel
    is not for, and if there is none to choose from.
    """
    if repo is not None:
        if actor.scope.names is not None:
            visibility_of(settings, actor).repositories.check(repo)
        return visible_repository(settings, actor, repo).name
    named = actor.scope.resolve(None)
    if named is not None:
        return visible_repository(settings, actor, named).name
    names = offered_repositories(settings, requesting_actor(settings, actor).scope)
    return names[0] if len(names) == 1 else None


def check_lane(settings: Settings, actor: Actor, repo: str | None, lane: str | None) -> None:
    """Raise `UsageError` for a lane that is not configured, or that no rule opens for a repository of the actor's."""
    if lane is None:
        return
    names = [repo] if repo is not None else visible_names(settings, visibility_of(settings, actor))
    lanes = {name for each in names for name in settings.policy.lanes_of(each)} & settings.lanes.keys()
    if lane not in lanes:
        known = ", ".join(sorted(lanes)) or "none"
        raise UsageError("no_such_lane", f"no lane called {lane!r} is configured", f"Known: {known}.")


def check_dependency(after: int | None, if_failed: FailureRule | None) -> None:
    """Raise `UsageError` for a failure rule without a task to wait for."""
    if if_failed is not None and after is None:
        mend = "Name the task that it waits for with --after."
        raise UsageError("no_dependency", "--if-failed says what happens if another task fails", mend)


def checked_parameters(settings: Settings, lane: str | None, parameters: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a request, checked against its lane; raises `UsageError` naming what is wrong."""
    if not parameters:
        return {}
    if lane is None:
        mend = advise(
            "Name the lane that has them with --lane; see ",
            Suggestion(CommandName.LANES),
            ".",
            otherwise="Name the lane that has them with --lane.",
        )
        raise UsageError("which_lane", f"it is not clear which lane's parameter {next(iter(parameters))} is", mend)
    return values_of(lane, settings.lanes[lane].parameters, parameters, whole=False)
