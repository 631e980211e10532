# ruff: noqa: E501 - programs for the inside, written as densely as they are read
"""What a program may leave in its folder for the host to stumble over: none of it comes in, none of it is run."""

from __future__ import annotations

import os
import stat
import textwrap

import pytest

from core.model.errors import PermanentError
from core.model.lane import Lane
from lanes.sandbox import SandboxLimits, SandboxRun
from policies.guard import TreeGuard
from tests.builders import terms

pytestmark = [pytest.mark.lanes, pytest.mark.sandbox]
QUICK = SandboxLimits(wall_s=60, memory_mib=256, processes=32, log_bytes=64_000)
ANYWHERE = Lane("any", "all", ("**",), "command")


@pytest.fixture
async def base(repo):
    return await repo.fetch_base()


@pytest.fixture
async def files(repo, base, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    await repo.export(await repo.tree_of(base), folder)
    return folder


async def left(found, repo, base, files, code: str):
    """The tree of what a program left; it ran to its end."""
    ran = await found.run(SandboxRun(("python3", "-c", "import os, socket\n" + textwrap.dedent(code)), files, QUICK))
    assert ran.exit_code == 0, ran
    return await repo.import_tree(files, await repo.tree_of(base))


REFUSED = {
    "setuid-file": ("open('s', 'w').close(); os.chmod('s', 0o4755)", "odd_file"),
    "setgid-file": ("open('s', 'w').close(); os.chmod('s', 0o2755)", "odd_file"),
    "pipe": ("os.mkfifo('src/pipe')", "odd_file"),
    "socket": ("socket.socket(socket.AF_UNIX).bind('listening')", "odd_file"),
    "git-folder": ("os.mkdir('.git'); open('.git/config', 'w').write('[core]\\nfsmonitor=touch /tmp/ran\\n')", "nested_git"),
    "git-file": ("open('.git', 'w').write('gitdir: /work/evil\\n')", "nested_git"),
    "git-link": ("os.mkdir('evil'); os.symlink('evil', '.git')", "nested_git"),
    "git-below": ("os.makedirs('src/.git/hooks'); open('src/.git/HEAD', 'w').write('ref: x')", "nested_git"),
    "git-as-windows-has-it": ("os.mkdir('GIT~1')", "nested_git"),
    "git-with-an-invisible-letter": ("os.mkdir('.g\\u200cit')", "nested_git"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_plain_file_does_not_come_in(found, repo, base, files, name):
    code, told = REFUSED[name]
    with pytest.raises(PermanentError) as caught:
        await left(found, repo, base, files, code)
    assert caught.value.problem.code == told, caught.value


async def test_a_device_cannot_even_be_made(found, files):
    code = "import os, stat; os.mknod('d', stat.S_IFBLK | 0o666, os.makedev(8, 0))"
    ran = await found.run(SandboxRun(("python3", "-c", code), files, QUICK))
    assert b"PermissionError" in ran.log
    assert not any(stat.S_ISBLK(p.lstat().st_mode) for p in files.rglob("*"))


async def test_a_git_folder_that_is_swapped_and_put_back_was_never_there(found, repo, base, files):
    """The sandbox has files only: no git directory of the host's to move, to write or to replace."""
    code = """
    assert not os.path.lexists('/work/.git')
    os.mkdir('.git'); open('.git/config', 'w').write('[core]\\n\\tfsmonitor = touch /work/ran\\n')
    os.rename('.git', '.old'); os.rename('.old', 'kept')
    """
    tree = await left(found, repo, base, files, code)
    assert b"kept/config" in await repo.list_paths(tree)
    assert not (files / "ran").exists()


async def test_a_link_out_of_the_tree_comes_in_as_a_link_and_is_followed_by_nobody(found, repo, base, files, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("canary")
    code = f"""
    os.symlink('{secret}', 'file'); os.symlink('{tmp_path}', 'folder'); os.symlink('/etc', 'etc')
    os.rename('README.md', 'x'); os.symlink('{secret}', 'README.md')
    """
    tree = await left(found, repo, base, files, code)
    listed = await repo.list_paths(tree)
    assert {listed[name][0] for name in (b"file", b"folder", b"etc", b"README.md")} == {"120000"}
    assert await repo.read_blob(listed[b"file"][1]) == os.fsencode(secret)
    assert not any(path.startswith((b"folder/", b"etc/")) for path in listed)
    assert secret.read_text() == "canary"


async def test_the_hosts_export_does_not_write_through_a_link(repo, base, files, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (files / "src" / "a.py").unlink()
    for path in (files / "src").iterdir():
        path.unlink()
    (files / "src").rmdir()
    (files / "src").symlink_to(outside)
    with pytest.raises((PermanentError, ValueError), match="not empty"):
        await repo.export(await repo.tree_of(base), files)
    assert list(outside.iterdir()) == []


PROTECTED = {
    "absent-claude-settings": ".claude/settings.json", "absent-codex-config": ".codex/config.toml",
    "mcp-servers": ".mcp.json", "gemini-settings": ".gemini/settings.json", "aider-config": ".aider.conf.yml",
    "instructions": "AGENTS.md", "nested-instructions": "src/deep/CLAUDE.md", "editor-tasks": ".vscode/tasks.json",
    "workflow": ".github/workflows/x.yml", "hook-of-git": ".husky/pre-commit", "attributes": ".gitattributes",
    "submodules": ".gitmodules", "environment": ".envrc", "owners": "CODEOWNERS", "another-case": ".CLAUDE/settings.json",
}  # fmt: skip


@pytest.mark.parametrize("name", PROTECTED)
async def test_what_configures_tools_is_made_inside_and_blocked_outside(found, repo, base, files, name):
    """No mount keeps a program from making a file that was not there; the guard sees it in the tree."""
    path = PROTECTED[name]
    tree = await left(
        found,
        repo,
        base,
        files,
        f"os.makedirs(os.path.dirname('{path}') or '.', exist_ok=True); open('{path}', 'w').write('x')",
    )
    report = await TreeGuard().judge(await repo.change(base, tree), ANYWHERE, terms(), repo.read_blob)
    assert report.blocked, report
    assert any("protected" in finding.check for finding in report.findings)


async def test_attributes_that_name_programs_run_none_of_them_while_it_comes_in(found, repo, base, files, tmp_path):
    ran = tmp_path / "ran"
    code = f"""
    open('.gitattributes', 'w').write('* filter=evil diff=evil merge=evil\\n')
    open('.gitconfig', 'w').write('[filter "evil"]\\n\\tclean = touch {ran}\\n')
    open('new', 'w').write('x')
    """
    await left(found, repo, base, files, code)
    assert not ran.exists()
