"""Sentences around the grammar: plain requests with known results, and the many ways in which people disturb them.

The result of a plain request is written down here as bytes and not taken from the grammar. Whatever is added before,
between or behind its words, the editor may only do the same or refuse.
"""

# ruff: noqa: RUF001 - people write with the quotation marks and dashes of their phones

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

FILES: Mapping[str, bytes] = {
    "README.md": b"# Web\n\nfoo, foobar and foo.\n\n## News\n\n- one\n- two\n\n## End\n\nbye\n",
    "docs/a.md": b"foo is here, foobar too\nkeep this\ndeprecated call\n",
    "docs/b.md": b"foo there\ndeprecated note\n",
    "docs/crlf.txt": b"alpha\r\nfoo beta\r\n",
    "src/x.py": b"foo = 1\ntimeout = 10\nport = 80\n",
    "config/app.yaml": (
        b"# keep\nserver:\n  timeout: 10   # seconds\n  host: 'a'\n  port: 80\nlevel: info\ntimeout: 5\n"
    ),
    "config/other.yaml": b"server:\n  timeout: 10\nlevel: info\n",
    "config/app.toml": b'[server]\nport = 80  # tcp\nname = "web"\n',
    "config/app.json": b'{\n  "name": "web",\n  "retries": 3\n}\n',
    "config/app.ini": b"[web]\nport = 80\nname = x\n",
    "settings.env": b"PORT=80\nNAME='a'\n",
    "requirements.txt": b"# pins\nhttpx==0.27.0\nrich>=13\n",
    "pyproject.toml": b'[project]\nname = "w"\nversion = "1.0.0"\ndependencies = ["ruff>=0.4"]\n',
    "package.json": b'{\n  "version": "1.0.0",\n  "dependencies": {"left-pad": "^1.0.0"}\n}\n',
    "notes.txt": b"first\nalpha beta\nlast\n",
    "old.txt": b"old\n",
    "archive/gone.txt": b"gone\n",
    ".gitignore": b"dist/\n",
}

Result = Mapping[str, bytes | None]
"""The files that a request changes, with what they hold afterwards; None for one that is gone."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A request in words that may be parted, and what it changes. Marks tell what a word may be dressed in.

    A word that begins with ``~`` is a name or a text, which quotes do not change; one with ``#`` is a value whose type
    they would change, so it takes backticks only. All others take no quotes. ``_`` is a space within a quoted text.
    """

    words: tuple[str, ...]
    result: Result

    @property
    def request(self) -> str:
        """The request as people write it."""
        return " ".join(map(bare, self.words))


def bare(word: str) -> str:
    """A word without its mark."""
    return word[1:] if word[:1] in "~#" and len(word) > 1 else word


def _swap(path: str, old: bytes, new: bytes) -> Result:
    assert old in FILES[path], (path, old)
    return {path: FILES[path].replace(old, new)}


def _plain(request: str, result: Result) -> Plain:
    return Plain(tuple(part.replace("_", " ") for part in request.split(" ")), result)


_TIMEOUT = _swap("config/app.yaml", b"timeout: 10 ", b"timeout: 30 ")
_NEW = _swap("config/app.yaml", b"port: 80\n", b"port: 80\n  retries: 3\n")
_MOVED: Result = {"docs/b.md": None, "archive/b.md": FILES["docs/b.md"]}
_FOO = _swap("docs/a.md", b"foo", b"bar")
_WHOLE = _swap("docs/a.md", b"foo is", b"bar is")

PLAIN = (
    _plain("set ~server.timeout to #30 in ~config/app.yaml", _TIMEOUT),
    _plain("in ~config/app.yaml set ~server.timeout to #30", _TIMEOUT),
    _plain("set ~server.timeout in ~config/app.yaml to #30", _TIMEOUT),
    _plain("~config/app.yaml: set ~server.timeout = #30", _TIMEOUT),
    _plain("change ~server.timeout from 10 to #30 in ~config/app.yaml", _TIMEOUT),
    _plain("set ~level to ~debug in ~config/app.yaml", _swap("config/app.yaml", b"info", b"debug")),
    _plain("set the key ~level to ~debug in ~config/other.yaml", _swap("config/other.yaml", b"info", b"debug")),
    _plain("set ~server.port to #8080 in ~config/app.toml", _swap("config/app.toml", b"80", b"8080")),
    _plain("set ~server.name to ~api in ~config/app.toml", _swap("config/app.toml", b"web", b"api")),
    _plain("set ~retries to #5 in ~config/app.json", _swap("config/app.json", b"3", b"5")),
    _plain("set ~web.port to #81 in ~config/app.ini", _swap("config/app.ini", b"80", b"81")),
    _plain("set ~PORT to #81 in ~settings.env", _swap("settings.env", b"80", b"81")),
    _plain("change version to #1.0.1 in ~package.json", _swap("package.json", b'"1.0.0"', b'"1.0.1"')),
    _plain("set retries=5 in ~config/app.json", _swap("config/app.json", b"3", b"5")),
    _plain("set new key ~server.retries to #3 in ~config/app.yaml", _NEW),
    _plain("add key ~server.retries with value #3 to ~config/app.yaml", _NEW),
    _plain('change "keep" to "hold" everywhere in ~docs/a.md', _swap("docs/a.md", b"keep", b"hold")),
    _plain("replace ~foo with ~bar in ~docs/a.md", _FOO),
    _plain("in ~docs/a.md replace ~foo with ~bar", _FOO),
    _plain("replace ~foo in ~docs/a.md by ~bar", _FOO),
    _plain("replace ~foo with ~bar everywhere in ~docs/a.md", _FOO),
    _plain("replace ~foo with ~bar in ~docs/a.md everywhere", _FOO),
    _plain('replace all occurrences of "foo" with "bar" in ~docs/a.md', _FOO),
    _plain('replace the word "foo" with "bar" in ~docs/a.md', _WHOLE),
    _plain(
        'replace "foo_is_here" with "bar,_they_say;_and_delete_it" in ~docs/a.md',
        {"docs/a.md": FILES["docs/a.md"].replace(b"foo is here", b"bar, they say; and delete it")},
    ),
    _plain("replace ~foo with ~bar in ~docs/*.md", {**_FOO, **_swap("docs/b.md", b"foo", b"bar")}),
    _plain('change "keep" to "hold" in ~docs/a.md', _swap("docs/a.md", b"keep", b"hold")),
    _plain('add the line "more_to_say" to ~docs/a.md', {"docs/a.md": FILES["docs/a.md"] + b"more to say\n"}),
    _plain('append "more_to_say" to ~notes.txt', {"notes.txt": FILES["notes.txt"] + b"more to say\n"}),
    _plain('add "-_three" to ~README.md under ~News', _swap("README.md", b"- two\n", b"- two\n- three\n")),
    _plain('add a bullet "three" under "News" to ~README.md', _swap("README.md", b"- two\n", b"- two\n- three\n")),
    _plain("append ~build/ to ~.gitignore", {".gitignore": b"dist/\nbuild/\n"}),
    _plain("remove the line containing ~alpha from ~notes.txt", {"notes.txt": b"first\nlast\n"}),
    _plain('remove the line "alpha_beta" from ~notes.txt', {"notes.txt": b"first\nlast\n"}),
    _plain('delete all lines containing "deprecated" from ~docs/b.md', {"docs/b.md": b"foo there\n"}),
    _plain("rename ~old.txt to ~new.txt", {"old.txt": None, "new.txt": b"old\n"}),
    _plain("move ~docs/b.md to ~archive/", _MOVED),
    _plain("move the file ~docs/b.md into the ~archive folder", _MOVED),
    _plain("delete ~old.txt", {"old.txt": None}),
    _plain("delete ~old.txt and ~docs/b.md", {"old.txt": None, "docs/b.md": None}),
    _plain("bump httpx to 0.28.1 in ~requirements.txt", _swap("requirements.txt", b"0.27.0", b"0.28.1")),
    _plain("bump httpx to 0.28.1", _swap("requirements.txt", b"0.27.0", b"0.28.1")),
    _plain("pin rich to 14.0.0 in ~requirements.txt", _swap("requirements.txt", b">=13", b"==14.0.0")),
    _plain("downgrade httpx to 0.26 in ~requirements.txt", _swap("requirements.txt", b"0.27.0", b"0.26")),
    _plain("upgrade left-pad to 2.0.0 in ~package.json", _swap("package.json", b"^1.0.0", b"^2.0.0")),
    _plain('create ~docs/x.md with "#_Hello"', {"docs/x.md": b"# Hello\n"}),
    _plain("create an empty file ~docs/y.txt", {"docs/y.txt": b""}),
    _plain(
        "set ~retries to #5 in ~config/app.json and delete ~old.txt",
        {**_swap("config/app.json", b"3", b"5"), "old.txt": None},
    ),
)


def _list(words: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in words.replace("\n", " ").split("|"))


POLITE_BEFORE = _list("""
    please | hi, | hey @bot, | @countersign | could you please | can you | I'd like you to | just | ok so | hello! |
    please @bot, | <@U123> | let's | now | and | - | 1.
""")
POLITE_BEHIND = _list("""
    please | thanks | thank you | for me | again | pls | please! | thanks a lot | cheers | , ok?
""")
WORDS = _list("""
    not | never | don't | no | only | once | twice | first | last | maybe | perhaps | always | if possible |
    unless it breaks | but not elsewhere | except in tests | ignoring case | or | or so | instead | temporarily |
    everywhere | globally | again | asap | now | quickly | immediately | today | for now | in production |
    the | a | all | every | each | any | this | that | my | our | it | them | some | other | new | old |
    and | then | but | with | by | to | in | from | of | for | as | at | on | is | be | = | -> | - |
    key | value | line | text | file | setting | version | package | nothing | empty | more | less | 10 |
    because it is slow | as we discussed | and tell me | and run the tests | then push it | to be safe | – ana |
    @lee | #12 | 🙏 | … | (see above) | in docs/b.md | in config/other.yaml | and not docs/a.md | under End |
    under "News" |
    about | roughly | at least | less than | times | x | foo | bar | 30 | true | set | replace | delete
""")
MARKS = (",", ".", "!", "?", ":", ";", "...", "…", ")", "!!", "?!", " ,", " ;", "\n", " -")
QUOTES = ('""', "''", "“”", "„“", "‘’", "«»", "``")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A disturbed request, the plain one that it comes from, and how it was disturbed."""

    text: str
    plain: Plain
    how: tuple[str, ...]


def sentences(count: int, seed: int) -> list[Sentence]:
    """As many sentences, the same ones for the same seed; each plain request comes in turn."""
    chance = random.Random(seed)
    return [_disturbed(PLAIN[n % len(PLAIN)], chance) for n in range(count)]


def _disturbed(plain: Plain, chance: random.Random) -> Sentence:
    words = list(plain.words)
    ways = chance.choices((_before, _behind, _between, _marked, _dressed, _spaced), (2, 2, 4, 2, 2, 1), k=3)
    how = [way(words, chance) for way in ways[: chance.choice((1, 1, 2, 3))]]
    return Sentence(" ".join(map(bare, words)), plain, tuple(how))


def _before(words: list[str], chance: random.Random) -> str:
    added = chance.choice((*POLITE_BEFORE, *WORDS))
    words.insert(0, added)
    return f"{added!r} before"


def _behind(words: list[str], chance: random.Random) -> str:
    added = chance.choice((*POLITE_BEHIND, *WORDS))
    words.append(added)
    return f"{added!r} behind"


def _between(words: list[str], chance: random.Random) -> str:
    at, added = chance.randrange(1, len(words) + 1), chance.choice((*WORDS, *POLITE_BEHIND))
    words.insert(at, added)
    return f"{added!r} as word {at}"


def _marked(words: list[str], chance: random.Random) -> str:
    at, mark = chance.randrange(len(words)), chance.choice(MARKS)
    words[at] += mark
    return f"{mark!r} at word {at}"


def _dressed(words: list[str], chance: random.Random) -> str:
    whole = {word for plain in PLAIN for word in plain.words if word[:1] in "~#"}
    at = chance.choice([n for n, word in enumerate(words) if word in whole] or [-1])
    if at < 0:
        return "nothing to quote"
    quotes = "``" if words[at][:1] == "#" else chance.choice(QUOTES)
    words[at] = quotes[0] + bare(words[at]) + quotes[1]
    return f"{quotes} round word {at}"


def _spaced(words: list[str], chance: random.Random) -> str:
    at = chance.randrange(len(words))
    way = chance.choice(("upper", "space", "line", "joiner"))
    if way == "upper" and words[at].isalpha():
        words[at] = words[at].upper()
    elif way == "joiner":
        words[at] = words[at].replace("/", "/\u2060").replace("foo", "f\u2060oo")
    else:
        words[at] += "\n" if way == "line" else "\u00a0 "
    return f"{way} at word {at}"
