"""Finds commands at the start of a line, and mentions, in a comment as GitHub would display it.

A real Markdown parser decides what is a paragraph and what is code, a quote or HTML (security.md 48). Each possible
command or mention is marked before parsing; only marks that come out as plain text of top-level paragraphs count. A
mark begins like a word, as ``/`` and ``@`` do for Markdown, so it changes nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import islice
from typing import TYPE_CHECKING, Final

from bot.commands.table import NAMES
from bot.surfaces.mention import remove_mentions

if TYPE_CHECKING:
    from markdown_it.token import Token

MAX_CHARACTERS: Final = 65_536
"""GitHub stores no longer comment; a longer text is not read."""
MAX_COMMANDS: Final = 10
"""Commands read from one comment."""
COMMANDS: Final = frozenset(NAMES)
"""Words after a ``/`` that are commands; ``/etc/hosts`` at the start of a line is not one."""

_FOOTER: Final = re.compile(r"--\s*|_{20,}|-{3,} ?Original Message ?-{3,}|Reply to this email directly\b.*")
_ATTRIBUTIONS: Final = (
    ("On ", "wrote:"),
    ("Am ", "schrieb:"),
    ("Le ", "a écrit :"),
    ("El ", "escribió:"),
    ("Il ", "ha scritto:"),
)
"""How mail programs introduce the mail that they quote, possibly split into two or three lines."""
_VOID_TAGS: Final = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)


@dataclass(frozen=True, slots=True)
class GitHubInput:
    """The input in a comment; empty if it does not address the bot.

    Each of `commands` includes the lines up to the next one. Without commands, `mention` is the text around a mention
    of the bot, or ``help`` if there is none.
    """

    commands: tuple[str, ...] = ()
    mention: str = ""


def find_input(body: str, name: str, commands: Collection[str] = COMMANDS) -> GitHubInput:
    """The input in `body`; `name` is the bot's login without ``[bot]``; if empty, it cannot be mentioned."""
    if len(body) > MAX_CHARACTERS or not ("/" in body or "@" in body):
        return GitHubInput()
    lines = body.split("\n")
    mention = re.compile(rf"(?<![\w/@.`-]){re.escape('@' + name)}(?:\[bot\])?(?![\w/-])", re.IGNORECASE)
    command = re.compile(rf" {{0,3}}(?:{mention.pattern}[,:]?[ \t]+)?/([A-Za-z_]+)(?=\s|$)", re.IGNORECASE)
    if not name:
        mention, command = re.compile(r"(?!)"), re.compile(r" {0,3}/([A-Za-z_]+)(?=\s|$)")
    matches = [command.match(line) for line in lines]
    starts = [n for n, match in enumerate(matches) if match and match[1].lower() in commands]
    if not starts and not mention.search(body):
        return GitHubInput()
    lines = lines[: _footer_line(lines)]
    command_lines = _plain_lines(lines, [n for n in starts if n < len(lines)])
    if command_lines:
        ends = [*command_lines[1:], len(lines)]
        texts = ["\n".join(lines[start:end]).strip() for start, end in zip(command_lines, ends, strict=True)]
        commands_found = (mention.sub("", text, count=1).lstrip(" ,:\t") if text[0] == "@" else text for text in texts)
        return GitHubInput(commands=tuple(islice(commands_found, MAX_COMMANDS)))
    return GitHubInput(mention=_text_of_mention("\n".join(lines), mention))


def _plain_lines(lines: Sequence[str], starts: Sequence[int]) -> list[int]:
    """The numbers among `starts` whose lines begin a line of a top-level paragraph."""
    mark = _unused_word("\n".join(lines))
    marked = list(lines)
    for n in starts:
        indent = len(lines[n]) - len(lines[n].lstrip(" "))
        marked[n] = f"{lines[n][:indent]}{mark}{n}x{lines[n][indent:]}"
    survivors = re.compile(rf"{mark}(\d+)x")
    plain = []
    for text, starts_line in _plain_text(_parse_markdown("\n".join(marked))):
        match = survivors.match(text) if starts_line else None
        if match:
            plain.append(int(match[1]))
    footnotes = _footnotes(lines)
    return [n for n in plain if n not in footnotes]


def _footnotes(lines: Sequence[str]) -> set[int]:
    """The lines of footnotes, which GitHub displays elsewhere."""
    lines_of_notes, is_inside = set(), False
    for n, line in enumerate(lines):
        is_inside = bool(line.strip()) and (is_inside or line.lstrip(" ").startswith("[^"))
        if is_inside:
            lines_of_notes.add(n)
    return lines_of_notes


def _text_of_mention(body: str, mention: re.Pattern[str]) -> str:
    """`body` without mentions of the bot; empty if none of them is in plain text."""
    mark = _unused_word(body)
    places = [match.span() for match in mention.finditer(body)]
    marked, at = [], 0
    for n, (start, _) in enumerate(places):
        marked += [body[at:start], f"{mark}{n}x"]
        at = start
    survivors = re.compile(rf"{mark}(\d+)x")
    tokens = _parse_markdown("".join([*marked, body[at:]]))
    plain = {int(n) for text, _ in _plain_text(tokens) for n in survivors.findall(text)}
    if not plain:
        return ""
    rest, at = [], 0
    for start, end in (places[n] for n in sorted(plain)):
        rest.append(body[at:start])
        at = end
    return remove_mentions([*rest, body[at:]]) or "help"


def _unused_word(body: str) -> str:
    """A word that does not occur in `body`."""
    n = 0
    while f"qzmark{n}y" in body:
        n += 1
    return f"qzmark{n}y"


def _parse_markdown(body: str) -> list[Token]:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(body)


def _plain_text(tokens: Sequence[Token]) -> Iterator[tuple[str, bool]]:
    """The plain text of top-level paragraphs, each part with whether it starts a line.

    Text within emphasis, a link, code, a quote, a list, a table or an open HTML element is left out.
    """
    html = _HtmlDepth()
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "html_block" and token.level == 0:
            html.feed(token.content)
        if token.type != "inline" or before is None or before.type != "paragraph_open" or before.level:
            continue
        nesting, starts_line = 0, True
        for child in token.children or ():
            nesting += child.nesting
            if child.type == "html_inline":
                html.feed(child.content)
            if child.type == "text" and not nesting and not html.depth:
                yield child.content, starts_line
            if child.type != "text" or child.content:
                starts_line = child.type in ("softbreak", "hardbreak")


class _HtmlDepth(HTMLParser):
    """Counts the open HTML elements; one that is never closed stays open to the end."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.depth = 0

    def feed(self, data: str) -> None:
        """Read more HTML; the library fails at some declarations, and what it cannot read stays open."""
        try:
            super().feed(data)
        except (AssertionError, ValueError, LookupError):
            self.reset()
            self.depth += 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.depth += tag not in _VOID_TAGS

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)  # browsers treat "<div/>" as an opening tag

    def handle_endtag(self, tag: str) -> None:
        self.depth -= bool(self.depth) and tag not in _VOID_TAGS


def _footer_line(lines: Sequence[str]) -> int:
    """The line where a mail footer or quoted mail begins; the number of lines if there is none."""
    code: set[int] = set()
    for token in _parse_markdown("\n".join(lines)):
        if token.type in ("fence", "code_block", "html_block") and token.map:
            code.update(range(*token.map))
    for n, line in enumerate(lines):
        if n in code:
            continue
        if _FOOTER.fullmatch(line):
            return n
        for start, end in _ATTRIBUTIONS:
            if line.startswith(start) and any(near.rstrip().endswith(end) for near in lines[n : n + 3]):
                return n
    return len(lines)
