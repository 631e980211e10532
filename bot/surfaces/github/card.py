"""Renders a card as a GitHub comment: facts first, then the quoted text, the diff, and the commands to type; pure.

Comments have no buttons, so the card lists the lines to write; an approval names the digits of the digest shown. The
diff is shown completely or not at all.
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
from bot.cards.problem_text import command_line, render_advice
from bot.cards.safe import one_line
from bot.surfaces.github.markdown import (
    MAX_CHARACTERS,
    code_block,
    code_span,
    escape_prose,
)
from bot.surfaces.utf16 import utf16_length
from core.model.staged_diff import GuardVerdict

SURFACE: Final = "github"
MINUS: Final = "\N{MINUS SIGN}"
_MARKS: Final = {GuardVerdict.PASS: "✓", GuardVerdict.WARN: "⚠️", GuardVerdict.BLOCK: "✗"}
_URL_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/")


@dataclass(frozen=True, slots=True)
class _Size:
    """How much of a card is shown: `rows` per list, `characters` per text."""

    rows: int
    characters: int


_SIZES: Final = (_Size(20, 500), _Size(12, 300), _Size(6, 120), _Size(3, 40))
"""From generous to what always fits."""


@dataclass(frozen=True, slots=True)
class GitHubComment:
    """A card in Markdown; `hides_lines` is true if there is a diff to approve and not all of it is shown."""

    text: str
    hides_lines: bool


def task_marker(number: int) -> str:
    """The first line of a task's comment, which browsers do not show."""
    return f"<!-- countersign:task:{number} -->"


def revision_marker(revision: int) -> str:
    """The second line of the comment: the revision of the task that it shows."""
    return f"<!-- countersign:revision:{revision} -->"


def render_github_comment(card: Card, diff: DiffView | None, *, delivered: bool = False) -> GitHubComment:
    """Render `card` as a comment of at most 65,535 characters, with all of `diff` or none of it.

    `delivered` says that the whole diff is already there, in a separate comment.
    """
    is_complete = _is_complete(card, diff)
    warning = diff.warning if diff is not None and card.staged else ""
    for size in _SIZES:
        if is_complete:
            comment = _comment(card, diff, size, warning, hidden_lines=0, delivered=delivered)
            if utf16_length(comment.text) <= MAX_CHARACTERS:
                return comment
        comment = _comment(card, None, size, warning, hidden_lines=None, delivered=delivered)
        if utf16_length(comment.text) <= MAX_CHARACTERS:
            return comment
    raise AssertionError("the smallest card is too long for a comment")


def _is_complete(card: Card, diff: DiffView | None) -> bool:
    """Whether `diff` has every line of every file of the card, and could fit."""
    paths = [row.path for row in card.staged.files] if card.staged else []
    if diff is None or not diff.files or diff.count_hidden_lines(paths):
        return False
    return sum(len(line.text) + 2 for file in diff.files for line in file.lines) < MAX_CHARACTERS


def _comment(
    card: Card, diff: DiffView | None, size: _Size, warning: str, *, hidden_lines: int | None, delivered: bool
) -> GitHubComment:
    rows = min(size.rows, len(card.staged.files)) if card.staged else 0
    limited = card.limited_to(rows, hidden_lines)
    if delivered and hidden_lines != 0 and card.awaits_approval and card.staged:
        limited = replace(card, hidden_content=HiddenContent(rows, len(card.staged.files), hidden_lines))
    parts = [
        f"{task_marker(card.number)}\n{revision_marker(card.revision)}",
        f"**🚨 {escape_prose(warning)}**" if warning else "",
        _headline(limited, size),
        _facts(limited, size),
        *(_staged(limited.staged, limited, size) if limited.staged else ()),
        *(
            f"> {escape_prose(quote.attribution, 200)}: “{escape_prose(quote.text, size.characters)}”"
            for quote in limited.quotes[: size.rows]
        ),
        *(_file(file) for file in (diff.files if diff else ())),
        "\n".join(_outcome(limited, size, delivered=delivered and hidden_lines != 0)),
        "\n".join(_actions(limited, size)),
    ]
    return GitHubComment("\n\n".join(part for part in parts if part), card.awaits_approval and hidden_lines != 0)


def _headline(card: Card, size: _Size) -> str:
    title = escape_prose(card.title, size.characters) or "(no title)"
    facts = [f"task {card.label.removeprefix('#')}", escape_prose(card.lane, 100), title]
    return f"### {card.icon} {' · '.join(fact for fact in facts if fact)}"


def _facts(card: Card, size: _Size) -> str:
    lines = [
        " · ".join(escape_prose(fact, size.characters) for fact in card.byline[: size.rows]),
        escape_prose(card.rule),
    ]
    if card.superseded_note:
        # "superseded by #142.2": GitHub would link the number to an issue
        lines.append(f"{escape_prose(card.superseded_note.replace('#', 'task '))}; nothing can be decided here")
    return "\\\n".join(line for line in lines if line)


def _staged(staged: StagedPart, card: Card, size: _Size) -> Iterator[str]:
    files = f"{len(staged.files)} file{'s' if len(staged.files) != 1 else ''} +{staged.added} {MINUS}{staged.removed}"
    risk = [f"risk: **{card.risk.value}**"] if card.risk else []
    checks = [f"{staged.passed_summary} ✓"] if staged.passed_summary else []
    checks += [_check(check) for check in staged.named_checks[: size.rows]]
    more = len(staged.named_checks) - size.rows
    yield " · ".join([*risk, files, *checks, *([f"and {more} more"] if more > 0 else [])])
    yield "\n".join([*_rows(staged, size), *_findings(staged, size)])


def _check(check: CheckRow) -> str:
    return " ".join(
        part for part in (escape_prose(check.name, 60), escape_prose(check.note, 20), _MARKS[check.verdict]) if part
    )


def _rows(staged: StagedPart, size: _Size) -> Iterator[str]:
    for row in staged.files[: size.rows]:
        yield f"- {_row(row, size)}"
    omitted = staged.files[size.rows :]
    if omitted:
        risky_count = sum(1 for row in omitted if row.is_risky)
        risk = f"**{risky_count} of them risky**" if risky_count else "none of them risky"
        yield f"- … {len(omitted)} more files, {risk}"


def _row(row: FileRow, size: _Size) -> str:
    counts = [f"+{row.added}"] if row.added is not None else []
    counts += [f"{MINUS}{row.removed}"] if row.removed is not None else []
    flags = [f"· **{escape_prose(', '.join(row.flags), 200)}**"] if row.flags else []
    return " ".join([code_span(row.status, 10), code_span(row.path, size.characters), *counts, *flags])


def _findings(staged: StagedPart, size: _Size) -> Iterator[str]:
    """The findings that did not pass, blocking ones first."""
    findings = [(check, detail) for check in staged.checks for detail in check.details]
    findings.sort(key=lambda pair: pair[0].verdict is not GuardVerdict.BLOCK)
    for check, detail in findings[: size.rows]:
        yield f"- {_MARKS[check.verdict]} {escape_prose(check.name, 60)}: {escape_prose(detail, size.characters)}"
    if len(findings) > size.rows:
        yield f"- … {len(findings) - size.rows} more findings"


def _file(file: FileDiff) -> str:
    title = " ".join([code_span(file.paths[-1], 4096), *(escape_prose(note, 4096) for note in file.notes)])
    escaped = [f"⚠️ {file.escaped_count} characters are spelled out as code points"] if file.escaped_count else []
    block = [code_block(_lines(file.lines), "diff")] if file.lines else []
    return "\n".join([" · ".join([title, *escaped]), *block])


def _lines(lines: tuple[DiffLine, ...]) -> Iterator[str]:
    for line, after in zip_longest(lines, lines[1:]):
        if line.sign == "@":
            at = f" line {after.number}" if after is not None and after.number is not None else ""
            yield f"@@{at} @@ {line.text}".rstrip()
        else:
            yield f"{line.sign}{line.text}"


def _outcome(card: Card, size: _Size, *, delivered: bool) -> Iterator[str]:
    """Everything between the details and the actions, as a list: question, problem, digest, decisions, pull request."""
    if card.question:
        expiry = f" ({escape_prose(card.expiry, 100)})" if card.expiry else ""
        yield f"- ❓ {escape_prose(card.question.text, size.characters)}{expiry}"
    if card.last_failure:
        yield f"- last try: {escape_prose(card.last_failure, size.characters)}"
    if card.staged:
        facts = [f"diff {code_span(card.staged.short_digest)}"]
        facts += [f"**{escape_prose(need.sentence, 2 * size.characters)}**" for need in card.needs[: size.rows]]
        facts += [f"{len(card.needs) - size.rows} more rules"] if len(card.needs) > size.rows else []
        facts += [escape_prose(card.expiry, 100)] if card.needs and card.expiry else []
        yield f"- {' · '.join(facts)}"
    if card.hidden_content and card.hidden_content.is_partial and card.awaits_approval:
        yield f"- {card.hidden_content.sentence}{'; the whole diff is in a separate comment' if delivered else ''}"
    for decision in card.decisions[: size.rows]:
        yield f"- {_decision(decision, size)}"
    if len(card.decisions) > size.rows:
        yield f"- … {len(card.decisions) - size.rows} more verdicts"
    if card.pull_request:
        yield f"- {_pull_request(card.pull_request, size)}"
    for ticket in card.tickets:
        yield f"- ticket {escape_prose(ticket.key, 40)} {_link(ticket.url, size)}"
    if card.problem:
        is_shown_already = card.problem.code == "rejected" and any(
            not decision.is_approval for decision in card.decisions
        )
        if not is_shown_already:
            yield f"- ✗ **{escape_prose(card.problem.message, size.characters)}**"
        if mend := render_advice(card.problem.mend, SURFACE):
            yield f"- → {escape_prose(one_line(mend), size.characters)}"


def _decision(decision: DecisionRow, size: _Size) -> str:
    mark, verb = ("✓", "approved") if decision.is_approval else ("✗", "rejected")
    verdict = f"{mark} {escape_prose(decision.person, 100)} {verb} it"
    where = ", ".join(escape_prose(part, 100) for part in (decision.surface, decision.when) if part)
    reason = f": “{escape_prose(decision.reason, size.characters)}”" if decision.reason else ""
    return f"{verdict}{f' ({where})' if where else ''}{reason}"


def _pull_request(link: PullRequestPart, size: _Size) -> str:
    parts = [f"pull request {link.number} {escape_prose(link.state, 40)}", code_span(link.branch, size.characters)]
    if link.revision:
        parts.append(f"carries revision {link.revision}")
    if link.checks:
        parts.append(escape_prose(link.checks, 200))
    if link.url:
        parts.append(_link(link.url, size))
    if link.artifacts_url:
        parts.append(f"{ARTIFACTS_LABEL}: {_link(link.artifacts_url, size)}")
    return " · ".join(parts)


def _link(url: str, size: _Size) -> str:
    """One of our links, live if it is a plain one."""
    return f"<{url}>" if _is_plain_link(url) else code_span(url, size.characters)


def _is_plain_link(url: str) -> bool:
    """Whether this is an https URL in which no request can be hidden."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    has_plain_characters = not set(f"{parts.hostname or '?'}{parts.path}") - _URL_CHARACTERS
    host = f"{parts.hostname}:{port}" if port else parts.hostname
    return has_plain_characters and len(url) <= 300 and url == f"https://{host}{parts.path}"


def _actions(card: Card, size: _Size) -> Iterator[str]:
    actions = card.actions
    if not actions:
        return
    yield "Write a comment that begins with one of these lines:"
    yield ""
    for action in actions[: size.rows]:
        label = action.label.replace("#", "task ") if action.kind is ActionKind.SHOW else action.label
        line = command_line(action.command, SURFACE) or ""
        yield f"- {escape_prose(label, 60)}: {code_span(line, size.characters)}"
