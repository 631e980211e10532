"""The homes of families: the endpoints on which each is resident, and those of them that can take more work now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from core.scheduler.demand import WorkClass
from core.scheduler.endpoint_state import EndpointState

_Names = dict[str, None]
_NONE: Mapping[str, None] = {}


class Homes:
    """Where families are resident or being loaded; with many copies, only those with a free slot are looked at."""

    def __init__(self) -> None:
        self._all: dict[str, _Names] = {}
        self._open: dict[str, _Names] = {}
        self._open_for_chat: dict[str, _Names] = {}

    def __contains__(self, family: str) -> bool:
        return family in self._all

    def of(self, family: str) -> Mapping[str, None]:
        """The endpoints on which a family is resident or being loaded, those first that have had it longest."""
        return self._all.get(family, _NONE)

    def number(self, family: str) -> int:
        """How many endpoints have a family."""
        return len(self._all.get(family, _NONE))

    def open_for(self, family: str, work_class: WorkClass, most: int) -> Iterator[str]:
        """At most `most` endpoints that can take a demand of a family now; those with a free slot first."""
        yield from list(islice(self._open.get(family, _NONE), most))
        if work_class is WorkClass.CHAT:
            yield from list(islice(self._open_for_chat.get(family, _NONE), most))

    def enter(self, family: str, endpoint: str) -> None:
        """A family gets memory on an endpoint."""
        self._all.setdefault(family, {})[endpoint] = None

    def leave(self, family: str, endpoint: str) -> None:
        """A family is not on an endpoint any more."""
        for places in (self._all, self._open, self._open_for_chat):
            _discard(places, family, endpoint)

    def update(self, state: EndpointState) -> None:
        """See which families of an endpoint can take more work, after its slots or what is ready there changed."""
        endpoint = state.spec.name
        is_open, is_open_for_chat = state.has_slot, not state.has_slot and state.has_chat_slot
        for family, resident in state.residents.items():
            _set(self._open, family, endpoint, is_in=is_open and resident.is_ready)
            _set(self._open_for_chat, family, endpoint, is_in=is_open_for_chat and resident.is_ready)


def _set(places: dict[str, _Names], family: str, endpoint: str, *, is_in: bool) -> None:
    if is_in:
        places.setdefault(family, {})[endpoint] = None
    else:
        _discard(places, family, endpoint)


def _discard(places: dict[str, _Names], family: str, endpoint: str) -> None:
    names = places.get(family)
    if names is not None and endpoint in names:
        del names[endpoint]
        if not names:
            del places[family]
