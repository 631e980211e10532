"""One page with the whole diff: self-contained HTML that is readable on a phone; for every surface; pure.

Nothing in it runs or is fetched: no script, image or font, no link except within the page, and a policy in its head
that forbids the rest. Every text is made `visible` and escaped (security.md 127, 143). Facts come first, then the
files, risky ones first, each with its lines; nothing is collapsed, because hidden lines cannot be approved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from bot.cards.diff import DiffLine, FileDiff, read_diff
from bot.cards.model import Card
from bot.cards.parts import CheckRow, FileRow, StagedPart
from bot.cards.safe import visible
from core.model.risk import RiskLevel
from core.model.staged_diff import GuardVerdict

_MINUS: Final = "\N{MINUS SIGN}"
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_MARKS: Final = {GuardVerdict.PASS: "✓", GuardVerdict.WARN: "!", GuardVerdict.BLOCK: "✗"}
_CLASSES: Final = {"+": "add", "-": "del", "@": "hunk", "\\": "note"}
_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1f2328;--dim:#59636e;--page:#fff;--card:#f6f8fa;--line:#d1d9e0;
--add:#dafbe1;--del:#ffebe9;--hunk:#ddf4ff;--warn:#9a6700;--bad:#b3141d;--accent:#0550ae}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9198a1;--page:#0d1117;--card:#151b23;--line:#3d444d;
--add:#12361f;--del:#43191c;--hunk:#0f2a4a;--warn:#e3b341;--bad:#ff7b72;--accent:#79b8ff}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:70rem;padding:1rem .75rem 4rem;background:var(--page);color:var(--ink);
font:16px/1.5 system-ui,sans-serif;-webkit-text-size-adjust:100%}
h1{font-size:1.25rem;line-height:1.3;margin:.2rem 0;overflow-wrap:anywhere}
h2{font:600 .95rem/1.4 ui-monospace,monospace;margin:0;overflow-wrap:anywhere}
p{margin:.25rem 0}
a{color:var(--accent);text-decoration:none}
code,pre,.lines{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.digest{overflow-wrap:anywhere;font-size:.85rem}
.dim{color:var(--dim)}.medium{color:var(--warn)}.high,.block{color:var(--bad);font-weight:600}.warn{color:var(--warn)}
.facts,.index{background:var(--card);border:1px solid var(--line);border-radius:.6rem}
.facts,.index{padding:.6rem .8rem;margin:.8rem 0}
.index ol,.facts ul{margin:.2rem 0;padding-left:1.4rem}
.index li{padding:.25rem 0;overflow-wrap:anywhere}
section{margin:1.2rem 0;border:1px solid var(--line);border-radius:.6rem;overflow:hidden}
section>header{position:sticky;top:0;background:var(--card);padding:.5rem .8rem;border-bottom:1px solid var(--line)}
.lines{width:100%;border-collapse:collapse;font-size:.8rem;line-height:1.45;table-layout:fixed}
.lines td{padding:0 .4rem;vertical-align:top}
.lines td:first-child{width:3.4rem;text-align:right;color:var(--dim);user-select:none;-webkit-user-select:none}
.lines td:nth-child(2){width:1.4rem;text-align:center}
.lines td:last-child{white-space:pre-wrap;overflow-wrap:anywhere}
.add{background:var(--add)}.del{background:var(--del)}.hunk{background:var(--hunk);color:var(--dim)}
.alarm{border:2px solid var(--bad);border-radius:.6rem;padding:.5rem .8rem}
.note{color:var(--dim);font-style:italic}
"""


def diff_page(card: Card, diff: bytes) -> bytes:
    """The page for a card's git `diff`, as UTF-8; it contains every file and every line."""
    first = [row.path for row in card.staged.files] if card.staged else []
    view = read_diff(diff, first=first, max_lines=None, max_columns=None)
    rows = {row.path: row for row in card.staged.files} if card.staged else {}
    parts = [
        *_head(card, view.warning),
        *_facts(card),
        *_escaped_note(view.escaped_note),
        *_index(view.files, rows),
    ]
    for number, file in enumerate(view.files, start=1):
        parts.extend(_file(number, file, rows.get(file.paths[-1])))
    if not view.files:
        parts.append("<p>No file is changed.</p>")
    parts.append("</body></html>\n")
    return "\n".join(parts).encode("utf-8", "backslashreplace")


def _text(text: str) -> str:
    return escape(visible(text))


def _head(card: Card, warning: str) -> Iterator[str]:
    title = _text(f"{card.label} {card.title}")
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
    yield '<meta name="referrer" content="no-referrer"><meta name="robots" content="noindex">'
    yield '<meta name="format-detection" content="telephone=no,date=no,address=no,email=no,url=no">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{_STYLE}</style></head><body>"
    if warning:
        yield f'<p class="high alarm">🚨 {_text(warning)}</p>'
    yield f"<h1>{title}</h1>"
    facts = [card.lane, *card.byline]
    yield f'<p class="dim">{_text(" · ".join(fact for fact in facts if fact))}</p>'


def _facts(card: Card) -> Iterator[str]:
    staged = card.staged
    if staged is None:
        return
    count = len(staged.files)
    risk = card.risk.value if card.risk else RiskLevel.LOW.value
    files = f"{count} file{'s' if count != 1 else ''}"
    yield '<div class="facts">'
    yield f"<p><strong>{files} +{staged.added} {_MINUS}{staged.removed}</strong>"
    yield f'<span class="{risk}">· risk: {risk}</span></p>'
    yield f'<p class="digest">diff <code>{_text(staged.digest)}</code><br>on <code>{_text(staged.base)}</code></p>'
    passed = [f"{staged.passed_summary} ✓"] if staged.passed_summary else []
    yield f"<p>{' · '.join([*passed, *(_check(check) for check in staged.named_checks)])}</p>"
    yield from _findings(staged)
    yield "</div>"


def _check(check: CheckRow) -> str:
    note = f" {_text(check.note)}" if check.note else ""
    return f'<span class="{check.verdict.value}">{_text(check.name)}{note} {_MARKS[check.verdict]}</span>'


def _findings(staged: StagedPart) -> Iterator[str]:
    findings = [(check, detail) for check in staged.checks for detail in check.details]
    if not findings:
        return
    yield "<ul>"
    for check, detail in findings:
        yield f'<li><span class="{check.verdict.value}">{_text(check.name)}</span> {_text(detail)}</li>'
    yield "</ul>"


def _escaped_note(spelled_out: str) -> Iterator[str]:
    if spelled_out:
        yield f'<p class="warn">! {spelled_out} below.</p>'


def _index(files: Sequence[FileDiff], rows: dict[str, FileRow]) -> Iterator[str]:
    if len(files) < 2:
        return
    yield '<nav class="index"><ol>'
    for number, file in enumerate(files, start=1):
        row = rows.get(file.paths[-1])
        yield f'<li><a href="#f{number}">{_text(file.paths[-1])}</a> {_counts(row)}{_flags(row)}</li>'
    yield "</ol></nav>"


def _counts(row: FileRow | None) -> str:
    if row is None:
        return ""
    added = f"+{row.added}" if row.added is not None else ""
    removed = f"{_MINUS}{row.removed}" if row.removed is not None else ""
    return f'<span class="dim">{added} {removed}</span>'


def _flags(row: FileRow | None) -> str:
    if row is None or not row.flags:
        return ""
    return f' <span class="{row.level.value}">{_text(", ".join(row.flags))}</span>'


def _file(number: int, file: FileDiff, row: FileRow | None) -> Iterator[str]:
    notes = f'<p class="dim">{_text(", ".join(file.notes))}</p>' if file.notes else ""
    yield f'<section id="f{number}"><header><h2>{_text(file.paths[-1])}</h2>{_counts(row)}{_flags(row)}{notes}</header>'
    if file.lines:
        yield '<table class="lines">'
        for n, line in enumerate(file.lines):
            if n or line.sign != "@" or line.text:
                yield _line(line)
        yield "</table>"
    yield "</section>"


def _line(line: DiffLine) -> str:
    """A line with its number and its sign in separate cells, so that no content can look like either.

    HTML allows cells and rows without end tags, which halves the page of a large diff.
    """
    kind = _CLASSES.get(line.sign, "")
    number = "" if line.number is None else str(line.number)
    sign = {"@": "…", "-": _MINUS, "\\": ""}.get(line.sign, line.sign)
    row = f"<tr class={kind}>" if kind else "<tr>"
    return f"{row}<td>{number}<td>{escape(sign)}<td>{_text(line.text)}"
