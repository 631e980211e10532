"""Words for forecasts of the queue: how long work still waits, what goes before it, and a promise that is not kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from bot.cards.safe import one_line
from bot.cards.times import parse_time

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400
_EXACT_BEFORE: Final = 10


def wait_words(low_s: float, high_s: float) -> str:
    """An interval of seconds in rounded words: ``within a minute``, ``about 4 to 9 min``, ``about 50 min to 2 h``."""
    if high_s < _MINUTE:
        return "within a minute"
    low, low_unit = _rounded(low_s, math.floor)
    high, high_unit = _rounded(high_s, math.ceil)
    if low == 0:
        return f"within {high} {high_unit}"
    if (low, low_unit) == (high, high_unit):
        return f"about {low} {low_unit}"
    return f"about {low}{'' if low_unit == high_unit else f' {low_unit}'} to {high} {high_unit}"


def _rounded(seconds: float, to_whole: Callable[[float], int]) -> tuple[int, str]:
    """A duration as a number that is easy to say, and its unit; less than a minute is 0 if that is rounded down."""
    if seconds <= 10 * _MINUTE:
        return to_whole(seconds / _MINUTE), "min"
    if seconds <= 55 * _MINUTE:
        return 5 * to_whole(seconds / _MINUTE / 5), "min"
    if seconds <= 48 * _HOUR:
        return max(1, to_whole(seconds / _HOUR)), "h"
    return to_whole(seconds / _DAY), "days"


def short_forecast(queue: Mapping[str, Any]) -> str:
    """When work begins, or ends if it runs, in as few words as possible; empty when that is not known."""
    if wait := _wait(queue):
        return f"begins {_short(wait)}"
    rest = _interval(queue, "done")
    return f"ends {_short(rest)}" if rest and queue.get("eta_s") == 0 else ""


def _short(words: str) -> str:
    return words if words.startswith("within") else words.replace("about", "in")


def before_words(before: int) -> str:
    """How many jobs go before one: ``next``, ``3 jobs before it``, ``about 40 jobs before it``."""
    if before == 0:
        return "next"
    if before <= _EXACT_BEFORE:
        return f"{before} {'job' if before == 1 else 'jobs'} before it"
    step = 10 if before < 100 else 50
    return f"about {max(step, step * round(before / step))} jobs before it"


def queue_facts(queue: Mapping[str, Any]) -> list[str]:
    """What a card says of a ``queue`` object whose work has not begun: the wait, what goes before, a broken promise."""
    wait, before = _wait(queue), int(queue.get("before") or 0)
    facts = []
    if wait:
        facts.append(f"begins {_in(wait)}{' once a worker runs' if queue.get('needs_worker') else ''}")
    if queue.get("position") and (before or not wait):
        facts.append(before_words(before))
    late = late_sentence(queue)
    return [*([", ".join(facts)] if facts else []), *([late] if late else [])]


def late_sentence(queue: Mapping[str, Any]) -> str:
    """That the start promised at submission was not kept, and the reason; empty while it may be kept."""
    promised_at = parse_time(queue.get("promised_at"))
    if not queue.get("is_late") or promised_at is None:
        return ""
    why = one_line(queue.get("why") or "", 160).rstrip(".")
    return f"Not begun by {promised_at:%H:%M} UTC as promised{f': {why}' if why else ''}."


def eta_sentences(queue: Mapping[str, Any]) -> list[str]:
    """The forecast of a ``queue`` object in sentences: when its work begins, or when it ends if it runs."""
    sentences = []
    wait, rest = _wait(queue), _interval(queue, "done")
    if wait and queue.get("needs_worker"):
        sentences.append(f"Its work is expected to begin {_in(wait)} after a worker starts.")
    elif wait:
        sentences.append(f"Its work is expected to begin {_in(wait)}.")
    elif queue.get("eta_s") == 0 and rest and not queue.get("why"):
        sentences.append(f"It is expected to end {_in(rest)}.")
    if late := late_sentence({**queue, "why": ""}):
        sentences.append(late)
    return sentences


def _wait(queue: Mapping[str, Any]) -> str:
    """The wait in words; empty when it is not known, or over."""
    return _interval(queue, "eta") if queue.get("position") or queue.get("why") else ""


def _interval(queue: Mapping[str, Any], name: str) -> str:
    low_s, high_s = queue.get(f"{name}_low_s"), queue.get(f"{name}_high_s")
    return wait_words(low_s, high_s) if low_s is not None and high_s is not None else ""


def _in(words: str) -> str:
    return words if words.startswith("within") else f"in {words}"
