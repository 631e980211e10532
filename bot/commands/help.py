"""Help texts of the commands: the help in chat and the page of the documentation, both generated from the table."""

from __future__ import annotations

import re
from typing import Final

from bot.cards.problem_text import command_prefix
from bot.commands.table import COMMANDS, FIRST, MORE, NAMES, CommandSpec

_OPTION: Final = re.compile(r" \[--[^\]]*\]")
_INTRODUCTION: Final = "Say in plain words what to change; a card shows the result."
_NUMBERS: Final = "N is a task's number, such as 12. Leave it out when you reply to its card or write in its thread."


def help_text(topic: str | None, surface: str) -> str:
    """The help for `surface`: the first commands, all with ``more``, or one command by name."""
    prefix, word = command_prefix(surface), (topic or "").lower().removeprefix("/")
    spec = NAMES.get(word)
    if spec is not None:
        return f"{prefix}{_usage(spec)}\n{spec.help}\nFor example: {prefix}{spec.example.removeprefix('/')}"
    if word == MORE:
        lines = [f"{prefix}{_usage(spec)}: {spec.help}" for spec in COMMANDS]
        return "\n".join([f"{_INTRODUCTION} {_NUMBERS}", *lines])
    lines = [f"{prefix}{_OPTION.sub('', _usage(spec))}: {spec.help}" for spec in FIRST if spec.name != "help"]
    return "\n".join([_INTRODUCTION, *lines, f"{_NUMBERS} Everything else: {prefix}help {MORE}"])


def commands_page() -> str:
    """The contents of `docs/commands.md`."""
    rows = [f"| `{_line(spec).replace('|', '&#124;')}` | {spec.help} |" for spec in COMMANDS]
    rows = [row.replace("`/", "`/").replace("&#124;", "\\|") for row in rows]
    examples = "\n".join(spec.example for spec in COMMANDS)
    return (
        f"{_PAGE_HEAD}\n| command | what it does |\n|---|---|\n" + "\n".join(rows) + f"\n{_PAGE_FOOT}{examples}\n```\n"
    )


def _line(spec: CommandSpec) -> str:
    return f"/{_usage(spec)}"


def _usage(spec: CommandSpec) -> str:
    return f"{spec.name} {spec.usage}".strip()


_PAGE_HEAD = """\
# Commands

The same commands work on every surface. `bot/commands/` reads them; this page is generated from its table.

Without a slash, what you write to the bot (a mention, a direct message) is a request, and what you write as a reply to
a task's card or in its thread is a reply to it. `N` is a task's number, `12` or `#12`; you may leave it out there.

Every message of the bot stays bound to its task permanently: an older card, a file, an answer. If you reply to none of
them and leave the number out, the bot uses the only open task of that place; if several are open, it asks which one.
"""

_PAGE_FOOT = """
- After a mention you may leave out the slash: `@countersign approve 12 9c1e04ab77d2e85b1f36`. It is a command only if
  the whole line fits one; "undo the change of the title" is a request. `approve` and `reject` are always commands.
- Slack's own slash command takes the same words: `/countersign approve 12 9c1e04ab77d2e85b1f36`. In a Telegram group,
  `/task@your_bot …` is for that bot only.
- Options go before or after the text, never within it, and their values may be quoted: `--repo "web"`. `in repo web`
  at the end means the same. A lone `--` before the text makes all of it text: `/reply 12 -- 2 lines too many`.
- A misspelt command is never treated as a request: the bot suggests the closest one. A command with invisible or
  look-alike characters is refused.
- Hunks are numbered through the whole diff, files in the order of their paths: `/pick 12 1,3-5`, `/pick 12 docs/a.md`,
  `/pick 12 not 4`. In a task's thread the number needs its `#`: `/pick #12 1,3`. Picking makes you an author of the
  result, which you may then not approve.
- `/approve` needs at least the digest's first 20 digits, and that the whole diff was shown.
- Words that ask for nothing (thanks, praise, a greeting, an approval in words) create no task and change none. A reply
  that cannot be read, or that policy refuses, leaves its task unchanged; the bot says why.
- `/link CODE` names the account that asks to speak as you; `/link CODE yes` confirms it, `/unlink` removes it.
- In `/every`, the time in quotes and the zone are those of [recurring requests](schedules.md).

```text title="one example each"
"""
