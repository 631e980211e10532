"""The fake GitHub itself: its accounts and repositories, who may do what, and what it answers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import shutil
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Self
from urllib.parse import quote

from tests import canary
from tests.fakes.github import apps, checks, pulls, repos, talk
from tests.fakes.github.faults import Fault, Faults
from tests.fakes.github.gitdir import GitDir
from tests.fakes.github.hooks import Hooks
from tests.fakes.github.people import People
from tests.fakes.github.rest import ApiError, Reply, Request, find
from tests.fakes.github.shapes import Shapes
from tests.fakes.github.spec import Audit
from tests.fakes.github.state import Account, App, Pull, Repo, Token, now
from tests.fakes.github.wire import Wire

TABLES = (checks.ROUTES, repos.ROUTES, pulls.ROUTES, talk.ROUTES, apps.ROUTES)  # a ref may have slashes: suffixes first


class FakeGitHub(People):
    """An honest GitHub on a free port of this host: REST and git over HTTP, on real bare repositories.

    `prefix` is where the interface is, as ``/api/v3`` on an Enterprise server. What it is asked and answers is held
    against GitHub's own description; `violations` collects what does not fit. Every public method may be called
    from any thread while it runs.
    """

    def __init__(self, root: Path | None = None, *, prefix: str = "", audit: bool = True) -> None:
        self._temporary = None if root else Path(tempfile.mkdtemp(prefix="fake-github-"))
        self.root = root or self._temporary or Path()
        self.prefix = prefix
        self.lock = threading.RLock()
        self.accounts: dict[str, Account] = {}
        self.tokens: dict[str, Token] = {}
        self.apps: dict[int, App] = {}
        self.by_id: dict[int, Repo] = {}
        self.moved: dict[str, int] = {}
        self.requests: list[tuple[str, str]] = []
        self.statuses: list[int] = []
        self.faults = Faults()
        self.hooks = Hooks(self)
        self.shapes = Shapes(self)
        self.audit = Audit(entry.template for table in TABLES for entry in table.entries) if audit else None
        self.token_life_s = 3600.0
        self._last = 1000
        self._wire = Wire(self)
        self.user("ghost", id=10137)

    # -- where it is ----------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Listen on a free port."""
        self._wire.start()
        return self

    def stop(self) -> None:
        """Stop listening and forget everything; what was pushed is looked through for the canary."""
        self.hooks.stop()
        self._wire.stop()
        canary.seen_folder("GitHub's git", self.root)
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def web(self) -> str:
        """What stands for https://github.com: pages, and git."""
        return f"http://127.0.0.1:{self._wire.port}"

    @property
    def url(self) -> str:
        """What stands for https://api.github.com."""
        return self.web + self.prefix

    def git_url(self, full_name: str) -> str:
        """The https address of a repository."""
        return f"{self.web}/{full_name}.git"

    @property
    def violations(self) -> list[str]:
        """What we or our caller said that GitHub's description does not allow."""
        return self.audit.violations if self.audit else []

    # -- who and what there is ------------------------------------------------------------------------------------

    def next_id(self) -> int:
        """A number that nothing else has."""
        with self.lock:
            self._last += 1
            return self._last

    def user(self, login: str, *, id: int | None = None, type: str = "User") -> Account:  # noqa: A002 - GitHub's words
        """The account `login`, made if it is not there."""
        with self.lock:
            found = self.accounts.get(login.lower())
            if found is None:
                found = Account(id or self.next_id(), login, type)
                self.accounts[login.lower()] = found
            return found

    def account(self, login: str) -> Account:
        """An account; one that is gone is the ghost."""
        return self.accounts.get(login.lower()) or self.accounts["ghost"]

    def rename_user(self, old: str, new: str) -> None:
        """Give an account another login; its id stays, and its old name is free."""
        with self.lock:
            account = self.accounts.pop(old.lower())
            account.login = new
            self.accounts[new.lower()] = account
            for repo in self.by_id.values():
                repo.roles = {new if name.lower() == old.lower() else name: role for name, role in repo.roles.items()}

    def repository(
        self,
        full_name: str,
        files: Mapping[str, str | bytes] | None = None,
        *,
        private: bool = True,
        branch: str = "main",
    ) -> Repo:
        """A new repository whose protected `branch` has one commit of `files` (empty without any)."""
        owner, name = full_name.split("/")
        self.user(owner, type="Organization")
        self.user("octocat")
        with self.lock:
            number = self.next_id()
            path = self.root / f"{number}.git"
            GitDir.make(path, branch, {"README.md": "# Hello\n"} if files is None else files)
            repo = Repo(number, owner, name, path, branch, private)
            self.by_id[number] = repo
            self.moved.pop(full_name.lower(), None)
            return repo

    def allow(self, full_name: str, login: str, role: str = "write") -> Account:
        """Let an account do things in a repository: read, triage, write, maintain or admin."""
        account = self.user(login)
        self.repo(full_name).roles[account.login] = role
        return account

    def token(self, login: str, *, life_s: float | None = None) -> str:
        """A new personal token of `login`."""
        self.user(login)
        text = f"ghp_{secrets.token_hex(18)}"
        ends = now() + timedelta(seconds=life_s) if life_s is not None else None
        self.tokens[text] = Token(login, ends)
        return text

    def app(self, slug: str, owner: str, *, id: int | None = None) -> App:  # noqa: A002 - GitHub's word
        """A GitHub App, installed once at `owner`; it acts as ``slug[bot]``."""
        public, private = apps.keys()
        app = App(id or self.next_id(), slug, public, private)
        self.user(f"{slug}[bot]", type="Bot")
        self.user(owner, type="Organization")
        app.installations[self.next_id()] = owner
        self.apps[app.id] = app
        return app

    def repo(self, full_name: str) -> Repo:
        """A repository by its present name; raises the 404 that GitHub would answer."""
        for repo in self.by_id.values():
            if repo.full_name.lower() == full_name.lower():
                return repo
        raise ApiError(404, "Not Found")

    def rename(self, full_name: str, new: str) -> None:
        """Rename or transfer a repository: its old name redirects to it until someone else takes that name."""
        with self.lock:
            repo = self.repo(full_name)
            repo.owner, repo.name = new.split("/")
            self.user(repo.owner, type="Organization")
            self.moved[full_name.lower()] = repo.id

    def remove(self, full_name: str) -> None:
        """Delete a repository."""
        with self.lock:
            del self.by_id[self.repo(full_name).id]

    def git(self, repo: Repo | str) -> GitDir:
        """A repository's git, past every hook and permission."""
        return GitDir((self.repo(repo) if isinstance(repo, str) else repo).path)

    def pull(self, full_name: str, number: int) -> Pull:
        """A pull request as it is."""
        return self.repo(full_name).pulls[number]

    def fail(self, method: str = ".*", path: str = ".*", **how: object) -> Fault:
        """Let the next requests go wrong; see `tests.fakes.github.faults.Fault`."""
        return self.faults.add(method, path, **how)

    # -- mergeability ---------------------------------------------------------------------------------------------

    def mergeable(self, repo: Repo, pull: Pull) -> bool | None:
        """Whether a pull request merges: unknown when asked first, as GitHub works it out in the background."""
        base = self.git(repo).ref(f"refs/heads/{pull.base}")
        if pull.state != "open" or base is None:
            return None
        if pull.asked != (pull.sha, base):
            pull.asked = (pull.sha, base)
            return None
        return self.git(repo).merged(base, pull.sha) is not None

    # -- what is answered -----------------------------------------------------------------------------------------

    def serve(self, request: Request) -> Reply:
        """The answer to one request, audited."""
        with self.lock:
            try:
                self._authenticate(request)
                reply, path = self._routed(request)
            except ApiError as failed:
                reply, path = failed.reply, request.path
            if self.audit and not (path.startswith("/repositories/") or reply.status == 401):
                self.audit.check(request, path, reply)
            return self._finished(request, reply)

    def _routed(self, request: Request) -> tuple[Reply, str]:
        asked = request.path
        pinned = re.fullmatch(r"/repositories/(\d+)(/.*)?", asked)
        if pinned:
            repo = self.by_id.get(int(pinned.group(1)))
            if repo is None:
                raise ApiError(404, "Not Found")
            request.path = f"/repos/{repo.full_name}{pinned.group(2) or ''}"
        if request.method == "GET":  # an old address of the same thing, which PyGithub still asks
            request.path = re.sub(r"^(/repos/[^/]+/[^/]+)/statuses/([^/]+)$", r"\1/commits/\2/statuses", request.path)
        named = re.match(r"/repos/([^/]+/[^/]+)(.*)", request.path)
        if named and named.group(1).lower() in self.moved and not self._is(named.group(1)):
            return self._redirect(request, self.moved[named.group(1).lower()], named.group(2)), asked
        found = find(TABLES, request)
        if found is None:
            if self.audit:
                self.audit.note(f"{request.method} {request.path}: the fake has no such route")
            raise ApiError(404, "Not Found")
        template, work = found
        try:
            reply = work(self, request)
        except ApiError as failed:
            reply = failed.reply
        except Exception:  # noqa: BLE001 - a fault of the fake's own must not look like one of GitHub's
            if self.audit:
                self.audit.note(f"{request.method} {request.path}: the fake broke:\n{traceback.format_exc()}")
            reply = ApiError(500, "The fake broke").reply
        spelled = re.sub(r"\{(\w+)\}", lambda m: quote(request.params[m.group(1)], safe=""), template)
        return reply, spelled

    def _is(self, full_name: str) -> bool:
        return any(repo.full_name.lower() == full_name.lower() for repo in self.by_id.values())

    def _redirect(self, request: Request, number: int, rest: str) -> Reply:
        """Where a renamed repository is: by its number; whatever is no reading must be sent again (307)."""
        url = f"{self.url}/repositories/{number}{rest}"
        value = {"message": "Moved Permanently", "url": url, "documentation_url": "https://docs.github.com/rest"}
        return Reply(301 if request.method == "GET" else 307, value, {"Location": url})

    def _finished(self, request: Request, reply: Reply) -> Reply:
        base = f"{self.url}{request.path}?"
        base += "".join(f"{k}={quote(v)}&" for k, v in request.query.items() if k not in ("page", "per_page"))
        reply.headers = {name: text.replace("{url}", base) for name, text in reply.headers.items()}
        if request.method == "GET" and reply.status == 200:
            etag = f'W/"{hashlib.sha256(reply.body()).hexdigest()}"'
            reply.headers["ETag"] = etag
            if request.headers.get("if-none-match") == etag:
                return Reply(304, None, reply.headers)
        return reply

    # -- who asks -------------------------------------------------------------------------------------------------

    def _authenticate(self, request: Request) -> None:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        if not text:
            raise ApiError(401, "Requires authentication")
        if scheme.lower() not in ("token", "bearer"):
            raise ApiError(401, "Bad credentials")
        if text.count(".") == 2:
            request.app = apps.app_of(self, text)
            return
        request.token = self.bearer(text)

    def bearer(self, text: str) -> Token:
        """Whose token this is; raises the 401 that a bad one gets."""
        for known, token in list(self.tokens.items()):
            if hmac.compare_digest(known.encode(), text.encode("utf-8", "replace")):
                if token.revoked or (token.expires_at and token.expires_at <= now()):
                    break
                return token
        raise ApiError(401, "Bad credentials")

    def may(self, token: Token, repo: Repo, role: str) -> bool:
        """Whether a token's bearer has `role` in a repository: an app where it is installed, a user as allowed."""
        if token.installation is not None:
            owners = {number: owner for app in self.apps.values() for number, owner in app.installations.items()}
            return owners.get(token.installation, "").lower() == repo.owner.lower() and role != "admin"
        return repo.may(token.login, role)

    def git_user(self, authorization: str) -> Token | None:
        """Who pushes or fetches: the password of basic authentication is a token."""
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            _, _, password = base64.b64decode(text).decode().partition(":")
            return self.bearer(password)
        except (ValueError, ApiError):
            return None

    def git_target(self, full_name: str) -> Repo | None:
        """The repository at an address of git's, or the one it redirects to."""
        return next((repo for repo in self.by_id.values() if repo.full_name.lower() == full_name.lower()), None)

    def events(self, name: str = "") -> Iterator[dict[str, object]]:
        """The payloads of all webhooks so far, of one kind if named."""
        return (json.loads(event.body) for event in self.hooks.sent if name in ("", event.name))
