"""What outsiders wrote and what they meant, by the groups of `tests/data/cases/edits.json` and by `chat.md`'s numbers.

The cases themselves are in `tests/integration/editor/test_outside_cases.py`; here are their siblings.
"""

from __future__ import annotations

import pytest

from bot.interpret.grammar import NotUnderstood, parse
from core.model.edit_description import describe
from core.model.edits import AddLine, BumpPackage, CreateFile, DeleteFile, MoveFile, RemoveLine, ReplaceText, SetKey

A = "docs/a.md"
FOO = ReplaceText(A, "foo", "bar")
APP = SetKey("x.yaml", "a", "1")


def refusal(text: str) -> NotUnderstood:
    answer = parse(text)
    assert isinstance(answer, NotUnderstood), answer
    assert answer.can
    return answer


@pytest.mark.parametrize(
    "closing", ["please", "thanks", "thank you", "for me", "again", "everywhere", "globally", "again everywhere please"]
)
@pytest.mark.parametrize(
    "shape",
    [
        "replace foo with bar {} in docs/a.md",
        "replace foo {} with bar in docs/a.md",
        'replace "foo" with "bar" {} in docs/a.md',
        "replace foo with bar in docs/a.md {}",
        "in docs/a.md replace foo with bar {}",
        "replace foo with bar, {}, in docs/a.md",
    ],
)
def test_g1_g8_closing_words_are_no_part_of_a_text(shape, closing):
    assert parse(shape.format(closing)) == (FOO,)


@pytest.mark.parametrize(
    "words",
    [
        *("once", "twice", "asap", "now", "too", "or baz", "ignoring case", "case insensitively", "but not foobar"),
        *("except in headings", "if it is there", "unless it breaks", "and baz", "instead", "(only once)", "only"),
    ],
)
@pytest.mark.parametrize(
    "shape",
    [
        "replace foo with bar {} in docs/a.md",
        "replace foo {} with bar in docs/a.md",
        'replace "foo" with "bar" {} in docs/a.md',
        "in docs/a.md replace foo with bar {}",
        "in docs/a.md, replace foo with bar, {}",
        "add the line foo {} to docs/a.md",
        'add the line "foo" {} to docs/a.md',
        "remove the line containing foo {} from docs/a.md",
        "set a to b {} in x.yaml",
    ],
)
def test_g1_other_words_where_a_text_ends_are_refused(shape, words):
    refusal(shape.format(words))


def test_g1_a_refusal_offers_the_sentence_that_would_be_understood():
    answer = refusal("replace foo with bar asap in docs/a.md")
    assert "“bar asap” is several words" in answer.reason
    assert [parse(way) for way in answer.can] == [(FOO,), (ReplaceText(A, "foo", "bar asap"),)]
    assert [parse(way) for way in refusal("replace foo with nothing in docs/a.md").can] == [
        (ReplaceText(A, "foo", ""),),
        (ReplaceText(A, "foo", "nothing"),),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "replace it with bar in docs/a.md",
        "replace everything with bar in docs/a.md",
        "replace foo with something in docs/a.md",
        "replace foo with a space in docs/a.md",
        'replace "foo" with the plural of "bar" in docs/a.md',
        'remove the line containing the text foo and "bar" from a.txt',
        "in no file but docs/a.md replace foo with bar",
        "in all files but docs/a.md replace foo with bar",
        "in docs/a.md replace foo with bar in docs/b.md",
        'under "News" in docs/a.md replace foo with bar',
        'under "News" set a to 1 in x.yaml',
        "in docs/ move a.md to b.md",
        'in docs/ create a.md with "x"',
        'in docs/ add a file a.md with "x"',
        'create an empty file x.txt with "y"',
    ],
)
def test_g1_no_word_is_passed_over(text):
    refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "replace foo with bar everywhere in docs/a.md",
        "replace foo everywhere with bar in docs/a.md",
        "everywhere in docs/a.md replace foo with bar",
        "in docs/a.md everywhere replace foo with bar",
        "in docs/a.md, replace foo with bar everywhere",
        "docs/a.md: replace foo with bar globally",
        "replace foo in docs/a.md with bar everywhere",
    ],
)
def test_g2_a_named_file_bounds_everywhere(text):
    assert parse(text) == (FOO,)


def test_g2_everywhere_alone_means_all_files_and_beside_other_files_asks():
    assert parse("replace foo with bar everywhere") == (ReplaceText("**", "foo", "bar"),)
    assert parse("replace foo with bar everywhere in docs/") == (ReplaceText("docs/**", "foo", "bar"),)
    two = parse("in docs/a.md, replace foo with bar, and replace x with y everywhere")
    assert two == (FOO, ReplaceText(A, "x", "y"))
    refusal("replace foo with bar in docs/a.md, and replace x with y everywhere")


@pytest.mark.parametrize(
    "text",
    [
        'replace the word "art" with "paint" in docs/a.md',
        "replace the word art by paint in docs/a.md",
        'replace every word "art" with "paint" in docs/a.md',
        'replace all occurrences of the whole word "art" with the word "paint" in docs/a.md',
        'change the word "art" to "paint" in docs/a.md',
    ],
)
def test_g3_the_word_is_a_whole_word(text):
    assert parse(text) == (ReplaceText(A, "art", "paint", word=True),)


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ("set a to 1, in x.yaml", APP),
        ("set a to 1, please, in x.yaml", APP),
        ("in x.yaml, set a to 1!", APP),
        ("could you set a to 1 in x.yaml?", APP),
        ('set a to "b", in x.yaml', SetKey("x.yaml", "a", "b", quoted=True)),
        ('set a to "b"! in x.yaml', SetKey("x.yaml", "a", "b", quoted=True)),
        ("set a to [1, 2], in x.yaml", SetKey("x.yaml", "a", "[1, 2]")),
        ("set a to debug, in x.yaml", SetKey("x.yaml", "a", "debug")),
        ("in x.yaml set a to http://x/?", SetKey("x.yaml", "a", "http://x/?")),
        ("set a to http://x/?, in x.yaml", SetKey("x.yaml", "a", "http://x/?")),
        ("in x.yaml set a to http://x/.", SetKey("x.yaml", "a", "http://x/")),
        ("replace foo with bar, in docs/a.md", FOO),
        ("in docs/a.md replace foo with bar.", FOO),
        ("move a.md to b.md! thanks!", MoveFile("a.md", "b.md")),
    ],
)
def test_g4_punctuation_is_the_sentences(text, edit):
    assert parse(text) == (edit,)


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ('set a="b c", in x.yaml', SetKey("x.yaml", "a", "b c", quoted=True)),
        ("set a=`3` in x.yaml", SetKey("x.yaml", "a", "3")),
        ("set a's value to 1 in x.yaml", APP),
        ('change "foo" to "bar" everywhere in docs/a.md', FOO),
        ('change "foo" to "bar" please in docs/a.md', FOO),
        ('change "foo" to "bar" everywhere', ReplaceText("**", "foo", "bar")),
    ],
)
def test_g1_g4_the_same_holds_for_other_ways_to_say_it(text, edit):
    assert parse(text) == (edit,)


def test_g4_sentences_end_with_marks_too():
    assert parse("Set a to 1 in x.yaml. Delete z.txt! Then set a to 1 in x.yaml.") == (APP, DeleteFile("z.txt"), APP)


@pytest.mark.parametrize(
    "text",
    [
        *("set a to 30! in x.yaml", "set a to hello! in x.yaml", "in x.yaml set a to hello!", "set a! to 1 in x.yaml"),
        *("set a to 1,000 in x.yaml", "set a to 1,5 in x.yaml", "set a to 1.000,50 in x.yaml", "set a to 1) in x.yaml"),
        *('set a="b"! in x.yaml', 'set a="b in x.yaml', "set a=1,b=2 in x.yaml"),
        *("set a to five in x.yaml", "set a to thirty in x.yaml", "in docs/a.md replace foo with bar!"),
        *("replace foo, with bar in docs/a.md", "replace foo with bar: in docs/a.md", "replace a with a, in docs/a.md"),
        *("in docs/a.md replace Load with Load...", 'create docs/b.md! with "x"', "move a.md to b.md? now"),
    ],
)
def test_g4_a_mark_that_may_belong_to_a_text_is_asked_about(text):
    refusal(text)


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ("set `replicas` to `3` in `x.yaml`", SetKey("x.yaml", "replicas", "3")),
        ("set `a` to `true` in x.yaml", SetKey("x.yaml", "a", "true")),
        ("set `a` to ```3``` in x.yaml", SetKey("x.yaml", "a", "3")),
        ("set a to `[1, 2]` in x.yaml", SetKey("x.yaml", "a", "[1, 2]")),
        ("set a to `My App` in x.yaml", SetKey("x.yaml", "a", "My App")),
        ('set a to `"3"` in x.yaml', SetKey("x.yaml", "a", "3", quoted=True)),
        ("set a to `'3'` in x.yaml", SetKey("x.yaml", "a", "3", quoted=True)),
        ("set a to `` in x.yaml", SetKey("x.yaml", "a", "", quoted=True)),
        ("set a to `none` in x.yaml", SetKey("x.yaml", "a", "none")),
        ("change `a.b` from `1` to `2` in x.yaml", SetKey("x.yaml", "a.b", "2", was="1")),
        ("bump `httpx` to `0.28` in `requirements.txt`", BumpPackage("httpx", "0.28", "requirements.txt")),
        ("change `httpx` to `0.28` in requirements.txt", BumpPackage("httpx", "0.28", "requirements.txt")),
        ("replace `foo` with `bar` in `docs/a.md`", FOO),
        ("change `foo` to `bar` in docs/a.md", FOO),
        ("add the line `a\\nb` to x.py", AddLine("x.py", "a\\nb")),
    ],
)
def test_g5_chat_10_backticks_are_how_chat_writes_code(text, edit):
    assert parse(text) == (edit,)


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        (r'add the line "Use C:\temp\notes.txt" to a.md', AddLine("a.md", r"Use C:\temp\notes.txt")),
        (r'add the line "see \\server\new" to a.md', AddLine("a.md", r"see \\server\new")),
        (r"""create n.json with '{"a": "x\ny"}'""", CreateFile("n.json", '{"a": "x\\ny"}\n')),
        (r"""add the line 'print("a\n")' to a.py""", AddLine("a.py", r'print("a\n")')),
        (r'add the line "say \"hi\" now" to a.md', AddLine("a.md", 'say "hi" now')),
        (r"add the line 'it\'s' to a.md", AddLine("a.md", "it's")),
        (r'replace "\d+" with "\w" in a.md', ReplaceText("a.md", r"\d+", r"\w")),
        (r'create a.md with "# A\n\nText\n- one\n"', CreateFile("a.md", "# A\n\nText\n- one\n")),
        ('set a to "x\\\\" in x.yaml', SetKey("x.yaml", "a", "x\\\\", quoted=True)),
    ],
)
def test_g10_a_quoted_text_stands_as_it_is(text, edit):
    assert parse(text) == (edit,)


@pytest.mark.parametrize(
    "text",
    [
        r'add the line "src\nodes" to a.md',
        r"""add the line "print('a\n')" to a.py""",
        r'add the line "\d+\n" to a.md',
        r'replace "C:\dir\" with "D:\dir\" in a.txt',
        r'set a to "C:\dir\" in x.yaml and set b to "y" in z.yaml',
        'add "one"… under "two" to a.md',
        'add "say "hi" now" to a.md',
    ],
)
def test_g10_a_text_that_can_be_read_in_two_ways_is_asked_about(text):
    refusal(text)


@pytest.mark.parametrize(
    "words", ['a bullet "two"', 'a bullet point "two"', 'a new item "two"', 'bullet "two"', 'the bullet: "two"']
)
def test_g11_a_bullet_is_an_item_of_a_list(words):
    for text in (f"add {words} to a.md under News", f'add {words} under "News" in a.md'):
        assert parse(text) == (AddLine("a.md", "two", "News", item=True),)


@pytest.mark.parametrize(
    "text",
    [
        *("move docs/a.md to archive", "move docs/a.md to `archive`", "move docs/a.md to ARCHIVE"),
        *("rename a.md to archive", "move docs/a.md into archive"),
    ],
)
def test_g15_a_target_that_may_be_a_folder_is_asked_about(text):
    assert all(not isinstance(parse(way), NotUnderstood) for way in refusal(text).can)


def test_g15_a_target_that_is_said_in_full_is_taken():
    assert parse('move docs/a.md to "archive"') == (MoveFile(A, "archive"),)
    assert parse("move docs/a.md to the archive folder") == (MoveFile(A, "archive/a.md"),)
    assert parse("rename LICENSE to COPYING") == (MoveFile("LICENSE", "COPYING"),)


def test_g15_only_a_downgrade_may_go_down_unasked():
    down = BumpPackage("httpx", "0.1", "requirements.txt", down=True)
    assert parse("downgrade httpx to 0.1 in requirements.txt") == (down,)
    assert parse(describe(down)) == (down,)


def test_g15_the_line_in_quotes_is_the_whole_line():
    assert parse('remove the line "x" from a.txt') == (RemoveLine("a.txt", "x", whole=True),)
    assert parse('remove all lines "x" from a.txt') == (RemoveLine("a.txt", "x", every=True, whole=True),)
    assert parse('remove the line containing the word "x" from a.txt') == (RemoveLine("a.txt", "x", word=True),)


@pytest.mark.parametrize(
    ("key", "read"),
    [
        ('annotations."a.io/x"', 'annotations."a.io/x"'),
        ("annotations['a.io/x']", "annotations['a.io/x']"),
        ('`annotations."a.io/x"`', 'annotations."a.io/x"'),
        ('"a.io/x"', '"a.io/x"'),
        ("'tool/x'", '"tool/x"'),
    ],
)
def test_r1_a_slash_in_quotes_is_part_of_a_key(key, read):
    assert parse(f"set {key} to off in x.yaml") == (SetKey("x.yaml", read, "off"),)


def test_r1_a_slash_without_quotes_is_asked_about():
    assert "quote the part that holds a slash" in refusal("set annotations.a.io/x to off in x.yaml").reason


@pytest.mark.parametrize(
    "value",
    [
        *('["CMD", "true"]', '["a b", c]', "[80, 443]", '["CMD-SHELL", "a; b"]', '{"a": [1, 2]}', "[]", "{}"),
        *("{{ image }}", "[\n  1,\n  2\n]", '["it\'s", "]"]', '["a\\"b"]'),
    ],
)
@pytest.mark.parametrize("after", ["", ",", " please"])
def test_r4_brackets_hold_a_value_with_spaces(value, after):
    assert parse(f"set a to {value}{after} in x.yaml") == (SetKey("x.yaml", "a", value),)


@pytest.mark.parametrize("key", ["key", "value", "version", "option", "setting", "variable", "field", "property"])
def test_r5_r11_a_noun_may_be_the_key(key):
    for text in (f"set {key} to 2 in x.yaml", f"change {key} to 2 in x.yaml", f"set {key} = 2 in x.yaml"):
        assert parse(text) == (SetKey("x.yaml", key, "2"),)
    assert parse(f"change {key} from 1 to 2 in x.yaml") == (SetKey("x.yaml", key, "2", was="1"),)
    assert parse(f"set {key}: 2 in x.yaml") == (SetKey("x.yaml", key, "2"),)


def test_r5_an_article_asks_for_the_name_of_the_key():
    assert "which key" in refusal("set the value to 3 in x.yaml").reason


def test_r11_the_version_of_a_package_json_is_its_own():
    edit = SetKey("package.json", "version", "1.0.1")
    assert parse("change version to 1.0.1 in package.json") == (edit,)
    assert parse("update the version to 1.0.1 in package.json") == (edit,)
    assert refusal("bump version to 1.0.1 in package.json").can[0] == "set version to 1.0.1 in package.json"


@pytest.mark.parametrize(
    "text",
    [
        "👩\u200d💻",
        "👨\u200d👩\u200d👧",
        "❤\ufe0f\u200d🔥",
        "می\u200cخواهم",  # noqa: RUF001 - Persian
        "क्\u200dष",
    ],
)
def test_r12_chat_11_a_joiner_is_part_of_emoji_and_scripts(text):
    assert parse(f'add "- {text}" to a.md') == (AddLine("a.md", f"- {text}"),)


@pytest.mark.parametrize("text", ["pass\u200dword", "a\u200c", "\u200db", "é\u200da", "a.md\u200d"])
def test_r12_a_joiner_beside_plain_letters_hides_something(text):
    assert "U+200" in refusal(f'add "{text}" to a.md').reason


@pytest.mark.parametrize(
    "text",
    [
        "set a to 1 in \u2060x\u2060.yaml",
        "set\u2060 a to 1 in x.yaml",
        "please @bot, set a to 1 in x.yaml",
        "please , set a to 1 in x.yaml",
        ", set a to 1 in x.yaml",
        ": set a to 1 in x.yaml",
        "@bot: set a to 1 in x.yaml",
        "hey countersign, set a to 1 in x.yaml",
        "Countersign: please set a to 1 in x.yaml!",
    ],
)
def test_chat_11_what_surrounds_a_mention_or_stands_in_a_copied_title_is_no_obstacle(text):
    assert parse(text) == (APP,)


@pytest.mark.parametrize(
    "shape",
    [
        *("Hi! Could you please {}? Thanks a lot!", "Please, {}, thank you very much!", "{} 🙏", "{} now!", "{} asap"),
        *("Thanks! Now {}", "{} :)", "ok, {}, please", "hey @bot, can you {}, many thanks"),
    ],
)
def test_politeness_changes_nothing(shape):
    assert parse(shape.format("set a to 1 in x.yaml")) == (APP,)
    assert parse(shape.format('in docs/a.md replace "foo" with "bar"')) == (FOO,)


@pytest.mark.parametrize("words", ["now", "asap", "🙏", ":)"])
def test_g1_the_same_words_behind_a_bare_text_are_asked_about(words):
    refusal(f"in docs/a.md replace foo with bar {words}")


@pytest.mark.parametrize("words", ["for now", "if possible", "and y.yaml", "unless it breaks", "only"])
def test_the_words_behind_a_file_are_named(words):
    assert refusal(f"set a to 1 in x.yaml {words}").reason == f"I do not understand “{words}” behind x.yaml."
    assert "behind docs/a.md" in refusal(f"replace foo with bar in docs/a.md {words}").reason


def test_a_heading_may_stand_before_or_after_the_file():
    news = (AddLine("README.md", "- x", "News"),)
    assert parse('in README.md, under "News", add "- x"') == news
    assert parse('under "News" in README.md, add "- x"') == news


@pytest.mark.parametrize(
    "edit",
    [
        ReplaceText(A, "art", "paint", word=True),
        ReplaceText(A, 'say "x"', r"C:\new"),
        ReplaceText(A, 'it\'s "x"', "y"),
        AddLine(A, "two", "News", item=True),
        AddLine(A, r"C:\temp\notes"),
        RemoveLine(A, "x", whole=True),
        RemoveLine(A, "x", every=True, whole=True),
        RemoveLine(A, "x", word=True),
        MoveFile(A, "archive"),
        CreateFile(A, "# Hello\n"),
    ],
)
def test_what_a_card_says_is_read_as_the_same_edit(edit):
    assert parse(describe(edit)) == (edit,)
