"""The commands models list, show, pull, load, unload and ps."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from bot.cli.context import CliContext, json_option, print_json, print_problem, run
from core.model.errors import CountersignError, Problem, UsageError

if TYPE_CHECKING:
    from bot.configuration.models import Models
    from lanes.models import Endpoint
    from lanes.models.catalog import OllamaCatalog


@click.group()
def models() -> None:
    """Show and manage the models of the endpoints. NAME is endpoint/model, or model if there is one endpoint."""


@models.command(name="list")
@click.option("--endpoint", metavar="NAME", help="Only this endpoint.")
@json_option
@click.pass_obj
def list_(context: CliContext, endpoint: str | None, as_json: bool) -> int:
    """List the models of each endpoint, and the endpoints that do not answer."""

    async def work() -> int:
        import asyncio

        from lanes.models.registry import find_endpoint

        configured = _models(context).endpoints
        endpoints = [find_endpoint(configured, endpoint)] if endpoint else list(configured.values())
        rows = await asyncio.gather(*(_catalog_row(each) for each in endpoints))
        if as_json:
            print_json({"endpoints": rows})
        else:
            from bot.cli.model_catalog import print_catalogs

            print_catalogs(rows)
        return _failed(rows)

    return run(work())


@models.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(context: CliContext, name: str, as_json: bool) -> int:
    """Show what an endpoint reports about one model: its capabilities and the size of its context."""

    async def work() -> int:
        from bot.surfaces.terminal import print_counts

        endpoint, catalog, model = _model_at(context, name)
        details = await catalog.details(model)
        if as_json:
            print_json({"endpoint": endpoint.name, **details.to_json()})
            return 0
        window = f"{details.context_tokens:,} tokens" if details.context_tokens else "unknown"
        facts = [
            ("can", ", ".join(details.abilities) or "unknown"),
            ("family", details.family or "-"),
            ("parameters", details.parameters or "-"),
            ("quantization", details.quantization or "-"),
            ("context", f"{window} (lanes ask for {endpoint.context_tokens:,})"),
        ]
        print_counts(sys.stdout, f"{endpoint.name}/{details.name}", facts)
        return 0

    return run(work())


@models.command()
@click.argument("name")
@json_option
@click.pass_obj
def pull(context: CliContext, name: str, as_json: bool) -> int:
    """Download a model from Ollama's registry to the endpoint. Pulling again continues an interrupted pull."""

    async def work() -> int:
        from bot.cli.model_catalog import PullProgress

        endpoint, catalog, model = _model_at(context, name)
        with PullProgress(f"{endpoint.name}/{model}", quiet=as_json) as progress:
            await catalog.pull(model, progress.update)
        return _done("pulled", endpoint, model, "is installed", as_json=as_json)

    return run(work())


@models.command()
@click.argument("name")
@json_option
@click.pass_obj
def load(context: CliContext, name: str, as_json: bool) -> int:
    """Load a model into memory, so that the next request does not wait for it."""

    async def work() -> int:
        endpoint, catalog, model = _model_at(context, name)
        await catalog.load(model)
        return _done("loaded", endpoint, model, f"is loaded, and stays for {endpoint.keep_alive}", as_json=as_json)

    return run(work())


@models.command()
@click.argument("name")
@json_option
@click.pass_obj
def unload(context: CliContext, name: str, as_json: bool) -> int:
    """Remove a model from memory."""

    async def work() -> int:
        endpoint, catalog, model = _model_at(context, name)
        await catalog.unload(model)
        return _done("unloaded", endpoint, model, "is unloaded", as_json=as_json)

    return run(work())


@models.command()
@click.option("--endpoint", metavar="NAME", help="Only this endpoint.")
@json_option
@click.pass_obj
def ps(context: CliContext, endpoint: str | None, as_json: bool) -> int:
    """List the models in memory, how much of each is on the GPU, and until when it stays."""

    async def work() -> int:
        import asyncio

        from lanes.models.catalog import open_ollama_catalog
        from lanes.models.registry import find_endpoint

        configured = _models(context).endpoints
        endpoints = [find_endpoint(configured, endpoint)] if endpoint else list(configured.values())
        catalogs = [open_ollama_catalog(each) for each in endpoints if endpoint or each.kind == "ollama"]
        rows = await asyncio.gather(*(_loaded_row(catalog) for catalog in catalogs))
        if as_json:
            print_json({"endpoints": rows})
        else:
            from bot.cli.model_catalog import print_loaded

            print_loaded(rows)
        return _failed(rows)

    return run(work())


def _models(context: CliContext) -> Models:
    """The models section of the configuration; these commands need no database."""
    from bot.configuration.config import load_config

    home = context.home()
    home.check()
    return load_config(home.config).models()


def _model_at(context: CliContext, name: str) -> tuple[Endpoint, OllamaCatalog, str]:
    """The endpoint in `name`, its catalog and the model's name there; raises `UsageError`."""
    from lanes.models.catalog import open_ollama_catalog
    from lanes.models.registry import find_endpoint

    endpoints = _models(context).endpoints
    first, slash, rest = name.partition("/")
    if slash and first in endpoints:
        target, model = endpoints[first], rest
    else:
        ollama_endpoints = [endpoint for endpoint in endpoints.values() if endpoint.kind == "ollama"]
        if len(ollama_endpoints) != 1:  # it must be named
            mend = "Write endpoint/model, such as local/qwen3:8b."
            if not slash:
                raise UsageError("which_endpoint", f"{name!r} does not name an endpoint", f"{mend} {_known(endpoints)}")
            find_endpoint(endpoints, first)
            raise UsageError("no_model", f"{name!r} does not name a model", mend)
        target, model = ollama_endpoints[0], name
    if not model.strip():
        raise UsageError("no_model", f"{name!r} does not name a model", "Write endpoint/model, such as local/qwen3:8b.")
    return target, open_ollama_catalog(target), model


def _known(endpoints: Mapping[str, Endpoint]) -> str:
    return f"Endpoints: {', '.join(sorted(endpoints)) or 'none; see `models:` in countersign.yaml'}."


async def _catalog_row(endpoint: Endpoint) -> dict[str, Any]:
    """One endpoint's row of ``models list``, also if it does not answer."""
    from lanes.models.catalog import is_chat_endpoint, open_catalog

    row: dict[str, Any] = {"endpoint": endpoint.name, "kind": endpoint.kind, "url": endpoint.url}
    if not is_chat_endpoint(endpoint):
        return {**row, "up": None, "version": "", "models": [], "problem": None}
    catalog = open_catalog(endpoint)
    try:
        version, installed = await catalog.version(), await catalog.installed_models()
    except CountersignError as error:
        return {**row, "up": False, "version": "", "models": [], "problem": error.problem.to_json()}
    model_rows = [{**model.to_json(), "name": f"{endpoint.name}/{model.name}"} for model in installed]
    return {**row, "up": True, "version": version, "models": model_rows, "problem": None}


async def _loaded_row(catalog: OllamaCatalog) -> dict[str, Any]:
    name = catalog.endpoint.name
    try:
        loaded = await catalog.loaded_models()
    except CountersignError as error:
        return {"endpoint": name, "up": False, "models": [], "problem": error.problem.to_json()}
    model_rows = [{**model.to_json(), "name": f"{name}/{model.name}"} for model in loaded]
    return {"endpoint": name, "up": True, "models": model_rows, "problem": None}


def _failed(rows: Sequence[Mapping[str, Any]]) -> int:
    """Print a problem for each endpoint that does not answer; returns the exit status."""
    problems = [Problem.from_json(row["problem"]) for row in rows if row["problem"]]
    return max((print_problem(problem) for problem in problems), default=0)


def _done(word: str, endpoint: Endpoint, model: str, sentence: str, *, as_json: bool) -> int:
    if as_json:
        print_json({word: f"{endpoint.name}/{model}"})
    else:
        from bot.cards.safe import visible

        click.echo(f"{endpoint.name}/{visible(model)} {sentence}.")
    return 0


COMMANDS = (models,)
