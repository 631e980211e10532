"""What is told about the commands: help in chat, and the page of the documentation; both from the one table."""

from __future__ import annotations

import re
from typing import Final

from bot.cards.wording import command_prefix
from bot.commands.table import COMMANDS, FIRST, MORE, NAMES, CommandSpec

_OPTION: Final = re.compile(r" \[--[^\]]*\]")
_PLAINLY: Final = "Say in plain words what to change; a card shows what becomes of it."
_NUMBERS: Final = "N is a task's number, such as 12. In answer to its card, or in its thread, leave it out."


def help_text(topic: str | None, surface: str) -> str:
    """What can be said on `surface`: the first commands, with ``more`` all, about one command how it is written."""
    start, word = command_prefix(surface), (topic or "").lower().removeprefix("/")
    spec = NAMES.get(word)
    if spec is not None:
        return f"{start}{_usage(spec)}\n{spec.help}\nFor example: {start}{spec.example.removeprefix('/')}"
    if word == MORE:
        lines = [f"{start}{_usage(spec)}: {spec.help}" for spec in COMMANDS]
        return "\n".join([f"{_PLAINLY} {_NUMBERS}", *lines])
    lines = [f"{start}{_OPTION.sub('', _usage(spec))}: {spec.help}" for spec in FIRST if spec.name != "help"]
    return "\n".join([_PLAINLY, *lines, f"{_NUMBERS} Everything else: {start}help {MORE}"])


def commands_page() -> str:
    """`docs/commands.md`."""
    rows = [f"| `{_line(spec).replace('|', '&#124;')}` | {spec.help} |" for spec in COMMANDS]
    rows = [row.replace("`/", "`/").replace("&#124;", "\\|") for row in rows]
    examples = "\n".join(spec.example for spec in COMMANDS)
    return f"{_BEFORE}\n| command | what it does |\n|---|---|\n" + "\n".join(rows) + f"\n{_AFTER}{examples}\n```\n"


def _line(spec: CommandSpec) -> str:
    return f"/{_usage(spec)}"


def _usage(spec: CommandSpec) -> str:
    return f"{spec.name} {spec.usage}".strip()


_BEFORE = """\
# Commands

The same words work on every surface. They are read in one place, `bot/commands/`; this page is made from its table.

Without a slash, what you write to the bot (a mention, a direct message) is a request, and what you write in answer to
a task's card or in its thread is a reply. `N` is a task's number, `12` or `#12`; in such a place it may be left out.

Every message of ours stays bound to its task, for ever: an older card, a file, an answer. Where you answer none of them
and leave the number out, the only open task of that place is meant; where several are open, you are asked which.
"""

_AFTER = """
- After a mention the slash may be left out: `@countersign approve 12 9c1e04ab77d2e85b1f36`. It is a command only if
  all of it fits one; "undo the change of the title" is a request. `approve` and `reject` are always commands.
- Slack's own slash command takes the same words: `/countersign approve 12 9c1e04ab77d2e85b1f36`. In a Telegram group,
  `/task@your_bot …` is meant for that bot alone.
- Options stand before or after the text, never within it, and their values may be quoted: `--repo "web"`. `in repo web`
  at the end says the same. A lone `--` before the text says that all of it is text: `/reply 12 -- 2 lines too many`.
- A misspelt command is never taken for a request: you are told which one it is nearest to. A command with invisible or
  look-alike characters is refused.
- Hunks are counted through the whole diff, files in the order of their paths: `/pick 12 1,3-5`, `/pick 12 docs/a.md`,
  `/pick 12 not 4`. In a task's thread the number needs its `#`: `/pick #12 1,3`. Who picks is an author of what is
  left, and may not approve it.
- `/approve` takes the digest's first 20 digits or more, where the whole diff was shown.
- Words that ask for nothing (thanks, praise, a greeting, an approval in words) make no task and change none. A reply
  that cannot be read, or that policy refuses, leaves its task as it is; you are told why.
- `/link CODE` names the account that asks to speak as you; `/link CODE yes` confirms it, `/unlink` takes it away.
- In `/every`, the time in quotes and the zone are those of [recurring requests](schedules.md).

```text title="one example each"
"""
