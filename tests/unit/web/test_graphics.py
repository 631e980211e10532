"""Graphics that the server draws: all is escaped, nothing has a style, and shapes are where they belong."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.web.graphics.plot import Series, line_plot, stack_plot, time_top_of, top_of
from bot.web.graphics.strip import Span, strip
from bot.web.graphics.time_scale import TimeScale
from bot.web.graphics.tree import Box, tree

pytestmark = pytest.mark.window
HOSTILE = '</title><script>alert(1)</script>" onload="x'
DAY_MS = 24 * 3600 * 1000


def shapes(svg: str, name: str) -> list[dict[str, str]]:
    """The attributes of the elements called `name` of a graphic, which must be well-formed and without style."""
    root = ET.fromstring(svg)
    assert not [each for each in root.iter() if "style" in each.attrib or each.tag in ("style", "script")]
    return [dict(each.attrib) for each in root.iter(name)]


def test_texts_of_people_are_escaped_in_every_graphic():
    shapes(strip([Span(0, 1, "p0", HOSTILE)], HOSTILE), "rect")
    (box,) = shapes(tree([Box(1, None, HOSTILE, HOSTILE, "/tasks/1", "here")], HOSTILE), "a")
    assert box == {"href": "/tasks/1", "class": "box here"}


def test_a_strip_keeps_short_spans_visible_and_inside():
    rects = shapes(strip([Span(0.9999, 1.0, "p0", "short"), Span(0, 0.5, "p1", "half")], "strip"), "rect")
    short, half = ((float(each["x"]), float(each["width"])) for each in rects)
    assert short[1] >= 3
    assert short[0] + short[1] <= 1000
    assert half == (0, 500)


def test_a_task_stands_right_of_the_one_that_it_waits_for_and_each_has_its_own_place():
    boxes = [
        Box(1, None, "#1", "", "", ""),
        *(Box(n, 1, f"#{n}", "", "", "") for n in (2, 3)),
        Box(4, 2, "#4", "", "", ""),
    ]
    svg = str(tree(boxes, "graph"))
    places = [(float(each["x"]), float(each["y"])) for each in shapes(svg, "rect")]
    assert len(set(places)) == 4
    one, two, three, four = places
    assert one[0] < two[0] == three[0] < four[0]
    assert one[1] == two[1] == four[1] < three[1]
    assert len(shapes(svg, "path")) == 3


def test_a_pause_of_days_between_jobs_of_seconds_is_drawn_short():
    scale = TimeScale.of([(0, 10_000), (3 * DAY_MS, 3 * DAY_MS + 10_000)])
    assert [round((cut.to_ms - cut.from_ms) / DAY_MS) for cut in scale.cuts] == [3]
    assert scale.place(10_000) == pytest.approx(0.472, abs=0.01)
    assert scale.place(3 * DAY_MS) == pytest.approx(0.528, abs=0.01)
    assert scale.place(3 * DAY_MS + 10_000) == 1


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1), st.data())
def test_a_later_time_is_never_left_of_an_earlier_one(spans, data):
    ordered = [(min(span), max(span)) for span in spans]
    scale = TimeScale.of(ordered)
    first, second = sorted(data.draw(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9))))
    assert 0 <= scale.place(first) <= scale.place(second) <= 1
    assert re.match(r"\d", str(scale.width))


def test_a_plot_has_labels_a_table_and_a_line_that_is_interrupted_where_nothing_was():
    series = [Series("half", [60.0, None, 30.0, 90.0], 0), Series(HOSTILE, [0.0, 1.0, None, None], 9)]
    plot = line_plot("Waits", ["1 May", "2 May", "3 May", "4 May"], series, lambda value: f"{value:g} s", time_top_of)
    assert list(plot.y_labels) == ["120 s", "60 s", "0 s"]
    assert list(plot.x_labels) == ["1 May", "3 May", "4 May"]
    curves = [each["class"] for each in shapes(plot.graphic, "path") if each["class"].startswith("curve")]
    assert curves == ["curve p0", "curve p0", "curve p1"]
    assert plot.rows[0] == ("1 May", ["60 s", "0 s"])
    assert plot.rows[-1] == ("4 May", ["90 s", "-"])
    assert not plot.is_empty


def test_stacked_bars_stand_on_each_other_and_end_within_the_axis():
    series = [Series("a", [1.0, 0.0], 0), Series("b", [2.0, 0.0], 1)]
    bars = shapes(stack_plot("Loads", ["1 May", "2 May"], series, str).graphic, "rect")
    (y1, h1), (y2, h2) = ((float(each["y"]), float(each["height"])) for each in bars)
    assert y2 + h2 == pytest.approx(y1, abs=0.02)
    assert h2 == pytest.approx(2 * h1, abs=0.02)
    assert y1 + h1 == pytest.approx(159, abs=0.02)
    assert stack_plot("None", ["1 May"], [], str).is_empty


@given(st.floats(0, 1e9))
def test_an_axis_ends_at_a_round_number_that_no_value_exceeds(most):
    for top in (top_of(most), time_top_of(most)):
        assert top >= most * 0.999
