"""The card on a terminal: facts first, then the quoted words, the diff, what is needed, and what can be done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TextIO

from bot.cards.diff import MAX_LINES, DiffView, read_diff
from bot.cards.model import Card
from bot.cards.parts import ARTIFACTS_LABEL, ActionKind, CheckRow, DecisionRow, FileRow, PullRequestPart, StagedPart
from bot.cards.risk import RiskLevel
from bot.cards.safe import one_line
from bot.cards.wording import TERMINAL, render_advice
from bot.surfaces.terminal.hunks import diff_lines
from bot.surfaces.terminal.layout import STATE_STYLES, elide, grid, join_parts, max_width, with_mark
from bot.surfaces.terminal.profile import ACCENT, MINUS, Item, TerminalProfile, detect_profile
from core.model.advice import CommandName, Suggestion
from core.model.lifecycle import State
from core.model.staged_diff import GuardVerdict

if TYPE_CHECKING:
    from rich.console import RenderableType

MAX_WIDTH: Final = 100
"""A card is not drawn wider: facts that belong together stay together."""
MAX_ROWS: Final = 12
LEVEL_STYLES: Final = {RiskLevel.LOW: "green", RiskLevel.MEDIUM: "yellow", RiskLevel.HIGH: "bold red"}
_WITH_DIFF: Final = (State.STAGED, State.REFUSED)
"""States in which the bytes are what a person looks for."""
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
    look: TerminalProfile | None = None,
    max_lines: int = MAX_LINES,
) -> None:
    """Draw `card` on `stream`, with at most `max_lines` lines of its diff when the bytes are given.

    Where the diff, or part of it, is not shown the card offers it instead of Approve.
    """
    look = look or detect_profile(stream)
    view = _view(card, diff, max_lines) if diff is not None and card.state in _WITH_DIFF else None
    files = card.staged.files if card.staged else ()
    hidden_lines = view.hidden(row.path for row in files) if view is not None else None
    shown = card.showing(min(MAX_ROWS, len(files)), hidden_lines)
    stream.write(framed(look, shown, list(_card(look, shown, view))))
    stream.flush()


def print_diff(stream: TextIO, card: Card, diff: bytes, *, look: TerminalProfile | None = None) -> None:
    """Draw the whole of `diff`, the risky files first, and below it what can then be done.

    Into a pipe or a file go git's bytes as they are, so that they can be applied.
    """
    if look is None and not stream.isatty() and hasattr(stream, "buffer"):
        stream.flush()
        stream.buffer.write(diff)
        stream.buffer.flush()
        return
    look = look or detect_profile(stream)
    view = _view(card, diff, None)
    files = card.staged.files if card.staged else ()
    whole = card.showing(len(files), view.hidden(row.path for row in files))
    parts = [*_alarm(look, view), *_headline(look, whole), *diff_lines(look, view, _width(look))]
    if whole.asks_for_approval:
        parts += [look.text(), *_needs(look, whole), *_actions(look, whole, without=ActionKind.DIFF)]
    stream.write(framed(look, whole, parts))
    stream.flush()


def framed(look: TerminalProfile, card: Card, parts: list[Item]) -> str:
    """The card's text, along a bar in its state's colour; without colours there is no bar."""
    if look.colours is None:
        return look.paint(parts, width=_width(look))
    style = "dim" if card.superseded else STATE_STYLES[card.state].removeprefix("bold ")
    bar = look.paint([look.text(("▎", style))]).removesuffix("\n")
    body = look.paint(parts, width=_width(look)).removesuffix("\n")
    return "".join(f"{bar} {line}".rstrip(" ") + "\n" for line in body.split("\n"))


def _width(look: TerminalProfile) -> int:
    return min(MAX_WIDTH, look.width if look.colours is None else look.width - 2)


def _view(card: Card, diff: bytes, max_lines: int | None) -> DiffView:
    first = [row.path for row in card.staged.files] if card.staged else []
    if max_lines is None:
        return read_diff(diff, first=first, max_lines=None, max_columns=None)
    return read_diff(diff, first=first, max_lines=max_lines)


def _card(look: TerminalProfile, card: Card, view: DiffView | None) -> Iterator[Item]:
    yield from _alarm(look, view)
    yield from _headline(look, card)
    if card.superseded:
        yield look.text((f"{card.superseded}; nothing can be decided here", "yellow"))
    if card.staged:
        yield look.text()
        yield from _totals(look, card.staged)
        yield from _files(look, card.staged)
    yield from _words(look, card)
    if view is not None and view.files:
        yield look.text()
        yield from diff_lines(look, view, _width(look), more=Suggestion(CommandName.DIFF, card.number).line())
    outcome = list(_outcome(look, card))
    if outcome:
        yield look.text()
        yield from outcome
    yield from _actions(look, card)


def _alarm(look: TerminalProfile, view: DiffView | None) -> Iterator[Item]:
    if view is not None and view.alarm:
        yield with_mark(look, ("!", "bold red"), view.alarm, "bold red")


def _headline(look: TerminalProfile, card: Card) -> Iterator[Item]:
    table = grid("fill", "right", gap=0)
    facts = [(card.label, f"bold {ACCENT}"), (f" {card.lane}" if card.lane else "", ACCENT), (" · ", "dim")]
    left = look.text(look.icon(card.icon), *facts, (card.title or "(no title)", "bold"))
    right = look.text(("  risk: ", "dim"), (card.risk.value, LEVEL_STYLES[card.risk])) if card.risk else look.text()
    table.add_row(left, right)
    yield table
    if card.byline:
        yield join_parts(look, [(fact, "dim") for fact in card.byline])
    if card.law:
        yield look.text((card.law, "dim"))


def _totals(look: TerminalProfile, staged: StagedPart) -> Iterator[Item]:
    files = f"{len(staged.files)} file{'s' if len(staged.files) != 1 else ''}"
    counts = look.text(files, "  ", (f"+{staged.added}", "green"), " ", (f"{MINUS}{staged.removed}", "red"))
    counts.append("     ")
    if staged.passed:
        counts.append_text(look.text(f"{staged.passed} ", ("✓", "green"), "   "))
    for check in staged.named:
        mark, style = _VERDICTS[check.verdict]
        counts.append_text(look.text(f"{check.name} ", f"{check.note} " if check.note else "", (mark, style), "   "))
    counts.rstrip()
    yield counts
    for check in staged.checks:
        yield from _findings(look, check)


def _findings(look: TerminalProfile, check: CheckRow) -> Iterator[Item]:
    mark, style = _VERDICTS[check.verdict]
    for detail in check.details[:MAX_ROWS]:
        yield with_mark(look, (f"{mark} {check.name}", style), detail)
    if len(check.details) > MAX_ROWS:
        yield look.text((f"{mark} {check.name} … {len(check.details) - MAX_ROWS} more findings", style))


def _files(look: TerminalProfile, staged: StagedPart) -> Iterator[Item]:
    rows = staged.files[:MAX_ROWS]
    table = grid("fixed", "fixed", "right", "right", "flow")
    flags = max_width([", ".join(row.flags) for row in rows], 30)
    room = _width(look) - 20 - flags
    for row in rows:
        table.add_row(*_file(look, row, max(16, room)))
    yield table
    rest = staged.files[MAX_ROWS:]
    if rest:
        risky = sum(1 for row in rest if row.risky)
        what = f"{risky} of them risky" if risky else "none of them risky"
        yield look.text((f"… {len(rest)} more files, {what}", "bold red" if risky else "dim"))


def _file(look: TerminalProfile, row: FileRow, room: int) -> list[RenderableType]:
    style = LEVEL_STYLES[row.level] if row.risky else ""
    return [
        look.text((row.status, _STATUS.get(row.status, ""))),
        look.text((elide(look.fit(row.path), room, look.fit("…")), style)),
        look.text((f"+{row.added}", "green")) if row.added is not None else look.text(),
        look.text((f"{MINUS}{row.removed}", "red")) if row.removed is not None else look.text(),
        look.text((", ".join(row.flags), style)),
    ]


def _words(look: TerminalProfile, card: Card) -> Iterator[Item]:
    if card.quotes:
        yield look.text()
    for quote in card.quotes:
        yield with_mark(look, (quote.says, "dim"), f"“{quote.text}”", "italic")


def _outcome(look: TerminalProfile, card: Card) -> Iterator[Item]:
    """What stands between the card and its end: question, trouble, digest, verdicts, pull request."""
    if card.asked:
        yield with_mark(look, ("?", f"bold {ACCENT}"), card.asked.text, "bold")
        if card.expiry:
            yield look.text((card.expiry, "dim"))
    if card.hitch:
        yield with_mark(look, ("!", "yellow"), f"last try: {card.hitch}")
    yield from _needs(look, card)
    for said in card.decided:
        yield _verdict(look, said)
    if card.link:
        yield from _pull_request(look, card.link)
    for ticket in card.tickets:
        yield look.text(f"ticket {ticket.key} ", (ticket.url, "dim"))
    if card.trouble:
        told = card.trouble.code == "rejected" and any(not said.approved for said in card.decided)
        if not told:
            yield with_mark(look, ("✗", "bold red"), card.trouble.message, "bold")
        if mend := render_advice(card.trouble.mend, TERMINAL):
            yield with_mark(look, ("→", ACCENT), one_line(mend))


def _needs(look: TerminalProfile, card: Card) -> Iterator[Item]:
    if card.staged is None:
        return
    facts = [(f"diff {card.staged.short}", f"bold {ACCENT}" if card.needs else "dim")]
    facts += [(need.sentence, "bold") for need in card.needs]
    if card.needs and card.expiry:
        facts.append((card.expiry, "dim"))
    yield join_parts(look, facts)
    if card.hidden and card.hidden.anything and card.asks_for_approval:
        yield look.text((f"{card.hidden.sentence}.", "yellow"))


def _verdict(look: TerminalProfile, said: DecisionRow) -> RenderableType:
    mark, style = ("✓", "green") if said.approved else ("✗", "bold red")
    words = f"{said.person} {'approved' if said.approved else 'rejected'} it"
    where = f" ({', '.join(part for part in (said.surface, said.when) if part)})"
    reason = f": “{said.reason}”" if said.reason else ""
    return look.text((f"{mark} ", style), words, (where, "dim"), (reason, "italic"))


def _pull_request(look: TerminalProfile, link: PullRequestPart) -> Iterator[Item]:
    carries = [(f"carries revision {link.of_revision}", "yellow")] if link.of_revision else []
    yield join_parts(look, [(f"pull request {link.number} {link.state}", "bold green"), (link.branch, ""), *carries])
    if link.checks:
        yield look.text((link.checks, "dim"))
    if link.url:
        yield look.text((link.url, "dim"))
    if link.files:
        yield look.text((f"{ARTIFACTS_LABEL}: ", "dim"), (link.files, "dim"))


def _actions(look: TerminalProfile, card: Card, without: ActionKind | None = None) -> Iterator[Item]:
    actions = [action for action in card.actions if action.kind is not without]
    if not actions:
        return
    yield look.text()
    table = grid("fixed", "flow")
    for n, action in enumerate(actions):
        table.add_row(
            look.text((action.label, f"bold {ACCENT}" if n == 0 else ACCENT)),
            look.text((action.command.line(), "" if n == 0 else "dim")),
        )
    yield table
