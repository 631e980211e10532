"""Full members of the workspace, asked when messages or presses are processed and cached for a minute."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from bot.surfaces.slack.api import SlackApi
from bot.surfaces.slack.errors import error_code
from bot.surfaces.slack.payloads import user_id_of
from core.model.errors import PermanentError

CACHE_S: Final = 60.0
"""How long an answer is cached; a person who left loses access after that."""
ANSWER_S: Final = 5.0
_MAX_CACHED: Final = 10_000
_EXCLUDED_FLAGS: Final = ("deleted", "is_restricted", "is_ultra_restricted", "is_stranger", "is_bot", "is_workflow_bot")


class SlackMembers:
    """The members of the one workspace `team`; an answer of Slack is cached for `cache_s`."""

    def __init__(self, api: SlackApi, team: str, cache_s: float = CACHE_S) -> None:
        self._api, self._team, self._cache_s = api, team, cache_s
        self._cache: dict[str, tuple[float, bool]] = {}

    async def is_full_member(self, identity: str) -> bool:
        """True for a full member: not deactivated, no guest, no external user, no bot (security.md 8-9).

        Raises `TransientError` if Slack does not answer: then nothing may be done for them.
        """
        team, _, user = identity.partition("/")
        if team != self._team or not user:
            return False
        until, verdict = self._cache.get(identity, (0.0, False))
        if until > time.monotonic():
            return verdict
        verdict = await self._ask(identity)
        if len(self._cache) >= _MAX_CACHED:
            self._cache.clear()
        self._cache[identity] = (time.monotonic() + self._cache_s, verdict)
        return verdict

    async def _ask(self, identity: str) -> bool:
        try:
            answer = await self._api.get("users.info", {"user": user_id_of(identity)}, timeout_s=ANSWER_S)
        except PermanentError as error:
            if error_code(error) in ("user_not_found", "user_not_visible"):
                return False
            raise
        user = answer.data.get("user")
        return isinstance(user, Mapping) and self._is_full(user)

    def _is_full(self, user: Mapping[str, Any]) -> bool:
        """Whether the user belongs to the team; enterprise users list their teams (enterprise_user)."""
        enterprise = user.get("enterprise_user")
        teams = enterprise.get("teams", ()) if isinstance(enterprise, Mapping) else ()
        is_in_team = user.get("team_id") == self._team or self._team in teams
        return is_in_team and not any(user.get(flag) for flag in _EXCLUDED_FLAGS)
