"""The description of the API: valid OpenAPI 3.1, and what it says is what is answered."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bot.web.api.application import build_application
from bot.web.api.description import describe
from bot.web.api.examples import EXAMPLES
from bot.web.api.rates import ApiQuotas, QuotaPolicy
from tests import campaign
from tests.homes import CliHome, copy_home
from tests.integration.api.api_home import WITHIN_S, body_of, served_api

pytestmark = [pytest.mark.surfaces, pytest.mark.xdist_group("api")]

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
REQUESTS_A_ROUTE = 200 if campaign.WHOLE else 2
"""Generated valid requests of each route, and as many invalid ones."""
UNLIMITED = ApiQuotas(*(QuotaPolicy(name, 10**9) for name in ("read", "write", "wrong-tokens")))


class NoServices:
    """A description is made without a home."""

    queries = property(lambda _self: _Queries())


class _Queries:
    async def newest_event(self) -> int:
        return 0


def description() -> dict[str, Any]:
    return describe(build_application(NoServices()))  # type: ignore[arg-type]  # a description needs no home


DESCRIPTION = description()


def test_the_description_is_valid_openapi_3_1():
    validate(DESCRIPTION)
    assert DESCRIPTION["openapi"] == "3.1.0"
    assert DESCRIPTION["security"] == [{"token": []}]


def test_every_operation_names_its_scope_its_answers_and_its_problems():
    for path, operations in DESCRIPTION["paths"].items():
        for method, operation in operations.items():
            assert operation["x-countersign-scope"] in ("read", "request", "approve", "operate"), path
            assert operation["summary"].endswith(".") or ";" in operation["summary"], path
            assert {"401", "403", "429"} <= operation["responses"].keys(), path
            names = {parameter["name"] for parameter in operation.get("parameters", ())}
            assert ("Idempotency-Key" in names) == (method != "get"), path


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_fits_its_schema(name):
    schema = {**DESCRIPTION["components"]["schemas"][name], "components": DESCRIPTION["components"]}
    jsonschema.Draft202012Validator(schema).validate(EXAMPLES[name])


def test_every_body_and_every_answer_has_an_example():
    schemas = DESCRIPTION["components"]["schemas"]
    assert {name for name, schema in schemas.items() if "examples" not in schema} == {*EXAMPLES, "State"}


async def test_the_description_is_served_with_a_token(api):
    client = await api.client("lee", "approve")
    assert body_of(await client.get("/openapi.json")) == DESCRIPTION
    assert (await api.bare_client().get("/openapi.json")).status_code == 401


# ---- schemathesis


@contextmanager
def in_a_thread(home: CliHome) -> Iterator[tuple[str, str]]:
    """Serve the API of a home in a thread; yields its address and a token."""
    ready: Future[tuple[str, str]] = Future()
    loop = asyncio.new_event_loop()
    done = asyncio.Event()

    async def serve() -> None:
        try:
            async with served_api(home, UNLIMITED) as api:
                _, written = await api.token(None)
                ready.set_result((api.url, written))
                await done.wait()
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        yield ready.result(WITHIN_S)
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(WITHIN_S)
        loop.close()


@pytest.fixture(scope="module")
def served(template_with_api: CliHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    home = copy_home(template_with_api, Path(tmp_path_factory.mktemp("schemathesis")))
    with in_a_thread(home) as address:
        yield address


def operations() -> list[Any]:
    load_all_checks()
    schema = schemathesis.openapi.from_dict(DESCRIPTION)
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    return [operation for operation in found if not operation.path.endswith("/stream")]  # it never ends


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.label.replace("/", "."))
def test_no_generated_request_causes_a_fault_or_an_answer_that_is_not_described(operation, served):
    url, token = served
    modes = [operation.as_strategy(generation_mode=mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)]

    @settings(max_examples=2 * REQUESTS_A_ROUTE, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=st.one_of(modes))
    def answers_as_described(case: Any) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        response = case.call(base_url=f"{url}/api/v1", headers=headers, timeout=WITHIN_S)
        case.validate_response(response, checks=CHECKS)

    answers_as_described()
