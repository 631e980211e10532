"""A place: where on a surface a conversation is, and which repositories it is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.model.errors import RefusedError
from core.model.stored import StoredObject

_THREADS_ABOUT_ONE_THING: Final = frozenset({"slack", "github"})
_CHANNELS_OF_ONE_REPOSITORY: Final = frozenset({"github"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a conversation is.

    `channel` is the platform's immutable id of the chat, channel or repository, `thread` that of the thread, topic or
    pull request in it (None: no thread). `private` is true for a direct message with one person.
    """

    surface: str
    channel: str
    thread: str | None = None
    private: bool = False

    @property
    def address(self) -> tuple[str, str, str | None]:
        """Surface, channel and thread, which identify a place."""
        return self.surface, self.channel, self.thread

    @property
    def thread_is_about_one_thing(self) -> bool:
        """True where a thread belongs to one message or pull request; a topic of Telegram holds many tasks."""
        return self.surface in _THREADS_ABOUT_ONE_THING

    @property
    def channel_is_a_repository(self) -> bool:
        """True where a channel is a whole repository, so that its threads have nothing to do with each other."""
        return self.surface in _CHANNELS_OF_ONE_REPOSITORY

    def to_json(self) -> dict[str, Any]:
        """The place in its stored form."""
        return {"surface": self.surface, "channel": self.channel, "thread": self.thread, "private": self.private}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Place:
        """The place that `to_json` wrote."""
        stored = StoredObject(value, "a place")
        return cls(stored["surface"], stored["channel"], stored.get("thread"), stored.get("private", False))


@dataclass(frozen=True, slots=True)
class RepositoryScope:
    """The repositories that a conversation is for; `names` is None if it is for all of them."""

    names: tuple[str, ...] | None = None

    def covers(self, repo: str | None) -> bool:
        """True for a repository of the scope, and for a task that has no repository yet."""
        return self.names is None or repo is None or repo in self.names

    def resolve(self, repo: str | None) -> str | None:
        """The repository of a request that names `repo`: that one, else the only one of the scope, else None.

        Raises `RefusedError` for a repository outside the scope.
        """
        if not self.covers(repo):
            mend = f"It is for: {', '.join(self.names or ()) or 'no repository'}."
            raise RefusedError("not_here", f"{repo} is not a repository of this channel", mend)
        if repo is None and self.names is not None and len(self.names) == 1:
            return self.names[0]
        return repo


EVERY_REPOSITORY: Final = RepositoryScope()
