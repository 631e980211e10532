"""git configurations in which every key that git knows, and that could name a program, names one that leaves a mark.

`git help --config` prints the keys that the installed git knows. A key is innocent here only when `INNOCENT` says so:
git refuses to run with a path as its value, so that no program can be named by it. Whatever a later git adds is
trapped until someone has looked at it. Keys that git reads and does not print are in `UNPRINTED`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SUITS = ("ext", "ssh", "git", "none")

AROUND = ("home", "xdg", "global", "system", "count", "parameters")

ATTRIBUTES = (
    "* filter=evil diff=evil merge=evil ident text eol=crlf working-tree-encoding=UTF-16 export-subst\n"
    "*.py filter=long diff=text\n"
    "*.md !diff\n"
)

HOOKS = (
    "applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit", "prepare-commit-msg",
    "commit-msg", "post-commit", "pre-rebase", "post-checkout", "post-merge", "pre-push", "post-rewrite", "pre-auto-gc",
    "fsmonitor-watchman", "post-index-change", "sendemail-validate", "p4-changelist", "p4-prepare-changelist",
    "p4-post-changelist", "p4-pre-submit",
)  # fmt: skip
ON_RECEIVE = (
    "pre-receive", "update", "proc-receive", "post-receive", "post-update", "push-to-checkout", "reference-transaction",
)  # fmt: skip

UNPRINTED = (
    "trailer.<token>.command", "trailer.<token>.cmd", "tar.<format>.command",
    "gpg.x509.program", "gpg.ssh.program", "gpg.openpgp.program", "sendemail.headerCmd", "fetch.bundleURI",
    "hook.<name>.command", "svn-remote.<name>.url", "svn.authorsProg", "bisect.run",
)  # fmt: skip

NAMES = {
    "<driver>": "evil", "<tool>": "evil", "<name>": "origin", "<url>": "https://example.com", "<id>": "evil",
    "<format>": "evil", "<token>": "evil", "<cmd>": "diff", "<filter>": "tree", "<pattern>": "evil", "<task>": "gc",
    "<command>": "amend", "<group>": "evil", "<identity>": "evil", "*": "evil", "<base>": "https://example.com/",
}  # fmt: skip

INNOCENT = re.compile(
    r"(?:advice|color|fsck|receive\.fsck|fetch\.fsck)\..*"
    r"|branch\.autosetup(?:merge|rebase)|checkout\.(?:thresholdforparallelism|workers)|gpg\.(?:format|mintrustlevel)"
    r"|commitgraph\.(?:generationversion|readchangedpaths)|diff\.evil\.(?:binary|cachetextconv)"
    r"|core\.(?:abbrev|autocrlf|bare|bigfilethreshold|commentchar|commitgraph|compression|createobject|filemode|fsync"
    r"|deltabasecachelimit|filesreflocktimeout|fsmonitorhookversion|fsyncmethod|fsyncobjectfiles|ignorecase|ignorestat"
    r"|logallrefupdates|loosecompression|multipackindex|packedgitlimit|packedgitwindowsize|precomposeunicode"
    r"|prefersymlinkrefs|preloadindex|protecthfs|protectntfs|quotepath|repositoryformatversion|safecrlf"
    r"|sharedrepository|sparsecheckout|sparsecheckoutcone|symlinks|trustctime|usereplacerefs|warnambiguousrefs"
    r"|packedrefstimeout|splitindex|untrackedcache|worktree)"
    r"|diff\.(?:indentheuristic|renamelimit|renames|suppressblankempty|wserrorhighlight)|extensions\..*"
    r"|fastimport\.unpacklimit|feature\..*|fetch\.(?:negotiationalgorithm|writecommitgraph|unpacklimit|fsckobjects)"
    r"|gc\.writecommitgraph|index\..*|lsrefs\.unborn"
    r"|merge\.(?:conflictstyle|renamelimit|renames|renormalize|verbosity)"
    r"|pack\.(?!island|prefer).*|protocol\..*|push\.default|receive\.(?!procreceiverefs|certnonceseed|hiderefs).*"
    r"|remote\.origin\.(?:fetch|mirror|promisor|prune|prunetags|push|skip.*|url|pushurl|tagopt|vcs)|sparse\..*"
    r"|repack\..*|submodule\.(?:recurse|origin\..*)|transfer\.(?!hiderefs).*|uploadpack\.(?:allow.*|keepalive)"
    r"|uploadpackfilter\..*|user\.useconfigonly|include\.path|includeif\..*|url\..*|gitweb\.remote_heads|bundle\..*"
)
"""Read as a number, a switch, a size or one of a few words; or set by `Traps` to something worse than a path."""


TELLING = re.compile(
    r"(?i).*(?:cmd|command|program|editor|pager|helper|askpass|proxy|hookspath|httpd|tunnel|viewer|browser|textconv"
    r"|driver|clean|smudge|process|uploadpack|receivepack|vcs|packobjectshook|fsmonitor|external)"
)
"""How the names of keys end that name a program."""


def known() -> list[str]:
    """The keys that the installed git says it knows, with names in the place of its placeholders."""
    printed = subprocess.run(["git", "help", "--config"], capture_output=True, check=True, text=True).stdout.split("\n")
    keys = [line for line in printed if re.fullmatch(r"[a-zA-Z][\w-]*(?:\.\S+)?\.[A-Za-z][\w-]*|\S+\.[*]|\S+>", line)]
    assert len(keys) > 700, "git help --config prints something else"
    made = set()
    for key in (*keys, *UNPRINTED):
        for placeholder, name in NAMES.items():
            key = key.replace(placeholder, name)  # noqa: PLW2901
        made.add(key)
    return sorted(made)


@dataclass
class Traps:
    """Programs that each leave a mark with their name below `root`, and configurations that name them."""

    root: Path
    keys: list[str] = field(default_factory=known)

    def __post_init__(self) -> None:
        self.marks = self.root / "marks"
        self.marks.mkdir(parents=True)
        self.program = self.root / "program"
        self.program.write_text(f'#!/bin/sh\n: > "{self.marks}/$(basename "$0")"\nexit 1\n')
        self.program.chmod(0o755)
        self.attributes = self.root / "attributes"
        self.attributes.write_text(ATTRIBUTES)

    def trap(self, name: str) -> str:
        """A program, without a space in its path: some keys name a program, others a line for the shell."""
        link = self.root / "traps" / re.sub(r"[^\w.~-]", "_", name)
        if not link.is_symlink():
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(self.program)
        return str(link)

    def hooks(self, folder: Path, mark: str, names: tuple[str, ...] = HOOKS + ON_RECEIVE) -> Path:
        """A folder of hooks that leave marks, and let go on what called them."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            hook = folder / name
            hook.unlink(missing_ok=True)
            hook.write_text(f'#!/bin/sh\ncat >/dev/null\n: > "{self.marks}/{mark}~hook-{name}"\n')
            hook.chmod(0o755)
        return folder

    def pairs(self, place: str, *, suit: str = "ext", suspects: bool = True) -> list[tuple[str, str]]:
        """Every key with its trap, as found in `place`; `suit` chooses between what excludes each other.

        Without `suspects`, those that tell by their names, and all that `_special` sets: some verbs that the host does
        not use stop at one of the others.
        """
        keys = [key for key in self.keys if suspects or TELLING.fullmatch(key)]
        trapped = [key for key in keys if not INNOCENT.fullmatch(key.lower())]
        values = {key: self.trap(f"{place}~{key}") for key in trapped}
        shell = {key: f"!{values[key]}" for key in values if key.startswith(("alias.", "credential."))}
        values |= shell | self._special(place, suit)
        return list(values.items())

    def _special(self, place: str, suit: str) -> dict[str, str]:
        def trap(key: str) -> str:
            return self.trap(f"{place}~{key}")

        aliases = {f"alias.{verb}": f"!{trap('alias')}" for verb in ("add", "fetch", "push", "rev-parse", "trap")}
        addresses = {"ext": f"ext::{trap('insteadOf')} ", "ssh": "ssh://localhost/", "git": "git://localhost/"}
        elsewhere = addresses.get(suit)
        rewritten = {f"url.{elsewhere}.insteadOf": "/", f"url.{elsewhere}.pushInsteadOf": "/"} if elsewhere else {}
        pushed = f"ext::{trap('remote.pushurl')}"
        traced = {f"trace2.{kind}Target": f"{self.marks}/{place}~trace2.{kind}" for kind in ("event", "perf", "normal")}
        origins = {
            "ext": {"remote.origin.url": f"ext::{trap('remote.url')}"},
            "ssh": {
                "remote.origin.url": "ssh://localhost/x",
                "remote.origin.pushurl": pushed,
            },
            "git": {"remote.origin.url": f"sh {trap('remote.vcs')}", "remote.origin.vcs": "ext"},
            # a filter that is a process ends every git that meets it
            "none": {"remote.origin.url": str(self.root), "filter.long.process": trap("filter.long.process")},
        }[suit]
        return aliases | rewritten | origins | traced | {
            "core.attributesFile": str(self.attributes),
            "core.hooksPath": str(self.hooks(self.root / f"{place}-hooks", place)),
            "init.templateDir": str(self.hooks(self.root / f"{place}-template" / "hooks", f"{place}-template").parent),
            "diff.text.textconv": trap("diff.text.textconv"),
            "filter.evil.required": "false",
            "gpg.format": {"ssh": "ssh", "git": "x509"}.get(suit, "openpgp"),
            "commit.gpgSign": "true",
            "diff.tool": "evil", "merge.tool": "evil", "diff.guitool": "evil", "man.viewer": "evil",
            "web.browser": "evil", "help.browser": "evil", "help.format": "man", "color.ui": "false",
            "credential.helper": f"!{trap('credential.helper')}",
            "submodule.sub.update": f"!{trap('submodule.update')}",
            "submodule.sub.url": f"ext::{trap('submodule.url')}", "submodule.sub.active": "true",
            "protocol.allow": "always", "protocol.ext.allow": "always", "protocol.file.allow": "always",
            "remote.origin.promisor": "true", "extensions.partialClone": "origin", "extensions.worktreeConfig": "true",
            "gc.auto": "1", "maintenance.auto": "true", "fsmonitor.allowRemote": "true",
        }  # fmt: skip

    def fired(self) -> set[str]:
        """The names of the traps that someone ran."""
        return {path.name for path in self.marks.iterdir()}


def as_file(pairs: list[tuple[str, str]]) -> str:
    """A configuration file of these keys."""
    lines = []
    for key, value in pairs:
        section, _, rest = key.partition(".")
        name, _, variable = rest.rpartition(".")
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'[{section}{f" {chr(34)}{name}{chr(34)}" if name else ""}]\n\t{variable} = "{quoted}"\n')
    return "".join(lines)


def as_count(pairs: list[tuple[str, str]]) -> Mapping[str, str]:
    """The same in the environment, as `GIT_CONFIG_COUNT` counts."""
    numbered = {f"GIT_CONFIG_KEY_{n}": key for n, (key, _) in enumerate(pairs)}
    return (
        numbered
        | {f"GIT_CONFIG_VALUE_{n}": v for n, (_, v) in enumerate(pairs)}
        | {"GIT_CONFIG_COUNT": str(len(pairs))}
    )


def as_parameters(pairs: list[tuple[str, str]]) -> str:
    """The same as ``git -c`` hands it on."""
    return " ".join(f"'{key}'='{value}'" for key, value in pairs)


def put_in_front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str) -> None:
    """A git that does `lines` of shell, then what the real one does."""
    real = shutil.which("git")
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n{lines}exec {real} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
