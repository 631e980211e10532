"""Plots over days: lines or stacked bars in a stretched graphic, and labels for the HTML around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from bot.web.graphics.svg import COLOURS, element, stretched, title

_WIDTH: Final = 1000
_HEIGHT: Final = 160
_STEPS: Final = (1, 2, 2.5, 5, 10)
_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_TIMES_S: Final = (
    *(1, 2, 4, 10, 20, 40, _MINUTE, 2 * _MINUTE, 4 * _MINUTE, 10 * _MINUTE, 20 * _MINUTE, 40 * _MINUTE),
    *(
        _HOUR,
        2 * _HOUR,
        4 * _HOUR,
        8 * _HOUR,
        16 * _HOUR,
        48 * _HOUR,
        4 * _DAY,
        8 * _DAY,
        16 * _DAY,
        30 * _DAY,
        90 * _DAY,
    ),
)
"""The ends of an axis of times, in seconds."""


@dataclass(frozen=True, slots=True)
class Series:
    """One value for each day; None where there is none. `colour` is its place among the series."""

    name: str
    values: Sequence[float | None]
    colour: int

    @property
    def kind(self) -> str:
        """Its class in the style sheet."""
        return f"p{self.colour % COLOURS}"


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot with what stands beside it: labels from the top and from the left, and the table of the same values."""

    heading: str
    graphic: Markup
    y_labels: Sequence[str]
    x_labels: Sequence[str]
    series: Sequence[Series]
    rows: Sequence[tuple[str, Sequence[str]]]

    @property
    def is_empty(self) -> bool:
        """Whether no series has a value."""
        return not any(value for each in self.series for value in each.values)


def line_plot(
    heading: str,
    days: Sequence[str],
    series: Sequence[Series],
    words: Callable[[float], str],
    top_for: Callable[[float], float] | None = None,
) -> Plot:
    """A line for each series, interrupted where there is no value; `words` write a value, `top_for` ends the axis."""
    top = (top_for or top_of)(
        max((value for each in series for value in each.values if value is not None), default=0.0)
    )
    shapes = [*_grid(), *(shape for each in series for shape in _line(each, top, days, words))]
    return _plot(heading, days, series, words, top, shapes)


def stack_plot(heading: str, days: Sequence[str], series: Sequence[Series], words: Callable[[float], str]) -> Plot:
    """A bar for each day, divided by series."""
    sums = [sum(each.values[day] or 0 for each in series) for day in range(len(days))]
    top = top_of(max(sums, default=0.0))
    shapes = [*_grid(), *(shape for day in range(len(days)) for shape in _bar(series, day, top, days, words))]
    return _plot(heading, days, series, words, top, shapes)


def top_of(most: float) -> float:
    """The end of an axis for values up to `most`: a round number."""
    if most < 1e-9:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in _STEPS if step * power >= most * 0.999)


def time_top_of(most_s: float) -> float:
    """The end of an axis of times: one that is easy to say, as is its half."""
    return next((each for each in _TIMES_S if each >= most_s), top_of(most_s))


def _plot(
    heading: str,
    days: Sequence[str],
    series: Sequence[Series],
    words: Callable[[float], str],
    top: float,
    shapes: Sequence[Markup],
) -> Plot:
    middle = len(days) // 2
    x_labels = [days[0], days[middle], days[-1]] if len(days) > 2 else list(days)
    rows = [
        (day, [words(value) if (value := each.values[n]) is not None else "-" for each in series])
        for n, day in enumerate(days)
        if any(each.values[n] for each in series)
    ]
    graphic = stretched(_HEIGHT, heading, shapes, _WIDTH)
    return Plot(heading, graphic, [words(top), words(top / 2), words(0)], x_labels, series, rows)


def _grid() -> Iterator[Markup]:
    for y in (0.5, _HEIGHT / 2, _HEIGHT - 0.5):
        yield element("path", class_="grid", d=f"M0 {y}H{_WIDTH}", vector_effect="non-scaling-stroke")


def _line(each: Series, top: float, days: Sequence[str], words: Callable[[float], str]) -> Iterator[Markup]:
    step = _WIDTH / max(1, len(days))
    points: list[str] = []
    for day, value in enumerate([*each.values, None]):
        if value is not None:
            points.append(f"{(day + 0.5) * step:.1f} {_y(value, top):.1f}")
        elif points:
            path = "M" + "L".join(points) + (f"h{step * 0.3:.1f}" if len(points) == 1 else "")
            yield element("path", class_=f"curve {each.kind}", d=path, vector_effect="non-scaling-stroke")
            points = []
    for day, value in enumerate(each.values):
        if value is not None:
            said = title(f"{days[day]}, {each.name}: {words(value)}")
            x, y = day * step, _y(value, top)
            yield element("rect", [said], class_="hit", x=x, y=max(0.0, y - 8), width=step, height=16)


def _bar(
    series: Sequence[Series], day: int, top: float, days: Sequence[str], words: Callable[[float], str]
) -> Iterator[Markup]:
    step = _WIDTH / max(1, len(days))
    below = 0.0
    for each in series:
        value = each.values[day] or 0.0
        if value > 0:
            said = title(f"{days[day]}, {each.name}: {words(value)}")
            y, bottom = _y(below + value, top), _y(below, top)
            width = step * 0.8
            height = max(0.5, bottom - y)
            yield element("rect", [said], class_=each.kind, x=day * step, y=y, width=width, height=height)
            below += value


def _y(value: float, top: float) -> float:
    return 1 + (_HEIGHT - 2) * (1 - min(1.0, max(0.0, value / top)))
