"""A served home with its pages, and browsers that visit them: a plain HTTP client, and Debian's Chromium."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import httpx
import pytest

from core.model.turn import Actor
from tests.homes import CliHome
from tests.served_home import ServedHome, serve_home

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NO_CHROMIUM = "needs Chromium: apt-get install chromium (make counterparts installs it for root on Debian)"
OPERATOR = Actor(None, "terminal", is_operator=True)


@dataclass
class Visit:
    """One browser without JavaScript: an HTTP client with its own cookies."""

    client: httpx.AsyncClient
    origin: str
    csrf: str = ""
    forms: dict[str, dict[str, str]] = field(default_factory=dict)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """Open a page and remember its forms."""
        response = await self.client.get(path, headers=headers)
        self.forms = forms_in(response.text) if "text/html" in response.headers.get("content-type", "") else {}
        tokens = [form["csrf"] for form in self.forms.values() if "csrf" in form]
        self.csrf = tokens[0] if tokens else self.csrf
        return response

    async def post(self, path: str, fields: Mapping[str, str], **headers: str) -> httpx.Response:
        """Send a form as a browser would from one of our pages."""
        return await self.client.post(path, data=dict(fields), headers={"origin": self.origin, **headers})

    async def submit(self, path: str, **typed: str) -> httpx.Response:
        """Fill in the form with this address on the open page, and send it."""
        return await self.post(path, {**self.forms[path], **typed})


def forms_in(page: str) -> dict[str, dict[str, str]]:
    """The hidden fields of each POST form of a page, by its address."""
    found: dict[str, dict[str, str]] = {}
    for action, body in re.findall(r'<form[^>]*method="post" action="([^"]+)">(.*?)</form>', page, re.DOTALL):
        fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', body)
        found.setdefault(action, {name: unescape(value) for name, value in fields})
    return found


@dataclass
class Window:
    """A served home, and its visitors."""

    served: ServedHome
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def origin(self) -> str:
        """The address of the pages."""
        return f"http://127.0.0.1:{self.served.web.port}"

    def visit(self) -> Visit:
        """A browser that is not signed in."""
        client = httpx.AsyncClient(base_url=self.origin, timeout=30, follow_redirects=False)
        self.clients.append(client)
        return Visit(client, self.origin)

    async def link(self, person: str | None) -> str:
        """The token of a sign-in link for a person, or for the operator."""
        actor = OPERATOR if person is None else Actor(person, "terminal")
        return await self.served.app.web_sessions.make_link(actor)

    async def signed_in(self, person: str | None) -> Visit:
        """A browser that is signed in as a person, or as the operator."""
        visit = self.visit()
        response = await visit.post("/sign-in", {"token": await self.link(person)})
        assert response.status_code == 303, response.text
        await visit.get("/sessions")
        return visit


@asynccontextmanager
async def open_window(home: CliHome) -> AsyncIterator[Window]:
    """Serve a home with its pages on any free port."""
    async with serve_home(home, {}, port=0) as served:
        await served.until(served.web.started.is_set, "the web server")
        window = Window(served)
        try:
            yield window
        finally:
            for client in window.clients:
                await client.aclose()


@asynccontextmanager
async def chromium(**options: Any) -> AsyncIterator[Any]:
    """A page of Debian's Chromium whose console must stay silent; skips, or with CI=true fails, without it."""
    if CHROMIUM is None:
        if os.environ.get("CI") == "true":
            pytest.fail(NO_CHROMIUM)
        pytest.skip(NO_CHROMIUM)
    from playwright.async_api import async_playwright

    messages: list[str] = []
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page: Any = await (await browser.new_context(**options)).new_page()
        page.on("console", lambda message: messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: messages.append(str(error)))
        yield page
        await browser.close()
    assert not messages, messages
