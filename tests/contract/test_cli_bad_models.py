"""A lane's model that cannot be used: one clear sentence where a person looks, and the request is kept."""

from __future__ import annotations

import pytest

from tests.contract.test_cli_inventory import closed_port, configured, running_gpu_shim
from tests.homes import CliHome
from tests.shims.ollama import Mode

pytestmark = pytest.mark.queue


def asked(home: CliHome, model: str) -> dict[str, object]:
    """The document of a request to a lane with this model, after a worker tried it."""
    lane = f"name: code\ndescribe: any file\nwrite: ['**']\nexecutor: ollama\nmodels: [{model}]\n"
    (home.root / "lanes" / "code.yaml").write_text(lane)
    home.document("ask", "greet people in the readme", "--lane", "code", "--as", "ana")
    assert home.call("worker", "--drain").code == 0
    return home.document("show", 1)


def test_an_endpoint_that_is_not_there_is_asked_again_later(home: CliHome):
    task = asked(configured(home, closed_port()), "local/small")
    why = home.document("queue", "--why", 1)["why"]
    assert task["state"] == "queued"
    assert "Its last attempt failed, and the next one begins at" in why
    assert "nothing is listening" in why


def test_an_endpoint_that_answers_garbage_is_said_so(home: CliHome):
    with running_gpu_shim() as shim:
        shim.switch(Mode.GARBAGE)
        task = asked(configured(home, shim.url), "local/small")
    assert "something that is not JSON" in str(task["error"])


def test_a_model_that_the_endpoint_does_not_have_is_named_with_how_to_get_it(home: CliHome):
    with running_gpu_shim() as shim:
        task = asked(configured(home, shim.url), "local/nosuch:1b")
    assert "nosuch:1b" in str(task["error"])
    assert "pull" in str(task["error"])
