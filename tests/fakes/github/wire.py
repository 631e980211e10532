"""The fake GitHub on HTTP: one thread a connection; git goes to git's own http-backend."""

from __future__ import annotations

import gzip
import os
import re
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from tests import canary
from tests.fakes.github.rest import ApiError, Request
from tests.fakes.github.state import Repo

if TYPE_CHECKING:
    from tests.fakes.github.faults import Fault
    from tests.fakes.github.server import FakeGitHub

_GIT: Final = re.compile(r"/([^/]+)/([^/]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)")
_LIMIT_BYTES: Final = 256 * 1024 * 1024


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, hub: FakeGitHub) -> None:
        self.hub = hub
        self.open: set[socket.socket] = set()
        self.guard = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.guard:
            self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self.guard:
            self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is nothing to talk about."""
        import sys

        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError | ValueError):
            super().handle_error(request, client_address)


class Wire:
    """Listens for one fake."""

    def __init__(self, hub: FakeGitHub) -> None:
        self._server = _Server(hub)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        """The port that was free."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no one, and close what is still open."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(10)
        with self._server.guard:
            still = list(self._server.open)
        for connection in still:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._server.server_close()


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "github.com"
    server: _Server
    timeout = 60
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_: object) -> None:
        """Nothing: the test knows what it asked."""

    def _any(self) -> None:
        hub = self.server.hub
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        inner = path.removeprefix(hub.prefix) if path.startswith(hub.prefix + "/") else path
        raw = self._body()
        canary.seen(f"GitHub's {parts.path}", self.path, self.headers, raw)
        git = _GIT.fullmatch(path)
        hub.requests.append((self.command, path if git else inner))
        fault = hub.faults.take(self.command, path if git else inner)
        if fault and self._goes_wrong(fault):
            return
        if git:
            self._git(git, parts.query, raw, fault)
            return
        headers = {name.lower(): text for name, text in self.headers.items()}
        request = Request(self.command, inner, dict(parse_qsl(parts.query, keep_blank_values=True)), headers, raw)
        reply = hub.serve(request) if path.startswith(hub.prefix + "/") else ApiError(404, "Not Found").reply
        if fault and fault.after:
            self._spoil(fault)
            return
        self._answer(reply.status, reply.body(), reply.headers)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815 - the words of http.server

    def _goes_wrong(self, fault: Fault) -> bool:
        """Wait as the fault says; True when the request ends here."""
        if fault.meanwhile:
            fault.meanwhile()
        if fault.delay_s:
            time.sleep(fault.delay_s)
        if fault.garbage:
            self._answer(200, fault.garbage, {})
            return True
        if fault.after or not (fault.drop or fault.status):
            return False
        self._spoil(fault)
        return True

    def _spoil(self, fault: Fault) -> None:
        if fault.drop:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        said = ApiError(
            fault.status, fault.message or {401: "Bad credentials", 404: "Not Found"}.get(fault.status, "Oh no")
        )
        self._answer(fault.status, said.reply.body(), fault.headers)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(min(int(self.headers.get("Content-Length") or 0), _LIMIT_BYTES))

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.server.hub.statuses.append(status)
        self.send_response(status)
        usual = {
            "Content-Type": "application/json; charset=utf-8",
            "X-GitHub-Request-Id": "FAKE:0001",
            "X-RateLimit-Limit": "5000",
            "X-RateLimit-Remaining": "4999",
            "X-RateLimit-Reset": str(int(time.time()) + 3600),
        }
        lower = {name.lower() for name in headers}
        for name, text in {**{n: t for n, t in usual.items() if n.lower() not in lower}, **headers}.items():
            self.send_header(name, text)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status not in (204, 304):
            self.wfile.write(body)
        self.wfile.flush()

    # -- git ------------------------------------------------------------------------------------------------------

    def _git(self, match: re.Match[str], query: str, raw: bytes, fault: Fault | None) -> None:
        hub = self.server.hub
        full_name, service = f"{match.group(1)}/{match.group(2)}", match.group(3)
        writes = "receive-pack" in service or "receive-pack" in query
        with hub.lock:
            repo = hub.git_target(full_name)
            moved = hub.by_id.get(hub.moved.get(full_name.lower(), 0))
        if repo is None and moved is not None:
            self._answer(301, b"", {"Location": f"{hub.git_url(moved.full_name)}/{service}?{query}".rstrip("?")})
            return
        token = hub.git_user(self.headers.get("Authorization", ""))
        if token is None:
            self._plain(401, "Authentication required.", {"WWW-Authenticate": 'Basic realm="GitHub"'})
        elif repo is None or not hub.may(token, repo, "read"):
            self._plain(404, "Repository not found.", {})
        elif writes and not hub.may(token, repo, "write"):
            self._plain(403, f"Permission to {full_name}.git denied to {token.login}.", {})
        else:
            self._backend(repo, service, query, raw, token.login, fault)

    def _plain(self, status: int, text: str, headers: dict[str, str]) -> None:
        self._answer(status, text.encode(), {"Content-Type": "text/plain; charset=utf-8", **headers})

    def _backend(self, repo: Repo, service: str, query: str, raw: bytes, login: str, fault: Fault | None) -> None:
        hub = self.server.hub
        if self.headers.get("Content-Encoding") == "gzip":
            raw = gzip.decompress(raw)
        before = hub.git(repo).refs() if service == "git-receive-pack" else {}
        done = subprocess.run(
            ["git", "http-backend"],
            input=raw,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "GIT_PROJECT_ROOT": str(repo.path.parent),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_CONFIG_GLOBAL": os.devnull,
                "PATH_INFO": f"/{repo.path.name}/{service}",
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(raw)),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REMOTE_USER": login,
                "REMOTE_ADDR": "127.0.0.1",
            },
            capture_output=True,
            check=False,
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200").split(" ")[0])
        if service == "git-receive-pack":
            hub.refs_moved(repo, before, login)
        if fault and fault.after:
            self._spoil(fault)
            return
        self._answer(status, body, headers)
