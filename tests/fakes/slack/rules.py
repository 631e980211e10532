"""What Slack refuses, as its documentation says and as people have met it: the local program would take it all.

Each rule names Slack's own error. Sources: https://docs.slack.dev/reference/block-kit/blocks (and its elements),
https://docs.slack.dev/reference/block-kit/composition-objects/text-object, https://docs.slack.dev/reference/views,
https://github.com/slackapi/bolt-js/issues/2509 and /2867 (the sum of a message's blocks). slack_sdk's own models are
asked as well: they know limits of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block

MAX_TOTAL = 13_200
STYLES = {"bold", "italic", "strike", "code", "underline"}
PINGS = re.compile(r"<(?:[@#!]|[a-z]+:)")
"""What Slack makes a mention or a link of in a text that it reads for markup."""
ELEMENTS = {
    "button": {"type", "text", "action_id", "value", "style", "url", "confirm", "accessibility_label"},
    "plain_text_input": {
        *("type", "action_id", "initial_value", "multiline", "min_length", "max_length"),
        *("dispatch_action_config", "focus_on_load", "placeholder"),
    },
}
BLOCKS = {
    "header": {"type", "block_id", "text"},
    "section": {"type", "block_id", "text", "fields", "accessory", "expand"},
    "context": {"type", "block_id", "elements"},
    "actions": {"type", "block_id", "elements"},
    "divider": {"type", "block_id"},
    "rich_text": {"type", "block_id", "elements"},
    "input": {"type", "block_id", "label", "element", "hint", "optional", "dispatch_action"},
}
RICH = ("rich_text_section", "rich_text_preformatted", "rich_text_quote", "rich_text_list")
RICH_LEAVES = {
    "text": {"type", "text", "style"},
    "link": {"type", "url", "text", "style", "unsafe"},
    "emoji": {"type", "name", "unicode", "style"},
}


class RefusedBySlackError(Exception):
    """Slack's error, and what it is about."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(f"{error}: {detail}")
        self.error, self.detail = error, detail


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def check_message(arguments: dict[str, Any]) -> None:
    blocks, text = arguments.get("blocks"), arguments.get("text")
    if not blocks and not text:
        raise RefusedBySlackError("no_text", "neither text nor blocks")
    if text is not None and (not isinstance(text, str) or units(text) > 40_000):
        raise RefusedBySlackError("msg_too_long", "text")
    if blocks:
        if not text:
            raise RefusedBySlackError("missing_text_in_message", "blocks want a text beside them, for notifications")
        check_blocks(blocks, 50, surface="message")


def check_blocks(blocks: Any, most: int, *, surface: str) -> None:
    if not isinstance(blocks, list) or len(blocks) > most:
        raise RefusedBySlackError("invalid_blocks", f"more than {most} blocks, or no list")
    if surface == "message" and units(json.dumps(blocks, ensure_ascii=False, separators=(",", ":"))) > MAX_TOTAL:
        raise RefusedBySlackError("msg_blocks_too_long", "the sum of all blocks")
    seen: dict[str, set[str]] = {"block_id": set(), "action_id": set()}
    for block in blocks:
        _block(block, surface)
        for key, value in _ids(block):
            if value in seen[key]:
                raise RefusedBySlackError("invalid_blocks", f"{key} {value!r} twice")
            seen[key].add(value)


def check_view(view: Any) -> None:
    if not isinstance(view, dict) or view.get("type") not in ("modal", "home"):
        raise RefusedBySlackError("invalid_arguments", "view.type")
    if len(json.dumps(view)) > 250_000:
        raise RefusedBySlackError("view_too_large", "250 kB")
    check_blocks(view.get("blocks"), 100, surface=view["type"])
    for key, most in (("private_metadata", 3000), ("callback_id", 255)):
        if units(view.get(key, "")) > most:
            raise RefusedBySlackError("invalid_arguments", f"view.{key} is over {most}")
    if view["type"] == "modal":
        for key in ("title", "submit", "close"):
            if key in view or key == "title":
                _plain(view.get(key), 24, f"view.{key}")
        if any(block["type"] == "input" for block in view["blocks"]) and "submit" not in view:
            raise RefusedBySlackError("invalid_arguments", "a modal with inputs wants a submit")


WAITS_FOR = re.compile(r"#\d+ waits for ")
MENTION = re.compile(r"<@U[A-Z0-9]+>")


def pings_in(payload: dict[str, Any]) -> list[str]:
    """What in a message would ping someone or link under other words, but for the word to whom a task waits for."""
    text = str(payload.get("text") or "")
    if WAITS_FOR.match(text):
        text = MENTION.sub("", text)
    found = [f"text: {match}" for match in PINGS.findall(text)]
    found += [f"text: {payload['initial_comment']}"] if PINGS.search(str(payload.get("initial_comment") or "")) else []
    for block in payload.get("blocks") or ():
        for element in _walk(block):
            kind = element.get("type")
            if kind in ("user", "usergroup", "broadcast", "channel", "team", "date", "image", "video", "table"):
                found.append(f"element {kind}")
            if kind == "link" and element.get("text") not in (None, element.get("url")):
                found.append(f"link {element}")
            if kind in ("mrkdwn", "markdown") and (
                PINGS.search(element["text"]) or not element.get("verbatim") or "@" in element["text"]
            ):
                found.append(f"mrkdwn {element['text']!r}")
    if payload.get("link_names") or payload.get("parse") == "full":
        found.append("names are looked for")
    return found


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _walk(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _walk(inner)


def _ids(block: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for element in _walk(block):
        for key in ("block_id", "action_id"):
            if key in element:
                if not isinstance(element[key], str) or not 0 < units(element[key]) <= 255:
                    raise RefusedBySlackError("invalid_blocks", f"{key} {element[key]!r}")
                yield key, element[key]


def _block(block: Any, surface: str) -> None:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind not in BLOCKS or (kind == "input" and surface == "message"):
        raise RefusedBySlackError("invalid_blocks", f"block type {kind!r} in a {surface}")
    if set(block) - BLOCKS[kind]:
        raise RefusedBySlackError("invalid_blocks", f"{kind} has {sorted(set(block) - BLOCKS[kind])}")
    if kind == "header":
        _plain(block.get("text"), 150, "header")
    elif kind == "section":
        if "text" not in block and "fields" not in block:
            raise RefusedBySlackError("invalid_blocks", "section without text or fields")
        if "text" in block:
            _text(block["text"], 3000, "section")
    elif kind == "input":
        _plain(block.get("label"), 2000, "label")
        _element(block.get("element"), ("plain_text_input",))
    for element in _list(block, {"context": 10, "actions": 25, "rich_text": 1000}.get(kind, 0)):
        _part(kind, element)
    _asked_of_the_sdk(block)


def _part(kind: str, element: Any) -> None:
    if kind == "context":
        _text(element, 3000, "context")
    elif kind == "actions":
        _element(element, ("button",))
    else:
        _rich(element)


def _asked_of_the_sdk(block: dict[str, Any]) -> None:
    try:
        parsed = Block.parse(json.loads(json.dumps(block)))
        assert parsed is not None
        parsed.validate_json()
    except SlackObjectFormationError as error:
        raise RefusedBySlackError("invalid_blocks", str(error)) from error


def _list(block: dict[str, Any], most: int) -> list[Any]:
    if not most:
        return []
    elements = block.get("elements")
    if not isinstance(elements, list) or not 1 <= len(elements) <= most:
        raise RefusedBySlackError("invalid_blocks", f"{block['type']} has not 1 to {most} elements")
    return elements


def _element(element: Any, kinds: tuple[str, ...]) -> None:
    kind = element.get("type") if isinstance(element, dict) else None
    if kind not in kinds or set(element) - ELEMENTS[kind]:
        raise RefusedBySlackError("invalid_blocks", f"element {element!r}")
    if kind == "button":
        _plain(element.get("text"), 75, "button")
        if units(element.get("value", "")) > 2000 or element.get("style") not in (None, "primary", "danger"):
            raise RefusedBySlackError("invalid_blocks", "button value or style")
    elif not 0 <= units(element.get("initial_value", "")) <= element.get("max_length", 3000) <= 3000:
        raise RefusedBySlackError("invalid_arguments", "plain_text_input lengths")


def _rich(element: Any) -> None:
    kind = element.get("type") if isinstance(element, dict) else None
    if kind not in RICH or set(element) - {"type", "elements", "border", "style", "indent", "offset"}:
        raise RefusedBySlackError("invalid_blocks", f"rich text element {kind!r}")
    for leaf in element.get("elements") or ():
        leaf_kind = leaf.get("type")
        if kind == "rich_text_list":
            _rich(leaf)
            continue
        if leaf_kind not in RICH_LEAVES or set(leaf) - RICH_LEAVES[leaf_kind]:
            raise RefusedBySlackError("invalid_blocks", f"rich text leaf {leaf!r}")
        if leaf_kind == "text" and not (isinstance(leaf.get("text"), str) and leaf["text"]):
            raise RefusedBySlackError("invalid_blocks", "an empty rich text")
        if set(leaf.get("style", {})) - STYLES or not all(value is True for value in leaf.get("style", {}).values()):
            raise RefusedBySlackError("invalid_blocks", f"style {leaf.get('style')!r}")
        if kind == "rich_text_preformatted" and "style" in leaf:
            raise RefusedBySlackError("invalid_blocks", "style in preformatted text")


def _plain(text: Any, most: int, where: str) -> None:
    if not isinstance(text, dict) or text.get("type") != "plain_text":
        raise RefusedBySlackError("invalid_blocks", f"{where} is no plain_text")
    _text(text, most, where)


def _text(text: Any, most: int, where: str) -> None:
    if not isinstance(text, dict) or text.get("type") not in ("plain_text", "mrkdwn"):
        raise RefusedBySlackError("invalid_blocks", f"{where} is no text object")
    allowed = {"type", "text", "emoji"} if text["type"] == "plain_text" else {"type", "text", "verbatim"}
    if set(text) - allowed or not isinstance(text.get("text"), str) or not 1 <= units(text["text"]) <= most:
        raise RefusedBySlackError(
            "invalid_blocks", f"{where}: {set(text)}, {len(str(text.get('text')))} of {most} characters"
        )
