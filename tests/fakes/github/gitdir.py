"""The fake GitHub's own git: plumbing on a bare repository, as its servers would do it."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_CLEAN = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}

_PROTECT = """#!/bin/sh
while read old new ref; do
  case "$ref" in
    refs/heads/{branch}) echo "error: GH006: Protected branch update failed for $ref." >&2; exit 1 ;;
    refs/pull/*) echo "error: deny updating a hidden ref" >&2; exit 1 ;;
  esac
done
"""


class GitDir:
    """One bare repository."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def make(cls, path: Path, branch: str, files: Mapping[str, str | bytes]) -> GitDir:
        """A new one whose protected `branch` holds one commit of `files`; empty without any."""
        path.mkdir(parents=True)
        made = cls(path)
        made.run("init", "-q", "--bare", "--template=", f"--initial-branch={branch}", ".")
        with (path / "config").open("a") as config:
            config.write("[http]\n\treceivepack = true\n[uploadpack]\n\tallowAnySHA1InWant = true\n[gc]\n\tauto = 0\n")
        hook = path / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(_PROTECT.format(branch=branch))
        hook.chmod(0o755)
        if files:
            tree = made.write_tree(None, files)
            made.move(f"refs/heads/{branch}", made.commit(tree, [], "start\n", "octocat"))
        return made

    def run(
        self, *argv: str, stdin: bytes = b"", ok: tuple[int, ...] = (0,), env: Mapping[str, str] | None = None
    ) -> bytes:
        """git's output; raises `RuntimeError` with what it said."""
        done = self.ended(*argv, stdin=stdin, env=env)
        if done.returncode not in ok:
            raise RuntimeError(f"git {argv[0]}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def ended(
        self, *argv: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """A finished git."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        where = {} if argv[0] == "init" else {"GIT_DIR": str(self.path)}
        return subprocess.run(
            ["git", *argv],
            input=stdin,
            env={**clean, **_CLEAN, **where, **(env or {})},
            cwd=self.path,
            capture_output=True,
            check=False,
        )

    def line(self, *argv: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        """One line of git's."""
        return self.run(*argv, stdin=stdin, env=env).decode("utf-8", "replace").strip()

    def refs(self) -> dict[str, str]:
        """Every reference with its object id."""
        out = self.run("for-each-ref", "--format=%(refname) %(objectname)").decode()
        return dict(line.split(" ") for line in out.splitlines())

    def ref(self, name: str) -> str | None:
        """The object id of a full reference name, if it is there."""
        done = self.ended("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        return done.stdout.decode().strip() if done.returncode == 0 else None

    def has(self, oid: str, kind: str = "commit") -> bool:
        """Whether an object of this kind is here."""
        return self.ended("cat-file", "-e", f"{oid}^{{{kind}}}").returncode == 0

    def move(self, ref: str, oid: str | None) -> None:
        """Set or delete a reference, past every hook."""
        if oid is None:
            self.run("update-ref", "-d", ref)
        else:
            self.run("update-ref", ref, oid)

    def write_tree(self, start: str | None, files: Mapping[str, str | bytes | None]) -> str:
        """The tree `start` with `files` written, and those that are None deleted."""
        index = self.path / f"index-{os.urandom(6).hex()}"
        env = {"GIT_INDEX_FILE": str(index)}
        try:
            if start:
                self.run("read-tree", start, env=env)
            lines = []
            for name, content in files.items():
                if content is None:
                    lines.append(f"0 {'0' * 40}\t{name}\0".encode())
                    continue
                raw = content.encode() if isinstance(content, str) else content
                oid = self.line("hash-object", "-w", "--stdin", stdin=raw)
                lines.append(f"100644 {oid}\t{name}\0".encode())
            self.run("update-index", "-z", "--index-info", stdin=b"".join(lines), env=env)
            return self.line("write-tree", env=env)
        finally:
            index.unlink(missing_ok=True)

    def commit(self, tree: str, parents: list[str], message: str, login: str, author_of: str | None = None) -> str:
        """A commit by `login`, or with the author of another commit."""
        env = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _who(login).items()}
        if author_of:
            name, email, date = self.line("log", "-1", "--format=%an%n%ae%n%aI", author_of).split("\n")
            env |= {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": email, "GIT_AUTHOR_DATE": date}
        flags = [part for parent in parents for part in ("-p", parent)]
        return self.line("commit-tree", tree, *flags, stdin=message.encode(), env=env)

    def tree_of(self, commit: str) -> str:
        """The tree of a commit."""
        return self.line("rev-parse", f"{commit}^{{tree}}")

    def reaches(self, commit: str, tip: str) -> bool:
        """Whether `commit` is `tip` or an ancestor of it."""
        return self.ended("merge-base", "--is-ancestor", commit, tip).returncode == 0

    def merge_base(self, one: str, other: str) -> str | None:
        """Where two commits parted."""
        done = self.ended("merge-base", one, other)
        return done.stdout.decode().strip() if done.returncode == 0 else None

    def commits(self, base: str, head: str) -> list[str]:
        """The commits of `head` that `base` lacks, oldest first."""
        return self.line("rev-list", "--reverse", head, f"^{base}").split()

    def merged(self, ours: str, theirs: str) -> str | None:
        """The tree of a three-way merge, None when it does not apply."""
        done = self.ended("merge-tree", "--write-tree", ours, theirs)
        return done.stdout.decode().split("\n")[0].strip() if done.returncode == 0 else None

    def rebased(self, base: str, head: str, login: str) -> str | None:
        """The last of `head`'s commits after each was applied on `base`; None when one does not apply."""
        at = base
        for commit in self.commits(base, head):
            parent = self.line("rev-parse", f"{commit}^1^{{tree}}")
            root = self.commit(parent, [], "base\n", login)
            ours = self.commit(self.tree_of(at), [root], "ours\n", login)
            theirs = self.commit(self.tree_of(commit), [root], "theirs\n", login)
            tree = self.merged(ours, theirs)
            if tree is None:
                return None
            message = self.run("log", "-1", "--format=%B", commit).decode("utf-8", "replace")
            at = self.commit(tree, [at], message, login, author_of=commit)
        return at

    def changes(self, base: str, head: str) -> list[dict[str, object]]:
        """The files that differ since the two parted, with counts and patches, as a diff entry has them."""
        return [dict(file) for file in _changes(self.path, base, head)]


@functools.lru_cache(maxsize=256)
def _changes(path: Path, base: str, head: str) -> list[dict[str, object]]:
    """Kept, for commits never change and a pull request is shown often."""
    git = GitDir(path)
    start = git.merge_base(base, head) or base
    raw = git.run("diff-tree", "-r", "-z", "--raw", "--no-renames", "--abbrev=40", start, head).split(b"\0")
    found: list[dict[str, object]] = []
    for meta, raw_path in zip(raw[0:-1:2], raw[1::2], strict=True):
        _, _, old, new, letter = meta.decode().lstrip(":").split(" ")
        name = raw_path.decode("utf-8", "replace")
        patch = git.run("diff-tree", "-p", "--no-renames", start, head, "--", f":(literal){name}").decode(
            "utf-8", "replace"
        )
        lines = patch.split("\n")
        hunks = "\n".join(lines[next((n for n, text in enumerate(lines) if text.startswith("@@")), len(lines)) :])
        added = sum(text.startswith("+") for text in hunks.split("\n"))
        removed = sum(text.startswith("-") for text in hunks.split("\n"))
        found.append(
            {
                "filename": name,
                "sha": new if letter != "D" else old,
                "status": {"A": "added", "D": "removed"}.get(letter, "modified"),
                "additions": added,
                "deletions": removed,
                "changes": added + removed,
                "patch": hunks.rstrip("\n"),
            }
        )
    return found


def _who(login: str) -> dict[str, str]:
    return {"NAME": login, "EMAIL": f"{login}@users.noreply.github.com"}
