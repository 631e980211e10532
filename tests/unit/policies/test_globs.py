"""Globs: anchored for what may be written, in every spelling for what must not be touched (security.md 50-54)."""

from __future__ import annotations

import time

import pathspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.globs import Globs, check, covering, fold, spellings
from policies.protected import PROTECTED, protected

pytestmark = pytest.mark.law


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("docs/**", ["docs/a", "docs/a/b", "docs/.a"], ["docs", "vendor/docs/a", "Docs/a", "docsx/a", "docs/../x"]),
        ("**/*.md", ["a.md", "x/y/a.md", ".md"], ["a.mdx", "a.md/b", "a.MD"]),
        ("*.toml", ["a.toml"], ["x/a.toml"]),
        ("/*.toml", ["a.toml"], ["x/a.toml"]),
        ("src/*", ["src/a"], ["src/a/b", "src"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a/x", "x/a/b"]),
        ("**/t/**", ["t/a", "x/t/a/b"], ["t", "x/t"]),
        ("v?.[0-9][!a]", ["v1.2b"], ["v1.2a", "v.2b", "v/.2b"]),
        ("**", ["a", "a/b"], ["a/../b", "a//b", "./a"]),
        ("a[]x]", ["a]", "ax"], ["ay"]),
        ("a+(b)|c", ["a+(b)|c"], ["aab", "c"]),
    ],
)
def test_a_write_pattern_covers_what_it_says_from_the_root(pattern, inside, outside):
    globs = Globs((pattern,))
    assert [p for p in inside if not globs.covers(p.encode())] == []
    assert [p for p in outside if globs.covers(p.encode())] == []


@pytest.mark.parametrize(
    "pattern",
    ["src/", "!a", "a/../b", "./a", "", "a//b", "[a", "a**", "**b/c", "\\a", "a\u200bb", "a\nb", "x" * 513, "[z-a]"],
)
def test_a_pattern_that_would_have_to_be_guessed_is_refused(pattern):
    assert check(pattern)
    with pytest.raises(ValueError):
        Globs((pattern,))


part = st.text("ab.*?", min_size=1, max_size=4).filter(lambda p: "**" not in p and p not in {".", ".."})
patterns = st.lists(st.one_of(part, st.just("**")), min_size=1, max_size=4).map("/".join)
paths = st.lists(st.text("ab.", min_size=1, max_size=3).filter(lambda p: p not in {".", ".."}), min_size=1, max_size=4)


@given(patterns, paths.map("/".join))
def test_write_patterns_agree_with_gitignore_once_anchored(pattern, path):
    """gitignore also takes what is below a match; `covers` does not, so only the path itself is compared."""
    spec = pathspec.PathSpec.from_lines("gitignore", ["/" + pattern])
    above = any(spec.match_file("/".join(path.split("/")[:n])) for n in range(1, path.count("/") + 1))
    if not above:
        assert bool(Globs((pattern,)).covers(path.encode())) == spec.match_file(path)


def test_matching_takes_no_exponential_time():
    began = time.process_time()
    Globs(("*a" * 100,)).covers(b"a" * 4000)
    Globs(("/".join(["**", "a"] * 100),)).covers(b"/".join([b"a"] * 2000) + b"/b")
    assert time.process_time() - began < 2


odd_part = st.sampled_from(["*", "a*", "*.b", "?", "a?b", "[!a]", "[+-9]", "[ab]*", "*a*b*", "a", "b", ".a", "\u00e9?"])
odd_patterns = st.lists(st.one_of(odd_part, st.just("**")), min_size=1, max_size=5).map("/".join)
odd_paths = st.lists(
    st.text("ab.+-9\u00e9\n\udcff", min_size=1, max_size=4).filter(lambda p: p not in {".", ".."}),
    min_size=1, max_size=6,
).map("/".join)  # fmt: skip


@settings(max_examples=500)
@given(st.lists(odd_patterns, min_size=1, max_size=3).map(tuple), odd_paths)
def test_the_one_expression_for_all_patterns_covers_what_each_covers_part_by_part(patterns, path):
    walked = Globs(patterns).covers(path.encode("utf-8", "surrogateescape"))
    assert bool(covering(patterns).fullmatch(f"{path}/")) == (walked is not None)


def test_the_one_expression_takes_no_exponential_time():
    began = time.process_time()
    covering(("*a" * 100,)).fullmatch("a" * 4000 + "/")
    covering(("/".join(["**", "a"] * 100),)).fullmatch("/".join(["a"] * 2000) + "/b/")
    assert time.process_time() - began < 2


SPELLINGS = [
    ".GitHub/workflows/x.yml",
    ".GITHUB",
    ".git\u200chub/x",
    ".githu\u0062\u0301/x",
    ".g\u0131thub".replace("\u0131", "i"),
    ".github /workflows/x.yml",
    ".github./x",
    ".github\\workflows\\x.yml",
    "\uff0egithub\uff0fworkflows/x",
    ".github",
    ".github/workflows/x.yml ",
    ".github/workflows/x.yml::$DATA",
    ".\u017fgithub".replace("\u017f", ""),
    ".git\u00adhub/a",
    ".github:x/y",
]


@pytest.mark.parametrize("path", SPELLINGS)
def test_every_spelling_of_a_protected_path_is_denied(path):
    assert protected().denies(path.encode()) == ".github/**"


@pytest.mark.parametrize(
    "path",
    [
        "CODEOWNERS",
        "docs/CODEOWNERS",
        ".github/CODEOWNERS",
        "action.yml",
        "x/action.yaml",
        ".gitlab-ci.yml",
        "Jenkinsfile",
        ".circleci/config.yml",
        ".github/dependabot.yml",
        ".pre-commit-config.yaml",
        ".husky/pre-commit",
        ".gitattributes",
        "src/.gitattributes",
        ".gitmodules",
        "AGENTS.md",
        "docs/agents.md",
        "CLAUDE.md",
        ".claude/settings.json",
        ".codex/config.toml",
        ".cursor/rules/a.mdc",
        ".mcp.json",
        ".vscode/settings.json",
        ".vscode/tasks.json",
        ".devcontainer/devcontainer.json",
        ".envrc",
        ".env",
        "web/.env",
        ".git/config",
        "x/.git/hooks/pre-commit",
        "GIT~1/config",
        "CODEOWNERS/x",
        ".countersign/policy.yaml",
    ],
)
def test_the_paths_of_the_catalogue_are_protected_in_every_lane(path):
    assert protected().denies(path.encode())


@pytest.mark.parametrize(
    "path", ["README.md", "docs/a.md", "src/github/x.py", ".env.example", "environment.py", "config/app.yaml"]
)
def test_ordinary_paths_are_not_protected(path):
    assert protected().denies(path.encode()) is None


def test_every_protected_pattern_is_a_sound_one():
    assert [p for p in PROTECTED if check(p)] == []


@st.composite
def respelt(draw):
    """A protected path with its case changed, invisible characters put in, full-width letters, and Windows' tails."""
    path = draw(
        st.sampled_from([".github/workflows/ci.yml", "CODEOWNERS", "docs/CODEOWNERS", ".gitattributes", "a/AGENTS.md"])
    )
    out = []
    for char in path:
        turned = draw(st.sampled_from([char, char.upper(), char.lower()]))
        if turned.isascii() and turned.isalpha() and draw(st.booleans()):
            turned = chr(ord(turned) + 0xFEE0)
        out.append(
            turned + draw(st.sampled_from(["", "", "\u200b", "\u200d", "\ufe0f", "\u00ad", "\U000e0041", "\u0301"]))
        )
    return "".join(out) + draw(st.sampled_from(["", " ", ".", "::$DATA", "/x"]))


@given(respelt())
def test_no_protected_path_passes_whatever_its_spelling(path):
    assert protected().denies(path.encode())


@given(st.text(max_size=20))
def test_folding_twice_is_folding_once(text):
    assert fold(fold(text)) == fold(text)


@given(st.binary(max_size=60))
def test_any_bytes_have_spellings_and_an_answer(path):
    assert spellings(path)
    protected().denies(path)
    Globs(("**",)).covers(path)
