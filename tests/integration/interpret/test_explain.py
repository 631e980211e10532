"""`policy explain`: by the grammar alone, unless a model is asked for."""

from __future__ import annotations

import json

import pytest

from tests.fakes.ollama import MODEL, Say, running_shim

pytestmark = pytest.mark.lanes
VAGUE = "there ought to be a page about the timeout"
PAGE = {
    "reading": "edits",
    "edits": [{"kind": "create_file", "path": "docs/timeout.md", "content": "It is 30.\n"}],
}


def configure(home, url):
    config = home.root / "countersign.yaml"
    models = f"\nmodels: {{local: {{url: '{url}'}}}}\ninterpreter: {{models: ['local/{MODEL}']}}\n"
    config.write_text(config.read_text() + models)


def test_the_model_is_asked_only_when_that_is_wanted(home):
    with running_shim(Say(json.dumps(PAGE))) as shim:
        configure(home, shim.url)
        without = home.call("policy", "explain", VAGUE, "--as", "ana", "--repo", "web")
        assert not shim.requests
        found = home.call("policy", "explain", VAGUE, "--as", "ana", "--repo", "web", "--with-model")
        assert len(shim.requests) == 1
    assert "docs/timeout.md" not in without.out
    assert found.code == 0, found
    assert "allow  lane docs covers docs/timeout.md" in found.out


def test_a_request_in_any_words_is_staged_and_its_card_names_the_model(home):
    with running_shim(Say(json.dumps(PAGE))) as shim:
        configure(home, shim.url)
        document = home.document("ask", VAGUE, "--repo", "web", "--as", "ana", "--wait")
        shown = home.call("show", document["number"])
    assert document["state"] == "staged"
    assert document["read_by"] == f"local/{MODEL}"
    assert f"read by local/{MODEL}" in shown.out
