"""The commands /link and /unlink, by which people link their accounts (see `core.services.identities`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bot.cards.problem_text import portable_command, render_advice
from bot.cards.safe import one_line, visible
from bot.commands import Link, Unlink
from bot.surfaces.port import Response
from core.model.advice import CommandName, Suggestion, advise
from core.services.identities import CODE_ALPHABET, CODE_LENGTH, ClaimedAccount, Identities

CONFIRM: Final = "confirm"
"""`Response.form` of a question that needs a yes."""
CODE: Final = re.compile(rf"[{CODE_ALPHABET}]{{{CODE_LENGTH}}}", re.IGNORECASE)
_CONFIGURED: Final = "Only the owner of countersign.yaml can change the accounts in it."


@dataclass(frozen=True, slots=True)
class IdentityDirectory:
    """Looks up whose an account is, and links and unlinks accounts."""

    identities: Identities

    async def carry_out(self, person: str, surface: str, command: Link | Unlink) -> Response:
        """Carry out a command about a person's accounts, given on `surface`."""
        if isinstance(command, Unlink):
            if command.surface is None or command.identity is None:
                return await self.linked(person, surface)
            return await self.unlink(person, command.surface, command.identity)
        if command.name_or_code is None or not CODE.fullmatch(command.name_or_code):
            return _how_to_link(person, surface)
        answer = await self.confirm(person, surface, command.name_or_code, confirmed=command.confirmed)
        if answer.form != CONFIRM:
            return answer
        code = command.name_or_code.upper()
        text = advise(
            f"{answer.text} If that is your account, write ",
            Suggestion(CommandName.LINK, args=(code, "yes")),
            ". If not, do nothing.",
        )
        return Response(
            render_advice(text, surface), personal=True, choices=(("Yes, that is me", f"/link {code} yes"),)
        )

    async def person(self, surface: str, identity: str) -> str | None:
        """The person an account belongs to; None if it is unknown or the configuration no longer has the person."""
        return await self.identities.person_of(surface, identity)

    async def claim(self, surface: str, identity: str, name: str, shown_as: str = "") -> Response:
        """Give an unknown account that claims to be `name` a code that only that person can confirm."""
        code = await self.identities.claim(ClaimedAccount(surface, identity, name, shown_as))
        command = portable_command(Suggestion(CommandName.LINK, args=(code,)))
        return Response(
            f"Your code is {code}. Within ten minutes, write {command} "
            f"where Countersign already knows you, or run: countersign link {code} --as {name}"
        )

    async def confirm(self, person: str, surface: str | None, code: str, *, confirmed: bool) -> Response:
        """Show the account that a code belongs to and ask whether it is theirs; if `confirmed`, link it."""
        account = await self.identities.confirm(person, surface, code, confirmed=confirmed)
        if account is None:
            again = portable_command(Suggestion(CommandName.LINK, args=(person,)))
            reason = "This code is not for you, was used, or is older than ten minutes."
            return Response(f"{reason} Write {again} again from the account that you want to link.", refused=True)
        if not confirmed:
            return _question(account)
        return Response(f"Linked: {_account(account)} now acts as {person}.")

    async def linked(self, person: str, surface: str) -> Response:
        """The accounts linked to a person, each with a button that unlinks it."""
        accounts = await self.identities.linked_to(person)
        if not accounts:
            return Response(f"No account is linked to {person}. {_CONFIGURED}")
        lines = [render_advice(advise(Suggestion(CommandName.UNLINK, args=account)), surface) for account in accounts]
        choices = tuple((f"Unlink {' '.join(account)}"[:60], f"/unlink {' '.join(account)}") for account in accounts)
        text = "\n".join([f"Linked to {person}. To unlink an account, write:", *lines])
        return Response(text, personal=True, choices=choices)

    async def unlink(self, person: str, surface: str, identity: str) -> Response:
        """Unlink an account; accounts of countersign.yaml cannot be unlinked here."""
        if await self.identities.unlink(person, surface, identity):
            return Response(f"{surface} {identity} no longer acts as {person}.")
        account = f"{visible(surface)} {visible(identity)}"
        return Response(f"{account} is not linked to {person}. {_CONFIGURED}", refused=True)


def _how_to_link(person: str, surface: str) -> Response:
    there = portable_command(Suggestion(CommandName.LINK, args=(person,)))
    text = advise(
        f"You are {person} here. To link another account, write {there} from it; you get a code. Then write here ",
        Suggestion(CommandName.LINK, args=("CODE",)),
        ". To see your linked accounts, write ",
        Suggestion(CommandName.UNLINK),
        ".",
    )
    return Response(render_advice(text, surface), personal=True)


def _question(account: ClaimedAccount) -> Response:
    """Whose account it is, and what confirming means."""
    return Response(
        f"{_account(account)} asks to act as you, {account.person}: it could do all that you may, including approving.",
        form=CONFIRM,
    )


def _account(account: ClaimedAccount) -> str:
    """The account's id and, in quotes because anyone can choose any name, its display name."""
    display_name = one_line(account.shown_as, 60)
    return f"{account.surface} {account.identity}" + (f" (shown there as “{display_name}”)" if display_name else "")
