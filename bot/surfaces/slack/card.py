"""The card on Slack: blocks whose people's words are literal, so that nothing in them pings, links or formats; pure.

Words of people stand in ``plain_text`` or in ``rich_text`` only, which Slack does not read for markup: a mention there
is a typed element of its own, and we make none.
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
from bot.cards.safe import one_line
from bot.cards.wording import command_line, render_advice
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
_WITH_DIFF: Final = (State.STAGED, State.REFUSED)
_MARKS: Final = {GuardVerdict.PASS: "✓", GuardVerdict.WARN: "!", GuardVerdict.BLOCK: "✗"}
_ICONS: Final = {
    ActionKind.APPROVE: "✅",
    ActionKind.REJECT: "❌",
    ActionKind.REPLY: "💬",
    ActionKind.DIFF: "📄",
    ActionKind.MERGE: "🔀",
    ActionKind.UNDO: "↩️",
    ActionKind.CANCEL: "🛑",
    ActionKind.SHOW: "👁️",
    ActionKind.WHY: "🔎",
    ActionKind.PICK: "✂️",
}
_STYLES: Final = {ActionKind.APPROVE: "primary", ActionKind.REJECT: "danger", ActionKind.CANCEL: "danger"}

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SlackCard:
    """A card's `blocks`, and its `text` for notifications and screen readers.

    `hides` is true when it asks for approval and a line of the diff is not in it.
    """

    blocks: tuple[Block, ...]
    text: str
    hides: bool


@dataclass(frozen=True, slots=True)
class _Size:
    """How much is shown: rows of a list, and UTF-16 units of one text."""

    rows: int
    words: int


_SIZES: Final = (_Size(12, 500), _Size(8, 150), _Size(4, 60))


def render_slack_card(
    card: Card, diff: DiffView | None, buttons: Mapping[Action, str], *, delivered: bool
) -> SlackCard:
    """The card with its diff when all of it fits; otherwise without any of it, and said so.

    A card that hides a line offers Approve only if `delivered`: the whole diff is in the conversation (security.md 42).
    """
    view = diff if diff is not None and card.state in _WITH_DIFF and not card.superseded else None
    alarm = _alarm(view.alarm if view is not None else "")
    if view is not None and card.staged is not None and _whole(view, card.staged):
        blocks = [*alarm, *_drawn(_showing(card, _SIZES[0], 0, delivered=delivered), view, buttons, _SIZES[0])]
        if total_length(blocks) <= BUDGET:
            return SlackCard(tuple(blocks), _fallback(card), hides=False)
    hides = card.asks_for_approval
    drawn = [[*alarm, *_drawn(_showing(card, size, None, delivered=delivered), None, buttons, size)] for size in _SIZES]
    blocks = next((found for found in drawn if total_length(found) <= BUDGET), drawn[-1])
    return SlackCard(tuple(blocks), _fallback(card), hides)


def _alarm(words: str) -> list[Block]:
    return [{"type": "rich_text", "elements": _section([[(f"🚨 {words}", "bold")]])}] if words else []


def _whole(view: DiffView, staged: StagedPart) -> bool:
    """Whether the view holds every line, and few enough of them to be read in a message."""
    lines = sum(len(file.lines) + 1 for file in view.files)
    return view.hidden(row.path for row in staged.files) == 0 and lines <= MAX_LINES + len(staged.files)


def _showing(card: Card, size: _Size, hidden_lines: int | None, *, delivered: bool) -> Card:
    files = len(card.staged.files) if card.staged else 0
    shown = card.showing(min(size.rows, files), hidden_lines)
    return replace(shown, actions=card.actions) if delivered and hidden_lines != 0 else shown


def _drawn(card: Card, view: DiffView | None, buttons: Mapping[Action, str], size: _Size) -> list[Block]:
    title = f"{card.icon} {' '.join(part for part in (card.label, card.lane) if part)} · {card.title or '(no title)'}"
    blocks: list[Block] = [{"type": "header", "text": _plain(truncate(title, MAX_HEADER))}]
    risk = (f"risk: {card.risk.value}",) if card.risk else ()
    facts = " · ".join(truncate(fact, 100) for fact in (*risk, *card.byline[:8]))
    blocks += [_context(line) for line in (facts, truncate(card.law, size.words)) if line]
    if card.superseded:
        blocks.append(_context(truncate(f"{card.superseded}; nothing can be decided here", 300)))
    body = _section(_staged(card.staged, size))
    for quote in card.quotes[:3]:
        body += _section([[(f"{truncate(quote.says, 100)}:", "italic")]])
        body.append({"type": "rich_text_quote", "elements": [_text(f"“{truncate(quote.text, size.words)}”", "italic")]})
    if view is not None and view.files:
        body.append({"type": "rich_text_preformatted", "elements": [_text("\n".join(_diff(view)))]})
    body += _section(_outcome(card, size))
    blocks += [{"type": "rich_text", "elements": body}] if body else []
    return [*blocks, *_actions(card.actions, buttons)]


_Words = list[tuple[str, str]]
"""A line: (text, style), the style ``bold``, ``italic``, ``code`` or none."""


def _staged(staged: StagedPart | None, size: _Size) -> Iterator[_Words]:
    if staged is None:
        return
    count = len(staged.files)
    totals: _Words = [
        (f"{count} file{'' if count == 1 else 's'} ", ""),
        (f"+{staged.added} {MINUS}{staged.removed}", "bold"),
    ]
    if staged.passed:
        totals.append((f" · {staged.passed} ✓", ""))
    for check in staged.named[: size.rows]:
        name = " ".join(part for part in (truncate(check.name, 40), truncate(check.note, 20)) if part)
        totals.append((f" · {name} {_MARKS[check.verdict]}", "" if check.verdict is GuardVerdict.PASS else "bold"))
    if len(staged.named) > size.rows:
        totals.append((f" · and {len(staged.named) - size.rows} more", "bold"))
    yield totals
    yield from _findings(staged.checks, size)
    for row in staged.files[: size.rows]:
        yield _file(row, size)
    left = staged.files[size.rows :]
    if left:
        risky = sum(1 for row in left if row.risky)
        yield [(f"… {len(left)} more files, {risky or 'none'} of them risky", "bold" if risky else "")]


def _findings(checks: Iterable[CheckRow], size: _Size) -> Iterator[_Words]:
    found = [(check, detail) for check in checks for detail in check.details]
    for check, detail in found[: size.rows]:
        words = truncate(detail, size.words)
        yield [(f"{_MARKS[check.verdict]} {truncate(check.name, 40)} ", "bold"), (words, "")]
    if len(found) > size.rows:
        yield [(f"… {len(found) - size.rows} more findings", "bold")]


def _file(row: FileRow, size: _Size) -> _Words:
    counts = " ".join(
        f"{sign}{number}" for sign, number in (("+", row.added), (MINUS, row.removed)) if number is not None
    )
    flags = truncate(", ".join(row.flags), 80)
    line: _Words = [
        (f"{truncate(row.status, 4)} ", ""),
        (truncate_middle(row.path, min(120, size.words)), "code"),
        (f" {counts}", ""),
    ]
    return [*line, (f"  {flags}", "bold" if row.risky else "")] if flags else line


def _diff(view: DiffView) -> Iterator[str]:
    for file in view.files:
        yield f"── {_names(file)}"
        for line in file.lines:
            yield f"@@ {line.text}".rstrip() if line.sign == "@" else f"{line.sign}{line.text}"


def _names(file: FileDiff) -> str:
    notes = f" ({', '.join(file.notes)})" if file.notes else ""
    return f"{file.paths[-1]}{notes}"


def _outcome(card: Card, size: _Size) -> Iterator[_Words]:
    """What stands between the card and its end: question, digest, verdicts, pull request, trouble."""
    if card.asked:
        yield [("❓ ", ""), (truncate(card.asked.text, size.words), "bold")]
    if card.hitch:
        yield [("last try: ", "italic"), (truncate(card.hitch, size.words), "")]
    if card.staged:
        yield from _needs(card, card.staged, size)
    elif card.expiry:
        yield [(truncate(card.expiry, 60), "italic")]
    for said in card.decided[: size.rows]:
        yield _verdict(said, size)
    if len(card.decided) > size.rows:
        yield [(f"… {len(card.decided) - size.rows} more verdicts", "")]
    if card.link:
        yield from _pull_request(card.link)
    for ticket in card.tickets:
        yield [(f"ticket {truncate(ticket.key, 40)} ", ""), _address(ticket.url)]
    if card.trouble:
        told = card.trouble.code == "rejected" and any(not said.approved for said in card.decided)
        if not told and card.trouble.message:
            yield [("✗ ", "bold"), (truncate(card.trouble.message, size.words), "bold")]
        if mend := render_advice(card.trouble.mend, SURFACE):
            yield [("→ ", ""), (truncate(one_line(mend), size.words), "")]


def _needs(card: Card, staged: StagedPart, size: _Size) -> Iterator[_Words]:
    """The digest and what it needs; while Approve is withheld, when it comes, and not what one would type for it."""
    hidden = card.hidden.sentence if card.hidden else ""
    withheld = card.asks_for_approval and bool(hidden) and not _approvable(card)
    facts: _Words = [] if withheld else [("diff ", ""), (staged.short, "code")]
    for need in card.needs[: size.rows]:
        facts.append((f"{' · ' if facts else ''}{truncate(need.sentence, size.words)}", "bold"))
    if len(card.needs) > size.rows:
        facts.append((f" · and {len(card.needs) - size.rows} more rules", "bold"))
    if card.expiry:
        facts.append((f"{' · ' if facts else ''}{truncate(card.expiry, 60)}", ""))
    if facts:
        yield facts
    if hidden and card.hidden and card.hidden.lines == 0:
        yield [(f"{hidden}.", "italic")]
    elif hidden:
        also = "it can be approved once the whole diff is here" if withheld else "the whole diff is attached here"
        yield [(f"{hidden}; {also}.", "italic")]


def _approvable(card: Card) -> bool:
    return any(action.kind is ActionKind.APPROVE for action in card.actions)


def _verdict(said: DecisionRow, size: _Size) -> _Words:
    where = ", ".join(truncate(part, 40) for part in (said.surface, said.when) if part)
    words = (
        f"{'✓' if said.approved else '✗'} {truncate(said.person, 60)} {'approved' if said.approved else 'rejected'} it"
    )
    reason = [(f": “{truncate(said.reason, size.words)}”", "italic")] if said.reason else []
    return [(words, "bold"), (f" ({where})" if where else "", ""), *reason]


def _pull_request(link: PullRequestPart) -> Iterator[_Words]:
    carries = f" · carries revision {link.of_revision}" if link.of_revision else ""
    yield [
        (f"pull request {link.number} {truncate(link.state, 20)} ", "bold"),
        (f"{truncate_middle(link.branch, 120)}{carries}", ""),
    ]
    if link.checks:
        yield [(truncate(link.checks, 200), "")]
    if link.url:
        yield [_address(link.url)]
    if link.files:
        yield [(f"{ARTIFACTS_LABEL}: ", ""), _address(link.files)]


def _address(url: str) -> tuple[str, str]:
    """An address of ours, to be pressed."""
    return truncate(url, 500), "link" if url.startswith(("https://", "http://")) else ""


def _actions(actions: Sequence[Action], buttons: Mapping[Action, str]) -> Iterator[Block]:
    """The buttons, and the words for what has none."""
    offered = {action: buttons[action] for action in dict.fromkeys(actions) if buttons.get(action)}
    shown = dict(list(offered.items())[:MAX_ACTIONS])
    if shown:
        yield {"type": "actions", "elements": [_button(action, opaque) for action, opaque in shown.items()]}
    typed = [action.command for action in dict.fromkeys(actions) if action not in shown]
    if typed:
        yield _context(truncate("Or type: " + "   ".join(truncate(_line(command), 140) for command in typed[:6]), 600))


def _line(command: Suggestion) -> str:
    return command_line(command, SURFACE) or ""


def _button(action: Action, opaque: str) -> Block:
    icon = _ICONS.get(action.kind)
    label = truncate(f"{icon} {action.label}" if icon else action.label, MAX_BUTTON)
    style = {"style": _STYLES[action.kind]} if action.kind in _STYLES else {}
    return {"type": "button", "text": _plain(label or "…"), "action_id": opaque, "value": opaque, **style}


def _fallback(card: Card) -> str:
    """The card in one line, for where blocks are not shown; escaped, for Slack reads this for mentions."""
    needs = f" · {card.needs[0].sentence}" if card.needs else ""
    return escape(truncate(f"{card.icon} {card.label} {card.state.value} · {card.title or '(no title)'}{needs}", 600))


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [_plain(text)]}


def _section(lines: Iterable[_Words]) -> list[Block]:
    """The lines as one part of a rich text, or none: Slack draws sections without a break between them."""
    shown = [[_text(text, style) for text, style in line if text] for line in lines]
    elements = [element for line in shown if line for element in (_text("\n"), *line)]
    return [{"type": "rich_text_section", "elements": elements[1:]}] if elements else []


def _text(text: str, style: str = "") -> Block:
    if style == "link":  # shown as what it is: no other words stand over the address
        return {"type": "link", "url": text}
    return {"type": "text", "text": text, **({"style": {style: True}} if style else {})}
