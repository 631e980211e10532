"""Bumping and pinning packages: one version changes, the rest of the manifest does not."""

from __future__ import annotations

import pytest

from core.model.edits import BumpPackage
from lanes.executors.apply_edits import EditError

REQUIREMENTS = """\
# top
httpx[http2] >= 0.27,<1 ; python_version < '3.12'  # why
Django==4.2
bare
bar~=1.4 \\
    --hash=sha256:abc
baz>=1 # c
qux @ https://example.com/y.whl
typing_extensions>=4
-r other.txt
"""
PYPROJECT = """\
[project]
dependencies = [
  "httpx>=0.27", # c
  'rich~=13.0',
]
optional-dependencies.dev = ["httpx[x]>=0.2", "build==1"]
[dependency-groups]
dev = ["pytest>=8", {include-group = "x"}]
[tool.poetry.dependencies]
flask = "^2.0" # f
req = {version = "~1.0", extras = ["x"]}
[tool.poetry.group.docs.dependencies]
mkdocs = ">=1,<2"
"""
PACKAGE = """\
{
  "dependencies": {"left-pad": "^1.0.0", "x": "*", "y": "file:../y"},
  "devDependencies": {"@types/node": "~18.0.0"}
}
"""


def bump(package, version, **more):
    return BumpPackage(package, version, **more)


@pytest.mark.parametrize(
    ("edit", "before", "after"),
    [
        (bump("httpx", "0.28.1"), ">= 0.27,<1", ">= 0.28.1,<1"),
        (bump("HTTPX", "0.28.1", exact=True), ">= 0.27,<1", "== 0.28.1"),
        (bump("django", "5.1"), "Django==4.2", "Django==5.1"),
        (bump("django", "v5.1"), "Django==4.2", "Django==5.1"),
        (bump("django", "5.1", was="4.2"), "Django==4.2", "Django==5.1"),
        (bump("baz", "2"), "baz>=1 # c", "baz>=2 # c"),
        (bump("baz", "2", exact=True), "baz>=1 # c", "baz==2 # c"),
        (bump("bare", "2", exact=True), "bare\n", "bare==2\n"),
        (bump("Typing.Extensions", "5"), "typing_extensions>=4", "typing_extensions>=5"),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_one_requirement_changes(rewrite, edit, before, after, ending):
    text = REQUIREMENTS.replace("\n", ending)
    expected = REQUIREMENTS.replace(before, after).replace("\n", ending)
    assert rewrite("requirements.txt", text, edit) == expected


@pytest.mark.parametrize(
    ("edit", "before", "after"),
    [
        (bump("rich", "14.0"), "'rich~=13.0'", "'rich~=14.0'"),
        (bump("build", "2"), '"build==1"', '"build==2"'),
        (bump("pytest", "9", exact=True), '"pytest>=8"', '"pytest==9"'),
        (bump("flask", "3.0"), '"^2.0" # f', '"^3.0" # f'),
        (bump("flask", "3.0", exact=True), '"^2.0" # f', '"3.0" # f'),
        (bump("req", "2.0"), '"~1.0"', '"~2.0"'),
    ],
)
def test_one_entry_of_pyproject_changes(rewrite, edit, before, after):
    assert rewrite("pyproject.toml", PYPROJECT, edit) == PYPROJECT.replace(before, after)


@pytest.mark.parametrize(
    ("edit", "before", "after"),
    [
        (bump("left-pad", "2.0.0"), "^1.0.0", "^2.0.0"),
        (bump("left-pad", "2.0.0", exact=True), "^1.0.0", "2.0.0"),
        (bump("@types/node", "20.1.0"), "~18.0.0", "~20.1.0"),
    ],
)
def test_one_entry_of_package_json_changes(change, edit, before, after):
    files = {"web/package.json": PACKAGE, "node_modules/a/package.json": PACKAGE}
    assert change(files, edit).writes == {"web/package.json": PACKAGE.replace(before, after).encode()}


def test_the_same_version_changes_nothing(change):
    assert change({"requirements.txt": REQUIREMENTS}, bump("django", "4.2")).writes == {}


def test_the_named_file_is_the_one(change):
    files = {"requirements/base.txt": "a==1\n", "requirements/dev.txt": "a==1\n"}
    result = change(files, bump("a", "2", path="requirements/dev.txt"))
    assert result.writes == {"requirements/dev.txt": b"a==2\n"}


@pytest.mark.parametrize(
    ("files", "edit", "code", "hint"),
    [
        ({"requirements.txt": REQUIREMENTS}, bump("httpx", "1.5"), "ambiguous", "pin httpx"),
        ({"requirements.txt": REQUIREMENTS}, bump("bare", "1"), "ambiguous", "pin bare"),
        ({"requirements.txt": REQUIREMENTS}, bump("bar", "2"), "unsupported_format", "--hash"),
        ({"requirements.txt": REQUIREMENTS}, bump("qux", "2"), "unsupported_format", "by version"),
        ({"requirements.txt": REQUIREMENTS}, bump("django", "x.y"), "bad_value", "x.y"),
        ({"requirements.txt": REQUIREMENTS}, bump("django", "5", was="4.1"), "not_found", "4.2"),
        ({"requirements.txt": REQUIREMENTS}, bump("djano", "5", path="requirements.txt"), "not_found", "Django"),
        ({"requirements.txt": "a==1\na==2 ; x\n"}, bump("a", "3"), "ambiguous", "requirements.txt:2"),
        ({"requirements.txt": "a==1\n", "requirements.in": "a\n"}, bump("a", "3"), "ambiguous", "requirements.in"),
        ({"pyproject.toml": PYPROJECT}, bump("httpx", "1"), "ambiguous", "optional-dependencies"),
        ({"pyproject.toml": PYPROJECT}, bump("mkdocs", "1.5"), "ambiguous", ">=1,<2"),
        ({"package.json": PACKAGE}, bump("x", "1.0.0"), "ambiguous", "'*'"),
        ({"package.json": PACKAGE}, bump("y", "1.0.0"), "ambiguous", "file:"),
        ({"package.json": PACKAGE}, bump("nope", "1.0.0"), "not_found", "nope"),
        ({"README.md": "a==1"}, bump("a", "2", path="README.md"), "unsupported_format", "README.md"),
    ],
)
def test_what_is_not_clear_is_refused_with_a_hint(change, files, edit, code, hint):
    with pytest.raises(EditError) as refused:
        change(files, edit)
    assert refused.value.code == code
    assert hint in str(refused.value)
