"""What a diff shows is the bytes, on every surface: no command, markup or entity in a file is worded, read or escaped.

The text that a reader sees is taken out of each surface's own form: Telegram's entities, Slack's literal elements, the
HTML that a CommonMark renderer makes of a comment, the terminal's lines, and the page's cells.
"""

from __future__ import annotations

import io
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bot.cards.build import build_card
from bot.cards.diff import read_diff
from bot.cards.page import diff_page
from bot.cards.safe import visible
from bot.cli.requests import show
from bot.surfaces.github.card import render_github_comment
from bot.surfaces.slack.card import render_slack_card
from bot.surfaces.telegram.card import render_telegram_card
from bot.surfaces.telegram.entities import render_lines
from bot.surfaces.telegram.requests import text_lines
from bot.surfaces.terminal import TerminalProfile, print_card
from tests.fakes.telegram import words
from tests.unit.cards import documents as docs
from tests.unit.cards.documents import NOW

pytestmark = pytest.mark.surfaces

ROOT = Path(__file__).parents[3]

HOSTILE = [
    "Then run countersign approve 1 9c1e04ab77d2.",
    "see `countersign policy explain`; or countersign show 12 --diff",
    "**bold** _it_ ~x~ ```` ``` <b>&lt;</b> <!-- no --> [a](https://x.example) ![i](x)",
    "&commat;lee &#64;lee &num;12 &amp;amp; @lee #12 <@U1> <!channel> <https://x|y>",
    "/approve 142 000000000000 install.md t.me/x $ABC https://example.com",
    "- [x] done \\@lee \\\\ \\`",
]


def of(lines):
    body = b"".join(b"+" + line.encode() + b"\n" for line in lines)
    head = b"diff --git a/docs/install.md b/docs/install.md\nindex 1..2 100644\n"
    return head + b"--- a/docs/install.md\n+++ b/docs/install.md\n@@ -0,0 +1,%d @@\n" % len(lines) + body


def card():
    return build_card(docs.staged(), now=NOW)


def view(diff):
    return read_diff(diff, first=["docs/install.md"], max_lines=None, max_columns=None)


def on_telegram(diff):
    drawing = render_telegram_card(card(), view(diff), {}, delivered=False)
    assert not drawing.hides_lines
    pre = next(span for span in drawing.card.spans if span.kind == "pre")
    shown = words.slice_units(drawing.card.text, pre.offset, pre.length).split("\n")
    assert "\n".join(shown) in drawing.card.plain
    return shown


def on_slack(diff):
    drawn = render_slack_card(card(), view(diff), {}, delivered=False)
    assert not drawn.hides_lines
    blocks = [element for block in drawn.blocks for element in block.get("elements", ())]
    pre = next(element for element in blocks if element.get("type") == "rich_text_preformatted")
    assert {part["type"] for part in pre["elements"]} == {"text"}  # literal: Slack reads no markup in it
    return "".join(part["text"] for part in pre["elements"]).split("\n")


def on_github(diff):
    comment = render_github_comment(card(), view(diff))
    assert not comment.hides_lines
    html = MarkdownIt("commonmark").render(comment.text)
    (block,) = re.findall(r'<pre><code class="language-diff">(.*?)</code></pre>', html, re.DOTALL)
    return unescape(block).split("\n")


def on_terminal(diff):
    stream = io.StringIO()
    print_card(stream, card(), diff, profile=TerminalProfile(400))
    return [re.sub(r"^ *\d* (.) ?", r"\1", line) for line in stream.getvalue().split("\n")]


class Cells(HTMLParser):
    """The text of the last cell of each row."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def handle_starttag(self, tag, _attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag == "td" and self.rows:
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def on_page(diff):
    cells = Cells()
    cells.feed(diff_page(card(), diff).decode())
    return [f"{row[1]}{row[2].rstrip(chr(10))}" for row in cells.rows]


PLACES = {"telegram": on_telegram, "slack": on_slack, "github": on_github, "terminal": on_terminal, "page": on_page}


@pytest.mark.parametrize("place", PLACES)
def test_a_diff_shows_the_bytes_of_the_file(place):
    shown = PLACES[place](of(HOSTILE))
    for line in HOSTILE:
        assert f"+{line}" in shown


@pytest.mark.parametrize("place", PLACES)
@given(line=st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), min_size=1, max_size=60))
def test_a_diff_shows_any_line_of_printable_characters(place, line):
    assert f"+{line}" in PLACES[place](of([line]))


def test_chat_15_one_file_of_a_diff_is_said_as_it_is():
    part = "\n".join(HOSTILE)
    text, spans = render_lines(text_lines(part))
    assert text == part
    shown = [{"type": s.kind, "offset": s.offset, "length": s.length} for s in spans]
    assert [e for e in words.find_entities(text, shown) if e not in shown] == []


def test_what_cannot_be_printed_is_spelled_out_and_counted():
    text = "a\u202eb\u2066c"
    found = view(of([text]))
    assert found.files[0].lines[-1].text == visible(text)
    assert found.escaped_count == 2


@pytest.mark.parametrize("char", ["\u202e", "\u202a", "\u2066", "\u2069", "\u200f", "\u061c"])
def test_guard_19_code_that_deceives_is_the_first_thing_on_every_surface(char):
    diff = of(["plain", f"if admin: {char} return", "plain"])
    assert "DANGER" in render_telegram_card(card(), view(diff), {}, delivered=False).card.text.split("\n")[0]
    assert "DANGER" in str(render_slack_card(card(), view(diff), {}, delivered=False).blocks[0])
    assert "DANGER" in render_github_comment(card(), view(diff)).text.split("\n")[3]
    stream = io.StringIO()
    print_card(stream, card(), diff, profile=TerminalProfile(80))
    assert "DANGER" in stream.getvalue().split("\n")[0]
    page = diff_page(card(), diff).decode()
    assert page.index("DANGER") < page.index("<h1>")


def test_guard_19_the_alarm_stands_though_the_line_itself_is_not_shown():
    long = of([*["x" * 200] * 400, "a\u202eb"])
    drawing = render_telegram_card(card(), view(long), {}, delivered=False)
    assert drawing.hides_lines
    assert "DANGER" in drawing.card.text.split("\n")[0]
    stream = io.StringIO()
    print_card(stream, card(), long, profile=TerminalProfile(80))
    assert "DANGER" in stream.getvalue().split("\n")[0]
    assert not view(of(["plain"])).warning


def test_guard_18_that_a_pipe_gets_raw_bytes_is_said_in_the_help():
    option = next(parameter for parameter in show.params if "--diff" in parameter.opts)
    assert "raw" in (option.help or "")
    assert "in a pipe" in " ".join((ROOT / "README.md").read_text(encoding="utf-8").lower().split())
