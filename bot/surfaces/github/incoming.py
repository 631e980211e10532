"""What in a comment speaks to us: commands at the start of a line, and mentions, as GitHub would show them.

A real Markdown parser says what is a paragraph and what is code, a quote or HTML (security.md 48). Each place that
could speak gets a mark before it is parsed; only the marks that come out as plain words of the page's own paragraphs
count. A mark begins like a word, as ``/`` and ``@`` do for Markdown, so it changes nothing else.
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
"""GitHub keeps no longer comment; a longer text is not read."""
MAX_COMMANDS: Final = 10
"""Commands taken from one comment; who wants more writes another."""
COMMANDS: Final = frozenset(NAMES)
"""Words after a ``/`` that are commands; ``/etc/hosts`` at the start of a line is none."""

_FOOTER: Final = re.compile(r"--\s*|_{20,}|-{3,} ?Original Message ?-{3,}|Reply to this email directly\b.*")
_ATTRIBUTIONS: Final = (
    ("On ", "wrote:"),
    ("Am ", "schrieb:"),
    ("Le ", "a écrit :"),
    ("El ", "escribió:"),
    ("Il ", "ha scritto:"),
)
"""How a mail program introduces the mail it quotes, perhaps broken into two or three lines."""
_VOID: Final = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)


@dataclass(frozen=True, slots=True)
class GitHubInput:
    """What a comment says to us; nothing when it does not speak to us.

    Each of `commands` comes with the lines up to the next one. Without any, `mention` has the words beside a mention
    of us, or ``help`` where there are none.
    """

    commands: tuple[str, ...] = ()
    mention: str = ""


def find_input(body: str, name: str, commands: Collection[str] = COMMANDS) -> GitHubInput:
    """What `body` says to us; `name` is our login, without ``[bot]``; empty: nobody can mention us."""
    if len(body) > MAX_CHARACTERS or not ("/" in body or "@" in body):
        return GitHubInput()
    lines = body.split("\n")
    mention = re.compile(rf"(?<![\w/@.`-]){re.escape('@' + name)}(?:\[bot\])?(?![\w/-])", re.IGNORECASE)
    command = re.compile(rf" {{0,3}}(?:{mention.pattern}[,:]?[ \t]+)?/([A-Za-z_]+)(?=\s|$)", re.IGNORECASE)
    if not name:
        mention, command = re.compile(r"(?!)"), re.compile(r" {0,3}/([A-Za-z_]+)(?=\s|$)")
    found = [command.match(line) for line in lines]
    starts = [n for n, match in enumerate(found) if match and match[1].lower() in commands]
    if not starts and not mention.search(body):
        return GitHubInput()
    lines = lines[: _footer(lines)]
    kept = _commands(lines, [n for n in starts if n < len(lines)])
    if kept:
        ends = [*kept[1:], len(lines)]
        texts = ["\n".join(lines[start:end]).strip() for start, end in zip(kept, ends, strict=True)]
        ours = (mention.sub("", text, count=1).lstrip(" ,:\t") if text[0] == "@" else text for text in texts)
        return GitHubInput(commands=tuple(islice(ours, MAX_COMMANDS)))
    return GitHubInput(mention=_mentioned("\n".join(lines), mention))


def _commands(lines: Sequence[str], starts: Sequence[int]) -> list[int]:
    """Those of the lines `starts` that begin a line of a plain paragraph."""
    mark = _mark("\n".join(lines))
    marked = list(lines)
    for n in starts:
        indent = len(lines[n]) - len(lines[n].lstrip(" "))
        marked[n] = f"{lines[n][:indent]}{mark}{n}x{lines[n][indent:]}"
    survivors = re.compile(rf"{mark}(\d+)x")
    kept = []
    for words, starts_line in _plain(_parsed("\n".join(marked))):
        match = survivors.match(words) if starts_line else None
        if match:
            kept.append(int(match[1]))
    footnotes = _footnotes(lines)
    return [n for n in kept if n not in footnotes]


def _footnotes(lines: Sequence[str]) -> set[int]:
    """The lines of footnotes' paragraphs, which GitHub shows elsewhere, if at all."""
    found, inside = set(), False
    for n, line in enumerate(lines):
        inside = bool(line.strip()) and (inside or line.lstrip(" ").startswith("[^"))
        if inside:
            found.add(n)
    return found


def _mentioned(body: str, mention: re.Pattern[str]) -> str:
    """`body` without the mentions of us, or nothing when none of them is among plain words."""
    mark = _mark(body)
    places = [match.span() for match in mention.finditer(body)]
    marked, at = [], 0
    for n, (start, _) in enumerate(places):
        marked += [body[at:start], f"{mark}{n}x"]
        at = start
    survivors = re.compile(rf"{mark}(\d+)x")
    tokens = _parsed("".join([*marked, body[at:]]))
    kept = {int(n) for words, _ in _plain(tokens) for n in survivors.findall(words)}
    if not kept:
        return ""
    rest, at = [], 0
    for start, end in (places[n] for n in sorted(kept)):
        rest.append(body[at:start])
        at = end
    return remove_mentions([*rest, body[at:]]) or "help"


def _mark(body: str) -> str:
    """A word that `body` does not have."""
    n = 0
    while f"qzmark{n}y" in body:
        n += 1
    return f"qzmark{n}y"


def _parsed(body: str) -> list[Token]:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(body)


def _plain(tokens: Sequence[Token]) -> Iterator[tuple[str, bool]]:
    """The plain words of the page's own paragraphs, each with whether it starts a line.

    Words within emphasis, a link, code, a quote, a list, a table or an open HTML element are not among them.
    """
    html = _Html()
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


class _Html(HTMLParser):
    """Counts the HTML elements that are open; one that is never closed stays open to the end."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.depth = 0

    def feed(self, data: str) -> None:
        """Read on; the library gives up at some declarations, and what it cannot read stays open."""
        try:
            super().feed(data)
        except (AssertionError, ValueError, LookupError):
            self.reset()
            self.depth += 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.depth += tag not in _VOID

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)  # to a browser "<div/>" only opens

    def handle_endtag(self, tag: str) -> None:
        self.depth -= bool(self.depth) and tag not in _VOID


def _footer(lines: Sequence[str]) -> int:
    """The line where a mail program's footer, or the mail that it quotes, begins; all lines where there is none."""
    code: set[int] = set()
    for token in _parsed("\n".join(lines)):
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
