"""An Ollama for tests: a real HTTP server that speaks its API, and models that say what a script tells them to say.

It is honest: every request and all that it answers are held against the types of the `ollama` package, unknown keys
included, and one violation fails the test. It streams, loads and unloads models, runs out of room and breaks down as
Ollama does, with Ollama's own words.

    from tests.fakes.ollama import Call, OllamaShim, Say, Script

    async def test_an_agent_edits(…):
        script = Script(Call("read", path="a.py"), Call("edit", path="a.py", …), Say("Done."))
        async with OllamaShim(script) as shim:                 # models={"qwen3:8b": …} unless told otherwise
            endpoint = Endpoint("local", "ollama", shim.url)   # ask it for "qwen3:8b", the default `MODEL`
            ...
        assert shim.requests[1].messages[-1]["tool_name"] == "read"

    with running_shim(script) as shim:                         # its own thread: for subprocesses, and tests that block
        home.run("ask", …)

A turn is `Say` (text), `Call` (one tool; `Calls` for several), a fault (`Busy`, `Status`, `Hang`, `Slow`, `Endless`,
`Reset`, `Babble`, `Broken`, `Redirect`), or a function of the `Request` (its `messages`, `tools`, `format`, `model`,
`last` text) that gives one of these: `Script(obedient)` where ``obedient = lambda request: Say(request.last)`` serves
every request. Turns are taken in the order of the requests to /api/chat and /api/generate, whatever the model; the
`script` of a `Stocked` model is that model's own. When all are said, `then` answers (a turn or a function); without
one a further request is a violation.

What happened is in `shim.requests`, `.loads`, `.paths`, `.headers`, `.resident`, `.hung_up` (clients that went away)
and `.violations`; a test that wants violations takes them with `shim.expected_violations()`.
"""

from __future__ import annotations

from tests.fakes.ollama.model_store import MODEL, StoredModel
from tests.fakes.ollama.running import running_shim
from tests.fakes.ollama.script import (
    Babble,
    Broken,
    Busy,
    Call,
    Calls,
    Endless,
    Hang,
    Redirect,
    Request,
    Reset,
    Say,
    Script,
    Slow,
    Status,
    Turn,
)
from tests.fakes.ollama.server import OllamaShim

__all__ = [
    "MODEL",
    "Babble",
    "Broken",
    "Busy",
    "Call",
    "Calls",
    "Endless",
    "Hang",
    "OllamaShim",
    "Redirect",
    "Request",
    "Reset",
    "Say",
    "Script",
    "Slow",
    "Status",
    "StoredModel",
    "Turn",
    "running_shim",
]
