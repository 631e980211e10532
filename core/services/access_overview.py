"""Who can reach this home and how: people with their identities and proofs, tokens, and receivers of webhooks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from core.model.api_token import ApiToken
from core.model.role import Role
from core.model.turn import Actor
from core.rules.authorization import Authorization
from core.services.home_checks import DeliveryCounts, delivery_counts
from core.services.web_sessions import IDLE_S
from core.settings import SettingsSource
from core.store import accounts, api_tokens, authenticators, identities, passkeys, web_sessions
from core.store.database import Database
from core.store.unit_of_work import Tx, reads
from core.store.web_tables import WebSessionRow


@dataclass(frozen=True, slots=True)
class PersonAccess:
    """How one person can act: `configured` identities are in countersign.yaml, `linked` ones were linked in a chat."""

    name: str
    roles: tuple[str, ...]
    bound: str
    configured: tuple[tuple[str, str], ...]
    linked: tuple[tuple[str, str], ...]
    has_password: bool
    passkeys: int
    has_app: bool
    sessions: int


@dataclass(frozen=True, slots=True)
class AccessReport:
    """Everyone and everything with access, and the deliveries to each receiver of webhooks."""

    people: tuple[PersonAccess, ...]
    operator_sessions: int
    tokens: tuple[ApiToken, ...]
    deliveries: Mapping[str, DeliveryCounts]


@dataclass(frozen=True, slots=True)
class AccessOverview:
    """Reads who has access; for operators, admins and the operator of the home."""

    database: Database
    settings: SettingsSource

    @reads
    async def report(self, tx: Tx, actor: Actor) -> AccessReport:
        """Everything at once; raises `RefusedError` for a role that may not see it."""
        Authorization(self.settings).check_home_role(actor, Role.OPERATOR)
        live = [row for row in await web_sessions.all_of(tx, None, everyone=True) if _is_live(tx, row)]
        sessions = Counter(row.person for row in live)
        with_password = {account.person for account in await accounts.listed(tx)}
        keys = Counter(passkey.person for passkey in await passkeys.of_person(tx, None))
        with_app = {app.person for app in await authenticators.listed(tx)}
        links = await identities.links_of_all(tx)
        people = tuple(
            PersonAccess(
                name=person.name,
                roles=tuple(sorted(person.roles)),
                bound=person.bound.word,
                configured=tuple(sorted(person.identities.items())),
                linked=tuple(links.get(person.name, ())),
                has_password=person.name in with_password,
                passkeys=keys[person.name],
                has_app=person.name in with_app,
                sessions=sessions[person.name],
            )
            for person in sorted(self.settings().people.by_name.values(), key=lambda person: person.name)
        )
        tokens = tuple(await api_tokens.listed(tx))
        return AccessReport(people, sessions[None], tokens, await delivery_counts(tx))


def _is_live(tx: Tx, row: WebSessionRow) -> bool:
    return row.expires_ms > tx.now_ms and row.seen_ms > tx.now_ms - IDLE_S * 1000
