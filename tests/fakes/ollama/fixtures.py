"""The fixture `ollama`; a conftest.py has it by ``from tests.fakes.ollama.fixtures import ollama``."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.fakes.ollama.server import OllamaShim


@pytest_asyncio.fixture
async def ollama() -> AsyncIterator[OllamaShim]:
    """A running fake Ollama without a script: set `ollama.script`; fails a test that broke Ollama's rules."""
    async with OllamaShim() as running:
        yield running
