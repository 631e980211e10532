"""The report's plots as SVG. They scale to the page's width, and take their colours from its style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from bot.simulation.units import duration

COLOURS: Final = 9
"""The classes `c0` to `c8` of the style sheet; the last is grey."""
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 420, 46, 8, 8, 26
_STATE_CLASSES: Final = {"stable": "s0", "backlogged": "s1", "overloaded": "s2"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a plot with its points in order; a dashed one is a bound that no policy reaches."""

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Area:
    """What a family, or several, fill of an endpoint's memory in each step, in GB."""

    name: str
    sizes_gb: Sequence[float]
    colour: int


@dataclass(frozen=True, slots=True)
class _Frame:
    """The area of a plot and its scales."""

    height: int
    x: Callable[[float], float]
    y: Callable[[float], float]

    def ticks(self, x_ticks: Sequence[tuple[float, str]], y_ticks: Sequence[tuple[float, str]]) -> Iterator[str]:
        """The grid with its labels."""
        bottom = self.height - _BOTTOM
        for value, label in y_ticks:
            y = self.y(value)
            yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
            yield f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>'
        for index, (value, label) in enumerate(x_ticks):
            x = self.x(value)
            anchor = "start" if index == 0 else "end" if index == len(x_ticks) - 1 else "middle"
            yield f'<path class="grid" d="M{x:.1f} {_TOP}V{bottom}"/>'
            yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="{anchor}">{escape(label)}</text>'


def response_times(lines: Sequence[Line]) -> str:
    """The share of requests that ended within a time (a CDF); points are (seconds, share), the axis is logarithmic."""
    seconds = [x for line in lines for x, _ in line.points if x > 0] or [1.0]
    low, high = math.log10(max(0.01, min(seconds))), math.log10(max(0.1, *seconds))
    high = max(high, low + 0.5)
    frame = _frame(240, lambda value: (math.log10(max(10**low, value)) - low) / (high - low), lambda share: share)
    powers = [10.0**power for power in range(math.ceil(low), math.floor(high) + 1)]
    shares = [(share, f"{share:.0%}") for share in (0.0, 0.25, 0.5, 0.75, 0.95)]
    parts = [*frame.ticks([(value, duration(value)) for value in powers], shares), *_drawn(lines, frame)]
    return _svg(frame.height, "Share of requests that ended within a time", parts)


def queue_lengths(lines: Sequence[Line], end_s: float) -> str:
    """How many requests wait over time; points are (seconds, requests)."""
    most = max([y for line in lines for _, y in line.points] or [1.0]) or 1.0
    frame = _frame(220, lambda at_s: at_s / end_s, lambda waiting: waiting / most)
    parts = [*frame.ticks(_times(end_s), _steps(most)), *_drawn(lines, frame)]
    return _svg(frame.height, "Requests that wait over time", parts)


def window_strip(spans: Sequence[tuple[float, float, str]], end_s: float) -> str:
    """A strip of windows, (from, to, state), each coloured by its state."""
    scale = (_WIDTH - _LEFT - _RIGHT) / end_s
    parts = [
        f'<rect class="{_STATE_CLASSES[state]}" x="{_LEFT + from_s * scale:.1f}" y="1" '
        f'width="{max(0.5, (to_s - from_s) * scale - 0.5):.1f}" height="10"><title>{duration(from_s)} to '
        f"{duration(to_s)}: {state}</title></rect>"
        for from_s, to_s, state in spans
    ]
    return _svg(12, "Windows by state", parts)


def memory(areas: Sequence[Area], memory_gb: float, end_s: float) -> str:
    """What an endpoint's memory is filled with over time."""
    steps = max((len(area.sizes_gb) for area in areas), default=0)
    frame = _frame(150, lambda step: step / max(1, steps), lambda gb: gb / memory_gb)
    below = [0.0] * steps
    parts: list[str] = []
    for area in areas:
        above = [base + size for base, size in zip(below, area.sizes_gb, strict=True)]
        outline = _stepped(above, frame) + _stepped(below, frame)[::-1]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in outline) + "Z"
        parts.append(f'<path class="area c{area.colour}" d="{path}"><title>{escape(area.name)}</title></path>')
        below = above
    ticks = [(memory_gb * share, f"{memory_gb * share:g} GB") for share in (0.0, 0.5, 1.0)]
    times = [(at_s / end_s * steps, label) for at_s, label in _times(end_s)]
    return _svg(frame.height, "Memory by model over time", [*parts, *frame.ticks(times, ticks)])


def _frame(height: int, x: Callable[[float], float], y: Callable[[float], float]) -> _Frame:
    """A plot of this height; `x` and `y` scale a value to 0 to 1."""
    inner_width, inner_height = _WIDTH - _LEFT - _RIGHT, height - _TOP - _BOTTOM
    return _Frame(
        height,
        lambda value: _LEFT + inner_width * min(1.0, max(0.0, x(value))),
        lambda value: _TOP + inner_height * (1.0 - min(1.0, max(0.0, y(value)))),
    )


def _drawn(lines: Sequence[Line], frame: _Frame) -> Iterator[str]:
    for index, line in enumerate(lines):
        points = "L".join(f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y in line.points)
        dash = ' stroke-dasharray="5 3"' if line.dashed else ""
        yield f'<path class="line c{index % COLOURS}"{dash} d="M{points}"><title>{escape(line.name)}</title></path>'


def _stepped(values: Sequence[float], frame: _Frame) -> list[tuple[float, float]]:
    """The outline of steps; values that stay the same are one step."""
    points: list[tuple[float, float]] = []
    for index, value in enumerate(values):
        if index == 0 or value != values[index - 1]:
            points += [(frame.x(index), frame.y(values[index - 1]))] if index else []
            points.append((frame.x(index), frame.y(value)))
    return [*points, (frame.x(len(values)), frame.y(values[-1]))] if values else points


def _times(end_s: float) -> list[tuple[float, str]]:
    return [(end_s * share, duration(end_s * share) if share else "0") for share in (0.0, 0.5, 1.0)]


def _steps(most: float) -> list[tuple[float, str]]:
    step = 10 ** math.floor(math.log10(most))
    step = next(step * times for times in (1, 2, 5, 10) if most / (step * times) <= 4)
    return [(step * index, f"{step * index:g}") for index in range(int(most / step) + 1)]


def _svg(height: int, label: str, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
