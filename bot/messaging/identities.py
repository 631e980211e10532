"""Who is speaking: identities of the configuration and of links, and how a person links one more.

To link, somebody writes ``/link NAME`` where we do not know them and is given a code; the person of that name says
``/link CODE`` where we do know them, is told which account that is, and confirms it. So a code that others see is worth
nothing: only that person can use it, and what it does is give *their* authority to the account that asked. Five wrong
codes void all that wait for a person; a code lives ten minutes and works once (security.md 13).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bot.cards.safe import one_line, visible
from bot.cards.wording import portable_command, render_advice
from bot.commands import Link, Unlink
from bot.surfaces.port import Response
from core.model.advice import CommandName, Suggestion, advise
from core.settings import SettingsSource
from core.store import events, identities
from core.store.database import Database
from core.store.identities import LinkClaim
from core.store.unit_of_work import Tx

TRIES: Final = 5
LIVES_S: Final = 600
_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # without I, O, 0 and 1, which people mistake
_LENGTH: Final = 8
CONFIRM: Final = "confirm"
"""The form of an answer that wants a yes."""
CODE: Final = re.compile(rf"[{_ALPHABET}]{{{_LENGTH}}}", re.IGNORECASE)


def new_code() -> str:
    """A code of 40 random bits; at five tries in ten minutes nobody guesses it."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


@dataclass(frozen=True, slots=True)
class IdentityDirectory:
    """People by their identities; asked anew each time, so that a change of the configuration holds at once."""

    database: Database
    settings: SettingsSource
    code: Callable[[], str] = new_code

    async def do(self, person: str, surface: str, command: Link | Unlink) -> Response:
        """Carry out a command about a person's accounts, said on `surface`."""
        if isinstance(command, Unlink):
            if command.surface is None or command.identity is None:
                return await self.linked(person, surface)
            return await self.unlink(person, command.surface, command.identity)
        if command.what is None or not CODE.fullmatch(command.what):
            there = portable_command(Suggestion(CommandName.LINK, args=(person,)))
            told = advise(
                f"You are {person} here. To be known elsewhere too, write there {there}; "
                "you get a code, and write here ",
                Suggestion(CommandName.LINK, args=("CODE",)),
                ". What is linked shows ",
                Suggestion(CommandName.UNLINK),
                ".",
            )
            return Response(render_advice(told, surface), personal=True)
        answer = await self.confirm(person, surface, command.what, confirmed=command.confirmed)
        if answer.form != CONFIRM:
            return answer
        code = command.what.upper()
        told = advise(
            f"{answer.text} If that is your account, write ",
            Suggestion(CommandName.LINK, args=(code, "yes")),
            ". If not, do nothing.",
        )
        return Response(
            render_advice(told, surface), personal=True, choices=(("Yes, that is me", f"/link {code} yes"),)
        )

    async def person(self, surface: str, identity: str) -> str | None:
        """Whose identity this is, or None for a stranger or somebody whom the configuration no longer names."""
        people = self.settings().people
        for person in people.by_name.values():
            if person.identities.get(surface) == identity:
                return person.name
        linked = await self.database.read(lambda tx: identities.person_of(tx, surface, identity))
        return linked if linked is not None and people.get(linked) else None

    async def claim(self, surface: str, identity: str, name: str, shown_as: str = "") -> Response:
        """A stranger says who they are: give them a code that only that person can confirm.

        `shown_as` is how the platform shows them: for recognising the account, and proof of nothing.
        """
        code = self.code()
        known = self.settings().people.get(name) is not None

        async def work(tx: Tx) -> None:
            expires_ms = tx.now_ms + LIVES_S * 1000
            if known:
                await identities.open_claim(tx, code, LinkClaim(surface, identity, name, 0, expires_ms, shown_as))
            await events.append(
                tx,
                number=events.SYSTEM,
                kind="identity.claimed",
                surface=surface,
                body={"identity": identity, "person": name, "known": known},
            )

        await self.database.write(work)
        command = portable_command(Suggestion(CommandName.LINK, args=(code,)))
        # the same words for a name that nobody has: who is here is not told to strangers
        return Response(
            f"Your code is {code}. Within ten minutes, write {command} "
            f"where Countersign knows you already, or run: countersign link {code} --as {name}"
        )

    async def confirm(self, person: str, surface: str | None, code: str, *, confirmed: bool) -> Response:
        """A person says a code that an account was given elsewhere: name that account and ask, or link it."""

        async def work(tx: Tx) -> Response:
            claim = await identities.claim_of(tx, code)
            good = claim is not None and claim.person == person and claim.expires_ms > tx.now_ms and claim.tries < TRIES
            if claim is None or not good:
                await identities.count_wrong(tx, person, TRIES)
                await _record(tx, "identity.refused", person, surface, {})
                wrong = "This code is not for you, was used, or is older than ten minutes."
                again = portable_command(Suggestion(CommandName.LINK, args=(person,)))
                return Response(f"{wrong} Write {again} again where you want to be known.", refused=True)
            if not confirmed:
                return _asked(claim)
            await identities.close_claim(tx, code)
            await identities.link(tx, claim)
            body = {"surface": claim.surface, "identity": claim.identity}
            await _record(tx, "identity.linked", person, surface, body)
            return Response(f"Linked: {_account(claim)} speaks as {person} from now on.")

        return await self.database.write(work)

    async def linked(self, person: str, surface: str) -> Response:
        """The accounts that links gave a person, each with a button that takes it away."""
        found = await self.database.read(lambda tx: identities.links_of(tx, person))
        if not found:
            return Response(f"No account is linked to {person}. Those of countersign.yaml are its owner's to change.")
        lines = [render_advice(advise(Suggestion(CommandName.UNLINK, args=one)), surface) for one in found]
        choices = tuple((f"Unlink {' '.join(one)}"[:60], f"/unlink {' '.join(one)}") for one in found)
        text = "\n".join([f"Linked to {person}. To take one away, write:", *lines])
        return Response(text, personal=True, choices=choices)

    async def unlink(self, person: str, surface: str, identity: str) -> Response:
        """Take an identity away that a link gave."""

        async def work(tx: Tx) -> Response:
            if (surface, identity) not in await identities.links_of(tx, person):
                mend = "Accounts of countersign.yaml are its owner's to change."
                return Response(
                    f"{visible(surface)} {visible(identity)} is not linked to {person}. {mend}", refused=True
                )
            await identities.unlink(tx, surface, identity)
            await _record(tx, "identity.unlinked", person, surface, {"identity": identity})
            return Response(f"{surface} {identity} no longer speaks as {person}.")

        return await self.database.write(work)


def _asked(claim: LinkClaim) -> Response:
    """Whose account it is, and what confirming means."""
    return Response(
        f"{_account(claim)} asks to speak as you, {claim.person}: with all that you may do, approvals too.",
        form=CONFIRM,
    )


def _account(claim: LinkClaim) -> str:
    """The account by its id, and how its platform shows it, in quotes: a name is anybody's to choose."""
    shown = one_line(claim.shown_as, 60)
    return f"{claim.surface} {claim.identity}" + (f" (shown there as “{shown}”)" if shown else "")


async def _record(tx: Tx, kind: str, person: str, surface: str | None, body: dict[str, str]) -> None:
    await events.append(tx, number=events.SYSTEM, kind=kind, person=person, surface=surface, body=body)
