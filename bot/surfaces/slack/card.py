"""Renders a card for Slack as blocks with literal user text, so that nothing in it pings, links or formats; pure.

User text is only in ``plain_text`` and ``rich_text``, which Slack does not parse for markup: a mention there is a typed
element, and we create none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from bot.cards.diff import MAX_LINES, DiffView, FileDiff
from bot.cards.model import Card
from bot.cards.parts import (
    ARTIFACTS_LABEL,
    Action,
    ActionKind,
    CheckRow,
    DecisionRow,
    FileRow,
    PullRequestPart,
    StagedPart,
)
from bot.cards.problem_text import command_line, render_advice
from bot.cards.safe import one_line
from bot.surfaces.slack.text import (
    BUDGET,
    MAX_ACTIONS,
    MAX_BUTTON,
    MAX_HEADER,
    escape,
    total_length,
    truncate,
    truncate_middle,
)
from core.model.advice import Suggestion
from core.model.lifecycle import State
from core.model.staged_diff import GuardVerdict

SURFACE: Final = "slack"
MINUS: Final = "\N{MINUS SIGN}"
_STATES_WITH_DIFF: Final = (State.STAGED, State.REFUSED)
_MARKS: Final = {GuardVerdict.PASS: "✓", GuardVerdict.WARN: "!", GuardVerdict.BLOCK: "✗"}
_ICONS: Final = {
    ActionKind.APPROVE: "✅",
    ActionKind.REJECT: "❌",
    ActionKind.REPLY: "💬",
    ActionKind.DIFF: "📄",
    ActionKind.MERGE: "🔀",
    ActionKind.UNDO: "↩️",
    ActionKind.CANCEL: "🛑",
    ActionKind.EXTEND: "💰",
    ActionKind.SHOW: "👁️",
    ActionKind.WHY: "🔎",
    ActionKind.PICK: "✂️",
}
_STYLES: Final = {ActionKind.APPROVE: "primary", ActionKind.REJECT: "danger", ActionKind.CANCEL: "danger"}

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SlackCard:
    """A card's `blocks`, and its `text` for notifications and screen readers.

    `hides_lines` is true if it asks for approval and omits lines of the diff.
    """

    blocks: tuple[Block, ...]
    text: str
    hides_lines: bool


@dataclass(frozen=True, slots=True)
class _Size:
    """How much is shown: rows per list, and UTF-16 units per text."""

    rows: int
    units: int


_SIZES: Final = (_Size(12, 500), _Size(8, 150), _Size(4, 60))


def render_slack_card(
    card: Card, diff: DiffView | None, buttons: Mapping[Action, str], *, delivered: bool
) -> SlackCard:
    """Render the card with its diff if all of it fits; otherwise without the diff, and say so.

    A card that omits lines offers Approve only if `delivered`: the whole diff is in the conversation (security.md 42).
    """
    view = diff if diff is not None and card.state in _STATES_WITH_DIFF and not card.superseded_note else None
    warning = _warning_blocks(view.warning if view is not None else "")
    if view is not None and card.staged is not None and _is_readable(view, card.staged):
        blocks = [*warning, *_blocks(_limited(card, _SIZES[0], 0, delivered=delivered), view, buttons, _SIZES[0])]
        if total_length(blocks) <= BUDGET:
            return SlackCard(tuple(blocks), _fallback(card), hides_lines=False)
    hides_lines = card.awaits_approval
    candidates = [
        [*warning, *_blocks(_limited(card, size, None, delivered=delivered), None, buttons, size)] for size in _SIZES
    ]
    blocks = next((candidate for candidate in candidates if total_length(candidate) <= BUDGET), candidates[-1])
    return SlackCard(tuple(blocks), _fallback(card), hides_lines)


def _warning_blocks(warning: str) -> list[Block]:
    return [{"type": "rich_text", "elements": _section([[(f"🚨 {warning}", "bold")]])}] if warning else []


def _is_readable(view: DiffView, staged: StagedPart) -> bool:
    """Whether the view has every line, and few enough to be read in a message."""
    lines = sum(len(file.lines) + 1 for file in view.files)
    return view.count_hidden_lines(row.path for row in staged.files) == 0 and lines <= MAX_LINES + len(staged.files)


def _limited(card: Card, size: _Size, hidden_lines: int | None, *, delivered: bool) -> Card:
    files = len(card.staged.files) if card.staged else 0
    limited = card.limited_to(min(size.rows, files), hidden_lines)
    return replace(limited, actions=card.actions) if delivered and hidden_lines != 0 else limited


def _blocks(card: Card, view: DiffView | None, buttons: Mapping[Action, str], size: _Size) -> list[Block]:
    title = f"{card.icon} {' '.join(part for part in (card.label, card.lane) if part)} · {card.title or '(no title)'}"
    blocks: list[Block] = [{"type": "header", "text": _plain(truncate(title, MAX_HEADER))}]
    risk = (f"risk: {card.risk.value}",) if card.risk else ()
    facts = " · ".join(truncate(fact, 100) for fact in (*risk, *card.byline[:8]))
    blocks += [_context(line) for line in (facts, truncate(card.rule, size.units)) if line]
    if card.superseded_note:
        blocks.append(_context(truncate(f"{card.superseded_note}; nothing can be decided here", 300)))
    body = _section(_staged(card.staged, size))
    for quote in card.quotes[:3]:
        body += _section([[(f"{truncate(quote.attribution, 100)}:", "italic")]])
        body.append({"type": "rich_text_quote", "elements": [_text(f"“{truncate(quote.text, size.units)}”", "italic")]})
    if view is not None and view.files:
        body.append({"type": "rich_text_preformatted", "elements": [_text("\n".join(_diff(view)))]})
    body += _section(_outcome(card, size))
    blocks += [{"type": "rich_text", "elements": body}] if body else []
    return [*blocks, *_actions(card.actions, buttons)]


_Line = list[tuple[str, str]]
"""A line: (text, style); the style is ``bold``, ``italic``, ``code`` or empty."""


def _staged(staged: StagedPart | None, size: _Size) -> Iterator[_Line]:
    if staged is None:
        return
    count = len(staged.files)
    totals: _Line = [
        (f"{count} file{'' if count == 1 else 's'} ", ""),
        (f"+{staged.added} {MINUS}{staged.removed}", "bold"),
    ]
    if staged.passed_summary:
        totals.append((f" · {staged.passed_summary} ✓", ""))
    for check in staged.named_checks[: size.rows]:
        name = " ".join(part for part in (truncate(check.name, 40), truncate(check.note, 20)) if part)
        totals.append((f" · {name} {_MARKS[check.verdict]}", "" if check.verdict is GuardVerdict.PASS else "bold"))
    if len(staged.named_checks) > size.rows:
        totals.append((f" · and {len(staged.named_checks) - size.rows} more", "bold"))
    yield totals
    yield from _findings(staged.checks, size)
    for row in staged.files[: size.rows]:
        yield _file(row, size)
    omitted = staged.files[size.rows :]
    if omitted:
        risky_count = sum(1 for row in omitted if row.is_risky)
        yield [(f"… {len(omitted)} more files, {risky_count or 'none'} of them risky", "bold" if risky_count else "")]


def _findings(checks: Iterable[CheckRow], size: _Size) -> Iterator[_Line]:
    findings = [(check, detail) for check in checks for detail in check.details]
    for check, detail in findings[: size.rows]:
        excerpt = truncate(detail, size.units)
        yield [(f"{_MARKS[check.verdict]} {truncate(check.name, 40)} ", "bold"), (excerpt, "")]
    if len(findings) > size.rows:
        yield [(f"… {len(findings) - size.rows} more findings", "bold")]


def _file(row: FileRow, size: _Size) -> _Line:
    counts = " ".join(
        f"{sign}{number}" for sign, number in (("+", row.added), (MINUS, row.removed)) if number is not None
    )
    flags = truncate(", ".join(row.flags), 80)
    line: _Line = [
        (f"{truncate(row.status, 4)} ", ""),
        (truncate_middle(row.path, min(120, size.units)), "code"),
        (f" {counts}", ""),
    ]
    return [*line, (f"  {flags}", "bold" if row.is_risky else "")] if flags else line


def _diff(view: DiffView) -> Iterator[str]:
    for file in view.files:
        yield f"── {_title(file)}"
        for line in file.lines:
            yield f"@@ {line.text}".rstrip() if line.sign == "@" else f"{line.sign}{line.text}"


def _title(file: FileDiff) -> str:
    notes = f" ({', '.join(file.notes)})" if file.notes else ""
    return f"{file.paths[-1]}{notes}"


def _outcome(card: Card, size: _Size) -> Iterator[_Line]:
    """Everything between the details and the buttons: question, digest, decisions, pull request, problem."""
    if card.question:
        yield [("❓ ", ""), (truncate(card.question.text, size.units), "bold")]
    if card.last_failure:
        yield [("last try: ", "italic"), (truncate(card.last_failure, size.units), "")]
    if card.staged:
        yield from _needs(card, card.staged, size)
    elif card.expiry:
        yield [(truncate(card.expiry, 60), "italic")]
    for decision in card.decisions[: size.rows]:
        yield _decision(decision, size)
    if len(card.decisions) > size.rows:
        yield [(f"… {len(card.decisions) - size.rows} more verdicts", "")]
    if card.pull_request:
        yield from _pull_request(card.pull_request)
    for ticket in card.tickets:
        yield [(f"ticket {truncate(ticket.key, 40)} ", ""), _link(ticket.url)]
    if card.problem:
        is_shown_already = card.problem.code == "rejected" and any(
            not decision.is_approval for decision in card.decisions
        )
        if not is_shown_already and card.problem.message:
            yield [("✗ ", "bold"), (truncate(card.problem.message, size.units), "bold")]
        if mend := render_advice(card.problem.mend, SURFACE):
            yield [("→ ", ""), (truncate(one_line(mend), size.units), "")]


def _needs(card: Card, staged: StagedPart, size: _Size) -> Iterator[_Line]:
    """The digest and what it needs; while Approve is withheld, when it comes, instead of the digest to type."""
    hidden = card.hidden_content.sentence if card.hidden_content else ""
    withheld = card.awaits_approval and bool(hidden) and not _has_approve(card)
    facts: _Line = [] if withheld else [("diff ", ""), (staged.short_digest, "code")]
    for need in card.needs[: size.rows]:
        facts.append((f"{' · ' if facts else ''}{truncate(need.sentence, size.units)}", "bold"))
    if len(card.needs) > size.rows:
        facts.append((f" · and {len(card.needs) - size.rows} more rules", "bold"))
    if card.expiry:
        facts.append((f"{' · ' if facts else ''}{truncate(card.expiry, 60)}", ""))
    if facts:
        yield facts
    if hidden and card.hidden_content and card.hidden_content.hidden_lines == 0:
        yield [(f"{hidden}.", "italic")]
    elif hidden:
        note = "it can be approved once the whole diff is here" if withheld else "the whole diff is attached here"
        yield [(f"{hidden}; {note}.", "italic")]


def _has_approve(card: Card) -> bool:
    return any(action.kind is ActionKind.APPROVE for action in card.actions)


def _decision(decision: DecisionRow, size: _Size) -> _Line:
    where = ", ".join(truncate(part, 40) for part in (decision.surface, decision.when) if part)
    mark, verb = ("✓", "approved") if decision.is_approval else ("✗", "rejected")
    verdict = f"{mark} {truncate(decision.person, 60)} {verb} it"
    reason = [(f": “{truncate(decision.reason, size.units)}”", "italic")] if decision.reason else []
    return [(verdict, "bold"), (f" ({where})" if where else "", ""), *reason]


def _pull_request(link: PullRequestPart) -> Iterator[_Line]:
    carries = f" · carries revision {link.revision}" if link.revision else ""
    yield [
        (f"pull request {link.number} {truncate(link.state, 20)} ", "bold"),
        (f"{truncate_middle(link.branch, 120)}{carries}", ""),
    ]
    if link.checks:
        yield [(truncate(link.checks, 200), "")]
    if link.url:
        yield [_link(link.url)]
    if link.artifacts_url:
        yield [(f"{ARTIFACTS_LABEL}: ", ""), _link(link.artifacts_url)]


def _link(url: str) -> tuple[str, str]:
    """One of our addresses as a link."""
    return truncate(url, 500), "link" if url.startswith(("https://", "http://")) else ""


def _actions(actions: Sequence[Action], buttons: Mapping[Action, str]) -> Iterator[Block]:
    """The buttons, and the commands to type for actions without one."""
    with_ids = {action: buttons[action] for action in dict.fromkeys(actions) if buttons.get(action)}
    as_buttons = dict(list(with_ids.items())[:MAX_ACTIONS])
    if as_buttons:
        yield {"type": "actions", "elements": [_button(action, opaque) for action, opaque in as_buttons.items()]}
    typed = [action.command for action in dict.fromkeys(actions) if action not in as_buttons]
    if typed:
        yield _context(
            truncate("Or type: " + "   ".join(truncate(_command(command), 140) for command in typed[:6]), 600)
        )


def _command(command: Suggestion) -> str:
    return command_line(command, SURFACE) or ""


def _button(action: Action, opaque: str) -> Block:
    icon = _ICONS.get(action.kind)
    label = truncate(f"{icon} {action.label}" if icon else action.label, MAX_BUTTON)
    style = {"style": _STYLES[action.kind]} if action.kind in _STYLES else {}
    return {"type": "button", "text": _plain(label or "…"), "action_id": opaque, "value": opaque, **style}


def _fallback(card: Card) -> str:
    """The card in one line for clients without blocks; escaped, because Slack parses it for mentions."""
    needs = f" · {card.needs[0].sentence}" if card.needs else ""
    return escape(truncate(f"{card.icon} {card.label} {card.state.value} · {card.title or '(no title)'}{needs}", 600))


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [_plain(text)]}


def _section(lines: Iterable[_Line]) -> list[Block]:
    """The lines as one part of a rich text, or none: Slack renders sections without a break between them."""
    text_lines = [[_text(text, style) for text, style in line if text] for line in lines]
    elements = [element for line in text_lines if line for element in (_text("\n"), *line)]
    return [{"type": "rich_text_section", "elements": elements[1:]}] if elements else []


def _text(text: str, style: str = "") -> Block:
    if style == "link":  # without a label, so that the address itself is shown
        return {"type": "link", "url": text}
    return {"type": "text", "text": text, **({"style": {style: True}} if style else {})}
