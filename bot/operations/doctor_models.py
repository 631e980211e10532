"""The doctor's rows about models: whether each endpoint answers, and has the models that the configuration names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from bot.configuration.models import Models
from bot.operations.doctor_rows import DoctorRow, row
from core.model.errors import CountersignError
from core.model.lane import Lane
from lanes.models import Endpoint, ModelName
from lanes.models.catalog import open_catalog
from lanes.models.endpoint import CHAT_KINDS, key_variable
from lanes.models.model_details import InstalledModel

_NEEDS_KEY: Final = ("anthropic", "gemini")
"""Kinds whose servers require a key; many servers of the other kinds are local and do not."""


async def model_checks(models: Models, lanes: Iterable[Lane]) -> list[DoctorRow]:
    """A row for each endpoint, and one for each lane and interpreter that names models."""
    answers = await asyncio.gather(*(_endpoint(endpoint) for endpoint in models.endpoints.values()))
    rows = [answer[0] for answer in answers]
    installed = {name: answer[1] for name, answer in zip(models.endpoints, answers, strict=True)}
    rows += [
        _named(f"models of {lane.name}", lane.models, models.endpoints, installed) for lane in lanes if lane.models
    ]
    if models.interpreter:
        names = [str(name) for name in models.interpreter]
        rows.append(_named("models of the interpreter", names, models.endpoints, installed))
    return rows


async def _endpoint(endpoint: Endpoint) -> tuple[DoctorRow, tuple[InstalledModel, ...] | None]:
    """The endpoint's row, and its installed models; None if they are not known."""
    name = f"endpoint {endpoint.name}"
    if endpoint.kind in _NEEDS_KEY and endpoint.key is None:
        mend = f"Set {key_variable(endpoint.name)}, or name its `key_file` in countersign.yaml."
        return row(name, "fail", f"{endpoint.kind} requires a key, and none is configured", mend), None
    if endpoint.kind not in CHAT_KINDS:
        return row(name, "ok", f"{endpoint.kind} at {endpoint.url}, for agents only: not checked"), None
    catalog = open_catalog(endpoint)
    try:
        version, installed = await asyncio.gather(catalog.version(), catalog.installed_models())
    except CountersignError as error:
        return row(name, "fail", error.problem.message, str(error.problem.mend)), None
    if endpoint.key is not None and _unencrypted(endpoint.url):
        mend = "Use https:// with a TLS proxy in front of it, or a tunnel."
        return row(name, "warn", f"its key is sent to {endpoint.url} without encryption", mend), installed
    count = "1 model" if len(installed) == 1 else f"{len(installed)} models"
    return row(name, "ok", f"{version} at {endpoint.url}, {count}"), installed


def _unencrypted(url: str) -> bool:
    parts = urlsplit(url)
    is_local = parts.hostname == "localhost" or (parts.hostname or "").startswith("127.") or parts.hostname == "::1"
    return parts.scheme == "http" and not is_local


def _named(
    name: str,
    texts: Iterable[str],
    endpoints: Mapping[str, Endpoint],
    installed: Mapping[str, tuple[InstalledModel, ...] | None],
) -> DoctorRow:
    """Whether the models exist; fails only if all are missing, because a lane can use any of them."""
    present, missing, mends = [], [], []
    for text in texts:
        try:
            problem, mend = _problem_with(ModelName.parse(text), endpoints, installed)
        except CountersignError as error:
            problem, mend = error.problem.message, str(error.problem.mend)
        if problem:
            missing.append(problem)
            mends.append(mend)
        else:
            present.append(text)
    if not missing:
        return row(name, "ok", ", ".join(present))
    verdict = "warn" if present else "fail"
    return row(name, verdict, "; ".join(missing), " ".join(dict.fromkeys(mends)))


def _problem_with(
    name: ModelName, endpoints: Mapping[str, Endpoint], installed: Mapping[str, tuple[InstalledModel, ...] | None]
) -> tuple[str, str]:
    """Why the model cannot be used, and the fix; two empty strings if it can, as far as is known."""
    if name.is_anywhere:
        return _problem_anywhere(name, endpoints, installed)
    endpoint = endpoints.get(name.endpoint)
    if endpoint is None:
        names = ", ".join(sorted(endpoints)) or "none"
        return f"{name}: no endpoint is called {name.endpoint!r}", f"Add it to countersign.yaml; known: {names}."
    if endpoint.kind not in CHAT_KINDS:
        return "", ""
    models = installed.get(name.endpoint)
    if models is None:
        return f"{name}: its endpoint does not answer", f"See the row `endpoint {name.endpoint}`."
    if {name.name, f"{name.name}:latest"} & {model.name for model in models}:
        return "", ""
    mend = f"countersign models pull {name}" if endpoint.kind == "ollama" else "Name a model that it serves."
    return f"{name} is not installed", mend


def _problem_anywhere(
    name: ModelName, endpoints: Mapping[str, Endpoint], installed: Mapping[str, tuple[InstalledModel, ...] | None]
) -> tuple[str, str]:
    """The problem with a model that any endpoint may serve: that none of those that answer has it."""
    answers = {key: models for key, models in installed.items() if models is not None}
    if any({name.name, f"{name.name}:latest"} & {model.name for model in models} for models in answers.values()):
        return "", ""
    asked = [endpoint for endpoint in endpoints.values() if endpoint.kind in CHAT_KINDS]
    if len(asked) < len(endpoints):  # one that serves agents only is not asked, and may have it
        return "", ""
    if not answers:
        return f"{name.name}: no endpoint answers", "See the rows of the endpoints."
    pull = next((f"countersign models pull {each.name}/{name.name}" for each in asked if each.kind == "ollama"), "")
    return f"no endpoint has {name.name}", pull or "Name a model that one serves."
