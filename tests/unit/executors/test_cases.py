"""The cases of `tests/data/cases/edits.json` that a format decides: each as the structured edit that its words mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from core.model.edits import AddLine, BumpPackage, Edit, ReplaceText, SetKey
from lanes.executors.apply_edits import EditError

CASES: Final[dict[str, dict[str, Any]]] = {
    case["name"]: case
    for case in json.loads((Path(__file__).parents[2] / "data/cases/edits.json").read_text(encoding="utf-8"))
}
EDITS: Final[dict[str, Edit]] = {
    "helm-tag-empty": SetKey("values.yaml", "image.tag", "1.10"),
    "helm-tag-latest": SetKey("values.yaml", "image.tag", "1.10"),
    "sha-with-e": SetKey("values.yaml", "sha", "12e5"),
    "k8s-env-true": SetKey("deploy.yaml", "env[0].value", "true"),
    "toml-text": SetKey("config/a.toml", "tag", "1.10"),
    "cargo-new-dependency": SetKey("Cargo.toml", "dependencies.rand", "0.8"),
    "yaml-octal-k8s-mode": SetKey("config/a.yaml", "n", "420"),
    "yaml-underscore": SetKey("config/a.yaml", "n", "2000"),
    "yaml-plus": SetKey("config/a.yaml", "n", "6"),
    "yaml-hex": SetKey("config/a.yaml", "n", "32"),
    "yaml-binary": SetKey("config/a.yaml", "n", "4"),
    "yaml-unused-anchor": SetKey("config/a.yaml", "n", "3"),
    "yaml-template": SetKey("vars.yml", "image", "{{image_name}}"),
    "add-bullet": AddLine("CHANGELOG.md", "- two", "Unreleased"),
    "link-definitions": AddLine("CHANGELOG.md", "- two", "Unreleased"),
    "ini-comment-without-space": SetKey("php.ini", "PHP.max", "60"),
    "ini-change-from": SetKey("php.ini", "PHP.max", "60", was="30"),
    "ini-value-like-comment": SetKey("config/a.ini", "a.k", "x ; y", quoted=True),
    "ini-leading-space": SetKey("config/a.ini", "a.k", "  x", quoted=True),
    "env-interpolation": SetKey(".env.example", "MAIL_FROM_NAME", "${APP_NAME} Team", quoted=True),
    "bump-goes-down": BumpPackage("typescript", "5.9.0", path="package.json"),
    "annotation-key": SetKey("values.yaml", 'annotations."nginx.ingress.kubernetes.io/proxy-buffering"', "off"),
    "poetry-2-parentheses": BumpPackage("requests", "2.32", path="pyproject.toml"),
    "list-with-spaces": SetKey("compose.yaml", "services.db.test", '["CMD", "true"]'),
    "mixed-endings": ReplaceText("docs/t.txt", "gamma\ndelta", "G\nD"),
    "hatch-environment": BumpPackage("pytest", "8", path="pyproject.toml"),
    "package-version": SetKey("package.json", "version", "1.0.1"),
    "latin-1-is-called-binary": ReplaceText("docs/t.txt", "Version 1", "Version 2"),
    "non-utf8-name-near-a-typo": SetKey("café.yaml", "a", "2"),
}


@pytest.mark.parametrize("name", sorted(EDITS))
def test_the_case_comes_out_as_it_says(change, name):
    case = CASES[name]
    encoding = case.get("encoding", "utf-8")
    files = {case["file"]: case["content"].encode(encoding)}
    if case.get("expected") == "refuse":
        with pytest.raises(EditError) as refused:
            change(files, EDITS[name])
        assert str(refused.value).encode(), "a sentence that can be written anywhere"
    else:
        after = change(files, EDITS[name]).writes.get(case["file"], files[case["file"]])
        assert after.decode(encoding) == case["expected_content"]
