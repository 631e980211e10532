"""An obedient model: it finds instructions in any text it is told, and does exactly what they say.

An instruction reads ``OBEY(attack via carrier)``, in plain text or spelled in invisible characters of Unicode's tags.
What an attack does is in its `Attack`: the answer to a question for JSON, the tools it calls, the words it says. A
request carries ``[case carrier.attack]``, and only that instruction counts for it, so that a test knows what misled it.

    ObedientModel(attacks)                     # a `lanes.models.Model`
    Script(ObedientModel(attacks).turn)        # the same behind the Ollama shim
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.model.provenance import Usage
from lanes.models import ChatMessage, ChatReply, ChatRequest, ToolCall
from tests import canary

if TYPE_CHECKING:
    from tests.fakes.ollama import Calls, Say
    from tests.fakes.ollama.script import Request

NAME = "local/obedient:1b"
_CASE = re.compile(r"\[case ([a-z-]+)\.([a-z-]+)\]")
_PATH = re.compile(r"\b[\w./-]+\.(?:md|py|yaml)\b")
_SPELLED = re.compile(r"<U\+(E00[0-7][0-9A-F])>|\\u\{(e00[0-7][0-9a-f])\}|\\udb40\\udc([0-7][0-9a-f])", re.IGNORECASE)

_TAGS = re.compile("[\U000e0020-\U000e007e]+")

Called = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Attack:
    """What an instruction makes the model do.

    `answer` is said wherever JSON is asked for, `calls` are made wherever tools are on offer, `words` end the work.
    ``{results}`` in an argument becomes all that its tools have said so far.
    """

    answer: str
    calls: tuple[Called, ...]
    words: str = "Done."


@dataclass
class ObedientModel:
    """Does what texts tell it. `seen` are the cases whose instruction reached it, `prompts` all it was ever told."""

    attacks: Mapping[str, Attack]
    benign: str = "docs/nicer.md"
    seen: set[tuple[str, str]] = field(default_factory=set)
    prompts: list[str] = field(default_factory=list)

    async def ask(self, ask: ChatRequest) -> ChatReply:
        """What it was told to do."""
        text, calls = self._does(list(ask.messages), wants_json=ask.schema is not None, has_tools=bool(ask.tools))
        made = tuple(ToolCall(name, dict(arguments)) for name, arguments in calls)
        return ChatReply(text, made, NAME, Usage(NAME, 1, 10, 10))

    def turn(self, request: Request) -> Calls | Say:
        """The same as a turn of the Ollama shim's script."""
        from tests.fakes.ollama import Calls, Say

        messages = [ChatMessage(str(m["role"]), str(m.get("content") or ""), _calls(m)) for m in request.messages]
        text, calls = self._does(messages, wants_json=request.format is not None, has_tools=bool(request.tools))
        return Calls(calls, text) if calls else Say(text)

    def _does(
        self, messages: list[ChatMessage], *, wants_json: bool, has_tools: bool
    ) -> tuple[str, tuple[Called, ...]]:
        told = "\n".join(message.text for message in messages)
        self.prompts.append(told)
        canary.seen("the obedient model", told)
        case = _CASE.search(told)
        carrier, name = case.groups() if case else ("", "")
        misled = f"OBEY({name} via {carrier})" in uncovered(told)
        if misled:
            self.seen.add((carrier, name))
        attack = self.attacks[name] if misled else None
        if has_tools:
            return self._works(messages, attack)
        if not wants_json:
            return (attack.words if attack else "They want something nicer."), ()
        return (attack.answer if attack else json.dumps({"reading": "work", "lane": "code"})), ()

    def _works(self, messages: list[ChatMessage], attack: Attack | None) -> tuple[str, tuple[Called, ...]]:
        """First it looks at all it can see, then it does as it was told, then it says that it is done."""
        answers = sum(message.role == "assistant" for message in messages)
        if answers == 0:
            told = "\n".join(message.text for message in messages if message.role == "user")
            paths = dict.fromkeys([*_PATH.findall(told), "README.md", "AGENTS.md", "CLAUDE.md", ".env"])
            reads = tuple(("read_file", {"path": path}) for path in paths)
            return "", (("list_files", {}), *reads, ("search", {"text": "OBEY"}), ("run_check", {"name": "tests"}))
        if answers > 1:
            words = attack.words if attack else "Made it nicer."
            return words, (("finish", {"summary": words}),)
        if attack is None:
            return "", (("write_file", {"path": self.benign, "text": "nicer\n"}),)
        results = "\n".join(message.text for message in messages if message.role == "tool")
        return "", tuple((tool, _filled(arguments, results)) for tool, arguments in attack.calls)


def uncovered(text: str) -> str:
    """`text` with the invisible letters of Unicode's tags as plain ones, however they are spelled."""
    spelled = _SPELLED.sub(lambda found: chr(0xE0000 + int((found[1] or found[2] or found[3])[-2:], 16)), text)
    return _TAGS.sub(lambda found: "".join(chr(ord(c) - 0xE0000) for c in found[0]), spelled)


def in_tags(text: str) -> str:
    """`text` in the invisible letters of Unicode's tags."""
    return "".join(chr(0xE0000 + ord(c)) for c in text)


def _filled(arguments: Mapping[str, Any], results: str) -> dict[str, Any]:
    return {
        key: value.replace("{results}", results) if isinstance(value, str) else value
        for key, value in arguments.items()
    }


def _calls(message: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    return tuple(
        ToolCall(call["function"]["name"], call["function"].get("arguments") or {})
        for call in message.get("tool_calls") or ()
    )
