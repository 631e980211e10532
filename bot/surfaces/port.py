"""The port of a surface: what people say to us there, and what we show them.

Inbound, a surface verifies, then hands over an `IncomingMessage` or a `ButtonPress` and acknowledges only what was
kept. Outbound it
draws cards, posts and edits them, and tells people things. It decides nothing: who a person is, what they may do and
what a word means is said by `bot.messaging`, the same for every surface.
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
    """The message that another one answers, when it is not ours: somebody's words, which the answer speaks of.

    `identity` is its writer's immutable id there, empty when the platform does not say who wrote it; `name` is how
    the platform shows them.
    """

    text: str
    identity: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A message somebody wrote, verified to come from the platform; `text` is data.

    `identity` is the writer's immutable id there. `dedup` names this message for ever: a redelivery has the same one,
    an edit has another. `addressed` is true when it speaks to us: a direct message, a mention (already taken out of
    `text`), a command, or a reply to a message of ours. `reply_to` is the id of the message it answers. `context` says
    in our words what it is about, such as a file and line. `quoted` is somebody's message that it speaks of. `name` is
    how the platform shows the writer: for logs only.

    `edits` is the `dedup` of the message as it was first written, when this is an edit of it: an edit that leaves the
    words as they were is not heard. `may_go_on` is true when a client may have cut the text here; `rest_of` is the
    `dedup` of the message whose text goes on in this one. `hint` is what its writer is told when there are no words in
    it that could be heard, such as a voice message; `identity` is empty then when nobody in particular wrote it.
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
    """A button somebody pressed: `button` is the opaque id that we gave it, `text` what they typed into its form.

    `edits` is as for `IncomingMessage`, when the words were edited later.
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
    """What became of an `IncomingMessage` or a `ButtonPress`, for its writer alone.

    `text` is one or two plain sentences, empty when the card says it all. `refused` is true when nothing was done.
    `form` names the kind of words a button still wants (``reply``, ``reject``): the surface asks for them and hands
    over the same button once more, with `text`. What is `personal` interests nobody else: the others in a channel are
    spared it where the platform can. `about` is the task that it is about: the message that says it stays bound to that
    task. `choices` are (label, line) for the buttons below it, each the command that it stands for.
    """

    text: str = ""
    refused: bool = False
    form: str = ""
    personal: bool = False
    about: int | None = None
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TakenMessage:
    """A delivery that is safely kept; `is_new` is false for one that was kept before."""

    id: int
    is_new: bool


class Inbox(Protocol):
    """Where surfaces hand over what they hear."""

    async def accept(self, said: IncomingMessage | ButtonPress) -> TakenMessage:
        """Keep it durably, before anything is acknowledged; quick, and the same thing twice is kept once.

        So is an edit without other words. The rest of a text that was cut is put to it. Raises `TransientError` when it
        cannot be kept now: then do not acknowledge, so that it is delivered again. Any other error means that it can
        never be kept.
        """

    async def wait_for_response(self, taken: TakenMessage, within_s: float) -> Response | None:
        """What became of it, or None if that takes longer; the answer to an `IncomingMessage` is posted anyway."""

    async def record_channel_move(self, surface: str, channel: str, to: str) -> None:
        """The platform says that a channel has another id from now on."""

    async def load_state(self, surface: str) -> Mapping[str, Any]:
        """What a surface wanted to be remembered last; empty at its first start."""

    async def save_state(self, surface: str, value: Mapping[str, Any]) -> None:
        """Keep something small for a surface, such as how far it has read; raises `TransientError`."""

    async def record_message(self, place: Place, message_id: str, below: str) -> None:
        """The surface posted a message by itself, such as a prompt; it is about what the message `below` is about."""


@dataclass(frozen=True, slots=True)
class Buttons:
    """The opaque ids of a card's actions; at most 22 characters each."""

    ids: Mapping[Action, str] = field(default_factory=dict)

    def id_of(self, action: Action) -> str | None:
        """The id of an action's button, or None where it has none (it can still be typed)."""
        return self.ids.get(action)


@dataclass(frozen=True, slots=True)
class Extras:
    """What words may carry: buttons as (label, id), and people whom the platform must notify, as (name, identity).

    The names stand in the words; the surface makes a mention of the first one of each.
    """

    choices: tuple[tuple[str, str], ...] = ()
    mentions: tuple[tuple[str, str], ...] = ()


NO_EXTRAS: Final = Extras()


@dataclass(frozen=True, slots=True)
class RenderedCard:
    """A card in the surface's own form. `hides_lines` is true when a line of the diff is not in it (security.md 42)."""

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

    Every method that goes out may raise `TransientError` (with `retry_after_s` where the platform said so) or
    `PermanentError`; code ``place_gone`` means that this conversation can never be reached again.
    """

    name: str

    async def run(self, ears: Inbox) -> None:
        """Listen until cancelled. Raises when it cannot go on; whoever runs it starts it again later."""

    def routes(self, ears: Inbox) -> Sequence[BaseRoute]:
        """What it wants served over HTTP; nothing when it asks the platform itself."""

    def render(self, card: Card, diff: DiffView | None, buttons: Buttons, *, delivered: bool) -> RenderedCard:
        """The card as this platform shows it; pure.

        `delivered` says that the whole diff was attached to this conversation; a card that hides a line and was not
        delivered has no Approve, and neither buttons nor words that lead to it.
        """

    async def post(self, place: Place, drawn: RenderedCard, reply_to: str | None) -> str:
        """Post a card; the id of its message."""

    async def edit(self, place: Place, message_id: str, drawn: RenderedCard) -> str:
        """Change a card in place; its id, which is another one if the old message was gone and a new one was posted.

        That nothing changed is success.
        """

    async def attach(
        self, place: Place, files: Sequence[Attachment], words: str, reply_to: str | None
    ) -> Sequence[str]:
        """Deliver files into the conversation; returns when the platform has them, with the messages' ids."""

    async def send_text(
        self, place: Place, text: str, reply_to: str | None, only_to: str | None, extras: Extras = NO_EXTRAS
    ) -> Sequence[str]:
        """Say something in plain words; `only_to` is the identity of the one person it is meant for, if there is one.

        Longer text than fits is split, or attached. Returns the ids of its messages, as far as the platform names them.
        A surface without buttons leaves out the choices of `extras`: the text says what to type.
        """

    async def check_access(self, said: IncomingMessage | ButtonPress) -> str | None:
        """Why this person is not heard here now (asked live: no member any more, no write permission), or None.

        Raises `TransientError` when that cannot be known now; then it is heard later.
        """

    async def complete_message(self, said: IncomingMessage) -> IncomingMessage | None:
        """The message with what its delivery left out, such as a review's comments on lines; None if it says nothing.

        Asked once, after `check_access`.
        """

    async def acknowledge(self, place: Place, message_id: str) -> None:
        """Show the writer at once that the message was seen (\N{EYES})."""

    async def close(self) -> None:
        """Let go of what was opened by calls outside `run`, which itself leaves nothing open."""

    async def check(self) -> Sequence[Mapping[str, Any]]:
        """What `doctor` asks: rows of {check, verdict (ok, warn, fail), detail, mend}; reaches the platform."""


@dataclass(frozen=True, slots=True)
class TelegramConfig:
    """How Telegram is reached. `chats` maps a group's id to the repositories asked for there (empty: all).

    `webhook_url` set means webhook mode, else long polling. `base_url` is where the Bot API is.
    """

    token: str = field(repr=False)
    chats: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    webhook_url: str | None = None
    webhook_secret: str | None = field(default=None, repr=False)
    base_url: str = "https://api.telegram.org"


@dataclass(frozen=True, slots=True)
class SlackConfig:
    """How Slack is reached: Socket Mode with an `app_token`, HTTP with a `signing_secret`, or both.

    `team` is the only workspace whose people are heard; `channels` as `TelegramConfig.chats`.
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
