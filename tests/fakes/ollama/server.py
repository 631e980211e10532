"""The fake Ollama: an HTTP server on loopback, whose models say what their scripts tell them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Self

from aiohttp import web

from tests import canary
from tests.fakes.ollama.model_store import MODEL, ModelStore, StoredModel, digest_of, duration, full_name
from tests.fakes.ollama.script import Json, Redirect, Request, Say, Script, Status, Turn
from tests.fakes.ollama.shapes import REQUESTS, faults_of_request
from tests.fakes.ollama.speaking import Line, speak

VERSION: Final = "0.12.6"
_MOST_BYTES: Final = 64 * 1024 * 1024


class OllamaShim:
    """One Ollama; `async with` starts and stops it, and fails at its end on violations that no test took.

    `models` are those on its disk, `pullable` those that its registry has too. `slots` requests are answered at once,
    `waiting` more wait, and further ones get 503; loading a model takes `load_s`. With `key` a request without that
    Bearer key gets 401, and with `pull_breaks` a pull ends in the middle, with that error if it is a text; it waits
    `pull_waits_s` between its steps. It listens on loopback, on `port` if one is given.
    """

    def __init__(
        self,
        script: Script | Turn | None = None,
        *,
        models: Mapping[str, StoredModel] | Iterable[str] = (MODEL,),
        pullable: Iterable[str] = (),
        slots: int = 64,
        waiting: int = 512,
        load_s: float = 0.0,
        pull_breaks: bool | str = False,
        pull_waits_s: float = 0.0,
        key: str | None = None,
        port: int = 0,
    ) -> None:
        self.script = script if isinstance(script, Script) else Script(*([] if script is None else [script]))
        self.store = ModelStore(models)
        self.pullable = {full_name(name) for name in pullable}
        self.waiting, self.load_s, self.key, self.port = waiting, load_s, key, port
        self.version: Any = VERSION
        self.pull_breaks, self.pull_waits_s = pull_breaks, pull_waits_s
        self.loads: list[Json] = []
        self.requests: list[Request] = []
        self.canaries: list[Json] = []
        self.paths: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.violations: list[str] = []
        self.hung_up = 0
        self.answered = 0
        self.sent_bytes = 0
        self._room = asyncio.Semaphore(slots)
        self._queued = 0
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def resident(self) -> set[str]:
        """The models loaded now."""
        return self.store.resident()

    def expected_violations(self) -> list[str]:
        """The violations so far, taken: the test does not fail on them."""
        taken, self.violations = self.violations, []
        return taken

    async def until(self, true: Callable[[], Any], within_s: float = 30) -> Any:
        """Wait until `true()` is truthy; its value."""
        async with asyncio.timeout(within_s):
            while not (found := true()):  # noqa: ASYNC110 - a test waits for anything
                await asyncio.sleep(0.01)
        return found

    async def start(self) -> None:
        """Listen."""
        app = web.Application(client_max_size=_MOST_BYTES)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Listen no more; raises `AssertionError` for violations."""
        assert self._runner is not None
        await self._runner.cleanup()
        assert not self.violations, f"Ollama's rules were broken: {self.violations}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.violations, told = [], self.violations
            if told:
                print(f"Ollama's rules were broken, too: {told}")
        await self.stop()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        self.paths.append(path)
        self.headers.append(dict(request.headers))
        try:
            return await self._route(request, path)
        except asyncio.CancelledError:
            self.hung_up += 1
            raise
        except ConnectionError:  # the client went away while it was spoken to
            self.hung_up += 1
            return web.Response()
        except Exception as error:  # a fault of the fake's must not look like one of Ollama's
            self.violations.append(f"{path}: the fake failed: {error!r}")
            raise

    async def _route(self, request: web.Request, path: str) -> web.StreamResponse:
        if self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.json_response({"error": "unauthorized"}, status=401)
        if request.method == "GET":
            return self._told(request, path)
        if path not in REQUESTS or request.method != ("DELETE" if path == "/api/delete" else "POST"):
            return self._not_found(path)
        body = await self._body(request, path)
        if isinstance(body, web.Response):
            return body
        if path == "/api/generate" and (body.get("options") or {}).get("num_predict") == 1:
            return await self._answer_canary(request, path, body)
        if path in ("/api/chat", "/api/generate"):
            return await self._ask(request, path, body)
        if path == "/api/pull":
            return await self._pull(request, path, body)
        return self._known(request, path, body)

    def _told(self, request: web.Request, path: str) -> web.Response:
        told = {"/api/tags": self.store.tags, "/api/ps": self.store.running, "/api/version": self._version}.get(path)
        return self._not_found(path) if told is None else Line(self, path, request).whole(told())

    def _known(self, request: web.Request, path: str, body: Json) -> web.Response:
        """Show or delete a model that must be there."""
        name = full_name(body["model"])
        if self.store.find(name) is None:
            return _missing(body["model"])
        if path == "/api/delete":
            self.store.loaded.pop(name, None)
            del self.store.models[name]
            return web.Response()
        return Line(self, path, request).whole(self.store.shown(name))

    def _version(self) -> Json:
        return {"version": self.version}

    def _not_found(self, path: str) -> web.Response:
        self.violations.append(f"{path}: is no path of Ollama's API that the fake knows")
        return web.Response(text="404 page not found", status=404)

    async def _body(self, request: web.Request, path: str) -> Json | web.Response:
        raw = await request.read()
        canary.seen(f"Ollama's {path}", request.path_qs, request.headers, raw)
        try:
            body = json.loads(raw)
        except ValueError as error:
            self.violations.append(f"{path}: is no JSON")
            return web.json_response({"error": str(error)}, status=400)
        faults = faults_of_request(path, body) if isinstance(body, dict) else ["is no object"]
        try:
            duration(body.get("keep_alive") if isinstance(body, dict) else None)
        except ValueError as error:
            faults.append(str(error))
        if faults:
            self.violations.extend(f"{path}: {fault}" for fault in faults)
            return web.json_response({"error": "; ".join(faults)}, status=400)
        found: Json = body
        return found

    async def _ask(self, request: web.Request, path: str, body: Json) -> web.StreamResponse:
        stocked = self.store.find(body["model"])
        if stocked is None:
            return _missing(body["model"])
        if body.get("tools") and not stocked.tools:
            name = f"registry.ollama.ai/library/{full_name(body['model'])}"
            return web.json_response({"error": f"{name} does not support tools"}, status=400)
        if not (body.get("messages") if path == "/api/chat" else body.get("prompt")):
            return await self._load(request, path, body)
        async with self._place() as admitted:
            if not admitted:
                busy = {"error": "server busy, please try again.  maximum pending requests exceeded"}
                return web.json_response(busy, status=503)
            asked = Request(path, body, dict(request.headers))
            self.requests.append(asked)
            answer = (stocked.script or self.script).answer(asked)
            if answer is None:
                self.violations.append(f"{path}: request {len(self.requests)} came after the script's end")
                return web.json_response({"error": "the script is over"}, status=500)
            if isinstance(answer, Status):
                return web.json_response({"error": answer.error}, status=answer.status, headers=answer.headers)
            if isinstance(answer, Redirect):
                return web.Response(status=307, headers={"Location": answer.to})
            await self._warm(body)
            return await speak(Line(self, path, request), asked, answer)

    async def _answer_canary(self, request: web.Request, path: str, body: Json) -> web.StreamResponse:
        """Answer a look at whether the model works, which is none of the script's turns."""
        self.canaries.append(body)
        if self.store.find(body["model"]) is None:
            return _missing(body["model"])
        return await speak(Line(self, path, request), Request(path, body), Say("ok"))

    async def _load(self, request: web.Request, path: str, body: Json) -> web.StreamResponse:
        """A request without words loads the model, or unloads it."""
        self.loads.append(body)
        await self._warm(body)
        gone = full_name(body["model"]) not in self.resident
        said: Json = {"message": {"role": "assistant", "content": ""}} if path == "/api/chat" else {"response": ""}
        line = Line(self, path, request)
        return line.whole(
            {**line.opening(body["model"]), **said, "done": True, "done_reason": "unload" if gone else "load"}
        )

    async def _warm(self, body: Json) -> None:
        cold = self.store.keep(body["model"], body.get("keep_alive"))
        if cold and self.load_s:
            await asyncio.sleep(self.load_s)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[bool]:
        """A place to answer in, after a wait in the queue; False when that is full."""
        if self._room.locked() and self._queued >= self.waiting:
            yield False
            return
        self._queued += 1
        try:
            await self._room.acquire()
        finally:
            self._queued -= 1
        try:
            yield True
        finally:
            self._room.release()

    async def _pull(self, request: web.Request, path: str, body: Json) -> web.StreamResponse:
        """Fetch a model of the registry, in steps; one that it lacks is told after the first line, as Ollama does."""
        name = full_name(body["model"])
        known = name in self.pullable or name in self.store.models
        line = Line(self, path, request)
        steps: list[Json] = [{"status": "pulling manifest"}]
        if known:
            layer = {"status": f"pulling {digest_of(name)[:12]}", "digest": f"sha256:{digest_of(name)}", "total": 1000}
            steps += [{**layer, "completed": done} for done in (0, 250, 500, 750, 1000)]
            steps += [{"status": status} for status in ("verifying sha256 digest", "writing manifest", "success")]
        else:
            steps.append({"error": "pull model manifest: file does not exist"})
        if self.pull_breaks:
            steps = [*steps[:3], *([{"error": self.pull_breaks}] if isinstance(self.pull_breaks, str) else [])]
        if body.get("stream") is False:
            return line.whole(steps[-1], status=200 if known else 500)
        await line.begin()
        for step in steps:
            await line.send(step)
            await asyncio.sleep(self.pull_waits_s)
        if known and not self.pull_breaks:
            self.store.models.setdefault(name, StoredModel())
        return await line.end()


def _missing(name: str) -> web.Response:
    return web.json_response({"error": f"model '{name}' not found"}, status=404)
