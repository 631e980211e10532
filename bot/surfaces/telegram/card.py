"""Renders a card for Telegram: one message of at most 4096 UTF-16 units with entities, and its buttons; pure.

Facts come first with a fixed place and size, so that no text of people or models can push them out of sight
(security.md 43). The diff is in the card only if all of it fits; otherwise the card says so and has no Approve until
the whole diff was delivered (security.md 42). `entities` keeps people's text from being linked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bot.cards.diff import DiffView
from bot.cards.model import Card
from bot.cards.parts import (
    ARTIFACTS_LABEL,
    Action,
    ActionKind,
    CheckRow,
    DecisionRow,
    FileRow,
    HiddenContent,
    PullRequestPart,
    Quote,
    StagedPart,
)
from bot.cards.safe import one_line
from bot.cards.wording import capitalize, render_advice
from bot.surfaces.telegram.entities import (
    MAX_TEXT,
    Line,
    TextPiece,
    TextSpan,
    join_pieces,
    measure,
    plain_text,
    render_lines,
    truncate,
    truncate_path,
)
from core.model.lifecycle import State
from core.model.staged_diff import GuardVerdict

SURFACE: Final = "telegram"
MAX_DATA_BYTES: Final = 64
"""Bytes of a button's callback data (core.telegram.org/bots/api#inlinekeyboardbutton: 1-64 bytes)."""
MAX_ROWS: Final = 12
MAX_FINDINGS: Final = 6
MAX_ANSWERS: Final = 20
"""Buttons for a question's answers; more can be typed."""
_MAX_NAMED_CHECKS: Final = 8
_NOTE_UNITS: Final = 160
_STATES_WITH_DIFF: Final = (State.STAGED, State.REFUSED)
"""States in which people look for the diff."""
_MARKS: Final = {GuardVerdict.PASS: "✓", GuardVerdict.WARN: "⚠️", GuardVerdict.BLOCK: "⛔"}
_ICONS: Final = {
    ActionKind.APPROVE: "✅",
    ActionKind.REJECT: "❌",
    ActionKind.REPLY: "💬",
    ActionKind.DIFF: "📄",
    ActionKind.MERGE: "🔀",
    ActionKind.UNDO: "↩️",
    ActionKind.CANCEL: "🚫",
    ActionKind.SHOW: "👁",
    ActionKind.WHY: "🔎",
    ActionKind.PICK: "✂️",
}
_LINK_PREFIX: Final = "https://"


@dataclass(frozen=True, slots=True)
class TelegramButton:
    """A button: its label, and the opaque id that comes back when it is pressed."""

    label: str
    data: str


@dataclass(frozen=True, slots=True)
class TelegramCard:
    """A card as a message; `plain` is the same text for when Telegram rejects its entities, and both fit."""

    text: str
    spans: tuple[TextSpan, ...]
    plain: str
    button_rows: tuple[tuple[TelegramButton, ...], ...]


@dataclass(frozen=True, slots=True)
class TelegramRendering:
    """A rendered card, and whether it omits lines of its diff."""

    card: TelegramCard
    hides_lines: bool


def render_telegram_card(
    card: Card, diff: DiffView | None, buttons: Mapping[Action, str], *, delivered: bool
) -> TelegramRendering:
    """Render `card`; `buttons` are the ids of its actions, `delivered` is that of `Surface.render`."""
    files = [row.path for row in card.staged.files] if card.staged else []
    is_complete = diff is not None and card.state in _STATES_WITH_DIFF and not diff.count_hidden_lines(files)
    if diff is not None and is_complete:
        shown = card.limited_to(len(files), 0)
        lines = _compose(shown, diff, "", diff.warning)
        if lines is not None:
            return TelegramRendering(_message(shown, lines, buttons), hides_lines=False)
    shown = card if delivered else card.limited_to(len(files), None)
    warning = diff.warning if diff is not None and card.state in _STATES_WITH_DIFF else ""
    lines = _compose(shown, None, _diff_location(card, delivered=delivered), warning)
    assert lines is not None, "a card without its diff always fits"
    return TelegramRendering(_message(shown, lines, buttons), hides_lines=card.staged is not None)


def _message(card: Card, lines: Sequence[Line], buttons: Mapping[Action, str]) -> TelegramCard:
    text, spans = render_lines(lines)
    return TelegramCard(text, spans, plain_text(lines), _rows(card, buttons))


def _diff_location(card: Card, *, delivered: bool) -> str:
    if not card.awaits_approval:
        return ""
    return "the whole diff was sent to this chat" if delivered else "the diff is not shown here"


def _compose(card: Card, diff: DiffView | None, note: str, warning: str) -> list[Line] | None:
    """The card's lines, or None if the diff does not fit next to the facts."""
    head, foot = list(_head(card, warning)), list(_foot(card))
    budget = MAX_TEXT - measure(head) - measure(foot) - _NOTE_UNITS
    middle: list[Line] = []
    diff_block: list[Line] = []
    if diff is not None and diff.files:
        diff_block = [[], [TextPiece(_diff_text(diff), "pre")]]
        if diff.escaped_count:
            diff_block.insert(1, [TextPiece(f"⚠️ {diff.escaped_note}", "bold")])
        budget -= measure(diff_block)
        if budget < measure([list(_totals(card.staged))] if card.staged else []) + 2:
            return None
    rows_shown = _add_details(card, middle, budget)
    note_lines = _omission_note(card, rows_shown, note)
    lines = [*head, *middle, *diff_block, *([[]] if foot or note_lines else []), *note_lines, *foot]
    return _strip_trailing_space(lines)


def _strip_trailing_space(lines: list[Line]) -> list[Line]:
    """Lines that end in a visible character: Telegram strips trailing space and would reject an edit as unchanged."""
    while True:
        last = [*lines[-1]]
        while last and not last[-1].text.rstrip():
            last.pop()
        if last:
            return [*lines[:-1], [*last[:-1], replace(last[-1], text=last[-1].text.rstrip())]]
        lines = lines[:-1]


def _add_details(card: Card, middle: list[Line], budget: int) -> int:
    """Add what fits between head and foot, the most important first; returns how many file rows were shown."""
    rows_shown = 0

    def fits(*lines: Line) -> bool:
        nonlocal budget
        length = measure(lines)
        if length > budget:
            return False
        budget -= length
        middle.extend(lines)
        return True

    if card.staged:
        fits([], list(_totals(card.staged)))
        for finding in _findings(card.staged):
            if not fits(finding):
                break
        budget -= 60  # for the line that counts the files left out
        for row in card.staged.files[:MAX_ROWS]:
            if not fits(list(_file(row))):
                break
            rows_shown += 1
        budget += 60
        omitted = card.staged.files[rows_shown:]
        if omitted:
            risky_count = sum(1 for row in omitted if row.is_risky)
            fits(
                [
                    TextPiece(
                        f"… {len(omitted)} more files, {risky_count or 'none'} of them risky",
                        "bold" if risky_count else "",
                    )
                ]
            )
    for quote in card.quotes:
        fits([], *_quote(quote))
    return rows_shown


def _head(card: Card, warning: str) -> Iterator[Line]:
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


def _totals(staged: StagedPart) -> Iterator[TextPiece]:
    count = len(staged.files)
    yield TextPiece(f"{count} file{'s' if count != 1 else ''} +{staged.added} \N{MINUS SIGN}{staged.removed}", "bold")
    if staged.passed_summary:
        yield TextPiece(f" · {staged.passed_summary} ✓")
    for check in staged.named_checks[:_MAX_NAMED_CHECKS]:
        note = f" {truncate(check.note, 20)}" if check.note else ""
        yield TextPiece(f" · {truncate(check.name, 30)}{note} {_MARKS[check.verdict]}")
    if len(staged.named_checks) > _MAX_NAMED_CHECKS:
        yield TextPiece(f" · and {len(staged.named_checks) - _MAX_NAMED_CHECKS} more")


def _findings(staged: StagedPart) -> Iterator[Line]:
    findings: list[tuple[CheckRow, str]] = [(check, detail) for check in staged.checks for detail in check.details]
    findings.sort(key=lambda finding: finding[0].verdict is not GuardVerdict.BLOCK)
    for check, detail in findings[:MAX_FINDINGS]:
        yield [TextPiece(f"{_MARKS[check.verdict]} {truncate(check.name, 30)}: {truncate(detail, 200)}")]
    if len(findings) > MAX_FINDINGS:
        yield [TextPiece(f"… {len(findings) - MAX_FINDINGS} more findings")]


def _file(row: FileRow) -> Iterator[TextPiece]:
    counts = [f"+{row.added}"] if row.added is not None else []
    counts += [f"\N{MINUS SIGN}{row.removed}"] if row.removed is not None else []
    yield TextPiece(f"{'⚠️' if row.is_risky else '▫️'} ")
    yield TextPiece(truncate_path(row.path, 120), "code")
    yield TextPiece(" ".join(["", *counts]))
    notes = [{"A": "new", "D": "deleted", "T": "type changed"}.get(row.status, ""), *row.flags]
    note = ", ".join(dict.fromkeys(filter(None, notes)))
    if note:
        yield TextPiece(f" {truncate(note, 80)}", "bold" if row.is_risky else "")


def _quote(quote: Quote) -> Iterator[Line]:
    yield [TextPiece(f"{truncate(quote.attribution, 80)}:")]
    yield [TextPiece(f"“{truncate(quote.text, 600)}”", "blockquote")]


def _diff_text(diff: DiffView) -> str:
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


def _omission_note(card: Card, rows_shown: int, location: str) -> list[Line]:
    """What is not shown, in words, if the card asks for approval."""
    if not card.awaits_approval or card.staged is None:
        return []
    shown = HiddenContent(rows_shown, len(card.staged.files), 0).sentence if location else ""
    text = "; ".join(part for part in (shown, location) if part)
    return [[TextPiece(f"{capitalize(text)}.", "italic")]] if text else []


def _foot(card: Card) -> Iterator[Line]:
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


def _rows(card: Card, buttons: Mapping[Action, str]) -> tuple[tuple[TelegramButton, ...], ...]:
    """The button rows: answers one per row, all others two per row; an action without an id can still be typed."""
    answers: list[TelegramButton] = []
    others: list[TelegramButton] = []
    for action in card.actions:
        data = buttons.get(action, "")
        if not 1 <= len(data.encode()) <= MAX_DATA_BYTES:
            continue
        is_answer = action.kind is ActionKind.ANSWER
        label = action.label if is_answer else f"{_ICONS[action.kind]} {action.label}"
        (answers if is_answer else others).append(TelegramButton(truncate(label, 60) if label.strip() else "…", data))
    pairs = [tuple(others[n : n + 2]) for n in range(0, len(others), 2)]
    return (*((answer,) for answer in answers[:MAX_ANSWERS]), *pairs)
