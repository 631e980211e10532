"""The five roles that bound what a person may do, and how they relate to the roles that policy names.

A role of the configuration is a name that rules use (``from: [member]``). Five names mean something more: each of them
is a bound, on all surfaces, whatever rules say. Rules still decide who may ask for and approve what.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

MAINTAINER: Final = "maintainer"
"""The role that bounds nothing: like ``admin``, and named by the starter policy."""


class Role(IntEnum):
    """What a person may do at most; each role includes those below it.

    A viewer sees. A requester asks, replies, cancels and undoes. An approver also decides, extends budgets and merges.
    An operator also pauses, reorders and drains. An admin also ends sessions, removes passkeys and changes recurring
    requests of others.
    """

    VIEWER = 0
    REQUESTER = 1
    APPROVER = 2
    OPERATOR = 3
    ADMIN = 4

    @property
    def word(self) -> str:
        """The role as the configuration writes it."""
        return self.name.lower()


_BY_WORD: Final = {role.word: role for role in Role} | {MAINTAINER: Role.ADMIN}


def bound_of(names: Iterable[str]) -> Role:
    """The bound of a person with these roles: the highest one; but a viewer does nothing, whatever else they are.

    Without any of the five, rules alone decide about requests and approvals, and no more is allowed than those.
    """
    bounds = [_BY_WORD[name] for name in names if name in _BY_WORD]
    if Role.VIEWER in bounds:
        return Role.VIEWER
    return max(bounds, default=Role.APPROVER)
