"""The control for `test_hostile_git`: with the very same traps, git as everybody runs it runs them."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.integration.lanes import origin
from tests.integration.lanes.traps import (
    AROUND,
    ATTRIBUTES,
    INNOCENT,
    SUITS,
    TELLING,
    Traps,
    as_count,
    as_file,
    as_parameters,
    known,
)  # fmt: skip

pytestmark = pytest.mark.lanes


@pytest.fixture
def traps(tmp_path):
    return Traps(tmp_path / "hostile")


SHOWN = {
    "ext": {
        "echo 1 >> w.txt; git add w.txt": "core.fsmonitor filter.evil.clean",
        "rm w.txt; git checkout w.txt": "filter.evil.smudge hook-post-index-change",
        "echo 2 > w.txt; git diff w.txt": "diff.evil.command",
        "echo 2 > a.py; git diff --no-ext-diff a.py": "diff.text.textconv",
        "echo 2 > c.md; git diff c.md": "diff.external",
        "git commit -qam x": "gpg.program hook-pre-commit",
        "git -c commit.gpgSign=false commit -q --allow-empty": "core.editor",
        "git reset -q --hard; git rebase -q -i HEAD~1": "hook-reference-transaction sequence.editor hook-pre-rebase",
        "git reset -q --hard; git merge other": "merge.evil.driver",
        "echo 3 > c.md; git difftool -y c.md": "difftool.evil.cmd",
        "git fetch /x": "insteadOf",
        "git fetch origin": "remote.url",
        "git trap": "alias",
        "printf 'url=http://a.example\\n\\n' | git credential fill": "credential.helper core.askPass",
        "echo x | git interpret-trailers --trailer evil=1": "trailer.evil.cmd",
        "git archive --format=evil HEAD": "tar.evil.command",
        "git web--browse x": "browser.evil.cmd",
        "git help -m add": "man.evil.cmd",
        "git status": "trace2.event trace2.perf trace2.normal",
    },
    "ssh": {
        "git ls-remote ssh://localhost/x": "core.sshCommand",
        "git push origin main": "remote.pushurl",
        "git commit -q --allow-empty -m x": "gpg.ssh.defaultKeyCommand",
        "git -c user.signingKey=/x commit -q --allow-empty -m x": "gpg.ssh.program",
    },
    "git": {
        "git ls-remote git://localhost/x": "core.gitProxy",
        "git fetch origin": "remote.vcs",
        "git commit -q --allow-empty -m x": "gpg.x509.program",
    },
    "none": {
        "echo 2 > a.py; git add a.py": "filter.long.process",
        "git fetch origin": "remote.origin.uploadpack",
        "git push origin main": "remote.origin.receivepack",
        "git upload-pack . < {asked}": "uploadpack.packObjectsHook",
    },
}
"""What plain git runs of each suit, by which command."""

NAMED = {name for shown in SHOWN.values() for names in shown.values() for name in names.split()}

NOT_SHOWN = {
    "core.pager": "needs a terminal", "pager.diff": "needs a terminal", "interactive.diffFilter": "needs a terminal",
    "imap.tunnel": "git-imap-send", "instaweb.httpd": "git-instaweb", "instaweb.browser": "git-instaweb",
    "guitool.origin.cmd": "git-gui", "sendemail.ccCmd": "git-email", "sendemail.tocmd": "git-email",
    "sendemail.headerCmd": "git-email", "sendemail.smtpServer": "git-email", "mergetool.evil.cmd": "asks questions",
    "trailer.evil.command": "trailer.evil.cmd is taken before it", "diff.guitool": "a name", "diff.tool": "a name",
    "merge.guitool": "a name", "merge.tool": "a name", "man.viewer": "a name", "help.browser": "a name",
    "web.browser": "a name", "core.alternateRefsCommand": "shown by the push above, where it is the remote's own",
    "hook.origin.command": "a git to come", "svn.authorsProg": "git-svn", "bisect.run": "a verb, no key",
    "gpg.openpgp.program": "gpg.program by another name", "gpg.evil.program": "no such format",
    "diff.evil.textconv": "diff.text.textconv is", "http.proxy": "an address", "remote.origin.proxy": "an address",
    "browser.evil.path": "browser.evil.cmd is taken before it", "man.evil.path": "man.evil.cmd is",
    "difftool.evil.path": "difftool.evil.cmd is", "mergetool.evil.path": "asks questions",
    "core.hooksPath": "by its hooks",
}  # fmt: skip
"""What else names a program, and why no cheap command of plain git shows it here; all are in the walk."""


def test_every_key_of_this_git_that_names_a_program_was_looked_at():
    telling = {key for key in known() if TELLING.fullmatch(key) and not INNOCENT.fullmatch(key.lower())}
    assert telling - NAMED - set(NOT_SHOWN) - {"column.clean", "completion.commands", "gitcvs.dbDriver"} == set()


@pytest.mark.parametrize("place", [*AROUND, "local", "worktree", "included", "included-if"])
def test_the_places_are_real(place, traps, tmp_path, monkeypatch):
    """Plain git runs what it finds in each of them, alone."""
    work = origin.remote(tmp_path / "naive", {"a": "1\n"}, bare=False)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    pairs = [("core.fsmonitor", traps.trap(place))]
    written = {
        "home": tmp_path / "home" / ".gitconfig",
        "xdg": tmp_path / "home" / ".config" / "git" / "config",
        "local": work / ".git" / "config",
        "worktree": work / ".git" / "config.worktree",
    }.get(place, tmp_path / "file")
    written.parent.mkdir(parents=True, exist_ok=True)
    with written.open("a") as config:
        config.write(as_file(pairs))
    variables = {
        "home": {"HOME": tmp_path / "home"},
        "xdg": {"XDG_CONFIG_HOME": tmp_path / "home" / ".config"},
        "global": {"GIT_CONFIG_GLOBAL": written},
        "system": {"GIT_CONFIG_SYSTEM": written},
        "count": as_count(pairs),
        "parameters": {"GIT_CONFIG_PARAMETERS": as_parameters(pairs)},
    }.get(place, {})
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    more = {
        "worktree": [("extensions.worktreeConfig", "true")],
        "included": [("include.path", str(written))],
        "included-if": [("includeIf.gitdir:/.path", str(written))],
    }.get(place, [])
    with (work / ".git" / "config").open("a") as config:
        config.write(as_file(more))
    subprocess.run(["git", "status"], cwd=work, capture_output=True, check=False, timeout=60)
    assert traps.fired() == {place}


@pytest.mark.parametrize("suit", SUITS)
def test_the_traps_are_real(suit, traps, tmp_path):
    """Each of these fires with plain git, all others being set: so nothing hides it, and the silence above is real."""
    work = origin.remote(tmp_path / "naive", {"a.py": "1\n", "w.txt": "1\n", "c.md": "1\n"}, bare=False)
    origin.git("checkout", "-qb", "other", at=work)
    (work / "w.txt").write_text("other\n")
    origin.git("commit", "-qam", "other", at=work)
    origin.git("checkout", "-q", "main", at=work)
    (work / "w.txt").write_text("main\n")
    origin.git("commit", "-qam", "main", at=work)
    (work / ".git" / "info" / "attributes").write_text(
        ATTRIBUTES.replace("working-tree-encoding=UTF-16", "-working-tree-encoding").replace(
            "text eol=crlf", "-text -eol"
        )
    )
    traps.keys = [key for key in traps.keys if key in NOT_SHOWN or key in NAMED]
    asked = tmp_path / "asked"
    wanted = f"want {origin.line('rev-parse', 'HEAD', at=work)}\n"
    asked.write_text(f"{len(wanted) + 4:04x}{wanted}00000009done\n")
    (tmp_path / "global").write_text(as_file(traps.pairs("global", suit=suit)))
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "SSH_", "EDITOR", "VISUAL"))
    }
    around = {**clean, **origin.NAMES, "GIT_COMMITTER_EMAIL": "t@example.com", "GIT_CONFIG_NOSYSTEM": "1",
              "GIT_CONFIG_GLOBAL": str(tmp_path / "global"), "HOME": str(tmp_path), "TERM": "dumb"}  # fmt: skip
    silent = {}
    for command, expected in SHOWN[suit].items():
        for mark in traps.marks.iterdir():
            mark.unlink()
        done = subprocess.run(
            ["sh", "-c", command.format(asked=asked)],
            cwd=work,
            env=around,
            capture_output=True,
            check=False,
            timeout=60,
        )
        missing = {f"global~{name}" for name in expected.split()} - traps.fired()
        if missing:
            silent[command] = (sorted(missing), done.stderr.decode()[-500:], sorted(traps.fired()))
    assert not silent, "\n".join(map(str, silent.items()))
