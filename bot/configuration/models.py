"""The sections ``models:``, ``interpreter:`` and ``agents:`` of countersign.yaml."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from bot.secret import secret
from core.model.errors import UsageError
from core.model.lane import Lane
from core.model.model_lease import ANY_ENDPOINT
from core.strict_yaml import KeyPath, StrictModel, YamlDocument, load
from lanes.models import Endpoint, ModelName
from lanes.models.endpoint import CHAT_KINDS, key_variable

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_KEEP_ALIVE = r"^(-?\d{1,9}|-?(\d{1,9}(\.\d{1,9})?(ms|s|m|h))+)$"
"""Ollama's format: seconds or Go durations (https://pkg.go.dev/time#ParseDuration); negative means forever."""


class RawEndpoint(StrictModel):
    """A model server."""

    kind: Literal["ollama", "anthropic", "openai", "gemini"] = "ollama"
    url: str = Field(pattern=r"^https?://")
    key_file: str | None = None
    keep_alive: str = Field("5m", pattern=_KEEP_ALIVE)
    first_token_s: float = Field(120, gt=0, le=3600)
    between_tokens_s: float = Field(60, gt=0, le=3600)
    total_s: float = Field(900, gt=0, le=86_400)
    context_tokens: int = Field(32_768, ge=1024, le=10_000_000)
    node: str | None = Field(None, min_length=1, max_length=200)
    gpus: tuple[Annotated[int, Field(ge=0, le=255)], ...] = ()
    gpu_memory_mib: tuple[Annotated[int, Field(gt=0, le=10_000_000)], ...] = ()
    ram_mib: int | None = Field(None, gt=0, le=100_000_000)
    reserve_mib: int = Field(512, ge=0, le=10_000_000)
    parallel: int | None = Field(None, ge=1, le=1024)


class RawInterpreter(StrictModel):
    """The models that interpret requests the grammar cannot, and how long people wait for them."""

    models: tuple[str, ...] = ()
    patience_s: float = Field(30, gt=0, le=600)


class RawAgent(StrictModel):
    """Where an agent's program is if it is not in PATH; `programs` are more folders that it needs to read."""

    program: str = Field(min_length=1)
    programs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentPlace:
    """Where an agent's program is, and the folders of the host that it needs to read."""

    program: Path
    programs: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Models:
    """The endpoints by name, the interpreter's models, and where agents' programs are."""

    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    interpreter: tuple[ModelName, ...] = ()
    patience_s: float = 30.0
    agents: Mapping[str, AgentPlace] = field(default_factory=dict)


def models_of(
    document: YamlDocument,
    endpoints: Mapping[str, RawEndpoint],
    interpreter: RawInterpreter,
    agents: Mapping[str, RawAgent],
    root: Path,
) -> Models:
    """The models that a configuration names; raises `ConfigError` with file, line and key.

    An endpoint's key is COUNTERSIGN_MODEL_NAME_KEY, where NAME is the endpoint's name in capitals with ``_`` for ``-``,
    or the contents of its `key_file`.
    """
    names = checked_names(document, endpoints, interpreter, agents)
    resolved = {name: _endpoint(name, raw, root) for name, raw in endpoints.items()}
    places = {
        name: AgentPlace(
            root / Path(raw.program).expanduser(), tuple(root / Path(path).expanduser() for path in raw.programs)
        )
        for name, raw in agents.items()
    }
    return Models(resolved, names, interpreter.patience_s, places)


def checked_names(
    document: YamlDocument,
    endpoints: Mapping[str, RawEndpoint],
    interpreter: RawInterpreter,
    agents: Mapping[str, RawAgent],
) -> tuple[ModelName, ...]:
    """The interpreter's models after checking all three sections; reads no secret.

    Raises `ConfigError` with file, line and key.
    """
    for endpoint, raw in endpoints.items():
        _check_endpoint(document, endpoint, raw)
    for agent in agents:
        if not _NAME.fullmatch(agent):
            raise document.error(("agents", agent), "is not a plain name", "Use lower-case letters, digits and dashes.")
    names = []
    for n, text in enumerate(interpreter.models):
        key = ("interpreter", "models", n)
        name = _checked_name(document, key, text, frozenset(endpoints))
        kinds = {raw.kind for endpoint, raw in endpoints.items() if name.is_anywhere or endpoint == name.endpoint}
        if not kinds & set(CHAT_KINDS):
            message = f"{text} is at an endpoint of kind {' or '.join(sorted(kinds))}, which serves agents only"
            raise document.error(key, message, f"Name a model of an endpoint of kind {' or '.join(CHAT_KINDS)}.")
        names.append(name)
    return tuple(names)


def check_lane_models(lanes: Mapping[str, Lane], endpoints: Collection[str]) -> None:
    """Raise `ConfigError`, with the lane's file and line, for a model whose endpoint is not configured."""
    for lane in lanes.values():
        for n, text in enumerate(lane.models):
            endpoint, slash, name = text.partition("/")
            is_known = (endpoint in endpoints or endpoint == ANY_ENDPOINT) and name if slash else text
            if not endpoints or not is_known:  # the lane's file is read again for what is wrong only
                _checked_name(load(Path(lane.source)), ("models", n), text, endpoints)


def _checked_name(document: YamlDocument, key: KeyPath, text: str, endpoints: Collection[str]) -> ModelName:
    try:
        name = ModelName.parse(text)
    except UsageError as error:
        raise document.error(key, error.problem.message, str(error.problem.mend)) from error
    if not endpoints or not (name.is_anywhere or name.endpoint in endpoints):
        known = ", ".join(sorted(endpoints)) or "none; add it to `models:` of countersign.yaml"
        missing = "no endpoint is configured" if name.is_anywhere else f"no endpoint is called {name.endpoint!r}"
        raise document.error(key, missing, f"Known: {known}.")
    return name


def _check_endpoint(document: YamlDocument, name: str, raw: RawEndpoint) -> None:
    if not _NAME.fullmatch(name):
        raise document.error(("models", name), "is not a plain name", "Use lower-case letters, digits and dashes.")
    at = ("models", name, "url")
    try:
        parts = urlsplit(raw.url)
        parts.port  # noqa: B018 (reading it raises for an invalid port)
    except ValueError as error:
        raise document.error(at, "is not an address", "Write it as http://HOST:PORT.") from error
    if not parts.hostname:
        raise document.error(at, "has no host", "Write it as http://HOST:PORT.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise document.error(at, "contains more than an address", "Put the key into `key_file` or the environment.")
    if raw.gpu_memory_mib and (raw.node or raw.gpus):
        at = ("models", name, "gpu_memory_mib")
        raise document.error(at, "is given beside `node` or `gpus`", "Give the memory, or name the GPUs; not both.")


def _endpoint(name: str, raw: RawEndpoint, root: Path) -> Endpoint:
    return Endpoint(
        name=name,
        kind=raw.kind,
        url=raw.url.rstrip("/"),
        key=secret(key_variable(name), raw.key_file, root),
        keep_alive=raw.keep_alive,
        first_token_s=raw.first_token_s,
        between_tokens_s=raw.between_tokens_s,
        total_s=raw.total_s,
        context_tokens=raw.context_tokens,
        node=raw.node,
        gpus=raw.gpus,
        gpu_memory_mib=raw.gpu_memory_mib,
        ram_mib=raw.ram_mib,
        reserve_mib=raw.reserve_mib,
        parallel=raw.parallel,
    )
