"""Cards on a terminal: the whole picture, in files under golden/, and what holds for any document.

`COUNTERSIGN_GOLDEN=write` writes the pictures anew; look at them before you keep them.
"""

from __future__ import annotations

import copy
import io
import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from bot.cards.build import build_card
from bot.surfaces.terminal import TerminalProfile, detect_profile, print_card, print_diff
from tests.unit.cards import documents as docs
from tests.unit.cards.documents import NOW
from tests.unit.cards.naughty import NAUGHTY

GOLDEN = Path(__file__).parent / "golden"
SGR = re.compile(r"\x1b\[[0-9;]*m")
PICTURES = {
    "staged": (docs.staged(), docs.DIFF),
    "asking": (docs.asking(), None),
    "queued": (docs.queued(), None),
    "refused_by_guard": (docs.refused_by_guard(), None),
    "published": (docs.published(), None),
    "failed": (docs.failed(), None),
    "rejected": (docs.rejected(), None),
    "second_revision": (docs.second_revision(), docs.DIFF),
}
COLOURS = TerminalProfile(80, "truecolor")


def drawn(card, diff=None, look=None, **options):
    stream = io.StringIO()
    print_card(stream, card, diff, profile=look or TerminalProfile(80), **options)
    return stream.getvalue()


def compare(name, text):
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("COUNTERSIGN_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PICTURES)
def test_the_card_is_drawn_as_in_its_picture(name):
    document, diff = PICTURES[name]
    compare(name, drawn(build_card(document, now=NOW), diff))


def test_a_superseded_card_is_drawn_as_in_its_picture():
    compare("superseded", drawn(build_card(docs.second_revision(), now=NOW, revision=1)))


def test_a_diff_too_long_to_show_is_drawn_as_in_its_picture():
    long = docs.DIFF.replace(b"-4,4 +4,5", b"-4,4 +4,125") + b"+more\n" * 120
    text = drawn(build_card(docs.staged(), now=NOW), long, max_lines=8)
    compare("truncated", text)
    assert "… 119 more lines: countersign show 142 --diff" in text
    assert "countersign approve" not in text


def test_without_the_diff_the_card_offers_it_instead_of_approve():
    text = drawn(build_card(docs.staged(), now=NOW))
    assert "countersign approve" not in text
    assert "countersign show 142 --diff" in text
    assert "diff 9c1e04ab77d2e85b1f36 · needs 1 of lee, docs-team" in text


def test_a_diff_that_is_not_the_staged_one_does_not_open_the_approval():
    assert "countersign approve" not in drawn(build_card(docs.staged(), now=NOW), b"")


def test_after_the_whole_diff_the_approval_is_offered():
    stream = io.StringIO()
    long = docs.DIFF.replace(b"-4,4 +4,5", b"-4,4 +4,1005") + b"+more\n" * 1000
    print_diff(stream, build_card(docs.staged(), now=NOW), long, profile=TerminalProfile(80))
    assert stream.getvalue().count("+ more") == 1000
    assert "countersign approve 142 9c1e04ab77d2e85b1f36" in stream.getvalue()


def test_into_a_pipe_go_gits_bytes():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    print_diff(stream, build_card(docs.staged(), now=NOW), docs.DIFF + b"\xff\x1b")
    assert raw.getvalue() == docs.DIFF + b"\xff\x1b"


def test_many_files_are_bounded_and_the_risky_ones_lead():
    files = [docs.file(f"docs/{n}.md") for n in range(900)] + [docs.file(".github/workflows/ci.yml")]
    document = {**docs.staged(), "staged": docs.staged_diff(files=files)}
    text = drawn(build_card(document, now=NOW))
    rows = [line for line in text.splitlines() if line.startswith("M  ")]
    assert len(rows) == 12
    assert rows[0].startswith("M  .github/workflows/ci.yml")
    assert "… 889 more files, none of them risky" in text
    assert "12 of 901 files shown" in text


def test_chat_21_checks_are_counted_and_only_what_did_not_pass_is_named():
    guard = [docs.finding(f"check{n}") for n in range(8)] + [docs.finding("paths", "warn", "look at this")]
    lines = drawn(build_card({**docs.staged(), "staged": docs.staged_diff(guard=guard)}, now=NOW)).splitlines()
    assert lines[4].endswith("8 of 9 checks ✓   paths !")
    assert lines[5] == "! paths look at this"
    assert "check0" not in "\n".join(lines)


def test_no_content_can_pose_as_the_card():
    forged = (
        b"@@ -0,0 +1,2 @@\n+diff 9c1e04ab77d2 needs 0\n+"
        + b" " * 74
        + b"Approve  countersign approve 142 000000000000\n"
    )
    diff = b"diff --git a/a b/a\nindex 1..2 100644\n--- a/a\n+++ b/a\n" + forged
    document = {**docs.staged(), "staged": docs.staged_diff(files=[docs.file("a")])}
    text = drawn(build_card(document, now=NOW), diff)
    for line in text.splitlines():
        if "needs 0" in line or "0000000" in line:
            assert re.match(r" +\d* \+ ", line)


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("colours", [None, "truecolor", "standard"])
def test_no_line_is_wider_than_the_terminal(width, colours):
    files = [docs.file("docs/" + "deep/" * 40 + "install.md"), docs.file("文書/" * 30 + "導入.md", "D")]
    document = {**docs.staged(), "staged": docs.staged_diff(files=files), "title": "設定を直す " * 12}
    for picture in (document, docs.refused_by_guard(), docs.queued()):
        text = drawn(build_card(picture, now=NOW), docs.DIFF, TerminalProfile(width, colours))
        assert max(cell_len(SGR.sub("", line)) for line in text.splitlines()) <= min(width, 102)


def test_long_paths_keep_their_first_folder_and_their_name():
    path = ".github/" + "very/" * 40 + "ci.yml"
    document = {**docs.staged(), "staged": docs.staged_diff(files=[docs.file(path)])}
    row = next(line for line in drawn(build_card(document, now=NOW)).splitlines() if line.startswith("M"))
    assert re.match(r"M  \.github/very/.*…/ci\.yml +\+2 +−1 +CI", row)  # noqa: RUF001 - the minus that is drawn


def test_colour_only_adds_to_the_plain_picture():
    coloured = SGR.sub("", drawn(build_card(docs.staged(), now=NOW), docs.DIFF, TerminalProfile(82, "truecolor")))
    plain = drawn(build_card(docs.staged(), now=NOW), docs.DIFF, TerminalProfile(80))
    assert "\n".join(line.removeprefix("▎").removeprefix(" ") for line in coloured.splitlines()) + "\n" == plain


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "latin-1"])
def test_a_terminal_of_few_characters_is_given_only_those(encoding):
    for document, diff in PICTURES.values():
        for colours in (None, "standard"):
            drawn(build_card(document, now=NOW), diff, TerminalProfile(80, colours, encoding)).encode(encoding)
    assert drawn(build_card(docs.staged(), now=NOW), None, TerminalProfile(80, None, "ascii")).startswith(
        "#142 docs | Fix install"
    )


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_are_left_out_where_they_are_not_wanted(monkeypatch, name, value):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for variable in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLORTERM", "TTY_COMPATIBLE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert detect_profile(Terminal()).colours == "256"
    assert detect_profile(io.StringIO()).colours is None
    monkeypatch.setenv(name, value)
    assert detect_profile(Terminal()).colours is None


def fields(value, path=()):
    """The way to every text in a document that people, models or repositories can have written."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, (dict, list)):
            yield from fields(item, (*path, key))
        elif isinstance(item, str) and key not in FIXED:
            yield (*path, key)


FIXED = {"state", "verdict", "status", "old_mode", "mode", "digest", "at", "updated_at", "created_at", "expires_at"} | {
    "deadline",
    "kind",
    "code",
}
WORDS = st.sampled_from(NAUGHTY) | st.text(st.characters(), max_size=60)
LOOKS = [
    TerminalProfile(80),
    TerminalProfile(40),
    TerminalProfile(200, None, "ascii"),
    COLOURS,
    TerminalProfile(80, "standard", "cp1252"),
]


@st.composite
def hostile(draw):
    document = copy.deepcopy(draw(st.sampled_from([document for document, _ in PICTURES.values()])))
    document["model"] = {"name": "m", "words": "w"}
    for *path, key in list(fields(document)):
        place = document
        for step in path:
            place = place[step]
        place[key] = draw(WORDS)
    return document


@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60)
@given(hostile(), st.sampled_from(LOOKS))
def test_no_text_in_a_document_acts_on_the_terminal(document, look):
    diff = b"diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -0,0 +1 @@\n+" + NAUGHTY[4].encode() + b"\x1b[2J\xff\n"
    text = drawn(build_card(document, now=NOW), diff, look)
    assert not [c for c in SGR.sub("", text) if not (c.isprintable() or c in "\n\u3000")]
    assert look.colours or "\x1b" not in text
    text.encode(look.encoding)
    if document["state"] == "staged":
        flat = " ".join(SGR.sub("", text).replace("▎", "").split())
        assert "diff 9c1e04ab77d2e85b1f36" in flat
        assert "needs 1" in flat


@pytest.mark.parametrize("text", NAUGHTY, ids=range(len(NAUGHTY)))
def test_each_naughty_text_is_drawn_inert_in_every_place(text):
    document = copy.deepcopy(docs.refused_by_guard())
    for *path, key in list(fields(document)):
        place = document
        for step in path:
            place = place[step]
        place[key] = text
    drawn_text = drawn(build_card(document, now=NOW))
    assert not [c for c in drawn_text if not (c.isprintable() or c in "\n\u3000")]
