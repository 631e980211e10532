"""What Slack delivers, read into `IncomingMessage` and `ButtonPress`; pure.

Who may speak and what it means are decided elsewhere. The shapes are those of
https://docs.slack.dev/reference/events and https://docs.slack.dev/reference/interaction-payloads. What does not have
them, or is not for us, is None.
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
"""The callback id of the form that asks for the words a button still wants."""
FIELD: Final = "words"
"""Block id and action id of a form's one field."""
MAX_BUTTONS: Final = 25
MAX_LABEL: Final = 75
_SPOKEN: Final = (None, "file_share", "thread_broadcast")
"""Subtypes of messages that people write; every other is a notice, or somebody's program."""
_KIND: Final = re.compile(r"[a-z_]{1,40}")
_WRITE: Final = "Write what to change, such as `set server.timeout to 30 in config/app.yaml`."
_TS: Final = re.compile(r"\d{1,12}\.\d{1,9}")

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """Who we are on Slack: the one workspace, our own user there, and the channels in which we listen."""

    team: str
    bot: str
    channels: Collection[str]


def is_well_formed(body: object) -> bool:
    """Whether a body has the outline of something that Slack delivers; bolt trips over some that have not."""
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
        return isinstance(actions, list) and bool(actions) and all(isinstance(one, Mapping) for one in actions)
    wanted = {"event_callback": "event", "view_submission": "view", "view_closed": "view"}.get(kind or "")
    return wanted is None or isinstance(body.get(wanted), Mapping)


def is_ts(value: object) -> bool:
    """True for the id of a message; other ids of ours name things that Slack has no message for."""
    return isinstance(value, str) and _TS.fullmatch(value) is not None


def make_identity(team: str, user: str) -> str:
    """The immutable id of a person on Slack: user ids are unique only together with their workspace."""
    return f"{team}/{user}"


def user_id_of(identity: str) -> str:
    """The user part of an identity."""
    return identity.rpartition("/")[2]


def event_message(body: Body, ours: OwnAccount) -> IncomingMessage | None:
    """The message of a ``message`` or ``app_mention`` event, when a person of our workspace wrote it where we listen.

    The same message arrives as both kinds, and again in retries: its `dedup` is made of channel and time alone. An edit
    counts as another message, and only when the new words speak to us.
    """
    event = _mapping(body.get("event"))
    channel, edited = _text(event, "channel"), ""
    private = event.get("channel_type") == "im" or channel.startswith("D")
    said = event
    if event.get("type") == "message" and event.get("subtype") == "message_changed":
        said, before = _mapping(event.get("message")), _mapping(event.get("previous_message"))
        edited = _text(_mapping(said.get("edited")), "ts")
        if not edited or said.get("text") == before.get("text"):
            return None  # an unfurled link, or a new reply in its thread
    else:
        edited = _text(_mapping(event.get("edited")), "ts")
    user, ts = _text(said, "user"), _text(said, "ts")
    foreign = _foreign(body, event, ours) or _foreign(body, said, ours)
    if foreign or not is_ts(ts) or not _is_person(said, user, ours) or not (private or channel in ours.channels):
        return None
    text, mentioned = _without_mention(_text(said, "text"), ours.bot)
    thread = _text(said, "thread_ts") or None
    addressed = private or mentioned or (said.get("parent_user_id") == ours.bot and not edited)
    if not addressed and (thread in (None, ts) or edited):
        return None  # talk among people
    return IncomingMessage(
        identity=make_identity(ours.team, user),
        place=Place(SURFACE, channel, thread or (None if private else ts), private),
        text=strip_markup(text),
        message_id=ts,
        dedup=f"m:{channel}:{ts}:e{edited}" if edited else f"m:{channel}:{ts}",
        addressed=addressed,
        reply_to=thread if thread != ts else None,
        edits=f"m:{channel}:{ts}" if edited else "",
        hint=_hint(said) if addressed and not text and not edited else "",
    )


def _hint(said: Body) -> str:
    """What to say to a message without words."""
    files, attachments = said.get("files"), said.get("attachments")
    if isinstance(files, list) and files:
        return f"I cannot read files or listen to recordings. {_WRITE}"
    if isinstance(attachments, list) and attachments:
        return f"A message that you share is not your request. {_WRITE}"
    return ""


def quoted_message(messages: object, ts: str, ours: OwnAccount) -> QuotedMessage | None:
    """The words of the message `ts` among `messages` and whose they are; None where they are ours, or none."""
    found = [_mapping(one) for one in messages] if isinstance(messages, list) else []
    said = next((one for one in found if one.get("ts") == ts), {})
    user, text = _text(said, "user"), strip_markup(_text(said, "text")).strip()
    if not text or user == ours.bot:
        return None
    machine = any(said.get(key) for key in ("bot_id", "bot_profile", "app_id"))
    team = next(filter(None, (_text(said, key) for key in ("user_team", "team"))), ours.team)
    return QuotedMessage(text, make_identity(team, user) if user and not machine else "")


def delivery_kind(body: Body) -> str:
    """The kind of a delivery for the log, which has no words of people."""
    kind = body.get("type")
    return kind if isinstance(kind, str) and _KIND.fullmatch(kind) else "?"


def command_message(body: Body, ours: OwnAccount, direct: str | None) -> IncomingMessage | None:
    """A slash command's words; `direct` is our direct message with its writer, set when it was typed in one.

    Slack has no message for it: the id that stands in for one is its trigger's.
    """
    user, channel, trigger = _text(body, "user_id"), _text(body, "channel_id"), _text(body, "trigger_id")
    if body.get("team_id") != ours.team or not user or not trigger:
        return None
    if direct is None and channel not in ours.channels:
        return None
    return IncomingMessage(
        identity=make_identity(ours.team, user),
        place=Place(SURFACE, direct or channel, None, private=direct is not None),
        text=strip_markup(_text(body, "text")).strip(),
        message_id=f"s:{trigger}",
        dedup=f"s:{trigger}",
        addressed=True,
        name=one_line(_text(body, "user_name"), 60),
    )


def button_press(body: Body, ours: OwnAccount) -> ButtonPress | None:
    """The button pressed in a ``block_actions`` payload, when it is one of a card's."""
    actions = body.get("actions")
    action = _mapping(actions[0] if isinstance(actions, list) and actions else None)
    container = _mapping(body.get("container"))
    message, user = _mapping(body.get("message")), _mapping(body.get("user"))
    channel = _text(_mapping(body.get("channel")), "id") or _text(container, "channel_id")
    ts = _text(container, "message_ts")
    button, moment = _text(action, "value"), _text(body, "trigger_id") or _text(action, "action_ts")
    if not (button and moment and is_ts(ts) and _listens(channel, ours) and sender_identity(body, ours)):
        return None
    thread = _text(message, "thread_ts") or _text(container, "thread_ts") or None
    return ButtonPress(
        identity=make_identity(ours.team, _text(user, "id")),
        place=Place(SURFACE, channel, thread if thread != ts else None, channel.startswith("D")),
        button=button,
        message_id=ts,
        dedup=f"c:{moment}:{_text(user, 'id')}:{_text(action, 'action_id')}",
        name=one_line(_text(user, "username") or _text(user, "name"), 60),
    )


def sender_identity(body: Body, ours: OwnAccount) -> str | None:
    """The identity behind an interaction; None when the person is of another workspace (security.md 8)."""
    user, team = _mapping(body.get("user")), _mapping(body.get("team"))
    of = _text(user, "team_id") or _text(team, "id")
    if not _text(user, "id") or of != ours.team or _text(team, "id") not in ("", ours.team):
        return None
    return make_identity(ours.team, _text(user, "id"))


def press_metadata(said: ButtonPress) -> str:
    """A click as the private metadata of the form it opens; Slack keeps at most 3000 characters of it.

    https://docs.slack.dev/reference/views/modal-views
    """
    return json.dumps({"button": said.button, "message": said.message_id, "place": said.place.to_json()})


def form_press(body: Body, ours: OwnAccount) -> ButtonPress | None:
    """The click that opened a form, with the words that were typed into it."""
    view, kept, who = _mapping(body.get("view")), _kept(body), sender_identity(body, ours)
    place = _place(kept, ours)
    if who is None or place is None or not _text(view, "id") or not _text(kept, "button"):
        return None
    words = field_text(body)
    return ButtonPress(who, place, _text(kept, "button"), _text(kept, "message"), f"v:{view['id']}", words, _name(body))


def shortcut_metadata(body: Body, ours: OwnAccount, direct: str | None) -> str:
    """Where a shortcut's message is, as the private metadata of its form; where we do not listen, `direct`.

    `direct` is our direct message with the person who used it.
    """
    message = _mapping(body.get("message"))
    channel, ts = _text(_mapping(body.get("channel")), "id"), _text(message, "ts") or _text(body, "message_ts")
    if channel in ours.channels or channel == direct:
        private = channel == direct
        place = Place(SURFACE, channel, _text(message, "thread_ts") or (None if private else ts), private)
        return json.dumps({"place": place.to_json(), "message": ts})
    return json.dumps({"place": Place(SURFACE, direct or "", None, private=True).to_json(), "message": ""})


def shortcut_message(body: Body, ours: OwnAccount) -> IncomingMessage | None:
    """What somebody asked for in the form of the message shortcut."""
    view, kept, who = _mapping(body.get("view")), _kept(body), sender_identity(body, ours)
    place = _place(kept, ours)
    if who is None or place is None or not _text(view, "id"):
        return None
    key = f"v:{view['id']}"
    return IncomingMessage(
        who, place, field_text(body), _text(kept, "message") or key, key, addressed=True, name=_name(body)
    )


def text_payload(text: str, extras: Extras) -> dict[str, Any]:
    """Words as the payload of a message, with the mentions and the buttons that they carry.

    A mention is ``<@USER>``; at most 25 buttons stand in one block, and their labels have at most 75 characters.

    https://docs.slack.dev/messaging/formatting-message-text#mentioning-users
    https://docs.slack.dev/reference/block-kit/blocks/actions-block
    """
    said = escape(text)
    for name, identity in extras.mentions:
        said = re.sub(rf"(?<!\w){re.escape(escape(name))}(?!\w)", f"<@{user_id_of(identity)}>", said, count=1)
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
        return {"text": said, **({"mrkdwn": True} if extras.mentions else {})}  # without it a mention is only text
    section = {"type": "section", "text": {"type": "mrkdwn", "text": said, "verbatim": True}}
    return {"text": said, "blocks": [section, {"type": "actions", "elements": buttons}]}


def field_text(body: Body) -> str:
    """What stands in a submitted form's one field; forms carry plain words, without markup."""
    state = _mapping(_mapping(body.get("view")).get("state"))
    field = _mapping(_mapping(_mapping(state.get("values")).get(FIELD)).get(FIELD))
    return _text(field, "value").strip()


def _kept(body: Body) -> Body:
    try:
        return _mapping(json.loads(_text(_mapping(body.get("view")), "private_metadata") or "null"))
    except (ValueError, RecursionError):
        return {}


def _place(kept: Body, ours: OwnAccount) -> Place | None:
    """The place kept in a form, if it still is one where we listen."""
    found = _mapping(kept.get("place"))
    channel, thread = _text(found, "channel"), _text(found, "thread") or None
    if not _listens(channel, ours) or (thread is not None and not is_ts(thread)):
        return None
    return Place(SURFACE, channel, thread, channel.startswith("D"))


def _listens(channel: str, ours: OwnAccount) -> bool:
    return channel.startswith("D") or channel in ours.channels


def _foreign(body: Body, event: Body, ours: OwnAccount) -> bool:
    """True when any of Slack's ways to name the writer's workspace names another than ours."""
    named = [event.get(key) for key in ("team", "user_team", "source_team")]
    return body.get("team_id") != ours.team or any(team not in (None, "", ours.team) for team in named)


def _is_person(said: Body, user: str, ours: OwnAccount) -> bool:
    machine = any(said.get(key) for key in ("bot_id", "bot_profile", "app_id")) or user in (ours.bot, "USLACKBOT")
    return bool(user) and not machine and said.get("subtype") in _SPOKEN


def _without_mention(text: str, bot: str) -> tuple[str, bool]:
    """The text without the mentions of us, and whether there was one."""
    parts = re.split(rf"<@{re.escape(bot)}(?:\|[^>]*)?>", text)
    return remove_mentions(parts), len(parts) > 1


def _name(body: Body) -> str:
    user = _mapping(body.get("user"))
    return one_line(_text(user, "username") or _text(user, "name"), 60)


def _mapping(value: object) -> Body:
    return value if isinstance(value, Mapping) else {}


def _text(of: Body, key: str) -> str:
    value = of.get(key)
    return value if isinstance(value, str) else ""
