"""The arguments of the tools: strict, without unknown keys, and with the descriptions that a client's model reads."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from core.model.lifecycle import State
from core.model.search_query import MAX_QUERY_CHARS

MAX_WATCH_S: Final = 50
"""Many clients give up on a call after a minute."""
MAX_DIFF_CHARS: Final = 60_000
MAX_TEXT: Final = 65_536

Number = Annotated[int, Field(ge=1, lt=2**31, description="The task's number.")]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
Key = Annotated[
    str | None,
    Field(min_length=1, max_length=100, description="Any text; a call that repeats it has no second effect."),
]


class Arguments(BaseModel):
    """Arguments without unknown keys and without conversions, except that a state is named by its word."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class AskArguments(Arguments):
    """Of `ask`."""

    text: Annotated[Text, Field(description="What to change, in plain English.")]
    repo: Annotated[Name | None, Field(description="Which repository; needed if there are several.")] = None
    lane: Annotated[Name | None, Field(description="Which lane, instead of policy's choice.")] = None
    parameters: Annotated[dict[str, str], Field(max_length=50, description="Parameters of the lane.")] = {}
    key: Key = None


class TaskArguments(Arguments):
    """Of `show` and `cancel`."""

    number: Number


class ReplyArguments(Arguments):
    """Of `reply`."""

    number: Number
    text: Annotated[Text, Field(description="What to change about it, or the answer to its question.")]
    key: Key = None


class ListArguments(Arguments):
    """Of `list`."""

    state: Annotated[State | None, Field(strict=False, description="Only tasks in this state.")] = None
    repo: Annotated[Name | None, Field(description="Only tasks of this repository.")] = None
    search: Annotated[
        str | None, Field(max_length=MAX_QUERY_CHARS, description='Words, "a phrase", prefix*, -without.')
    ] = None
    before: Annotated[int | None, Field(ge=1, lt=2**31, description="Only tasks with smaller numbers.")] = None
    limit: Annotated[int, Field(ge=1, le=50)] = 20


class DiffArguments(Arguments):
    """Of `diff`."""

    number: Number
    offset: Annotated[int, Field(ge=0, lt=2**40, description="Go on after so many characters.")] = 0
    limit: Annotated[int, Field(ge=1, le=MAX_DIFF_CHARS, description="At most so many characters.")] = 20_000


class WatchArguments(Arguments):
    """Of `watch`."""

    number: Number
    until: Annotated[
        list[Annotated[State, Field(strict=False)]],
        Field(max_length=20, description="States to wait for; empty: until it waits for a person or has ended."),
    ] = []
    timeout_s: Annotated[int, Field(ge=0, le=MAX_WATCH_S, description="Return after so many seconds anyway.")] = 30
