"""The forge `binder`: pushes branches to the remote, and keeps its pull requests as pages in a folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from bot.plugins import PluginContext
from core.errors import NotFoundError, PermanentError, UsageError
from core.ports import Forge, Proposal, Repository
from core.task import PullRequest
from lanes.forge.branches import push_branch
from lanes.repository import as_git


class Binder:
    """People merge by hand, in git; here a page is open or closed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def push(self, repository: Repository, branch: str, commit: str, expected: str | None) -> None:
        await push_branch(as_git(repository), branch, commit, expected)

    async def open(self, repository: Repository, proposal: Proposal) -> PullRequest:
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

    async def look(self, repository: Repository, pull_request: PullRequest) -> PullRequest:
        state = self._read(self._page(repository, pull_request.number))["state"]
        ref = f"refs/heads/{pull_request.branch}"
        head = (await as_git(repository).remote_refs(ref)).get(ref, pull_request.head)
        return replace(pull_request, state=state, head=head)

    async def merge(
        self, repository: Repository, pull_request: PullRequest, message: str, method: str = "merge"
    ) -> str:
        raise PermanentError("by_hand", "This forge merges nothing", f"git merge {pull_request.branch}")

    async def close(self, repository: Repository, pull_request: PullRequest) -> None:
        page = self._page(repository, pull_request.number)
        page.write_text(json.dumps({**self._read(page), "state": "closed"}), encoding="utf-8")

    def _page(self, repository: Repository, number: int) -> Path:
        return self._folder / f"{repository.spec.name}-{number}.json"

    def _write(self, page: Path, opened: PullRequest, proposal: Proposal) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        said = {**opened.to_json(), "title": proposal.title, "body": proposal.body}
        page.write_text(json.dumps(said), encoding="utf-8")

    def _read(self, page: Path) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(page.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise NotFoundError("no_page", f"{page} is gone") from error
        return found


def make(context: PluginContext) -> Forge:
    """The factory; the setting `folder` is where the pages are."""
    folder = context.settings.get("folder")
    if not isinstance(folder, str) or not Path(folder).is_absolute():
        raise UsageError("bad_setting", "`folder` is missing, or is no absolute path", "Name the folder of the pages.")
    return Binder(Path(folder))
