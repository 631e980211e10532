"""A place: where on a surface a conversation is, and which repositories it is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
        """True for a repository of the scope, and for a request that names none."""
        return self.names is None or repo is None or repo in self.names

    def overlaps(self, other: RepositoryScope) -> bool:
        """True if some repository can be in both scopes; an empty scope overlaps only a scope without limits."""
        return self.names is None or other.names is None or not set(self.names).isdisjoint(other.names)

    def contains(self, other: RepositoryScope) -> bool:
        """True if every repository of `other` is in this scope."""
        return self.names is None or (other.names is not None and set(other.names) <= set(self.names))

    def within(self, other: RepositoryScope) -> RepositoryScope:
        """The repositories that are in both scopes."""
        if self.names is None or other.names is None:
            return other if self.names is None else self
        return RepositoryScope(tuple(name for name in self.names if name in other.names))

    def check(self, repo: str | None, conversation: str = "this channel") -> None:
        """Raise `RefusedError` for a repository outside the scope, which is that of `conversation`."""
        if not self.covers(repo):
            mend = f"It is for: {', '.join(self.names or ()) or 'no repository'}."
            raise RefusedError("not_here", f"{repo} is not a repository of {conversation}", mend)

    def resolve(self, repo: str | None) -> str | None:
        """The repository of a request that names `repo`: that one, else the only one of the scope, else None.

        Raises `RefusedError` for a repository outside the scope, and for any request in an empty scope.
        """
        self.check(repo)
        if self.names is not None and not self.names:
            mend = "Ask where a repository is discussed, or in a direct message."
            raise RefusedError("not_here", "this channel is not for any repository", mend)
        if repo is None and self.names is not None and len(self.names) == 1:
            return self.names[0]
        return repo

    def to_json(self) -> list[str] | None:
        """The scope in its stored form; None for every repository."""
        return None if self.names is None else list(self.names)

    @classmethod
    def from_json(cls, value: Sequence[str] | None) -> RepositoryScope:
        """The scope that `to_json` wrote."""
        return EVERY_REPOSITORY if value is None else cls(tuple(value))


EVERY_REPOSITORY: Final = RepositoryScope()

ScopeOfPlace = Callable[[Place], tuple[str, ...] | None]
"""The repositories that a place is for; None for all of them."""
