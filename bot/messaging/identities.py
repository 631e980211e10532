"""The /link and /unlink commands: what people read when they link an account (see `core.services.identities`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bot.cards.safe import one_line, visible
from bot.cards.wording import portable_command, render_advice
from bot.commands import Link, Unlink
from bot.surfaces.port import Response
from core.model.advice import CommandName, Suggestion, advise
from core.services.identities import CODE_ALPHABET, CODE_LENGTH, ClaimedAccount, Identities

CONFIRM: Final = "confirm"
"""The form of an answer that wants a yes."""
CODE: Final = re.compile(rf"[{CODE_ALPHABET}]{{{CODE_LENGTH}}}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class IdentityDirectory:
    """Who an account is, and the commands by which people link accounts and take them away."""

    identities: Identities

    async def carry_out(self, person: str, surface: str, command: Link | Unlink) -> Response:
        """Carry out a command about a person's accounts, given on `surface`."""
        if isinstance(command, Unlink):
            if command.surface is None or command.identity is None:
                return await self.linked(person, surface)
            return await self.unlink(person, command.surface, command.identity)
        if command.what is None or not CODE.fullmatch(command.what):
            return _how_to_link(person, surface)
        answer = await self.confirm(person, surface, command.what, confirmed=command.confirmed)
        if answer.form != CONFIRM:
            return answer
        code = command.what.upper()
        text = advise(
            f"{answer.text} If that is your account, write ",
            Suggestion(CommandName.LINK, args=(code, "yes")),
            ". If not, do nothing.",
        )
        return Response(
            render_advice(text, surface), personal=True, choices=(("Yes, that is me", f"/link {code} yes"),)
        )

    async def person(self, surface: str, identity: str) -> str | None:
        """Whose account this is; None for a stranger, and for somebody whom the configuration no longer names."""
        return await self.identities.person_of(surface, identity)

    async def claim(self, surface: str, identity: str, name: str, shown_as: str = "") -> Response:
        """Give a stranger who says that they are `name` a code that only that person can confirm."""
        code = await self.identities.claim(ClaimedAccount(surface, identity, name, shown_as))
        command = portable_command(Suggestion(CommandName.LINK, args=(code,)))
        return Response(
            f"Your code is {code}. Within ten minutes, write {command} "
            f"where Countersign knows you already, or run: countersign link {code} --as {name}"
        )

    async def confirm(self, person: str, surface: str | None, code: str, *, confirmed: bool) -> Response:
        """Name the account that a code belongs to and ask whether it is theirs, or link it once they `confirmed`."""
        account = await self.identities.confirm(person, surface, code, confirmed=confirmed)
        if account is None:
            again = portable_command(Suggestion(CommandName.LINK, args=(person,)))
            wrong = "This code is not for you, was used, or is older than ten minutes."
            return Response(f"{wrong} Write {again} again where you want to be known.", refused=True)
        if not confirmed:
            return _question(account)
        return Response(f"Linked: {_account(account)} speaks as {person} from now on.")

    async def linked(self, person: str, surface: str) -> Response:
        """The accounts that links gave a person, each with a button that takes it away."""
        accounts = await self.identities.linked_to(person)
        if not accounts:
            return Response(f"No account is linked to {person}. Those of countersign.yaml are its owner's to change.")
        lines = [render_advice(advise(Suggestion(CommandName.UNLINK, args=account)), surface) for account in accounts]
        choices = tuple((f"Unlink {' '.join(account)}"[:60], f"/unlink {' '.join(account)}") for account in accounts)
        text = "\n".join([f"Linked to {person}. To take one away, write:", *lines])
        return Response(text, personal=True, choices=choices)

    async def unlink(self, person: str, surface: str, identity: str) -> Response:
        """Take an account away that a link gave."""
        if await self.identities.unlink(person, surface, identity):
            return Response(f"{surface} {identity} no longer speaks as {person}.")
        mend = "Accounts of countersign.yaml are its owner's to change."
        return Response(f"{visible(surface)} {visible(identity)} is not linked to {person}. {mend}", refused=True)


def _how_to_link(person: str, surface: str) -> Response:
    there = portable_command(Suggestion(CommandName.LINK, args=(person,)))
    text = advise(
        f"You are {person} here. To be known elsewhere too, write there {there}; you get a code, and write here ",
        Suggestion(CommandName.LINK, args=("CODE",)),
        ". What is linked shows ",
        Suggestion(CommandName.UNLINK),
        ".",
    )
    return Response(render_advice(text, surface), personal=True)


def _question(account: ClaimedAccount) -> Response:
    """Whose account it is, and what confirming means."""
    return Response(
        f"{_account(account)} asks to speak as you, {account.person}: with all that you may do, approvals too.",
        form=CONFIRM,
    )


def _account(account: ClaimedAccount) -> str:
    """The account by its id, and how its platform shows it, in quotes: a name is anybody's to choose."""
    shown = one_line(account.shown_as, 60)
    return f"{account.surface} {account.identity}" + (f" (shown there as “{shown}”)" if shown else "")
