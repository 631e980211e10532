"""The lines of a Telegram card: each part of a card as styled pieces of bounded length; pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bot.cards.diff import DiffView
from bot.cards.model import Card
from bot.cards.parts import (
    ARTIFACTS_LABEL,
    CheckRow,
    DecisionRow,
    FileRow,
    HiddenContent,
    PullRequestPart,
    Quote,
    StagedPart,
)
from bot.cards.problem_text import capitalize, render_advice
from bot.cards.safe import one_line
from bot.surfaces.telegram.entities import Line, TextPiece, join_pieces, truncate, truncate_path
from core.model.staged_diff import GuardVerdict

SURFACE: Final = "telegram"
MAX_FINDINGS: Final = 6
_MAX_NAMED_CHECKS: Final = 8
_MARKS: Final = {GuardVerdict.PASS: "✓", GuardVerdict.WARN: "⚠️", GuardVerdict.BLOCK: "⛔"}
_LINK_PREFIX: Final = "https://"


def head_lines(card: Card, warning: str) -> Iterator[Line]:
    """The lines above the details: warning, title, risk, byline and rule."""
    if warning:
        yield [TextPiece(f"🚨 {warning}", "bold")]
    lane = f" {truncate(card.lane, 60)}" if card.lane else ""
    yield [
        TextPiece(f"{card.icon} {truncate(card.label, 30)}{lane} · "),
        TextPiece(truncate(card.title, 200) or "(no title)", "bold"),
    ]
    if card.superseded_note:
        yield [TextPiece(f"{truncate(card.superseded_note, 60)}; nothing can be decided here", "italic")]
    if card.risk:
        yield [TextPiece(f"risk: {card.risk.value}", "" if card.risk.value == "low" else "bold")]
    byline = " · ".join(fact for fact in card.byline if fact.strip())
    if byline:
        yield [TextPiece(truncate(byline, 300))]
    if card.rule:
        yield [TextPiece(truncate(card.rule, 200), "italic")]


def totals(staged: StagedPart) -> Iterator[TextPiece]:
    """The line that sums up the files and the checks."""
    count = len(staged.files)
    yield TextPiece(f"{count} file{'s' if count != 1 else ''} +{staged.added} \N{MINUS SIGN}{staged.removed}", "bold")
    if staged.passed_summary:
        yield TextPiece(f" · {staged.passed_summary} ✓")
    for check in staged.named_checks[:_MAX_NAMED_CHECKS]:
        note = f" {truncate(check.note, 20)}" if check.note else ""
        yield TextPiece(f" · {truncate(check.name, 30)}{note} {_MARKS[check.verdict]}")
    if len(staged.named_checks) > _MAX_NAMED_CHECKS:
        yield TextPiece(f" · and {len(staged.named_checks) - _MAX_NAMED_CHECKS} more")


def finding_lines(staged: StagedPart) -> Iterator[Line]:
    """The findings that did not pass, blocking ones first."""
    findings: list[tuple[CheckRow, str]] = [(check, detail) for check in staged.checks for detail in check.details]
    findings.sort(key=lambda finding: finding[0].verdict is not GuardVerdict.BLOCK)
    for check, detail in findings[:MAX_FINDINGS]:
        yield [TextPiece(f"{_MARKS[check.verdict]} {truncate(check.name, 30)}: {truncate(detail, 200)}")]
    if len(findings) > MAX_FINDINGS:
        yield [TextPiece(f"… {len(findings) - MAX_FINDINGS} more findings")]


def file_row(row: FileRow) -> Iterator[TextPiece]:
    """The line of one changed file."""
    counts = [f"+{row.added}"] if row.added is not None else []
    counts += [f"\N{MINUS SIGN}{row.removed}"] if row.removed is not None else []
    yield TextPiece(f"{'⚠️' if row.is_risky else '▫️'} ")
    yield TextPiece(truncate_path(row.path, 120), "code")
    yield TextPiece(" ".join(["", *counts]))
    notes = [{"A": "new", "D": "deleted", "T": "type changed"}.get(row.status, ""), *row.flags]
    note = ", ".join(dict.fromkeys(filter(None, notes)))
    if note:
        yield TextPiece(f" {truncate(note, 80)}", "bold" if row.is_risky else "")


def quote_lines(quote: Quote) -> Iterator[Line]:
    """A quoted text with its author."""
    yield [TextPiece(f"{truncate(quote.attribution, 80)}:")]
    yield [TextPiece(f"“{truncate(quote.text, 600)}”", "blockquote")]


def diff_text(diff: DiffView) -> str:
    """The whole diff as one block: every line of content begins with its sign, so none can look like a heading."""
    lines = []
    for file in diff.files:
        notes = f" ({', '.join(file.notes)})" if file.notes else ""
        lines.append(f"━━ {file.paths[-1]}{notes}")
        for n, line in enumerate(file.lines):
            if line.sign == "@":
                if n or line.text:
                    lines.append(f"@@ {line.text}".rstrip())
            else:
                lines.append(f"{line.sign}{line.text}")
    return "\n".join(lines)


def omission_lines(card: Card, rows_shown: int, location: str) -> list[Line]:
    """What is not shown, in words, if the card asks for approval."""
    if not card.awaits_approval or card.staged is None:
        return []
    omission = HiddenContent(rows_shown, len(card.staged.files), 0).sentence if location else ""
    text = "; ".join(part for part in (omission, location) if part)
    return [[TextPiece(f"{capitalize(text)}.", "italic")]] if text else []


def foot_lines(card: Card) -> Iterator[Line]:
    """Everything between the details and the buttons: question, digest, decisions, pull request, problem."""
    if card.question:
        yield [TextPiece("❓ "), TextPiece(truncate(card.question.text, 300), "bold")]
        if card.expiry:
            yield [TextPiece(truncate(card.expiry, 40))]
    if card.last_failure:
        yield [TextPiece(f"last try: {truncate(card.last_failure, 120)}")]
    if card.staged:
        yield list(join_pieces(_digest(card, card.staged)))
    for decision in card.decisions[:4]:
        yield [TextPiece(_decision(decision))]
    if len(card.decisions) > 4:
        yield [TextPiece(f"… and {len(card.decisions) - 4} more verdicts")]
    if card.pull_request:
        yield from _pull_request(card.pull_request)
    for ticket in card.tickets:
        yield [TextPiece(f"ticket {truncate(ticket.key, 40)}"), TextPiece(" "), _link(ticket.url)]
    if card.problem:
        is_shown_already = card.problem.code == "rejected" and any(
            not decision.is_approval for decision in card.decisions
        )
        if not is_shown_already:
            yield [TextPiece("✗ "), TextPiece(truncate(card.problem.message, 250) or card.problem.code, "bold")]
        if mend := render_advice(card.problem.mend, SURFACE):
            yield [TextPiece(f"→ {truncate(one_line(mend), 250)}")]


def _digest(card: Card, staged: StagedPart) -> Iterator[TextPiece]:
    yield TextPiece(f"diff {staged.short_digest[:64]}", "code")
    needs = "; ".join(need.sentence for need in card.needs)
    if needs:
        yield TextPiece(truncate(needs, 400), "bold")
        if card.expiry:
            yield TextPiece(truncate(card.expiry, 40))


def _decision(decision: DecisionRow) -> str:
    mark, verb = ("✓", "approved") if decision.is_approval else ("✗", "rejected")
    where = ", ".join(part for part in (decision.surface, decision.when) if part)
    reason = f": “{truncate(decision.reason, 60)}”" if decision.reason else ""
    return f"{mark} {truncate(decision.person, 40)} {verb} it ({truncate(where, 40)}){reason}"


def _pull_request(link: PullRequestPart) -> Iterator[Line]:
    facts = [
        TextPiece(f"pull request {link.number} {truncate(link.state, 20)}", "bold"),
        TextPiece(truncate(link.branch, 80), "code"),
    ]
    if link.revision:
        facts.append(TextPiece(f"carries revision {link.revision}"))
    yield list(join_pieces(facts))
    if link.checks:
        yield [TextPiece(truncate(link.checks, 200))]
    if link.url:
        yield [_link(link.url)]
    if link.artifacts_url:
        yield [TextPiece(f"{ARTIFACTS_LABEL}: "), _link(link.artifacts_url)]


def _link(url: str) -> TextPiece:
    """One of our links, live if it is a plain one; otherwise code, in which nothing is live."""
    is_plain = url.startswith(_LINK_PREFIX) and url.isascii() and len(url) <= 250
    return TextPiece(url if is_plain else truncate(url, 250), "url" if is_plain else "code")
