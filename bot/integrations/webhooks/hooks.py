"""Hooks: which receiver gets which events, and the content of their messages."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from core.model.masking import Mask, masked

if TYPE_CHECKING:  # most commands read a configuration and deliver nothing
    from core.model.event import Event
    from core.model.task import Task

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
EVERYTHING: Final = "*"

_FACTS: Final = frozenset(
    {"state", "revision", "digest", "files", "blocked", "lane", "rule", "repo", "job", "attempt", "undo", "needs",
     "pull_request", "branch", "head", "number", "url", "merged_as", "code", "by"}
)  # fmt: skip
"""Keys of an event's body that every receiver gets; all others may contain text of people or models."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One receiver: an https address, the secret its messages are signed with, and the kinds of events it receives.

    `events` may contain ``*`` or patterns such as ``task.*``. `include_text` adds what people wrote. `allow_private`
    permits an address on a private network, and plain http on this host. With `repositories`, those of a team, it
    receives events of their tasks alone.
    """

    name: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    events: tuple[str, ...] = (EVERYTHING,)
    include_text: bool = False
    allow_private: bool = False
    repositories: frozenset[str] | None = None

    def is_for(self, task: Task | None) -> bool:
        """Whether it may receive an event of this task, or one of the whole system (None)."""
        return self.repositories is None or (task is not None and task.repo in self.repositories)

    def wants(self, kind: str) -> bool:
        """Whether it receives events of this kind."""
        return any(fnmatchcase(kind, pattern) for pattern in self.events)


def body_of(event: Event, task: Task | None, *, include_text: bool, mask: Mask) -> str:
    """The message about an event, as one line of JSON: the event's document and a summary of its task.

    Without `include_text` it contains nothing that a person or a model wrote, and `withheld` names the omitted keys.
    `mask` removes secrets from the rest.
    """
    document = event.to_json()
    body: Mapping[str, Any] = document["body"]
    if not include_text:
        facts = {key: value for key, value in body.items() if key in _FACTS and _is_fact(value)}
        document["body"] = facts
        document["withheld"] = sorted(body.keys() - facts.keys())
    summary = summary_of(task, include_text=include_text) if task else None
    document["body"] = masked(document["body"], mask)
    return json.dumps({"event": document, "task": masked(summary, mask)}, ensure_ascii=False, separators=(",", ":"))


def summary_of(task: Task, *, include_text: bool) -> dict[str, Any]:
    """A summary of a task for receivers; the title is a person's text, so it is included only with `include_text`."""
    pull_request = task.pull_request
    summary: dict[str, Any] = {
        "number": task.number,
        "state": task.state.value,
        "repo": task.repo,
        "requester": task.requester,
        "lane": task.current.lane,
        "rule": task.current.rule,
        "revision": task.revision,
        "digest": task.staged.digest if task.staged else None,
        "pull_request": {"number": pull_request.number, "url": pull_request.url, "state": pull_request.state}
        if pull_request
        else None,
        "created_at": task.created_at.isoformat(),
        "updated_at": task.updated_at.isoformat(),
    }
    return summary | {"title": task.title} if include_text else summary


def _is_fact(value: object) -> bool:
    """Whether a value, and everything nested in it, is short enough to be a fact and not text."""
    if isinstance(value, dict):
        return all(
            key in _FACTS | {"count", "of", "have", "met", "id", "name"} and _is_fact(v) for key, v in value.items()
        )
    if isinstance(value, list):
        return len(value) <= 1000 and all(map(_is_fact, value))
    return not isinstance(value, str) or len(value) <= 200
