"""The guard on trees: paths, names, modes, sizes and kinds (security.md 50-66, 121)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.change import EXECUTABLE, GITLINK, SYMLINK
from core.model.lane import Lane, Limits
from core.model.staged_diff import GuardVerdict
from policies.protected import with_protected
from tests.unit.policies.cases import ANYWHERE, LANES, Tree, blocked, judge, judged, of, warned

pytestmark = pytest.mark.law

ODD = Lane("odd", "odd", ("**",), "edit", odd_names=True)
CHECKS = [
    "empty",
    "size",
    "paths",
    "protected",
    "names",
    "modes",
    "symlinks",
    "gitlinks",
    "attributes",
    "manifests",
    "tests",
    "blobs",
    "binaries",
    "unicode",
    "secrets",
]


async def test_a_harmless_change_passes_every_check_and_each_says_something():
    report = await judged({"docs/a.md": b"new\n", "docs/b.md": b"b\n"}, {"docs/a.md": b"old\n"}, LANES["docs"])
    assert [f.check for f in report.findings] == CHECKS
    assert {f.verdict for f in report.findings} == {GuardVerdict.PASS}
    assert of(report, "paths")[0].detail == "2 files inside docs/**"
    assert not report.blocked


async def test_a_path_outside_the_lane_blocks_and_is_named():
    report = await judged({"docs/a.md": b"x", "src/a.py": b"x"}, lane=LANES["docs"])
    assert [(f.path, f.verdict) for f in of(report, "paths")] == [("src/a.py", GuardVerdict.BLOCK)]


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/x.yml",
        ".GitHub/workflows/x.yml",
        ".git\u200chub/x",
        ".githu\u0062\u0301/x",
        ".github./x",
        "docs/CODEOWNERS",
        ".gitattributes",
        "a/.gitmodules",
        "AGENTS.md",
        ".env",
        "x/.git/config",
        "GIT~1/config",
    ],
)
@pytest.mark.parametrize("lane", [ANYWHERE, ODD])
async def test_a_protected_path_blocks_in_every_lane_however_it_is_spelt(path, lane):
    for tree in (Tree({}, {path: b"x"}), Tree({path: b"x"}, {}), Tree({path: b"x"}, {path: b"y"})):
        assert blocked(await judge(tree, lane), "protected")


async def test_both_sides_of_a_rename_are_judged():
    into = await judged({".github/workflows/ci.yml": b"x"}, {"tool.sh": b"x"})
    away = await judged({"owners.txt": b"x"}, {"CODEOWNERS": b"x"})
    out = await judged({"docs/a.md": b"x"}, {"src/a.md": b"x"}, Lane("d", "d", ("docs/**",), "edit"))
    assert blocked(into, "protected")
    assert blocked(away, "protected")
    assert [f.path for f in of(out, "paths")] == ["src/a.md"]


async def test_the_policy_and_the_lane_protect_more():
    tree = Tree({}, {"secrets/a": b"x"})
    own = Lane("l", "l", ("**",), "edit", protect=("secrets",))
    in_policy = with_protected({"l": replace(own, protect=())}, ("secrets/**",))["l"]
    for lane, reason in (
        (own, "may not be changed in lane l (by secrets)"),
        (in_policy, "may not be changed in any lane (by secrets/**)"),
    ):
        report = await judge(tree, lane)
        assert blocked(report, "protected")
        assert [finding.detail for finding in of(report, "protected")] == [reason]
    assert not blocked(await judge(tree), "protected")


async def test_a_lane_with_globs_that_float_blocks_everything():
    report = await judged({"a": b"x"}, lane=Lane("bad", "bad", ("src/",), "edit"))
    assert report.blocked


@pytest.mark.parametrize(
    "name",
    [
        b"a\nb",
        b"a\tb",
        b"a\x1bb",
        b'a"b',
        b"a'b",
        b"a\\b",
        b"-rf",
        b"x/-o",
        b"\xff.txt",
        b"a ",
        b" a",
        b"a.",
        b"x.yml::$DATA",
        b"CON",
        b"x/nul.txt",
        b"com1",
        b"PROGRA~1",
        b"a:b",
        b"a|b",
        "e\u0301.txt".encode(),
        b"~root/x",
        b"n" * 256,
    ],
)
async def test_an_odd_name_blocks_unless_the_lane_allows_it(name):
    assert blocked(await judged({name: b"x"}), "names")
    report = await judged({name: b"x"}, lane=ODD)
    assert warned(report, "names")
    assert not blocked(report, "names")


@pytest.mark.parametrize(
    "name",
    [
        b"../x",
        b"a/../b",
        b"a//b",
        b"./a",
        b"x/.git",
        b".GIT/config",
        b".git./x",
        b"git~1",
        "a\u200bb".encode(),
        "a\u202eb".encode(),
        "\u115f".encode(),
    ],
)
async def test_a_dangerous_name_blocks_in_every_lane(name):
    assert blocked(await judged({name: b"x"}, lane=ODD), "names")


async def test_an_invisible_name_is_told_by_its_code_point():
    report = await judged({"a\u202eb": b"x"})
    assert "U+202E RIGHT-TO-LEFT OVERRIDE" in of(report, "names")[0].detail
    assert of(report, "names")[0].path == "a\\u{202e}b"


async def test_two_names_that_some_systems_take_for_one_block():
    assert blocked(await judged({"readme.md": b"x", "README.md": b"x"}), "names")
    assert not blocked(await judged({"readme.md": b"x"}, {"README.md": b"x"}), "names")


async def test_ordinary_names_pass():
    fine = dict.fromkeys(
        ("src/app/[id].tsx", "docs/Grüße.md", "a+b=c.txt", "a b.txt", "console.py", "$x.ts", "日本.md"), b"x"
    )
    assert not blocked(await judged(fine), "names")


async def test_an_executable_bit_needs_the_lane():
    runs = Lane("runs", "runs", ("**",), "edit", executables=True)
    for before, after in (({"a": b"x"}, {"a": (EXECUTABLE, b"x")}), ({}, {"a": (EXECUTABLE, b"x")})):
        assert blocked(await judged(after, before), "modes")
        report = await judged(after, before, runs)
        assert warned(report, "modes")
        assert not report.blocked
    kept = await judged({"a": (EXECUTABLE, b"y")}, {"a": (EXECUTABLE, b"x")})
    assert not blocked(kept, "modes")
    assert not warned(kept, "modes")
    assert warned(await judged({"a": b"x"}, {"a": (EXECUTABLE, b"x")}), "modes")


async def test_an_unknown_mode_blocks():
    assert blocked(await judged({"a": ("100664", b"x")}), "modes")


@pytest.mark.parametrize("target", [b"/etc/passwd", b"../../x", b".github/workflows/x.yml", b"a.txt"])
async def test_a_symlink_blocks_new_changed_or_turned(target):
    for before in ({}, {"a": b"text"}, {"a": (SYMLINK, b"elsewhere")}):
        tree = Tree(before, {"a": (SYMLINK, target)})
        assert blocked(await judge(tree), "symlinks")
        assert tree.read == []
    assert blocked(await judged({"a": b"text"}, {"a": (SYMLINK, target)}), "symlinks")
    assert not blocked(await judged({}, {"a": (SYMLINK, target)}), "symlinks")


async def test_a_gitlink_blocks_whether_it_comes_or_goes():
    for before, after in (
        ({}, {"m": (GITLINK, b"c")}),
        ({"m": (GITLINK, b"c")}, {}),
        ({"m": (GITLINK, b"c")}, {"m": b"x"}),
    ):
        assert blocked(await judged(after, before), "gitlinks")


async def test_git_attributes_block_at_any_depth():
    for name in (".gitattributes", "a/.GITATTRIBUTES", ".gitmodules", "x/.gitmodules"):
        assert blocked(await judged({name: b"* filter=x"}), "attributes")


async def test_the_limits_judge_files_bytes_and_each_file_before_any_blob_is_read():
    small = Lane("s", "s", ("**",), "edit", limits=Limits(files=2, bytes=10, file_bytes=6))
    for after in ({"a": b"x", "b": b"x", "c": b"x"}, {"a": b"x" * 6, "b": b"x" * 6}, {"a": b"x" * 7}):
        tree = Tree({}, after)
        report = await judge(tree, small)
        assert blocked(report, "size")
        assert tree.read == []
        assert all(blocked(report, check) for check in ("blobs", "secrets"))
    assert not (await judged({"a": b"x" * 6, "b": b"x" * 4}, lane=small)).blocked


async def test_a_rule_tightens_the_lanes_limits_and_never_loosens_them():
    lane = Lane("s", "s", ("**",), "edit", limits=Limits(files=2))
    assert blocked(await judged({"a": b"x", "b": b"x"}, lane=lane, limits=Limits(files=1)), "size")
    assert blocked(await judged({"a": b"x", "b": b"x", "c": b"x"}, lane=lane, limits=Limits(files=9)), "size")


async def test_very_many_files_give_few_findings():
    report = await judged({f"src/f{n}.py": b"x" for n in range(500)}, lane=LANES["docs"])
    assert len(of(report, "paths")) == 21
    assert of(report, "paths")[-1].detail == "and 480 more like these"


async def test_far_too_many_files_are_refused_quickly_and_still_judged_in_part():
    report = await judged({f"src/f{n}.py": b"x" for n in range(1500)}, lane=LANES["docs"])
    assert [f.detail for f in of(report, "size")] == [
        "1,500 files, at most 50 allowed",
        "only the first 1,000 files were checked further",
    ]
    assert blocked(report, "paths")


async def test_no_change_at_all_blocks():
    assert blocked(await judged({}), "empty")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("package.json", {"changes dependencies", "runs on CI"}),
        ("web/package-lock.json", {"changes dependencies"}),
        ("pyproject.toml", {"changes dependencies"}),
        ("requirements-dev.txt", {"changes dependencies"}),
        ("requirements/base.txt", {"changes dependencies"}),
        ("Cargo.lock", {"changes dependencies"}),
        ("setup.py", {"runs on CI"}),
        ("tests/conftest.py", {"runs on CI"}),
        ("Makefile", {"runs on CI"}),
        ("build.rs", {"runs on CI"}),
        ("x.pth", {"runs on CI"}),
        ("sitecustomize.py", {"runs on CI"}),
        ("static/app.min.js", {"looks generated or vendored: read all of it"}),
    ],
)
async def test_manifests_and_build_hooks_are_flagged(path, says):
    report = await judged({path: b"x"})
    assert {f.detail for f in of(report, "manifests")} == says
    assert not report.blocked


@given(
    st.lists(st.binary(min_size=1, max_size=12).filter(lambda p: b"\0" not in p), min_size=1, max_size=4, unique=True)
)
def test_any_paths_get_a_verdict(paths):
    import asyncio

    report = asyncio.run(judged(dict.fromkeys(paths, b"x"), lane=LANES["docs"]))
    outside = [f for f in of(report, "paths") if f.verdict is GuardVerdict.BLOCK]
    covered = [p for p in paths if (p.startswith(b"docs/") and len(p) > 5) or p.endswith(b".md")]
    assert len(outside) >= len(paths) - len(covered)
