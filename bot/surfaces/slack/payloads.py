"""Parses Slack's payloads into `IncomingMessage` and `ButtonPress`; pure.

Permissions and meaning are decided elsewhere. The shapes are those of https://docs.slack.dev/reference/events and
https://docs.slack.dev/reference/interaction-payloads. A payload of another shape, or not for the bot, gives None.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bot.cards.safe import one_line
from bot.surfaces.mention import remove_mentions
from bot.surfaces.port import ButtonPress, Extras, IncomingMessage, QuotedMessage
from bot.surfaces.slack.text import escape, strip_markup, truncate
from core.model.place import Place

SURFACE: Final = "slack"
SHORTCUT: Final = "countersign_ask"
"""The callback id of the message shortcut and of its form."""
TEXT_FORM: Final = "countersign_form"
"""The callback id of the form that asks for the text of a button."""
FIELD: Final = "words"
"""Block id and action id of a form's only field."""
MAX_BUTTONS: Final = 25
MAX_LABEL: Final = 75
_PERSONAL_SUBTYPES: Final = (None, "file_share", "thread_broadcast")
"""Subtypes of messages that people write; all others are notices or come from programs."""
_KIND: Final = re.compile(r"[a-z_]{1,40}")
_WRITE: Final = "Write what to change, such as `set server.timeout to 30 in config/app.yaml`."
_TS: Final = re.compile(r"\d{1,12}\.\d{1,9}")

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """The bot's account on Slack: the one workspace, its own user there, and the channels it is set up for."""

    team: str
    user_id: str
    channels: Collection[str]


def is_well_formed(body: object) -> bool:
    """Whether a body has the outline of a Slack delivery; bolt fails on some that do not."""
    if not isinstance(body, Mapping):
        return False
    for key in ("team", "user", "channel", "event", "view", "message", "container"):
        part = body.get(key)
        if isinstance(part, Mapping):
            if not all(isinstance(part.get(name), str | None) for name in ("id", "team_id", "type", "callback_id")):
                return False
        elif not isinstance(part, str | None):
            return False
    if not all(isinstance(body.get(key), str | None) for key in ("type", "command", "team_id", "callback_id")):
        return False
    kind, actions = body.get("type"), body.get("actions")
    if kind == "block_actions":
        return isinstance(actions, list) and bool(actions) and all(isinstance(action, Mapping) for action in actions)
    required = {"event_callback": "event", "view_submission": "view", "view_closed": "view"}.get(kind or "")
    return required is None or isinstance(body.get(required), Mapping)


def is_ts(value: object) -> bool:
    """Whether this is the id of a message; other ids name things that Slack has no message for."""
    return isinstance(value, str) and _TS.fullmatch(value) is not None


def make_identity(team: str, user: str) -> str:
    """The immutable id of a person on Slack; user ids are unique only within their workspace."""
    return f"{team}/{user}"


def user_id_of(identity: str) -> str:
    """The user part of an identity."""
    return identity.rpartition("/")[2]


def event_message(body: Body, account: OwnAccount) -> IncomingMessage | None:
    """The message of a ``message`` or ``app_mention`` event by a person of our workspace in a known channel.

    The same message arrives as both kinds, and again in retries: its `dedup` consists of channel and time alone. An
    edit counts as another message, and only if the new text addresses the bot.
    """
    event = _mapping(body.get("event"))
    channel, edited = _text(event, "channel"), ""
    private = event.get("channel_type") == "im" or channel.startswith("D")
    message = event
    if event.get("type") == "message" and event.get("subtype") == "message_changed":
        message, before = _mapping(event.get("message")), _mapping(event.get("previous_message"))
        edited = _text(_mapping(message.get("edited")), "ts")
        if not edited or message.get("text") == before.get("text"):
            return None  # a link preview, or a new reply in its thread
    else:
        edited = _text(_mapping(event.get("edited")), "ts")
    user, ts = _text(message, "user"), _text(message, "ts")
    is_foreign = _is_foreign(body, event, account) or _is_foreign(body, message, account)
    if (
        is_foreign
        or not is_ts(ts)
        or not _is_person(message, user, account)
        or not (private or channel in account.channels)
    ):
        return None
    text, mentioned = _without_mention(_text(message, "text"), account.user_id)
    thread = _text(message, "thread_ts") or None
    addressed = private or mentioned or (message.get("parent_user_id") == account.user_id and not edited)
    if not addressed and (thread in (None, ts) or edited):
        return None  # a conversation among people
    return IncomingMessage(
        identity=make_identity(account.team, user),
        place=Place(SURFACE, channel, thread or (None if private else ts), private),
        text=strip_markup(text),
        message_id=ts,
        dedup=f"m:{channel}:{ts}:e{edited}" if edited else f"m:{channel}:{ts}",
        addressed=addressed,
        reply_to=thread if thread != ts else None,
        edits=f"m:{channel}:{ts}" if edited else "",
        hint=_hint(message) if addressed and not text and not edited else "",
    )


def _hint(message: Body) -> str:
    """The answer to a message without text."""
    files, attachments = message.get("files"), message.get("attachments")
    if isinstance(files, list) and files:
        return f"I cannot read files or listen to recordings. {_WRITE}"
    if isinstance(attachments, list) and attachments:
        return f"A message that you share does not count as your request. {_WRITE}"
    return ""


def quoted_message(messages: object, ts: str, account: OwnAccount) -> QuotedMessage | None:
    """The message `ts` among `messages` and its author; None if it is the bot's own, or missing."""
    candidates = [_mapping(each) for each in messages] if isinstance(messages, list) else []
    message = next((each for each in candidates if each.get("ts") == ts), {})
    user, text = _text(message, "user"), strip_markup(_text(message, "text")).strip()
    if not text or user == account.user_id:
        return None
    is_program = any(message.get(key) for key in ("bot_id", "bot_profile", "app_id"))
    team = next(filter(None, (_text(message, key) for key in ("user_team", "team"))), account.team)
    return QuotedMessage(text, make_identity(team, user) if user and not is_program else "")


def delivery_kind(body: Body) -> str:
    """The kind of a delivery for the log, without user data."""
    kind = body.get("type")
    return kind if isinstance(kind, str) and _KIND.fullmatch(kind) else "?"


def command_message(body: Body, account: OwnAccount, direct: str | None) -> IncomingMessage | None:
    """The message of a slash command; `direct` is the bot's direct conversation with its sender.

    It is set if the command was typed in a direct conversation. Slack has no message for a command, so its trigger's id
    is used as the message id.
    """
    user, channel, trigger = _text(body, "user_id"), _text(body, "channel_id"), _text(body, "trigger_id")
    if body.get("team_id") != account.team or not user or not trigger:
        return None
    if direct is None and channel not in account.channels:
        return None
    return IncomingMessage(
        identity=make_identity(account.team, user),
        place=Place(SURFACE, direct or channel, None, private=direct is not None),
        text=strip_markup(_text(body, "text")).strip(),
        message_id=f"s:{trigger}",
        dedup=f"s:{trigger}",
        addressed=True,
        name=one_line(_text(body, "user_name"), 60),
    )


def button_press(body: Body, account: OwnAccount) -> ButtonPress | None:
    """The button pressed in a ``block_actions`` payload, if it is a card's."""
    actions = body.get("actions")
    action = _mapping(actions[0] if isinstance(actions, list) and actions else None)
    container = _mapping(body.get("container"))
    message, user = _mapping(body.get("message")), _mapping(body.get("user"))
    channel = _text(_mapping(body.get("channel")), "id") or _text(container, "channel_id")
    ts = _text(container, "message_ts")
    button, trigger = _text(action, "value"), _text(body, "trigger_id") or _text(action, "action_ts")
    if not (button and trigger and is_ts(ts) and _is_served(channel, account) and sender_identity(body, account)):
        return None
    thread = _text(message, "thread_ts") or _text(container, "thread_ts") or None
    return ButtonPress(
        identity=make_identity(account.team, _text(user, "id")),
        place=Place(SURFACE, channel, thread if thread != ts else None, channel.startswith("D")),
        button=button,
        message_id=ts,
        dedup=f"c:{trigger}:{_text(user, 'id')}:{_text(action, 'action_id')}",
        name=one_line(_text(user, "username") or _text(user, "name"), 60),
    )


def sender_identity(body: Body, account: OwnAccount) -> str | None:
    """The identity behind an interaction; None if the person is of another workspace (security.md 8)."""
    user, team = _mapping(body.get("user")), _mapping(body.get("team"))
    user_team = _text(user, "team_id") or _text(team, "id")
    if not _text(user, "id") or user_team != account.team or _text(team, "id") not in ("", account.team):
        return None
    return make_identity(account.team, _text(user, "id"))


def press_metadata(press: ButtonPress) -> str:
    """A press as the private metadata of the form that it opens; Slack stores at most 3000 characters.

    https://docs.slack.dev/reference/views/modal-views
    """
    return json.dumps({"button": press.button, "message": press.message_id, "place": press.place.to_json()})


def form_press(body: Body, account: OwnAccount) -> ButtonPress | None:
    """The press that opened a form, with the text typed into it."""
    view, metadata, identity = _mapping(body.get("view")), _metadata(body), sender_identity(body, account)
    place = _place(metadata, account)
    if identity is None or place is None or not _text(view, "id") or not _text(metadata, "button"):
        return None
    text = field_text(body)
    return ButtonPress(
        identity, place, _text(metadata, "button"), _text(metadata, "message"), f"v:{view['id']}", text, _name(body)
    )


def shortcut_metadata(body: Body, account: OwnAccount, direct: str | None) -> str:
    """Where a shortcut's message is, as the private metadata of its form.

    Outside the channels that the bot is set up for it is `direct`, the bot's direct conversation with the person.
    """
    message = _mapping(body.get("message"))
    channel, ts = _text(_mapping(body.get("channel")), "id"), _text(message, "ts") or _text(body, "message_ts")
    if channel in account.channels or channel == direct:
        private = channel == direct
        place = Place(SURFACE, channel, _text(message, "thread_ts") or (None if private else ts), private)
        return json.dumps({"place": place.to_json(), "message": ts})
    return json.dumps({"place": Place(SURFACE, direct or "", None, private=True).to_json(), "message": ""})


def shortcut_message(body: Body, account: OwnAccount) -> IncomingMessage | None:
    """The request from the form of the message shortcut."""
    view, metadata, identity = _mapping(body.get("view")), _metadata(body), sender_identity(body, account)
    place = _place(metadata, account)
    if identity is None or place is None or not _text(view, "id"):
        return None
    key = f"v:{view['id']}"
    return IncomingMessage(
        identity, place, field_text(body), _text(metadata, "message") or key, key, addressed=True, name=_name(body)
    )


def text_payload(text: str, extras: Extras) -> dict[str, Any]:
    """A text as the payload of a message, with its mentions and buttons.

    A mention is ``<@USER>``; a block holds at most 25 buttons, and their labels have at most 75 characters.

    https://docs.slack.dev/messaging/formatting-message-text#mentioning-users
    https://docs.slack.dev/reference/block-kit/blocks/actions-block
    """
    markup = escape(text)
    for name, identity in extras.mentions:
        markup = re.sub(rf"(?<!\w){re.escape(escape(name))}(?!\w)", f"<@{user_id_of(identity)}>", markup, count=1)
    buttons = [
        {
            "type": "button",
            "text": {"type": "plain_text", "text": truncate(label, MAX_LABEL), "emoji": False},
            "action_id": id_,
            "value": id_,
        }
        for label, id_ in extras.choices[:MAX_BUTTONS]
    ]
    if not buttons:
        return {
            "text": markup,
            **({"mrkdwn": True} if extras.mentions else {}),
        }  # without it a mention stays plain text
    section = {"type": "section", "text": {"type": "mrkdwn", "text": markup, "verbatim": True}}
    return {"text": markup, "blocks": [section, {"type": "actions", "elements": buttons}]}


def field_text(body: Body) -> str:
    """The text of a submitted form's only field; forms contain plain text without markup."""
    state = _mapping(_mapping(body.get("view")).get("state"))
    field = _mapping(_mapping(_mapping(state.get("values")).get(FIELD)).get(FIELD))
    return _text(field, "value").strip()


def _metadata(body: Body) -> Body:
    try:
        return _mapping(json.loads(_text(_mapping(body.get("view")), "private_metadata") or "null"))
    except (ValueError, RecursionError):
        return {}


def _place(metadata: Body, account: OwnAccount) -> Place | None:
    """The place in a form's metadata, if the bot still serves it."""
    place = _mapping(metadata.get("place"))
    channel, thread = _text(place, "channel"), _text(place, "thread") or None
    if not _is_served(channel, account) or (thread is not None and not is_ts(thread)):
        return None
    return Place(SURFACE, channel, thread, channel.startswith("D"))


def _is_served(channel: str, account: OwnAccount) -> bool:
    return channel.startswith("D") or channel in account.channels


def _is_foreign(body: Body, event: Body, account: OwnAccount) -> bool:
    """Whether any of Slack's fields for the sender's workspace names another one than ours."""
    teams = [event.get(key) for key in ("team", "user_team", "source_team")]
    return body.get("team_id") != account.team or any(team not in (None, "", account.team) for team in teams)


def _is_person(message: Body, user: str, account: OwnAccount) -> bool:
    is_program = any(message.get(key) for key in ("bot_id", "bot_profile", "app_id")) or user in (
        account.user_id,
        "USLACKBOT",
    )
    return bool(user) and not is_program and message.get("subtype") in _PERSONAL_SUBTYPES


def _without_mention(text: str, bot: str) -> tuple[str, bool]:
    """The text without mentions of the bot, and whether there was one."""
    parts = re.split(rf"<@{re.escape(bot)}(?:\|[^>]*)?>", text)
    return remove_mentions(parts), len(parts) > 1


def _name(body: Body) -> str:
    user = _mapping(body.get("user"))
    return one_line(_text(user, "username") or _text(user, "name"), 60)


def _mapping(value: object) -> Body:
    return value if isinstance(value, Mapping) else {}


def _text(body: Body, key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""
