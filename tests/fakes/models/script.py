"""Scripts for fake models: what a program asked, in one form for all protocols, and what it is answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One question: the tools on offer with their schemas, what tools answered so far, and all text of the talk."""

    protocol: str
    model: str
    tools: Mapping[str, Any]
    results: tuple[str, ...]
    text: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Say:
    """The model speaks, and its turn ends."""

    text: str


@dataclass(frozen=True)
class Do:
    """The model calls a tool."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    text: str = "I work."


@dataclass(frozen=True)
class Fault:
    """The server fails: ``status`` (with a code), ``hang``, ``cut`` (in the middle of a stream), ``garbage``,
    ``silent`` (a good start, then nothing), ``endless`` (a good start, and then more and more of the same),
    ``redirect``, ``dead`` (the connection is closed).
    """

    kind: str
    status: int = 500
    text: str = "the fake is told to fail"


Answer = Say | Do | Fault
Script = Callable[[Asked], Answer]

# By the tools of each program: how its shell is called.
_SHELLS: dict[str, Callable[[str], Mapping[str, Any]]] = {
    "Bash": lambda command: {"command": command, "description": "work"},
    "exec_command": lambda command: {"cmd": command},
    "run_shell_command": lambda command: {"command": command, "description": "work"},
    "bash": lambda command: {"command": command, "description": "work"},
}


def shell(asked: Asked, command: str) -> Answer:
    """A command, run by the shell that the program offers."""
    for name, arguments in _SHELLS.items():
        if name in asked.tools:
            known = (asked.tools[name] or {}).get("properties", {})
            given = arguments(command)
            return Do(name, {key: value for key, value in given.items() if not known or key in known})
    raise AssertionError(f"{asked.protocol}: no shell among {sorted(asked.tools)}")


def finish(asked: Asked, text: str = "All done.") -> Answer:
    """The end of the work, as the program wants to hear it."""
    if set(asked.tools) == {"bash"}:  # mini-swe-agent ends with a command
        return Do("bash", {"command": "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"}, text)
    return Say(text)


def edits_by_text(asked: Asked) -> bool:
    """True for aider, whose edits are text."""
    return not asked.tools and "SEARCH/REPLACE" in asked.text


def runs(*commands: str, text: str = "All done.") -> Script:
    """Commands one after another, then the end; a question without tools is a title or the like."""

    def script(asked: Asked) -> Answer:
        if not asked.tools:
            return Say("A title")
        done = len(asked.results)
        return shell(asked, commands[done]) if done < len(commands) else finish(asked, text)

    return script


def writes(path: str, content: str, text: str = "All done.") -> Script:
    """A new file, by whatever way the program has."""
    command = f"mkdir -p ./{path.rpartition('/')[0]} && printf %s {_quoted(content)} > {path}"
    by_shell = runs(command, text=text)

    def script(asked: Asked) -> Answer:
        if edits_by_text(asked):
            return Say(f"I add it.\n\n{path}\n```\n<<<<<<< SEARCH\n=======\n{content}>>>>>>> REPLACE\n```\n")
        if "Write" in asked.tools and not asked.results:
            return Do("Write", {"file_path": f"/work/{path}", "content": content})
        return by_shell(asked)

    return script


def always(answer: Answer) -> Script:
    """The same answer to everything."""
    return lambda _asked: answer


def after(n: int, first: Script, then: Script) -> Script:
    """`first` for the questions before the `n`th tool result, `then` from there on."""
    return lambda asked: first(asked) if len(asked.results) < n else then(asked)


def in_turn(answers: Sequence[Script]) -> Script:
    """One script for each question that comes, the last one again and again."""
    asked_so_far = 0

    def script(asked: Asked) -> Answer:
        nonlocal asked_so_far
        asked_so_far += 1
        return answers[min(asked_so_far, len(answers)) - 1](asked)

    return script


def dumped(arguments: Mapping[str, Any]) -> str:
    """Arguments as protocols carry them."""
    return json.dumps(dict(arguments))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
