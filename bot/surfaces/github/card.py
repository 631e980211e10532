"""The card as a comment at GitHub: facts first, then the quoted words, the diff, and the commands to type; pure.

There are no buttons, so the card names the lines to write; an approval names the digits of the digest that it shows.
Of the diff all is shown or nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final
from urllib.parse import urlsplit

from bot.cards.diff import DiffLine, DiffView, FileDiff
from bot.cards.model import Card
from bot.cards.parts import (
    ARTIFACTS_LABEL,
    ActionKind,
    CheckRow,
    DecisionRow,
    FileRow,
    HiddenContent,
    PullRequestPart,
    StagedPart,
)
from bot.cards.safe import one_line
from bot.cards.wording import command_line, render_advice
from bot.surfaces.github.markdown import MAX_CHARACTERS, code_block, code_span, escape_prose, utf16_length
from core.model.staged_diff import GuardVerdict

SURFACE: Final = "github"
MINUS: Final = "\N{MINUS SIGN}"
_MARKS: Final = {GuardVerdict.PASS: "✓", GuardVerdict.WARN: "⚠️", GuardVerdict.BLOCK: "✗"}
_URL: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/")


@dataclass(frozen=True, slots=True)
class _Room:
    """How much of a card is shown: so many `rows` of anything, so many characters of one text."""

    rows: int
    characters: int


_ROOMS: Final = (_Room(20, 500), _Room(12, 300), _Room(6, 120), _Room(3, 40))
"""From generous to what fits for certain, whatever is in the card."""


@dataclass(frozen=True, slots=True)
class GitHubComment:
    """A card in Markdown; `hides` is true when there is a diff to approve and not every line of it is in here."""

    text: str
    hides: bool


def task_marker(number: int) -> str:
    """How the comment of a task begins; no browser shows it."""
    return f"<!-- countersign:task:{number} -->"


def revision_marker(revision: int) -> str:
    """The comment's second line: which revision of the task it shows."""
    return f"<!-- countersign:revision:{revision} -->"


def render_github_comment(card: Card, diff: DiffView | None, *, delivered: bool = False) -> GitHubComment:
    """`card` as a comment of at most 65,535 characters, with all of `diff` or nothing of it.

    `delivered` says that the whole diff is there already, in a comment of its own.
    """
    whole = _whole(card, diff)
    alarm = diff.alarm if diff is not None and card.staged else ""
    for room in _ROOMS:
        if whole:
            comment = _comment(card, diff, room, alarm, hidden_lines=0, delivered=delivered)
            if utf16_length(comment.text) <= MAX_CHARACTERS:
                return comment
        comment = _comment(card, None, room, alarm, hidden_lines=None, delivered=delivered)
        if utf16_length(comment.text) <= MAX_CHARACTERS:
            return comment
    raise AssertionError("the smallest card is too long for a comment")


def _whole(card: Card, diff: DiffView | None) -> bool:
    """Whether `diff` has every line of every file of the card, and could fit."""
    paths = [row.path for row in card.staged.files] if card.staged else []
    if diff is None or not diff.files or diff.hidden(paths):
        return False
    return sum(len(line.text) + 2 for file in diff.files for line in file.lines) < MAX_CHARACTERS


def _comment(
    card: Card, diff: DiffView | None, room: _Room, alarm: str, *, hidden_lines: int | None, delivered: bool
) -> GitHubComment:
    rows = min(room.rows, len(card.staged.files)) if card.staged else 0
    shown = card.showing(rows, hidden_lines)
    if delivered and hidden_lines != 0 and card.asks_for_approval and card.staged:
        shown = replace(card, hidden=HiddenContent(rows, len(card.staged.files), hidden_lines))
    parts = [
        f"{task_marker(card.number)}\n{revision_marker(card.revision)}",
        f"**🚨 {escape_prose(alarm)}**" if alarm else "",
        _headline(shown, room),
        _facts(shown, room),
        *(_staged(shown.staged, shown, room) if shown.staged else ()),
        *(
            f"> {escape_prose(quote.says, 200)}: “{escape_prose(quote.text, room.characters)}”"
            for quote in shown.quotes[: room.rows]
        ),
        *(_file(file) for file in (diff.files if diff else ())),
        "\n".join(_outcome(shown, room, delivered=delivered and hidden_lines != 0)),
        "\n".join(_actions(shown, room)),
    ]
    return GitHubComment("\n\n".join(part for part in parts if part), card.asks_for_approval and hidden_lines != 0)


def _headline(card: Card, room: _Room) -> str:
    title = escape_prose(card.title, room.characters) or "(no title)"
    facts = [f"task {card.label.removeprefix('#')}", escape_prose(card.lane, 100), title]
    return f"### {card.icon} {' · '.join(fact for fact in facts if fact)}"


def _facts(card: Card, room: _Room) -> str:
    lines = [
        " · ".join(escape_prose(fact, room.characters) for fact in card.byline[: room.rows]),
        escape_prose(card.law),
    ]
    if card.superseded:
        # "superseded by #142.2": the number sign would point at an issue
        lines.append(f"{escape_prose(card.superseded.replace('#', 'task '))}; nothing can be decided here")
    return "\\\n".join(line for line in lines if line)


def _staged(staged: StagedPart, card: Card, room: _Room) -> Iterator[str]:
    files = f"{len(staged.files)} file{'s' if len(staged.files) != 1 else ''} +{staged.added} {MINUS}{staged.removed}"
    risk = [f"risk: **{card.risk.value}**"] if card.risk else []
    checks = [f"{staged.passed} ✓"] if staged.passed else []
    checks += [_check(check) for check in staged.named[: room.rows]]
    more = len(staged.named) - room.rows
    yield " · ".join([*risk, files, *checks, *([f"and {more} more"] if more > 0 else [])])
    yield "\n".join([*_rows(staged, room), *_findings(staged, room)])


def _check(check: CheckRow) -> str:
    return " ".join(
        part for part in (escape_prose(check.name, 60), escape_prose(check.note, 20), _MARKS[check.verdict]) if part
    )


def _rows(staged: StagedPart, room: _Room) -> Iterator[str]:
    for row in staged.files[: room.rows]:
        yield f"- {_row(row, room)}"
    rest = staged.files[room.rows :]
    if rest:
        risky = sum(1 for row in rest if row.risky)
        yield f"- … {len(rest)} more files, {f'**{risky} of them risky**' if risky else 'none of them risky'}"


def _row(row: FileRow, room: _Room) -> str:
    counts = [f"+{row.added}"] if row.added is not None else []
    counts += [f"{MINUS}{row.removed}"] if row.removed is not None else []
    flags = [f"· **{escape_prose(', '.join(row.flags), 200)}**"] if row.flags else []
    return " ".join([code_span(row.status, 10), code_span(row.path, room.characters), *counts, *flags])


def _findings(staged: StagedPart, room: _Room) -> Iterator[str]:
    """What did not pass, the worst first."""
    found = [(check, detail) for check in staged.checks for detail in check.details]
    found.sort(key=lambda pair: pair[0].verdict is not GuardVerdict.BLOCK)
    for check, detail in found[: room.rows]:
        yield f"- {_MARKS[check.verdict]} {escape_prose(check.name, 60)}: {escape_prose(detail, room.characters)}"
    if len(found) > room.rows:
        yield f"- … {len(found) - room.rows} more findings"


def _file(file: FileDiff) -> str:
    title = " ".join([code_span(file.paths[-1], 4096), *(escape_prose(note, 4096) for note in file.notes)])
    strange = [f"⚠️ {file.strange} characters are spelled out as code points"] if file.strange else []
    block = [code_block(_lines(file.lines), "diff")] if file.lines else []
    return "\n".join([" · ".join([title, *strange]), *block])


def _lines(lines: tuple[DiffLine, ...]) -> Iterator[str]:
    for line, after in zip_longest(lines, lines[1:]):
        if line.sign == "@":
            at = f" line {after.number}" if after is not None and after.number is not None else ""
            yield f"@@{at} @@ {line.text}".rstrip()
        else:
            yield f"{line.sign}{line.text}"


def _outcome(card: Card, room: _Room, *, delivered: bool) -> Iterator[str]:
    """What stands between the card and its end, as a list: question, trouble, digest, verdicts, pull request."""
    if card.asked:
        expiry = f" ({escape_prose(card.expiry, 100)})" if card.expiry else ""
        yield f"- ❓ {escape_prose(card.asked.text, room.characters)}{expiry}"
    if card.hitch:
        yield f"- last try: {escape_prose(card.hitch, room.characters)}"
    if card.staged:
        facts = [f"diff {code_span(card.staged.short)}"]
        facts += [f"**{escape_prose(need.sentence, 2 * room.characters)}**" for need in card.needs[: room.rows]]
        facts += [f"{len(card.needs) - room.rows} more rules"] if len(card.needs) > room.rows else []
        facts += [escape_prose(card.expiry, 100)] if card.needs and card.expiry else []
        yield f"- {' · '.join(facts)}"
    if card.hidden and card.hidden.anything and card.asks_for_approval:
        yield f"- {card.hidden.sentence}{'; the whole diff is in a comment of its own' if delivered else ''}"
    for said in card.decided[: room.rows]:
        yield f"- {_verdict(said, room)}"
    if len(card.decided) > room.rows:
        yield f"- … {len(card.decided) - room.rows} more verdicts"
    if card.link:
        yield f"- {_pull_request(card.link, room)}"
    for ticket in card.tickets:
        yield f"- ticket {escape_prose(ticket.key, 40)} {_address(ticket.url, room)}"
    if card.trouble:
        told = card.trouble.code == "rejected" and any(not said.approved for said in card.decided)
        if not told:
            yield f"- ✗ **{escape_prose(card.trouble.message, room.characters)}**"
        if mend := render_advice(card.trouble.mend, SURFACE):
            yield f"- → {escape_prose(one_line(mend), room.characters)}"


def _verdict(said: DecisionRow, room: _Room) -> str:
    mark, verb = ("✓", "approved") if said.approved else ("✗", "rejected")
    words = f"{mark} {escape_prose(said.person, 100)} {verb} it"
    where = ", ".join(escape_prose(part, 100) for part in (said.surface, said.when) if part)
    reason = f": “{escape_prose(said.reason, room.characters)}”" if said.reason else ""
    return f"{words}{f' ({where})' if where else ''}{reason}"


def _pull_request(link: PullRequestPart, room: _Room) -> str:
    parts = [f"pull request {link.number} {escape_prose(link.state, 40)}", code_span(link.branch, room.characters)]
    if link.of_revision:
        parts.append(f"carries revision {link.of_revision}")
    if link.checks:
        parts.append(escape_prose(link.checks, 200))
    if link.url:
        parts.append(_address(link.url, room))
    if link.files:
        parts.append(f"{ARTIFACTS_LABEL}: {_address(link.files, room)}")
    return " · ".join(parts)


def _address(url: str, room: _Room) -> str:
    """An address of ours, live if it is a plain one."""
    return f"<{url}>" if _is_plain_link(url) else code_span(url, room.characters)


def _is_plain_link(url: str) -> bool:
    """True for an https address without anything that a request could be hidden in."""
    try:
        found = urlsplit(url)
        port = found.port
    except ValueError:
        return False
    plain = not set(f"{found.hostname or '?'}{found.path}") - _URL
    host = f"{found.hostname}:{port}" if port else found.hostname
    return plain and len(url) <= 300 and url == f"https://{host}{found.path}"


def _actions(card: Card, room: _Room) -> Iterator[str]:
    actions = card.actions
    if not actions:
        return
    yield "Write a comment that begins with one of these:"
    yield ""
    for action in actions[: room.rows]:
        label = action.label.replace("#", "task ") if action.kind is ActionKind.SHOW else action.label
        line = command_line(action.command, SURFACE) or ""
        yield f"- {escape_prose(label, 60)}: {code_span(line, room.characters)}"
