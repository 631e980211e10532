"""Every case of `tests/data/cases/edits.json` by its name: the request on the real file, and the bytes or the refusal.

The cases were found by trying the editor with public bug reports of similar tools and with files of real repositories.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.editor.editor_repository import EditorRepository, Refused

pytestmark = pytest.mark.lanes

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "data/cases/edits.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> EditorRepository:
    return EditorRepository(tmp_path_factory.mktemp("editor"))


def files_of(case: dict[str, Any]) -> dict[str, bytes]:
    encoding = case.get("encoding", "utf-8")
    others = {path: text.encode() for path, text in case.get("other_files", {}).items()}
    return others if case["content"] is None else {case["file"]: case["content"].encode(encoding), **others}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(repository: EditorRepository, case: dict[str, Any]):
    files = files_of(case)
    if case.get("expected") == "refuse":
        with pytest.raises(Refused) as refused:
            repository.ask(case["request"], files)
        assert str(refused.value).encode()
        return
    wanted = case["expected_content"].encode(case.get("encoding", "utf-8"))
    assert repository.ask(case["request"], files) == {**files, case["file"]: wanted}


def test_every_case_says_what_should_come_of_it():
    assert len({case["name"] for case in CASES}) == len(CASES)
    assert all(("expected_content" in case) != (case.get("expected") == "refuse") for case in CASES)
