"""Builds what is simulated from the options of a command: requests, the models that they need, and endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bot.simulation.models_file import read_models
from core.model.errors import UsageError
from core.scheduler.weights import Weights
from core.simulator import families
from core.simulator.cluster import Cluster, Model, parse_nodes
from core.simulator.families import EIGHT_SIZES_GB, SKEW
from core.simulator.generate import bursty_clients, generate, scaled_to_load, steady_clients, with_models
from core.simulator.model_figures import assumed_size_gb, model_of_size
from core.simulator.trace import Request, read_trace
from core.strict_json import NotJsonError, read_object

WORKLOADS: Final = ("eight", "bursty")
LOAD: Final = 0.45
_REQUESTS: Final = 6000
_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class ScenarioOptions:
    """What is to be simulated, as a command was asked for it. `load` None keeps a trace's own arrivals."""

    trace: Path | None = None
    workload: str | None = None
    nodes: str = "2x48GB"
    models: Path | None = None
    seed: int = 0
    load: float | None = None
    contention: float = 0.0
    requests: int = _REQUESTS


@dataclass(frozen=True, slots=True)
class BuiltScenario:
    """Requests on a cluster. `assumed` are the models whose size is assumed; `notes` are sentences for people."""

    name: str
    cluster: Cluster
    requests: tuple[Request, ...]
    assumed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def build_scenario(options: ScenarioOptions) -> BuiltScenario:
    """What the options describe; raises `UsageError` for what cannot be simulated."""
    if (options.trace is None) == (options.workload is None):
        raise UsageError(
            "what", "A simulation needs a trace or a workload, and not both", "Give --trace FILE or --workload NAME."
        )
    parse_nodes(options.nodes)
    described = read_models(options.models) if options.models else {}
    if options.trace is not None:
        return from_requests(options.trace.name, read_trace(options.trace), options, described)
    return _from_workload(options, described)


def from_requests(
    name: str, requests: Sequence[Request], options: ScenarioOptions, described: Mapping[str, Model]
) -> BuiltScenario:
    """Requests of a trace with the models that they name; those that `described` leaves out get an assumed size."""
    notes: list[str] = []
    if not all(each.model for each in requests):
        default = {f"m{index}": model_of_size(f"m{index}", size) for index, size in enumerate(EIGHT_SIZES_GB)}
        spread = described or default
        requests = with_models(requests, list(spread), SKEW, options.seed)
        described = {**default, **described}
        whose = "of --models" if spread is not default else "of 5 to 32 GB that are assumed"
        notes.append(f"Requests that name no model are spread over the {len(spread)} models {whose}.")
    names = sorted({each.model for each in requests})
    assumed = {each: assumed_size_gb(each) for each in names if each not in described}
    if assumed:
        sizes = ", ".join(f"{each} {size:g} GB" for each, size in list(assumed.items())[:8])
        more = f" and {len(assumed) - 8} more" if len(assumed) > 8 else ""
        notes.append(f"Assumed sizes: {sizes}{more}. Describe them with --models FILE.")
    models = tuple(described.get(each) or model_of_size(each, assumed[each]) for each in names)
    cluster = Cluster(models, parse_nodes(options.nodes), options.contention)
    scaled = scaled_to_load(requests, cluster, options.load) if options.load is not None else requests
    return BuiltScenario(name, cluster, tuple(scaled), tuple(assumed), tuple(notes))


def _from_workload(options: ScenarioOptions, described: Mapping[str, Model]) -> BuiltScenario:
    """A generated workload, on models of the file where there is one."""
    seed, load = options.seed, LOAD if options.load is None else options.load
    if options.requests < 1:
        raise UsageError("no_requests", f"{options.requests} requests cannot be simulated", "Give 1 or more.")
    is_bursty = options.workload == "bursty"
    if described:
        cluster = Cluster(tuple(described.values()), parse_nodes(options.nodes), options.contention)
    elif is_bursty:
        cluster = families.many_models(87, seed, options.nodes, options.contention)
    else:
        cluster = families.eight_models(options.nodes, options.contention)
    names = [each.name for each in cluster.models]
    clients = bursty_clients(names, seed) if is_bursty else steady_clients(names, seed, SKEW)
    requests = scaled_to_load(generate(clients, options.requests, _DAY_S, seed), cluster, load)
    return BuiltScenario(options.workload or "", cluster, tuple(requests))


def without_model(requests: Sequence[Request], removal: str) -> list[Request]:
    """The requests without a model: ``NAME`` leaves its requests out, ``NAME=OTHER`` gives them to another.

    Raises `UsageError` when no request names the model, or none is left.
    """
    name, equals, other = removal.partition("=")
    known = sorted({each.model for each in requests})
    if name not in known:
        raise UsageError("no_model", f"No request names the model {name!r}", f"Known: {', '.join(known)}.")
    if equals and not other:
        raise UsageError("no_model", f"{removal!r} names no other model", "Write --without NAME=OTHER.")
    if other:
        return [replace(each, model=other) if each.model == name else each for each in requests]
    left = [each for each in requests if each.model != name]
    if not left:
        raise UsageError("empty_trace", f"All requests are for {name}", "Write --without NAME=OTHER.")
    return left


def read_weights(path: Path | None) -> Weights:
    """The weights in a JSON file: an object of weights, or one that `sim tune` wrote; the usual ones without a file."""
    if path is None:
        return Weights()
    try:
        value = read_object(path.read_text(encoding="utf-8"), max_chars=100_000, max_depth=10)
    except OSError as error:
        raise UsageError("no_weights", f"{path}: {error.strerror}", "Name a JSON file of weights.") from None
    except (NotJsonError, UnicodeDecodeError):
        message = f"{path} is not a JSON object"
        raise UsageError("bad_weights", message, 'Write an object such as {"chat": 2.0}.') from None
    inner = value.get("weights", value)
    if not isinstance(inner, dict):
        raise UsageError("bad_weights", f"{path} has weights that are not an object", "Write names with numbers.")
    return Weights.from_json(inner)
