"""A real engine for tests, llama.cpp with its own server, and models whose weights are written as a test wants them.

Nothing stands between: real templates, tokens, sampling, grammars, streams and HTTP. Only the weights are ours, so that
it is known what the model says:

    write_model(file, [
        calls("read_file", path="README.md"),       # what it says first,
        calls("finish", summary="Nothing to do."),  # and what it says when it has answered once
    ])
    with running_engine(file) as engine:
        endpoint = Endpoint("llama", "openai", engine.url)  # ask it for `engine.name`, the file's

A turn has several texts: the model prefers the first, and a grammar may leave it only another. `write_random` makes a
model that prefers nothing, so that what its answers have of a shape is the engine's doing.
"""

from __future__ import annotations

from tests.fakes.engine.running import Engine, running_engine
from tests.fakes.engine.weights import CHATML, TOOLS, Endless, calls, write_model, write_random

__all__ = ["CHATML", "TOOLS", "Endless", "Engine", "calls", "running_engine", "write_model", "write_random"]
