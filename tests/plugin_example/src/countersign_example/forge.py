"""The forges `binder` and `ledger`: push branches to the remote, and keep pull requests as pages in a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.plugins import PluginContext
from core.model.errors import NotFoundError, PermanentError, UsageError
from core.model.place import Place
from core.model.task import PullRequest
from core.ports.forge import CommitStatus, Forge, ForgeCheck, PullRequestDraft, PullRequestSnapshot
from core.ports.repository import Repository
from lanes.forge.branches import push_branch
from lanes.repository import as_git


class Binder:
    """People merge by hand, in git; here a page is open or closed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def push(self, repository: Repository, branch: str, commit: str, expected: str | None) -> None:
        await push_branch(as_git(repository), branch, commit, expected)

    async def open(self, repository: Repository, proposal: PullRequestDraft) -> PullRequest:
        page = self._page(repository, proposal.number)
        opened = PullRequest(
            number=proposal.number,
            url=page.as_uri(),
            branch=proposal.branch,
            head=proposal.head,
            state="open",
            revision=proposal.revision,
            digest=proposal.digest,
        )
        self._write(page, opened, proposal)
        return opened

    async def poll(self, repository: Repository, pull_request: PullRequest) -> PullRequest:
        state = self._read(self._page(repository, pull_request.number))["state"]
        ref = f"refs/heads/{pull_request.branch}"
        head = (await as_git(repository).remote_refs(ref)).get(ref, pull_request.head)
        return replace(pull_request, state=state, head=head)

    async def merge(
        self,
        repository: Repository,
        pull_request: PullRequest,
        message: str,
        method: str = "merge",
        onto: str | None = None,
    ) -> str:
        raise PermanentError("by_hand", "This forge merges nothing", f"git merge {pull_request.branch}")

    async def close(self, repository: Repository, pull_request: PullRequest) -> None:
        page = self._page(repository, pull_request.number)
        page.write_text(json.dumps({**self._read(page), "state": "closed"}), encoding="utf-8")

    def _page(self, repository: Repository, number: int) -> Path:
        return self._folder / f"{repository.spec.name}-{number}.json"

    def _write(self, page: Path, opened: PullRequest, proposal: PullRequestDraft) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        said = {**opened.to_json(), "title": proposal.title, "body": proposal.body}
        page.write_text(json.dumps(said), encoding="utf-8")

    def _read(self, page: Path) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(page.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise NotFoundError("no_page", f"{page} is gone") from error
        return found


def folder_of(context: PluginContext) -> Path:
    """The setting `folder`."""
    folder = context.settings.get("folder")
    if not isinstance(folder, str) or not Path(folder).is_absolute():
        raise UsageError("bad_setting", "`folder` is missing, or is no absolute path", "Name the folder of the pages.")
    return Path(folder)


class Ledger(Binder):
    """A binder where others act too (see `FollowedForge`): they write checks, objections, merges on its pages.

    What stands on a page is read anew each time, and never believed from elsewhere.
    """

    def place_of(self, repository: Repository, pull_request: PullRequest) -> Place:
        return Place("bulletin", "board")

    async def snapshot(self, repository: Repository, pull_request: PullRequest) -> PullRequestSnapshot:
        page = self._read(self._page(repository, pull_request.number))
        ref, git = f"refs/heads/{pull_request.branch}", as_git(repository)
        head = (await git.remote_refs(ref)).get(ref, pull_request.head)
        tree = await git.tree_of(head) if await git.has(head) else ""  # what others pushed never was ours
        return PullRequestSnapshot(
            replace(pull_request, state=page["state"], head=head),
            tree,
            tuple(ForgeCheck(name, None, conclusion) for name, conclusion in page.get("found", {}).items()),
            tuple(page.get("objections", ())),
            mergeable=True,
            merged_as=page.get("merged_as"),
            ended_by=page.get("by", ""),
        )

    async def set_commit_status(self, repository: Repository, mark: CommitStatus) -> None:
        file = self._folder / f"mark-{mark.commit}.txt"
        file.write_text(f"{mark.state}: {mark.words}\n", encoding="utf-8")

    async def attach(self, repository: Repository, pull_request: PullRequest, files: Mapping[str, bytes]) -> str:
        beside = self._folder / f"files-{pull_request.number}.{pull_request.revision}"
        beside.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (beside / name).write_bytes(content)
        return beside.as_uri()


def make(context: PluginContext) -> Forge:
    """The factory; the setting `folder` is where the pages are."""
    return Binder(folder_of(context))


def make_ledger(context: PluginContext) -> Forge:
    """The factory of `ledger`, with the same setting."""
    return Ledger(folder_of(context))
