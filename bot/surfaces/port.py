"""The port of a surface: how messages come in and how cards, texts and files go out.

Inbound, a surface verifies what it receives, hands over an `IncomingMessage` or a `ButtonPress`, and acknowledges it
only after it was stored. Outbound, it renders, posts and edits cards, and sends texts. It decides nothing:
`bot.messaging` resolves persons, permissions and commands in the same way for every surface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from bot.cards.diff import DiffView
from bot.cards.model import Card
from bot.cards.parts import Action
from core.model.place import Place

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


__all__ = [
    "NO_EXTRAS",
    "Attachment",
    "ButtonPress",
    "Buttons",
    "Extras",
    "GitHubSurfaceConfig",
    "Inbox",
    "IncomingMessage",
    "Place",
    "QuotedMessage",
    "RenderedCard",
    "Response",
    "SlackConfig",
    "Surface",
    "TakenMessage",
    "TelegramConfig",
]


@dataclass(frozen=True, slots=True)
class QuotedMessage:
    """The message that another one replies to, if it is not the bot's own.

    `identity` is its author's immutable id, empty if the platform does not say; `name` is the displayed name.
    """

    text: str
    identity: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A message that a person wrote, verified to come from the platform; `text` is data.

    `identity` is the sender's immutable id. `dedup` identifies this message permanently: a redelivery has the same
    value, an edit another one. `addressed` is true for a direct message, a mention (already removed from `text`), a
    command, or a reply to a message of the bot. `reply_to` is the id of the message it replies to. `context` describes
    what it is about, such as a file and line. `quoted` is another person's message that it refers to. `name` is the
    sender's displayed name, for logs only.

    `edits` is the `dedup` of the original message if this is an edit of it; an edit that does not change the text is
    ignored. `may_go_on` is true if a client may have split the text here; `rest_of` is the `dedup` of the message that
    this one continues. `hint` is the answer to a message without usable text, such as a voice message; `identity` is
    then empty if the sender is anonymous.
    """

    identity: str
    place: Place
    text: str
    message_id: str
    dedup: str
    addressed: bool
    reply_to: str | None = None
    context: str = ""
    name: str = ""
    quoted: QuotedMessage | None = None
    edits: str = ""
    may_go_on: bool = False
    rest_of: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ButtonPress:
    """A pressed button: `button` is the opaque id that we assigned, `text` what was typed into its form.

    `edits` is as for `IncomingMessage`, if the text was edited later.
    """

    identity: str
    place: Place
    button: str
    message_id: str
    dedup: str
    text: str = ""
    name: str = ""
    edits: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """The outcome of an `IncomingMessage` or a `ButtonPress`, for its sender.

    `text` is one or two plain sentences, empty if the card says everything. `refused` is true if nothing was done.
    `form` names the text that a button still needs (``reply``, ``reject``): the surface asks for it and hands over the
    same button again, with `text`. A `personal` response concerns only its sender, and is hidden from others where the
    platform can. `about` is the task that it concerns: the message stays bound to that task. `choices` are (label,
    command line) of the buttons below it.
    """

    text: str = ""
    refused: bool = False
    form: str = ""
    personal: bool = False
    about: int | None = None
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TakenMessage:
    """A stored delivery; `is_new` is false if it was stored before."""

    id: int
    is_new: bool


class Inbox(Protocol):
    """Where surfaces hand over what they receive."""

    async def accept(self, message: IncomingMessage | ButtonPress) -> TakenMessage:
        """Store `message` durably before it is acknowledged; fast, and a duplicate is stored once.

        An edit that does not change the text counts as a duplicate. The rest of a split text is joined to its
        beginning. Raises `TransientError` if it cannot be stored now: then do not acknowledge it, so that it is
        delivered again. Any other error means that it can never be stored.
        """

    async def wait_for_response(self, accepted: TakenMessage, within_s: float) -> Response | None:
        """The response, or None if that takes longer than `within_s`.

        The response to an `IncomingMessage` is posted in any case.
        """

    async def record_channel_move(self, surface: str, channel: str, to: str) -> None:
        """Record that a channel has the new id `to` from now on."""

    async def load_state(self, surface: str) -> Mapping[str, Any]:
        """The state that the surface saved last; empty at its first start."""

    async def save_state(self, surface: str, value: Mapping[str, Any]) -> None:
        """Store a small state of a surface, such as how far it has read; raises `TransientError`."""

    async def record_message(self, place: Place, message_id: str, below: str) -> None:
        """Record a message that the surface posted itself, such as a prompt, below the message `below`.

        It concerns the same task as that message.
        """


@dataclass(frozen=True, slots=True)
class Buttons:
    """The opaque ids of a card's actions; at most 22 characters each."""

    ids: Mapping[Action, str] = field(default_factory=dict)

    def id_of(self, action: Action) -> str | None:
        """The id of an action's button, or None if it has none; the action can still be typed."""
        return self.ids.get(action)


@dataclass(frozen=True, slots=True)
class Extras:
    """What a text may carry: buttons as (label, id), and people to notify, as (name, identity).

    The names occur in the text; the surface turns the first occurrence of each into a mention.
    """

    choices: tuple[tuple[str, str], ...] = ()
    mentions: tuple[tuple[str, str], ...] = ()


NO_EXTRAS: Final = Extras()


@dataclass(frozen=True, slots=True)
class RenderedCard:
    """A card in the surface's own form; `hides_lines` is true if it omits lines of the diff (security.md 42)."""

    payload: Any
    hides_lines: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to deliver into a conversation; `media_type` is, for example, ``text/x-diff``."""

    name: str
    content: bytes
    media_type: str


class Surface(Protocol):
    """One platform where people talk.

    Every outbound method may raise `TransientError` (with `retry_after_s` if the platform gave one) or
    `PermanentError`; its code ``place_gone`` means that this conversation can never be reached again.
    """

    name: str

    async def run(self, inbox: Inbox) -> None:
        """Listen until cancelled; raises when it cannot continue, and the caller restarts it later."""

    def routes(self, inbox: Inbox) -> Sequence[BaseRoute]:
        """The HTTP routes that it needs; none if it polls the platform."""

    def render(self, card: Card, diff: DiffView | None, buttons: Buttons, *, delivered: bool) -> RenderedCard:
        """The card as this platform shows it; pure.

        `delivered` says that the whole diff was attached to this conversation. A card that omits lines and was not
        delivered has no Approve button and no command that leads to approval.
        """

    async def post(self, place: Place, rendered: RenderedCard, reply_to: str | None) -> str:
        """Post a card; returns the id of its message."""

    async def edit(self, place: Place, message_id: str, rendered: RenderedCard) -> str:
        """Change a card in place; returns its id, a new one if the old message was gone and was posted anew.

        An unchanged message is a success.
        """

    async def attach(
        self, place: Place, files: Sequence[Attachment], caption: str, reply_to: str | None
    ) -> Sequence[str]:
        """Deliver files into the conversation; returns the messages' ids once the platform has the files."""

    async def send_text(
        self, place: Place, text: str, reply_to: str | None, only_to: str | None, extras: Extras = NO_EXTRAS
    ) -> Sequence[str]:
        """Send plain text; `only_to` is the identity of the one person it is meant for, if any.

        Longer text is split or attached. Returns the ids of its messages, as far as the platform reports them. A
        surface without buttons leaves out the choices of `extras`, because the text says what to type.
        """

    async def check_access(self, message: IncomingMessage | ButtonPress) -> str | None:
        """Why the sender may not use this surface now, such as lost membership; None if allowed.

        Asks the platform. Raises `TransientError` if it cannot tell now; the message is then processed later.
        """

    async def complete_message(self, message: IncomingMessage) -> IncomingMessage | None:
        """The message with what its delivery left out, such as a review's line comments.

        Called once, after `check_access`. Returns None if the message says nothing.
        """

    async def acknowledge(self, place: Place, message_id: str) -> None:
        r"""Show the sender immediately that the message was seen (\N{EYES})."""

    async def close(self) -> None:
        """Release what calls outside `run` opened; `run` itself leaves nothing open."""

    async def check(self) -> Sequence[Mapping[str, Any]]:
        """The rows that `doctor` shows: {check, verdict (ok, warn, fail), detail, mend}; asks the platform."""


@dataclass(frozen=True, slots=True)
class TelegramConfig:
    """How Telegram is reached; `chats` maps a group's id to the repositories allowed there (empty: all).

    A `webhook_url` selects webhook mode, otherwise long polling. `base_url` is the address of the Bot API.
    """

    token: str = field(repr=False)
    chats: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    webhook_url: str | None = None
    webhook_secret: str | None = field(default=None, repr=False)
    base_url: str = "https://api.telegram.org"


@dataclass(frozen=True, slots=True)
class SlackConfig:
    """How Slack is reached: Socket Mode with an `app_token`, HTTP with a `signing_secret`, or both.

    `team` is the only workspace whose members are accepted; `channels` is as `TelegramConfig.chats`.
    """

    bot_token: str = field(repr=False)
    team: str
    app_token: str | None = field(default=None, repr=False)
    signing_secret: str | None = field(default=None, repr=False)
    channels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    base_url: str = "https://slack.com/api/"


@dataclass(frozen=True, slots=True)
class GitHubSurfaceConfig:
    """What the surface needs beside `lanes.forge.github.GitHubAccess`: the secret that signs webhooks.

    `repositories` maps a repository's numeric id at GitHub, as text, to its name in countersign.yaml.
    """

    webhook_secret: str | None = field(default=None, repr=False)
    repositories: Mapping[str, str] = field(default_factory=dict)
