"""The page of a whole diff: everything is there, and nothing in it acts."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cards.build import build_card
from bot.cards.page import diff_page
from bot.cards.safe import visible
from tests.counterparts import package
from tests.unit.cards import documents as docs
from tests.unit.cards.documents import NOW
from tests.unit.cards.naughty import NAUGHTY

pytestmark = pytest.mark.surfaces

VOID = {"meta", "br"}
PLAIN = {"html", "head", "title", "style", "body", "h1", "h2", "p", "div", "span", "strong", "code", "ul", "ol", "li"}
KNOWN = PLAIN | VOID | {"nav", "a", "section", "header", "table", "tr", "td"}


class Page(HTMLParser):
    """What a browser would find: tags, attributes, words."""

    def __init__(self, raw: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words = ""
        self.rows: list[list[str]] = []
        self.declared: list[str] = []
        self.feed(raw.decode("utf-8"))
        self.close()

    def handle_decl(self, decl):
        self.declared.append(decl)

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if tag == "table":
            self.rows.append([])

    def handle_data(self, data):
        self.words += data
        if self.rows and self.rows[-1] and self.tags[-1] == "td":
            self.rows[-1][-1] += data.removesuffix("\n")

    @property
    def lines(self):
        return [tuple(row) for row in self.rows if row]


def page_of(document, diff=docs.DIFF):
    return Page(diff_page(build_card(document, now=NOW), diff))


def changed(path, line):
    header = f"diff --git a/{path} b/{path}\nindex 1..2 100644\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-old\n+"
    return header.encode() + line.encode("utf-8", "surrogateescape") + b"\n"


def is_inert(page):
    assert set(page.tags) <= KNOWN
    for name, value in page.attributes:
        assert not name.startswith("on")
        assert name not in ("src", "srcset", "style", "action", "background")
        assert name != "href" or re.fullmatch(r"#f[0-9]+", value)
    assert page.declared == ["doctype html"]
    return True


def test_the_page_has_every_line_with_number_and_sign():
    assert page_of(docs.staged()).lines == [
        ("", "…", "Install"),
        ("4", " ", "First"),
        ("5", "\N{MINUS SIGN}", "pip install countersign"),
        ("5", "+", "pipx install countersign-bot"),
        ("6", "+", "countersign init"),
        ("7", " ", "Then"),
        ("8", " ", "look"),
    ]


def test_the_page_says_what_is_countersigned():
    words = page_of(docs.staged()).words
    for fact in ("#142 Fix install steps", docs.DIGEST, "3f2a91c", "1 file +2", "tests 118 ✓", "risk: low"):
        assert fact in words


def test_the_page_fetches_and_runs_nothing():
    raw = diff_page(build_card(docs.staged(), now=NOW), docs.DIFF)
    page = Page(raw)
    assert is_inert(page)
    contents = [value for name, value in page.attributes if name == "content"]
    assert any(value.startswith("default-src 'none'") and "script" not in value for value in contents)
    assert b"url(" not in raw
    assert b"@import" not in raw
    assert b"http" not in raw.replace(b"http-equiv", b"")


def test_the_page_fits_a_phone_and_the_night():
    raw = diff_page(build_card(docs.staged(), now=NOW), docs.DIFF)
    assert b'name="viewport" content="width=device-width' in raw
    assert b"prefers-color-scheme:dark" in raw


def test_risky_files_come_first_and_the_index_leads_to_each():
    paths = ("docs/install.md", "docs/old.md", ".github/workflows/ci.yml", "tools/run.sh")
    diff = b"".join(changed(path, "new") for path in paths)
    raw = diff_page(build_card(docs.refused_by_guard(), now=NOW), diff)
    titles = re.findall(r"<h2>(.*?)</h2>", raw.decode())
    assert titles == [".github/workflows/ci.yml", "tools/run.sh", "docs/old.md", "docs/install.md"]
    page = Page(raw)
    links = [value[1:] for name, value in page.attributes if name == "href"]
    anchors = [value for name, value in page.attributes if name == "id"]
    assert links == anchors == ["f1", "f2", "f3", "f4"]


def test_the_findings_are_all_there():
    words = page_of(docs.refused_by_guard()).words
    assert "protected in every lane" in words
    assert "a lock file changed without its manifest" in words


@pytest.mark.parametrize("text", NAUGHTY)
def test_no_text_acts_on_the_page(text):
    line = text.replace("\n", "")
    document = {**docs.staged(), "title": text, "requester": text}
    page = page_of(
        document, changed("docs/install.md", line.encode("utf-8", "surrogatepass").decode("utf-8", "ignore"))
    )
    assert is_inert(page)


def test_none_of_the_big_list_of_naughty_strings_acts_on_the_page():
    strings = json.loads((package("blns") / "resources" / "blns.json").read_text(encoding="utf-8"))
    diff = b"".join(changed(f"docs/{n}.md", text.replace("\n", " ")) for n, text in enumerate(strings))
    page = page_of(docs.staged(), diff)
    assert is_inert(page)
    added = [text for _, sign, text in page.lines if sign == "+"]
    assert added == [visible(text.replace("\n", " ").removesuffix("\r").expandtabs(4)) for text in strings]


@given(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=80), st.text(max_size=40))
def test_any_line_is_shown_and_inert(line, title):
    page = page_of({**docs.staged(), "title": title}, changed("docs/install.md", line))
    assert is_inert(page)
    assert page.lines[-1][1] == "+"


def test_long_diffs_are_shown_whole():
    body = b"".join(b"+line %d\n" % n for n in range(20_000))
    header = b"diff --git a/a b/a\nnew file mode 100644\n--- /dev/null\n+++ b/a\n@@ -0,0 +1,20000 @@\n"
    raw = diff_page(build_card(docs.staged(), now=NOW), header + body)
    assert raw.count(b"<tr class=add>") == 20_000
    assert len(raw) < 4 * len(body) + 20_000


def test_an_empty_diff_says_so():
    assert "No file is changed." in page_of(docs.staged(), b"").words
