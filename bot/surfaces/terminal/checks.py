"""Verdicts on the terminal: the checks of doctor and verify, policy decisions, and counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TextIO

from bot.cards.safe import one_line
from bot.surfaces.terminal.layout import grid, with_mark
from bot.surfaces.terminal.profile import ACCENT, TerminalProfile, detect_profile, write_items

_VERDICTS: Final = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "bold red")}
_EFFECTS: Final = {"allow": ("✓", "bold green"), "ask": ("?", f"bold {ACCENT}"), "deny": ("✗", "bold red")}


def print_checks(
    stream: TextIO, title: str, checks: Sequence[Mapping[str, Any]], *, profile: TerminalProfile | None = None
) -> None:
    """Print checks, each with `name`, `verdict` (ok, warn or fail), `detail` and, unless ok, the `mend`.

    The last line counts them.
    """
    profile = profile or detect_profile(stream)
    table = grid("fixed", "fixed", "flow", gap=1)
    for check in checks:
        mark, style = _VERDICTS[check["verdict"]]
        name = profile.text((check["name"], "bold" if check["verdict"] != "ok" else ""), " ")
        table.add_row(profile.text((mark, style)), name, profile.text(one_line(check["detail"])))
        if check.get("mend") and check["verdict"] != "ok":
            table.add_row("", "", profile.text(("→ ", ACCENT), one_line(check["mend"])))
    write_items(
        stream, profile, [*_title(profile, title), table, _summary(profile, [check["verdict"] for check in checks])]
    )


def print_explained(stream: TextIO, decision: Mapping[str, Any], *, profile: TerminalProfile | None = None) -> None:
    """Print a policy decision (``policy explain --json``): `effect`, `reason` and the optional rest.

    That is `title`, `lane`, `rule`, `terms`, `question`, and the `trace` of rules.
    """
    profile = profile or detect_profile(stream)
    effect = str(decision["effect"])
    mark, style = _EFFECTS.get(effect, ("·", ""))
    items: list[Any] = _title(profile, one_line(str(decision.get("title") or ""), 200))
    items.append(with_mark(profile, (f"{mark} {effect} ", style), one_line(decision["reason"])))
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
            table.add_row(profile.text((f"  {name}", "dim")), profile.text(one_line(str(value))))
    steps: list[Any] = [
        with_mark(profile, ("  ·", "dim"), one_line(step), "dim") for step in decision.get("trace") or ()
    ]
    write_items(stream, profile, [*items, table, *([profile.text(), *steps] if steps else [])])


def print_counts(
    stream: TextIO,
    title: str,
    counts: Mapping[str, object] | Iterable[tuple[str, object]],
    *,
    profile: TerminalProfile | None = None,
) -> None:
    """Print named values below a title, the names aligned."""
    profile = profile or detect_profile(stream)
    pairs = counts.items() if isinstance(counts, Mapping) else counts
    rows = [(name, str(value), isinstance(value, int)) for name, value in pairs]
    count_width = max((len(value) for _, value, is_count in rows if is_count), default=0)
    table = grid("fixed", "flow")
    for name, value, is_count in rows:
        table.add_row(profile.text((f"  {name}", "dim")), profile.text(value.rjust(count_width) if is_count else value))
    write_items(stream, profile, [*_title(profile, title), table])


def _title(profile: TerminalProfile, title: str) -> list[Any]:
    return [profile.text((title, "bold"))] if title else []


def _summary(profile: TerminalProfile, verdicts: Sequence[str]) -> Any:
    failed, warned = verdicts.count("fail"), verdicts.count("warn")
    total = f"{len(verdicts)} check{'s' if len(verdicts) != 1 else ''}"
    if not failed and not warned:
        return profile.text((f"{total}, all ok", "green"))
    parts = [(f"{failed} failed", "bold red")] if failed else []
    if warned:
        parts += [(", ", ""), (f"{warned} to check", "yellow")] if parts else [(f"{warned} to check", "yellow")]
    return profile.text(*parts, (f" of {total}", "dim"))
