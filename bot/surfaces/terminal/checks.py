"""Verdicts on the terminal: doctor's and verify's checks, how policy decided, and counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TextIO

from bot.cards.safe import one_line
from bot.surfaces.terminal.layout import grid, with_mark
from bot.surfaces.terminal.profile import ACCENT, TerminalProfile, detect_profile, write_items

_VERDICTS: Final = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "bold red")}
_EFFECTS: Final = {"allow": ("✓", "bold green"), "ask": ("?", f"bold {ACCENT}"), "deny": ("✗", "bold red")}


def print_checks(
    stream: TextIO, title: str, checks: Sequence[Mapping[str, Any]], *, look: TerminalProfile | None = None
) -> None:
    """Draw checks, each with `name`, `verdict` (ok, warn or fail), `detail` and, when not ok, the `mend`.

    The last line counts them.
    """
    look = look or detect_profile(stream)
    table = grid("fixed", "fixed", "flow", gap=1)
    for check in checks:
        mark, style = _VERDICTS[check["verdict"]]
        name = look.text((check["name"], "bold" if check["verdict"] != "ok" else ""), " ")
        table.add_row(look.text((mark, style)), name, look.text(one_line(check["detail"])))
        if check.get("mend") and check["verdict"] != "ok":
            table.add_row("", "", look.text(("→ ", ACCENT), one_line(check["mend"])))
    write_items(stream, look, [*_title(look, title), table, _sum(look, [check["verdict"] for check in checks])])


def print_explained(stream: TextIO, decision: Mapping[str, Any], *, look: TerminalProfile | None = None) -> None:
    """Draw a decision of policy (``policy explain --json``): `effect` and `reason`, and what there is of the rest.

    That is `title`, `lane`, `rule`, `terms`, `question`, and the `trace` that led there.
    """
    look = look or detect_profile(stream)
    effect = str(decision["effect"])
    mark, style = _EFFECTS.get(effect, ("·", ""))
    items: list[Any] = _title(look, one_line(str(decision.get("title") or ""), 200))
    items.append(with_mark(look, (f"{mark} {effect} ", style), one_line(decision["reason"])))
    facts = [(name, decision.get(name)) for name in ("lane", "rule")]
    terms = decision.get("terms")
    if terms:
        facts.append(("needs", f"{terms['count']} of {', '.join(terms['approvers'])}"))
    question = decision.get("question")
    if question:
        facts.append(("asks", f"{question['text']} ({', '.join(question['options'])})"))
    table = grid("fixed", "flow")
    for name, value in facts:
        if value:
            table.add_row(look.text((f"  {name}", "dim")), look.text(one_line(str(value))))
    steps: list[Any] = [with_mark(look, ("  ·", "dim"), one_line(step), "dim") for step in decision.get("trace") or ()]
    write_items(stream, look, [*items, table, *([look.text(), *steps] if steps else [])])


def print_counts(
    stream: TextIO,
    title: str,
    counts: Mapping[str, object] | Iterable[tuple[str, object]],
    *,
    look: TerminalProfile | None = None,
) -> None:
    """Draw named values below a title, the names aligned."""
    look = look or detect_profile(stream)
    pairs = counts.items() if isinstance(counts, Mapping) else counts
    rows = [(name, str(value), isinstance(value, int)) for name, value in pairs]
    wide = max((len(value) for _, value, counted in rows if counted), default=0)
    table = grid("fixed", "flow")
    for name, value, counted in rows:
        table.add_row(look.text((f"  {name}", "dim")), look.text(value.rjust(wide) if counted else value))
    write_items(stream, look, [*_title(look, title), table])


def _title(look: TerminalProfile, title: str) -> list[Any]:
    return [look.text((title, "bold"))] if title else []


def _sum(look: TerminalProfile, verdicts: Sequence[str]) -> Any:
    failed, warned = verdicts.count("fail"), verdicts.count("warn")
    all_of_them = f"{len(verdicts)} check{'s' if len(verdicts) != 1 else ''}"
    if not failed and not warned:
        return look.text((f"{all_of_them}, all well", "green"))
    said = [(f"{failed} failed", "bold red")] if failed else []
    if warned:
        said += [(", ", ""), (f"{warned} to look at", "yellow")] if said else [(f"{warned} to look at", "yellow")]
    return look.text(*said, (f" of {all_of_them}", "dim"))
