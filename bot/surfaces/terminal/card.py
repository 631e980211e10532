"""The card on a terminal: facts first, then the quoted text, the diff, the needed approvals and the actions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TextIO

from bot.cards.diff import MAX_LINES, DiffView, read_diff
from bot.cards.model import Card
from bot.cards.parts import ARTIFACTS_LABEL, ActionKind, CheckRow, DecisionRow, FileRow, PullRequestPart, StagedPart
from bot.cards.problem_text import TERMINAL, render_advice
from bot.cards.safe import one_line
from bot.surfaces.terminal.hunks import diff_lines
from bot.surfaces.terminal.layout import STATE_STYLES, elide, grid, join_parts, max_width, with_mark
from bot.surfaces.terminal.profile import ACCENT, MINUS, Item, TerminalProfile, detect_profile
from core.model.advice import CommandName, Suggestion
from core.model.lifecycle import State
from core.model.risk import RiskLevel
from core.model.staged_diff import GuardVerdict

if TYPE_CHECKING:
    from rich.console import RenderableType

MAX_WIDTH: Final = 100
"""The widest card, so that related facts stay together."""
MAX_ROWS: Final = 12
LEVEL_STYLES: Final = {RiskLevel.LOW: "green", RiskLevel.MEDIUM: "yellow", RiskLevel.HIGH: "bold red"}
_STATES_WITH_DIFF: Final = (State.STAGED, State.REFUSED)
"""States in which people look for the diff."""
_VERDICTS: Final = {
    GuardVerdict.PASS: ("✓", "green"),
    GuardVerdict.WARN: ("!", "yellow"),
    GuardVerdict.BLOCK: ("✗", "bold red"),
}
_STATUS: Final = {"A": "green", "D": "red", "M": "dim", "T": "yellow"}


def print_card(
    stream: TextIO,
    card: Card,
    diff: bytes | None = None,
    *,
    profile: TerminalProfile | None = None,
    max_lines: int = MAX_LINES,
) -> None:
    """Print `card` on `stream`, with at most `max_lines` lines of its diff if the bytes are given.

    If the diff is not shown completely, the card offers the diff instead of Approve.
    """
    profile = profile or detect_profile(stream)
    view = _view(card, diff, max_lines) if diff is not None and card.state in _STATES_WITH_DIFF else None
    files = card.staged.files if card.staged else ()
    hidden_lines = view.count_hidden_lines(row.path for row in files) if view is not None else None
    limited = card.limited_to(min(MAX_ROWS, len(files)), hidden_lines)
    stream.write(frame(profile, limited, list(_card(profile, limited, view))))
    stream.flush()


def print_diff(stream: TextIO, card: Card, diff: bytes, *, profile: TerminalProfile | None = None) -> None:
    """Print the whole of `diff`, risky files first, and below it the possible actions.

    A pipe or a file gets git's bytes unchanged, so that the diff can be applied.
    """
    if profile is None and not stream.isatty() and hasattr(stream, "buffer"):
        stream.flush()
        stream.buffer.write(diff)
        stream.buffer.flush()
        return
    profile = profile or detect_profile(stream)
    view = _view(card, diff, None)
    files = card.staged.files if card.staged else ()
    complete = card.limited_to(len(files), view.count_hidden_lines(row.path for row in files))
    parts = [*_warning(profile, view), *_headline(profile, complete), *diff_lines(profile, view, _width(profile))]
    if complete.awaits_approval:
        parts += [profile.text(), *_needs(profile, complete), *_actions(profile, complete, without=ActionKind.DIFF)]
    stream.write(frame(profile, complete, parts))
    stream.flush()


def frame(profile: TerminalProfile, card: Card, parts: list[Item]) -> str:
    """The card's text beside a bar in its state's colour; plain output has no bar."""
    if profile.colours is None:
        return profile.render(parts, width=_width(profile))
    style = "dim" if card.superseded_note else STATE_STYLES[card.state].removeprefix("bold ")
    bar = profile.render([profile.text(("▎", style))]).removesuffix("\n")
    body = profile.render(parts, width=_width(profile)).removesuffix("\n")
    return "".join(f"{bar} {line}".rstrip(" ") + "\n" for line in body.split("\n"))


def _width(profile: TerminalProfile) -> int:
    return min(MAX_WIDTH, profile.width if profile.colours is None else profile.width - 2)


def _view(card: Card, diff: bytes, max_lines: int | None) -> DiffView:
    first = [row.path for row in card.staged.files] if card.staged else []
    if max_lines is None:
        return read_diff(diff, first=first, max_lines=None, max_columns=None)
    return read_diff(diff, first=first, max_lines=max_lines)


def _card(profile: TerminalProfile, card: Card, view: DiffView | None) -> Iterator[Item]:
    yield from _warning(profile, view)
    yield from _headline(profile, card)
    if card.superseded_note:
        yield profile.text((f"{card.superseded_note}; nothing can be decided here", "yellow"))
    if card.staged:
        yield profile.text()
        yield from _totals(profile, card.staged)
        yield from _files(profile, card.staged)
    yield from _quotes(profile, card)
    if view is not None and view.files:
        yield profile.text()
        yield from diff_lines(profile, view, _width(profile), more=Suggestion(CommandName.DIFF, card.number).line())
    outcome = list(_outcome(profile, card))
    if outcome:
        yield profile.text()
        yield from outcome
    yield from _actions(profile, card)


def _warning(profile: TerminalProfile, view: DiffView | None) -> Iterator[Item]:
    if view is not None and view.warning:
        yield with_mark(profile, ("!", "bold red"), view.warning, "bold red")


def _headline(profile: TerminalProfile, card: Card) -> Iterator[Item]:
    table = grid("fill", "right", gap=0)
    facts = [(card.label, f"bold {ACCENT}"), (f" {card.lane}" if card.lane else "", ACCENT), (" · ", "dim")]
    left_part = profile.text(profile.icon(card.icon), *facts, (card.title or "(no title)", "bold"))
    right = (
        profile.text(("  risk: ", "dim"), (card.risk.value, LEVEL_STYLES[card.risk])) if card.risk else profile.text()
    )
    table.add_row(left_part, right)
    yield table
    if card.byline:
        yield join_parts(profile, [(fact, "dim") for fact in card.byline])
    if card.rule:
        yield profile.text((card.rule, "dim"))


def _totals(profile: TerminalProfile, staged: StagedPart) -> Iterator[Item]:
    files = f"{len(staged.files)} file{'s' if len(staged.files) != 1 else ''}"
    counts = profile.text(files, "  ", (f"+{staged.added}", "green"), " ", (f"{MINUS}{staged.removed}", "red"))
    counts.append("     ")
    if staged.passed_summary:
        counts.append_text(profile.text(f"{staged.passed_summary} ", ("✓", "green"), "   "))
    for check in staged.named_checks:
        mark, style = _VERDICTS[check.verdict]
        counts.append_text(profile.text(f"{check.name} ", f"{check.note} " if check.note else "", (mark, style), "   "))
    counts.rstrip()
    yield counts
    for check in staged.checks:
        yield from _findings(profile, check)


def _findings(profile: TerminalProfile, check: CheckRow) -> Iterator[Item]:
    mark, style = _VERDICTS[check.verdict]
    for detail in check.details[:MAX_ROWS]:
        yield with_mark(profile, (f"{mark} {check.name}", style), detail)
    if len(check.details) > MAX_ROWS:
        yield profile.text((f"{mark} {check.name} … {len(check.details) - MAX_ROWS} more findings", style))


def _files(profile: TerminalProfile, staged: StagedPart) -> Iterator[Item]:
    rows = staged.files[:MAX_ROWS]
    table = grid("fixed", "fixed", "right", "right", "flow")
    flags = max_width([", ".join(row.flags) for row in rows], 30)
    path_width = _width(profile) - 20 - flags
    for row in rows:
        table.add_row(*_file(profile, row, max(16, path_width)))
    yield table
    omitted = staged.files[MAX_ROWS:]
    if omitted:
        risky_count = sum(1 for row in omitted if row.is_risky)
        note = f"{risky_count} of them risky" if risky_count else "none of them risky"
        yield profile.text((f"… {len(omitted)} more files, {note}", "bold red" if risky_count else "dim"))


def _file(profile: TerminalProfile, row: FileRow, path_width: int) -> list[RenderableType]:
    style = LEVEL_STYLES[row.level] if row.is_risky else ""
    return [
        profile.text((row.status, _STATUS.get(row.status, ""))),
        profile.text((elide(profile.displayable(row.path), path_width, profile.displayable("…")), style)),
        profile.text((f"+{row.added}", "green")) if row.added is not None else profile.text(),
        profile.text((f"{MINUS}{row.removed}", "red")) if row.removed is not None else profile.text(),
        profile.text((", ".join(row.flags), style)),
    ]


def _quotes(profile: TerminalProfile, card: Card) -> Iterator[Item]:
    if card.quotes:
        yield profile.text()
    for quote in card.quotes:
        yield with_mark(profile, (quote.attribution, "dim"), f"“{quote.text}”", "italic")


def _outcome(profile: TerminalProfile, card: Card) -> Iterator[Item]:
    """Everything between the details and the actions: question, problem, digest, decisions, pull request."""
    if card.question:
        yield with_mark(profile, ("?", f"bold {ACCENT}"), card.question.text, "bold")
        if card.expiry:
            yield profile.text((card.expiry, "dim"))
    if card.last_failure:
        yield with_mark(profile, ("!", "yellow"), f"last try: {card.last_failure}")
    yield from _needs(profile, card)
    for decision in card.decisions:
        yield _decision(profile, decision)
    if card.pull_request:
        yield from _pull_request(profile, card.pull_request)
    for ticket in card.tickets:
        yield profile.text(f"ticket {ticket.key} ", (ticket.url, "dim"))
    if card.problem:
        is_shown_already = card.problem.code == "rejected" and any(
            not decision.is_approval for decision in card.decisions
        )
        if not is_shown_already:
            yield with_mark(profile, ("✗", "bold red"), card.problem.message, "bold")
        if mend := render_advice(card.problem.mend, TERMINAL):
            yield with_mark(profile, ("→", ACCENT), one_line(mend))


def _needs(profile: TerminalProfile, card: Card) -> Iterator[Item]:
    if card.staged is None:
        return
    facts = [(f"diff {card.staged.short_digest}", f"bold {ACCENT}" if card.needs else "dim")]
    facts += [(need.sentence, "bold") for need in card.needs]
    if card.needs and card.expiry:
        facts.append((card.expiry, "dim"))
    yield join_parts(profile, facts)
    if card.hidden_content and card.hidden_content.is_partial and card.awaits_approval:
        yield profile.text((f"{card.hidden_content.sentence}.", "yellow"))


def _decision(profile: TerminalProfile, decision: DecisionRow) -> RenderableType:
    mark, style = ("✓", "green") if decision.is_approval else ("✗", "bold red")
    verdict = f"{decision.person} {'approved' if decision.is_approval else 'rejected'} it"
    place = f" ({', '.join(part for part in (decision.surface, decision.when) if part)})"
    reason = f": “{decision.reason}”" if decision.reason else ""
    return profile.text((f"{mark} ", style), verdict, (place, "dim"), (reason, "italic"))


def _pull_request(profile: TerminalProfile, link: PullRequestPart) -> Iterator[Item]:
    carries = [(f"carries revision {link.revision}", "yellow")] if link.revision else []
    yield join_parts(profile, [(f"pull request {link.number} {link.state}", "bold green"), (link.branch, ""), *carries])
    if link.checks:
        yield profile.text((link.checks, "dim"))
    if link.url:
        yield profile.text((link.url, "dim"))
    if link.artifacts_url:
        yield profile.text((f"{ARTIFACTS_LABEL}: ", "dim"), (link.artifacts_url, "dim"))


def _actions(profile: TerminalProfile, card: Card, without: ActionKind | None = None) -> Iterator[Item]:
    actions = [action for action in card.actions if action.kind is not without]
    if not actions:
        return
    yield profile.text()
    table = grid("fixed", "flow")
    for n, action in enumerate(actions):
        table.add_row(
            profile.text((action.label, f"bold {ACCENT}" if n == 0 else ACCENT)),
            profile.text((action.command.line(), "" if n == 0 else "dim")),
        )
    yield table
