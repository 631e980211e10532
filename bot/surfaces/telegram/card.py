"""The card on Telegram: one message of at most 4096 UTF-16 units with entities, and its buttons; pure.

Facts come first and have a fixed place and size, so that nothing people or models wrote can push them out of sight
(security.md 43). The diff stands in the card only if all of it fits; else the card says so and, until the whole diff
was delivered, has no Approve (security.md 42). How people's text is kept from acting is told in `telegram_words`.
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
"""Of a button's callback data (core.telegram.org/bots/api#inlinekeyboardbutton: 1-64 bytes)."""
MAX_ROWS: Final = 12
MAX_FINDINGS: Final = 6
MAX_ANSWERS: Final = 20
"""Buttons of a question's answers; more can be typed."""
_MAX_NAMED: Final = 8
_NOTE_ROOM: Final = 160
_WITH_DIFF: Final = (State.STAGED, State.REFUSED)
"""States in which the bytes are what a person looks for."""
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
_URL: Final = "https://"


@dataclass(frozen=True, slots=True)
class TelegramButton:
    """A button: what stands on it, and the opaque id that comes back when it is pressed."""

    label: str
    data: str


@dataclass(frozen=True, slots=True)
class TelegramCard:
    """A card as a message. `plain` is the same text for when Telegram refuses its entities; both fit."""

    text: str
    spans: tuple[TextSpan, ...]
    plain: str
    rows: tuple[tuple[TelegramButton, ...], ...]


@dataclass(frozen=True, slots=True)
class TelegramRendering:
    """A card, and whether a line of its diff is not in it."""

    card: TelegramCard
    hides: bool


def render_telegram_card(
    card: Card, diff: DiffView | None, buttons: Mapping[Action, str], *, delivered: bool
) -> TelegramRendering:
    """The card as Telegram shows it; `buttons` are the ids of its actions, `delivered` is `Surface.draw`'s."""
    files = [row.path for row in card.staged.files] if card.staged else []
    whole = diff is not None and card.state in _WITH_DIFF and not diff.hidden(files)
    if diff is not None and whole:
        shown = card.showing(len(files), 0)
        lines = _compose(shown, diff, "", diff.alarm)
        if lines is not None:
            return TelegramRendering(_message(shown, lines, buttons), hides=False)
    shown = card if delivered else card.showing(len(files), None)
    alarm = diff.alarm if diff is not None and card.state in _WITH_DIFF else ""
    lines = _compose(shown, None, _where_the_diff_is(card, delivered=delivered), alarm)
    assert lines is not None, "a card without its diff always fits"
    return TelegramRendering(_message(shown, lines, buttons), hides=card.staged is not None)


def _message(card: Card, lines: Sequence[Line], buttons: Mapping[Action, str]) -> TelegramCard:
    text, spans = render_lines(lines)
    return TelegramCard(text, spans, plain_text(lines), _rows(card, buttons))


def _where_the_diff_is(card: Card, *, delivered: bool) -> str:
    if not card.asks_for_approval:
        return ""
    return "the whole diff was sent to this chat" if delivered else "the diff is not shown here"


def _compose(card: Card, diff: DiffView | None, note: str, alarm: str) -> list[Line] | None:
    """The card's lines, or None when the diff does not fit beside the facts."""
    head, foot = list(_head(card, alarm)), list(_foot(card))
    room = MAX_TEXT - measure(head) - measure(foot) - _NOTE_ROOM
    middle: list[Line] = []
    block: list[Line] = []
    if diff is not None and diff.files:
        block = [[], [TextPiece(_diff_text(diff), "pre")]]
        if diff.strange:
            block.insert(1, [TextPiece(f"⚠️ {diff.spelled_out}", "bold")])
        room -= measure(block)
        if room < measure([list(_totals(card.staged))] if card.staged else []) + 2:
            return None
    rows_shown = _fill(card, middle, room)
    said = _note(card, rows_shown, note)
    lines = [*head, *middle, *block, *([[]] if foot or said else []), *said, *foot]
    return _trimmed(lines)


def _trimmed(lines: list[Line]) -> list[Line]:
    """Lines that end in something visible: Telegram cuts white space off the end, and would call an edit unchanged."""
    while True:
        last = [*lines[-1]]
        while last and not last[-1].text.rstrip():
            last.pop()
        if last:
            return [*lines[:-1], [*last[:-1], replace(last[-1], text=last[-1].text.rstrip())]]
        lines = lines[:-1]


def _fill(card: Card, middle: list[Line], room: int) -> int:
    """Put between head and foot what there is room for, the weightiest first; how many file rows were shown."""
    rows_shown = 0

    def fits(*lines: Line) -> bool:
        nonlocal room
        need = measure(lines)
        if need > room:
            return False
        room -= need
        middle.extend(lines)
        return True

    if card.staged:
        fits([], list(_totals(card.staged)))
        for finding in _findings(card.staged):
            if not fits(finding):
                break
        room -= 60  # for the line that counts the files left out
        for row in card.staged.files[:MAX_ROWS]:
            if not fits(list(_file(row))):
                break
            rows_shown += 1
        room += 60
        rest = card.staged.files[rows_shown:]
        if rest:
            risky = sum(1 for row in rest if row.risky)
            fits([TextPiece(f"… {len(rest)} more files, {risky or 'none'} of them risky", "bold" if risky else "")])
    for quote in card.quotes:
        fits([], *_quote(quote))
    return rows_shown


def _head(card: Card, alarm: str) -> Iterator[Line]:
    if alarm:
        yield [TextPiece(f"🚨 {alarm}", "bold")]
    lane = f" {truncate(card.lane, 60)}" if card.lane else ""
    yield [
        TextPiece(f"{card.icon} {truncate(card.label, 30)}{lane} · "),
        TextPiece(truncate(card.title, 200) or "(no title)", "bold"),
    ]
    if card.superseded:
        yield [TextPiece(f"{truncate(card.superseded, 60)}; nothing can be decided here", "italic")]
    if card.risk:
        yield [TextPiece(f"risk: {card.risk.value}", "" if card.risk.value == "low" else "bold")]
    byline = " · ".join(fact for fact in card.byline if fact.strip())
    if byline:
        yield [TextPiece(truncate(byline, 300))]
    if card.law:
        yield [TextPiece(truncate(card.law, 200), "italic")]


def _totals(staged: StagedPart) -> Iterator[TextPiece]:
    count = len(staged.files)
    yield TextPiece(f"{count} file{'s' if count != 1 else ''} +{staged.added} \N{MINUS SIGN}{staged.removed}", "bold")
    if staged.passed:
        yield TextPiece(f" · {staged.passed} ✓")
    for check in staged.named[:_MAX_NAMED]:
        note = f" {truncate(check.note, 20)}" if check.note else ""
        yield TextPiece(f" · {truncate(check.name, 30)}{note} {_MARKS[check.verdict]}")
    if len(staged.named) > _MAX_NAMED:
        yield TextPiece(f" · and {len(staged.named) - _MAX_NAMED} more")


def _findings(staged: StagedPart) -> Iterator[Line]:
    found: list[tuple[CheckRow, str]] = [(check, detail) for check in staged.checks for detail in check.details]
    found.sort(key=lambda f: f[0].verdict is not GuardVerdict.BLOCK)
    for check, detail in found[:MAX_FINDINGS]:
        yield [TextPiece(f"{_MARKS[check.verdict]} {truncate(check.name, 30)}: {truncate(detail, 200)}")]
    if len(found) > MAX_FINDINGS:
        yield [TextPiece(f"… {len(found) - MAX_FINDINGS} more findings")]


def _file(row: FileRow) -> Iterator[TextPiece]:
    counts = [f"+{row.added}"] if row.added is not None else []
    counts += [f"\N{MINUS SIGN}{row.removed}"] if row.removed is not None else []
    yield TextPiece(f"{'⚠️' if row.risky else '▫️'} ")
    yield TextPiece(truncate_path(row.path, 120), "code")
    yield TextPiece(" ".join(["", *counts]))
    notes = [{"A": "new", "D": "deleted", "T": "type changed"}.get(row.status, ""), *row.flags]
    said = ", ".join(dict.fromkeys(filter(None, notes)))
    if said:
        yield TextPiece(f" {truncate(said, 80)}", "bold" if row.risky else "")


def _quote(quote: Quote) -> Iterator[Line]:
    yield [TextPiece(f"{truncate(quote.says, 80)}:")]
    yield [TextPiece(f"“{truncate(quote.text, 600)}”", "blockquote")]


def _diff_text(diff: DiffView) -> str:
    """The whole diff as one block: every line of content begins with its sign, so none can pose as a heading."""
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


def _note(card: Card, rows_shown: int, where: str) -> list[Line]:
    """What is not shown, in words, where something is to be approved."""
    if not card.asks_for_approval or card.staged is None:
        return []
    shown = HiddenContent(rows_shown, len(card.staged.files), 0).sentence if where else ""
    said = "; ".join(part for part in (shown, where) if part)
    return [[TextPiece(f"{capitalize(said)}.", "italic")]] if said else []


def _foot(card: Card) -> Iterator[Line]:
    """What stands between the card and its end: question, digest, verdicts, pull request, trouble."""
    if card.asked:
        yield [TextPiece("❓ "), TextPiece(truncate(card.asked.text, 300), "bold")]
        if card.expiry:
            yield [TextPiece(truncate(card.expiry, 40))]
    if card.hitch:
        yield [TextPiece(f"last try: {truncate(card.hitch, 120)}")]
    if card.staged:
        yield list(join_pieces(_digest(card, card.staged)))
    for said in card.decided[:4]:
        yield [TextPiece(_verdict(said))]
    if len(card.decided) > 4:
        yield [TextPiece(f"… and {len(card.decided) - 4} more verdicts")]
    if card.link:
        yield from _pull_request(card.link)
    for ticket in card.tickets:
        yield [TextPiece(f"ticket {truncate(ticket.key, 40)}"), TextPiece(" "), _address(ticket.url)]
    if card.trouble:
        told = card.trouble.code == "rejected" and any(not said.approved for said in card.decided)
        if not told:
            yield [TextPiece("✗ "), TextPiece(truncate(card.trouble.message, 250) or card.trouble.code, "bold")]
        if mend := render_advice(card.trouble.mend, SURFACE):
            yield [TextPiece(f"→ {truncate(one_line(mend), 250)}")]


def _digest(card: Card, staged: StagedPart) -> Iterator[TextPiece]:
    yield TextPiece(f"diff {staged.short[:64]}", "code")
    needs = "; ".join(need.sentence for need in card.needs)
    if needs:
        yield TextPiece(truncate(needs, 400), "bold")
        if card.expiry:
            yield TextPiece(truncate(card.expiry, 40))


def _verdict(said: DecisionRow) -> str:
    mark, did = ("✓", "approved") if said.approved else ("✗", "rejected")
    where = ", ".join(part for part in (said.surface, said.when) if part)
    reason = f": “{truncate(said.reason, 60)}”" if said.reason else ""
    return f"{mark} {truncate(said.person, 40)} {did} it ({truncate(where, 40)}){reason}"


def _pull_request(link: PullRequestPart) -> Iterator[Line]:
    facts = [
        TextPiece(f"pull request {link.number} {truncate(link.state, 20)}", "bold"),
        TextPiece(truncate(link.branch, 80), "code"),
    ]
    if link.of_revision:
        facts.append(TextPiece(f"carries revision {link.of_revision}"))
    yield list(join_pieces(facts))
    if link.checks:
        yield [TextPiece(truncate(link.checks, 200))]
    if link.url:
        yield [_address(link.url)]
    if link.files:
        yield [TextPiece(f"{ARTIFACTS_LABEL}: "), _address(link.files)]


def _address(url: str) -> TextPiece:
    """An address of ours that can be pressed, if it is a plain one; else in code, where nothing is live."""
    ours = url.startswith(_URL) and url.isascii() and len(url) <= 250
    return TextPiece(url if ours else truncate(url, 250), "url" if ours else "code")


def _rows(card: Card, buttons: Mapping[Action, str]) -> tuple[tuple[TelegramButton, ...], ...]:
    """Answers one below the other, all else two in a row; an action without an id can still be typed."""
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
