"""What in a comment is a command: what GitHub shows as plain words at the start of a line, and nothing else."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.surfaces.github.incoming import MAX_CHARACTERS, GitHubInput, find_input
from tests import campaign

pytestmark = pytest.mark.surfaces


def commands(body):
    return list(find_input(body, "countersign").commands)


def mention(body):
    return find_input(body, "countersign").mention


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("/task fix it", ["/task fix it"]),
        ("Thanks!\n/task fix it\nby Friday", ["/task fix it\nby Friday"]),
        ("Thanks!\n\n   /retry 4\n\nBye", ["/retry 4\n\nBye"]),
        (
            "/reject 4 no\n/task one\n\n```yaml\n/task: x\n```\n",
            ["/reject 4 no", "/task one\n\n```yaml\n/task: x\n```"],
        ),
        ("/Approve 9c1e04ab77d2e85b1f36", ["/Approve 9c1e04ab77d2e85b1f36"]),
        ("@countersign /task x", ["/task x"]),
        ("@Countersign[bot], /task x", ["/task x"]),
        ("<!-- a note -->\n\n/task x", ["/task x"]),
        ("<details>\n\n/task x\n\n</details>\n\n/task y", ["/task y"]),
        ("a<br>\n/task x", ["/task x"]),
        ("> /task quoted\n\n/task mine", ["/task mine"]),
        ("/task x\n-- \nAna\n/task in the footer", ["/task x"]),
    ],
)
def test_a_command_begins_a_line_and_goes_on_to_the_next(body, found):
    assert commands(body) == found


@pytest.mark.parametrize(
    "body",
    [
        "please /task x",
        "/tasks x",
        "/task-x",
        "/etc/hosts is wrong",
        "\\/task x",
        "//task x",
        "/ task x",
        "```\n/task x\n```",
        "```\n/task x",
        "~~~ text\n/task x\n~~~",
        "    /task x",
        "\t/task x",
        "`/task x`",
        "`a\n/task x\nb`",
        "``\n/task x\n``",
        "> /task x",
        "> quoted\n/task x",
        "> > a\n> /task x",
        "- /task x",
        "- a\n  /task x",
        "- a\n/task x",
        "1. /task x",
        "# /task x",
        "/task x\n===",
        "| a |\n|---|\n| /task x |",
        "**bold\n/task x**",
        "*no\n/task x*",
        "~~no\n/task x~~",
        "[^1]: note\nmore\n/task x",
        "[link\n/task x](https://a.example)",
        "![image\n/task x](https://a.example)",
        "<!-- /task x -->",
        "<!--\n\n/task x\n\n-->",
        "<!-- never closed\n\n/task x",
        "a <!-- b\n/task x\n--> c",
        "<details>\n/task x\n</details>",
        "<details>\n\n/task x\n\n</details>",
        "<blockquote>\n\n/task x\n\n</blockquote>",
        "<pre>\n\n/task x\n\n</pre>",
        "<code>\n/task x\n</code>",
        "a <code>\n/task x\n</code>",
        "<kbd>a\n/task x</kbd>",
        '<a href="\n/task x\n">y</a>',
        "<div/>\n\n/task x",
        "<script>\n\n/task x\n\n</script>",
        "[^1]: note\n/task x",
        "[a]: /url\n'title\n/task x'",
        "-- \n/task x",
        "--\n/task x",
        "On Mon, 1 Jan 2026 at 10:00, Lee <lee@a.example> wrote:\n/task x",
        "On Mon, 1 Jan 2026 at 10:00,\nLee <lee@a.example> wrote:\n> a\n\n/task x",
        "Am 1.1. um 10 schrieb:\n> a\n\n/task x",
        "-----Original Message-----\n/task x",
        "________________________________\n/task x",
        "Reply to this email directly, view it on GitHub\n/task x",
    ],
)
def test_words_that_github_shows_otherwise_are_no_command(body):
    assert commands(body) == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("@countersign fix the typo", "fix the typo"),
        ("Hey @Countersign, fix the typo please", "Hey fix the typo please"),
        ("fix it\n\n@countersign[bot]", "fix it"),
        ("@countersign", "help"),
        ("a @countersign b `@countersign`", "a b `@countersign`"),
    ],
)
def test_a_mention_speaks_to_us_and_is_taken_out(body, words):
    assert mention(body) == words


@pytest.mark.parametrize(
    "body",
    [
        "`@countersign` x",
        "```\n@countersign x\n```",
        "> @countersign x",
        "<!-- @countersign x -->",
        "me@countersign.dev",
        "@countersign/team x",
        "@countersigned x",
        "@counter-sign x",
        "x/@countersign",
        "thanks\n-- \n@countersign",
        "[@countersign](https://a.example)",
    ],
)
def test_other_words_do_not_mention_us(body):
    assert find_input(body, "countersign") == GitHubInput()


def test_without_a_name_nobody_can_mention_us():
    assert find_input("@ x @", "") == GitHubInput()
    assert list(find_input("/task x", "").commands) == ["/task x"]


def test_a_comment_longer_than_github_keeps_is_not_read():
    assert find_input("/task " + "x" * MAX_CHARACTERS, "countersign") == GitHubInput()
    assert find_input("/task " + "x" * (MAX_CHARACTERS - 6), "countersign").commands


LINE = st.sampled_from(
    [
        *(
            "",
            "/task x",
            "words",
            "> quote",
            "```",
            "~~~",
            "    code",
            "- item",
            "<!--",
            "-->",
            "<details>",
            "</details>",
        ),
        *("---", "===", "# head", "`", "*", "qzmark0y0x", "| a |", "|---|", "@countersign", "[a](", ")", "\\", "<pre>"),
    ]
)


@given(st.lists(LINE, max_size=10))
@settings(max_examples=300)
def test_every_command_is_in_the_body_as_a_line_of_its_own(lines):
    body = "\n".join(lines)
    said = find_input(body, "countersign")
    for command in said.commands:
        assert command in body
        assert command.split("\n")[0] == "/task x"
    assert not (said.commands and said.mention)


@given(st.lists(LINE, max_size=8))
@settings(max_examples=200)
def test_a_whole_comment_in_a_quote_or_in_code_says_nothing(lines):
    quoted = "\n".join(f"> {line}" for line in lines)
    indented = "\n".join(f"    {line}" for line in lines)
    fenced = "\n".join(["``````", *lines, "``````"])
    for body in (quoted, indented, fenced):
        assert find_input(body, "countersign") == GitHubInput()


@pytest.mark.parametrize("pattern", ["[", "*a ", "`a ", "![[", "*_", "<a ", "<!--", "> ", "- ", "|a", "/task\n", "&"])
def test_no_comment_takes_long_to_read(pattern):
    share = 1 if campaign.WHOLE else 4
    body = ("/task x @countersign\n\n" + pattern * MAX_CHARACTERS)[: MAX_CHARACTERS // share - 1]
    began = time.process_time()
    find_input(body, "countersign")
    assert time.process_time() - began < 10 / share
