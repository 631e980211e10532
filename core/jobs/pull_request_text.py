"""The texts of a published change: branch name, commit message, pull request title and body. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from core.model.approval import Approval
from core.model.staged_diff import GuardVerdict, StagedDiff
from core.model.task import Task
from core.model.turn import Turn

_LIVE = re.compile(
    r"""[@#](?=\w) | < | (?<=:)// | (?<=\bGH)-(?=\d) | (?<=\bwww)\.
    | &(?=\#?[0-9A-Za-z]+;)     # an entity, which a renderer turns into any of these (spec.commonmark.org, 2.5)
    | \\(?=[!-/:-@\[-`{-~])     # an escape, which it takes away from before one (2.4)
    """,
    re.IGNORECASE | re.VERBOSE,
)
# full-width characters read the same, but mention no one, close no issue and hide nothing (security.md 142)
_INERT = {
    "@": "\uff20", "#": "\uff03", "<": "\uff1c", "//": "\uff0f\uff0f", "-": "\uff0d", ".": "\uff0e", "&": "\uff06",
    "\\": "\uff3c",
}  # fmt: skip


def branch_of(task: Task) -> str:
    """``countersign/<number>-<slug>``: built here, so that no text can name another ref (security.md 70)."""
    ascii_title = unicodedata.normalize("NFKD", task.title).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_title.lower()).strip("-")[:40].strip("-")
    return f"countersign/{task.number}-{slug or 'change'}"


def title_of(task: Task) -> str:
    """The pull request's title: the task's, inert."""
    return inert(task.title)


def message_of(task: Task, staged: StagedDiff, approvals: Sequence[Approval]) -> str:
    """The commit message: an inert subject, and trailers that no request can write (security.md 69)."""
    trailers = [
        f"Countersign-Task: {task.number}.{task.revision}",
        f"Countersign-Digest: {staged.digest}",
        f"Requested-by: {task.requester}",
        *(f"Countersigned-by: {approval.person}" for approval in approvals),
    ]
    return inert(task.title) + "\n\n" + "\n".join(trailers) + "\n"


def body_of(task: Task, staged: StagedDiff, turns: Iterable[Turn], approvals: Iterable[Approval]) -> str:
    """The pull request's body in Markdown; texts of people are quoted and inert."""
    quoted_turns = "\n".join(f"> {inert(line)}" for turn in turns for line in turn.text.splitlines())
    files = "\n".join(map(_file_line, staged.files))
    warnings = [f for f in staged.guard.findings if f.verdict is GuardVerdict.WARN]
    warning_lines = "".join(f"\n- {inert(f.check)}: {inert(f.detail)}" for f in warnings)
    parts = "".join(f"{inert(part.words)}.\n\n" for part in task.current.basis.picked)
    approvers = ", ".join(f"{a.person} ({a.surface}, {a.at:%Y-%m-%d %H:%M} UTC)" for a in approvals)
    return (
        f"{quoted_turns}\n\n"
        f"Lane **{task.current.lane}** by rule **{task.current.rule}**: {inert(task.current.reason)}\n\n"
        f"{parts}{files}\n\n"
        f"Digest `{staged.digest}` on base `{staged.base}`.\n"
        f"Countersigned by {approvers}.\n" + (f"\nThe guard warned:{warning_lines}\n" if warnings else "")
    )


def task_for_forge(task: Task, leaks: Callable[[str], bool]) -> Task:
    """The task as the forge may see it: without its title if that contains a secret."""
    return replace(task, title=f"change #{task.number}") if leaks(task.title) else task


def turns_for_forge(turns: Iterable[Turn], leaks: Callable[[str], bool]) -> tuple[Turn, ...]:
    """The turns as the forge may see them: a text that contains a secret is replaced by a note."""
    return tuple(replace(turn, text="(withheld: it holds a secret)") if leaks(turn.text) else turn for turn in turns)


def inert(text: str) -> str:
    """`text` on one line, without anything that a forge or a terminal would interpret."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return _LIVE.sub(lambda match: _INERT[match.group()], line).replace("[", "(").replace("]", ")")


def _file_line(file: dict[str, Any]) -> str:
    return f"- {_code(str(file['path']))} ({file['status']}, +{_count(file['added'])} \u2212{_count(file['removed'])})"


def _code(text: str) -> str:
    """`text` as one code span, in which nothing is interpreted; its fence is longer than any run of backticks in it."""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if text[:1] in ("`", " ") or text[-1:] in ("`", " ") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _count(lines: int | None) -> str:
    return "bin" if lines is None else str(lines)
