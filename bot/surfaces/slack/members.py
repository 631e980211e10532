"""Who is a full member of our workspace right now: asked when words or clicks are acted on, remembered for a minute."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from bot.surfaces.slack.api import SlackApi
from bot.surfaces.slack.errors import error_code
from bot.surfaces.slack.payloads import user_id_of
from core.model.errors import PermanentError

KNOWN_S: Final = 60.0
"""How long an answer holds: a person who was let go has lost their say after that."""
ANSWER_S: Final = 5.0
_MAX_KNOWN: Final = 10_000
_OUTSIDE: Final = ("deleted", "is_restricted", "is_ultra_restricted", "is_stranger", "is_bot", "is_workflow_bot")


class SlackMembers:
    """The people of the one workspace `team`; what Slack says of one holds for `known_s`."""

    def __init__(self, api: SlackApi, team: str, known_s: float = KNOWN_S) -> None:
        self._api, self._team, self._known_s = api, team, known_s
        self._known: dict[str, tuple[float, bool]] = {}

    async def ok(self, identity: str) -> bool:
        """True for a full member: not deactivated, no guest, no stranger of Slack Connect, no bot (security.md 8-9).

        Raises `TransientError` when Slack does not tell: then nothing may be done for them.
        """
        team, _, user = identity.partition("/")
        if team != self._team or not user:
            return False
        until, verdict = self._known.get(identity, (0.0, False))
        if until > time.monotonic():
            return verdict
        verdict = await self._ask(identity)
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[identity] = (time.monotonic() + self._known_s, verdict)
        return verdict

    async def _ask(self, identity: str) -> bool:
        try:
            answer = await self._api.ask("users.info", {"user": user_id_of(identity)}, timeout_s=ANSWER_S)
        except PermanentError as error:
            if error_code(error) in ("user_not_found", "user_not_visible"):
                return False
            raise
        user = answer.data.get("user")
        return isinstance(user, Mapping) and self._full(user)

    def _full(self, user: Mapping[str, Any]) -> bool:
        """A member of our team; of an organisation's person Slack lists the teams (enterprise_user)."""
        enterprise = user.get("enterprise_user")
        teams = enterprise.get("teams", ()) if isinstance(enterprise, Mapping) else ()
        of_ours = user.get("team_id") == self._team or self._team in teams
        return of_ours and not any(user.get(flag) for flag in _OUTSIDE)
