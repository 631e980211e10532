"""Lines under a heading and versions in manifests: another reader sees what was asked for, and the rest as before."""

from __future__ import annotations

import json
import tomllib
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from packaging.requirements import Requirement
from packaging.version import Version

from core.model.edits import AddLine, BumpPackage
from tests import campaign

EXAMPLES: Final = 3_000 if campaign.WHOLE else 200
BLOCKS: Final = (
    ("- one",), ("- one", "- two"), ("- one", "", "- two"), ("* one", "  more"), ("1. one", "2. two"),
    ("words", "and more"), ("> quoted",), ("| a | b |", "|---|---|", "| 1 | 2 |"),
    ("```", "# not a heading", "- not an item", "```"), ("- one", "  - inner"), ("<!--", "## hidden", "-->"),
    ("- one", "", "  a paragraph of it"), ("    indented code",),
)  # fmt: skip
CLOSINGS: Final = (
    (),
    (),
    ("[Unreleased]: https://example.org/c",),
    ("[a]: /a", "[b]: /b"),
    ("---",),
    ("[^1]: note", "    more"),
)
ADDED: Final = ("- new", "* new", "3. new", "new words", "| new | x |", "> new", "  - new inner")


@st.composite
def pages(draw: Any) -> tuple[str, int, int]:
    """A page with three sections, with blocks and what closes it; how many headings it has, which is asked for."""
    lines = ["---", "title: x", "---", ""] if draw(st.booleans()) else []
    lines += ["# Page", "", "Intro [Unreleased] [a]."]
    airy = draw(st.booleans())
    names = ["[Unreleased]", "Second", "Third"]
    for name in names:
        lines += ["", f"## {name}"] if airy or lines[-1].startswith(("[", "---", "    ")) else [f"## {name}"]
        for block in draw(st.lists(st.sampled_from(BLOCKS), max_size=2)):
            lines += ["", *block]
        closing = draw(st.sampled_from(CLOSINGS))
        lines += ["", *closing] if closing else []
    ending = draw(st.sampled_from(("\n", "\r\n")))
    return ending.join(lines) + draw(st.sampled_from((ending, ""))), len(names) + 1, draw(st.integers(0, 2))


def outline(text: str) -> tuple[list[str], dict[str, Any], list[tuple[str, str]]]:
    """The headings, the link definitions, and each leaf with the heading over it, as a CommonMark reader sees them."""
    environment: dict[str, Any] = {}
    body = text.replace("\r\n", "\n")
    if body.startswith("---\n"):
        body = body.partition("\n---\n")[2]
    headings, leaves, under, heading = [], [], "", False
    for token in MarkdownIt().enable("table").parse(body, environment):
        if token.type == "heading_open":
            heading = True
        elif token.type == "inline" and heading:
            under, heading = token.content, False
            headings.append(under)
        elif token.type in ("inline", "fence", "code_block", "hr", "html_block"):
            leaves.append((under, token.type + token.content.rstrip()))
    return headings, environment.get("references", {}), leaves


@settings(max_examples=EXAMPLES, deadline=None)
@given(page=pages(), added=st.sampled_from(ADDED))
def test_a_line_goes_into_its_section_and_changes_nothing_else(rewrite, page, added):
    text, count, chosen = page
    heading = ("Unreleased", "Second", "Third")[chosen]
    after = rewrite("a.md", text, AddLine("a.md", added, heading))
    ending = "\r\n" if "\r\n" in text else "\n"
    lines, now = text.split(ending), after.split(ending)
    at = now.index(added)
    gap_before = len(lines) + 1 < len(now) and not now[at - 1] and lines[: at - 1] == now[: at - 1]
    rest = now[: at - gap_before] + now[at + 1 + (len(now) - len(lines) - 1 - gap_before) :]
    assert rest == lines, "the page without the line and its blank lines is the page before"
    headings, links, leaves = outline(text)
    new_headings, new_links, new_leaves = outline(after)
    assert new_headings == headings
    assert len(headings) == count
    assert {name: link["href"] for name, link in new_links.items()} == {
        name: link["href"] for name, link in links.items()
    }
    gained = [leaf for leaf in new_leaves if leaf not in leaves]
    assert gained, "it is seen"
    assert all(under.strip("[]") == heading for under, _ in gained)
    if added.lstrip().startswith(("- ", "* ", "3. ")) and added[0] != " ":
        assert gained == [(gained[0][0], "inlinenew")], "an item of its own"


SPECS: Final = (
    "==1.0", ">=1.0", ">=1.0,<3", "~=1.0", "~=1.0.0", "", "==1.*", " (>=1.0,<3.0)", "[x]>=1.0",
    "[x,y] >= 1.0 , != 1.5", "!=1", ">=1.0,>=1.1", "===1.0", "<2",
)  # fmt: skip
TAILS: Final = ("", "  # why", ' ; python_version < "3.12"', ' ; python_version < "3.12"  # why')
VERSIONS: Final = ("2.0", "2", "2.0.1", "1.0", "0.9", "3.5", "v2.1", "2.0rc1", "2.*", "x")


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    specs=st.lists(st.tuples(st.sampled_from(SPECS), st.sampled_from(TAILS)), min_size=2, max_size=4),
    version=st.sampled_from(VERSIONS),
    exact=st.booleans(),
    name=st.sampled_from(("requirements.txt", "requirements-dev.in", "constraints.txt", "dev-requirements.in")),
    data=st.data(),
)
def test_a_bump_changes_one_requirement_and_never_goes_down(rewritten, specs, version, exact, name, data):
    lines = ["# top", "-r other.txt", *(f"pkg{n}{spec}{tail}" for n, (spec, tail) in enumerate(specs))]
    chosen = data.draw(st.integers(0, len(specs) - 1))
    edit = BumpPackage(f"pkg{chosen}", version, path=name, exact=exact)
    text = "\n".join(lines) + "\n"
    after_text = rewritten(name, text, edit, "ambiguous", "bad_value")
    if after_text is None:
        return
    after = after_text.split("\n")
    assert len(after) == len(lines) + 1
    assert [n for n, line in enumerate(lines) if after[n] != line] in ([], [chosen + 2])
    old, new = (_requirement(rows[chosen + 2]) for rows in (lines, after))
    assert (old.name, old.extras, str(old.marker)) == (new.name, new.extras, str(new.marker))
    assert new.specifier.contains(Version(version), prereleases=True)
    if exact:
        assert str(new.specifier) == f"=={version.removeprefix('v')}"
    else:
        lowest = [Version(part.version) for part in old.specifier if part.operator in ("==", ">=", "~=", "===")]
        assert Version(version) >= lowest[0]
        assert sorted(part.operator for part in old.specifier) == sorted(part.operator for part in new.specifier)
    assert after[chosen + 2].partition("#")[2] == lines[chosen + 2].partition("#")[2]


def _requirement(line: str) -> Requirement:
    return Requirement(line.split("  #", maxsplit=1)[0])


PLACES: Final = (
    '[project]\ndependencies = [\n  "{}", # c\n]\n',
    '[dependency-groups]\ntest = ["{}", {{include-group = "x"}}]\nx = []\n',
    '[tool.hatch.envs.default]\nextra-dependencies = ["{}"]\n',
    '[tool.hatch.envs.lint.overrides]\n[tool.hatch.envs.lint]\ndependencies = ["{}"]\n',
    '[build-system]\nrequires = ["{}"]\n',
    "[tool.uv]\noverride-dependencies = ['{}']\n",
    '[project.optional-dependencies]\n"a-b" = ["{}"]\n',
)


@settings(max_examples=EXAMPLES // 2, deadline=None)
@given(layout=st.sampled_from(PLACES), spec=st.sampled_from(SPECS), version=st.sampled_from(VERSIONS))
def test_a_bump_finds_a_package_wherever_pyproject_lists_it(rewrite, layout, spec, version):
    text = layout.format(f"pkg{spec}")
    edit = BumpPackage("pkg", version, path="pyproject.toml", exact=True)
    if not version.removeprefix("v").replace(".", "").replace("rc", "").isdigit():
        return
    after = rewrite("pyproject.toml", text, edit)
    says = next(line for line in json.dumps(tomllib.loads(after)).split('"') if line.startswith("pkg"))
    assert str(Requirement(says).specifier) == f"=={version.removeprefix('v')}"
    assert after.replace(says, f"pkg{spec}") == text
