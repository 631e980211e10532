"""The bodies of requests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.model.errors import UsageError

MAX_TEXT: Final = 65_536
Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
Reason = Annotated[str, Field(max_length=2000)]
Person = Annotated[
    str | None,
    Field(alias="as", min_length=1, max_length=64, description="Who acts; only with a token of the operator."),
]
Part = Annotated[str, Field(min_length=1, max_length=4096)]
Parts = Annotated[list[Part], Field(max_length=10_000, description="Ids of parts, or paths of whole files.")]
Parameters = Annotated[dict[str, str], Field(max_length=50, description="Parameters of the lane.")]


class Body(BaseModel):
    """A body without unknown keys and without conversions."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def _with_example(**example: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class Acting(Body):
    """Nothing but who acts."""

    model_config = _with_example()
    person: Person = None


class Asking(Body):
    """A request for a change."""

    model_config = _with_example(text="set server.timeout to 30 in config/app.yaml", repo="web")
    text: Text
    repo: Name | None = None
    lane: Name | None = None
    parameters: Parameters = {}
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    deadline: Annotated[str | None, Field(max_length=64, description="RFC 3339, with a zone.")] = None
    after: Annotated[int | None, Field(ge=1, lt=2**31)] = None
    if_failed: Annotated[
        Literal["cancel", "run", "ask"] | None, Field(description="What happens if the task `after` fails.")
    ] = None
    person: Person = None


class Replying(Body):
    """A reply to a task."""

    model_config = _with_example(text="make it 45 instead")
    text: Text
    person: Person = None


class Picking(Body):
    """The parts of a staged diff to keep: those of `keep`, all except those of `leave_out`, or those of `words`."""

    model_config = _with_example(digest="9c1e04ab77d2e85b1f36" + "0" * 44, keep=["4f0c1d9a77be20c3a5d1", "docs/a.md"])
    digest: Annotated[str, Field(min_length=1, max_length=128, description="At least its first 20 hex digits.")]
    keep: Parts = []
    leave_out: Parts = []
    words: Annotated[str, Field(max_length=MAX_TEXT, description="As people write it: 1,3-5 or docs/ not 4.")] = ""
    person: Person = None


class Approving(Body):
    """An approval of a digest."""

    model_config = _with_example(digest="9c1e04ab77d2e85b1f36" + "0" * 44)
    digest: Annotated[str, Field(min_length=1, max_length=128, description="At least its first 20 hex digits.")]
    person: Person = None


class Rejecting(Body):
    """A rejection of what is staged."""

    model_config = _with_example(reason="the heading is wrong")
    reason: Reason = ""
    person: Person = None


class Reasoned(Body):
    """Why something is paused or drained."""

    model_config = _with_example(reason="the build machines move")
    reason: Reason = ""
    person: Person = None


class Pausing(Body):
    """Why the queue is paused, or with `lane` or `repo` a part of it."""

    model_config = _with_example(reason="the build machines move")
    reason: Reason = ""
    lane: Name | None = None
    repo: Name | None = None
    person: Person = None


class Resuming(Body):
    """What was paused: the queue, or with `lane` or `repo` a part of it."""

    model_config = _with_example(lane="docs")
    lane: Name | None = None
    repo: Name | None = None
    person: Person = None


class Moving(Body):
    """A new place in the queue: first, last, or before the job of the task `before`."""

    model_config = _with_example(to="before", before=140, reason="the release waits for it")
    to: Literal["first", "before", "last"]
    before: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    reason: Reason = ""
    person: Person = None


class Extending(Body):
    """How much more a task may spend; without amounts as much again as it had."""

    model_config = _with_example(tokens=200_000)
    tokens: Annotated[int, Field(ge=0, le=10**12)] = 0
    steps: Annotated[int, Field(ge=0, le=10**6)] = 0
    usd: Annotated[float, Field(ge=0, le=10**6)] = 0.0
    person: Person = None


class Scheduling(Body):
    """A recurring request."""

    model_config = _with_example(when="weekday 09:00", text="set a.b to 1 in config/app.yaml", repo="web")
    when: Name
    text: Text
    repo: Name | None = None
    lane: Name | None = None
    zone: Name | None = None
    missed: Annotated[str, Field(pattern="^(skip|once)$")] = "skip"
    parameters: Parameters = {}
    person: Person = None


class Explaining(Body):
    """A request whose decision is explained."""

    model_config = _with_example(text="set server.timeout to 30 in config/app.yaml", repo="web")
    text: Text
    repo: Name | None = None
    lane: Name | None = None
    person: Person = None


def time_of(text: str | None, name: str) -> datetime | None:
    """An RFC 3339 time with a zone; raises `UsageError`."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise UsageError("bad_time", f"{name} is not a time with a zone", "Write 2026-01-31T18:00:00Z.")
