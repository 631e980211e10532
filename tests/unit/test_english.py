"""Names and phrases that this code no longer uses stay out of it: see "The code" in CONTRIBUTING.md.

The lists hold what is at zero in `FOLDERS`; a folder is added once it is at zero too.
"""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("bot", "core", "docs", "lanes", "policies", "README.md", "CONTRIBUTING.md", "CHANGELOG.md")
"""What is held to the phrases and the names: folders and pages."""

PHRASES = (
    "whoever", "somebody", "nobody", "everybody", "anybody", "once more", "side by side", "of its own accord",
    "what became of", "and is none", "that is none", "lets go", "takes it up", "took it up", "in peace",
    "goes home", "heir", "tongue", "looks like a command", "must be there", "is left alone", "speaks of", "told of",
    "past countersign", "the heart", "is no number", "is no folder", "is no file", "as it was said",
)  # fmt: skip
"""Phrases that read as translated, in lower case."""

ALLOWED = {
    "bot/interpret/courtesy.py": {"everybody"},  # a word that people write
}
"""Phrases that a file needs."""

NAMES = frozenset({
    "Ears", "DurableEars", "Hearing", "Talk", "Heard", "Clicked", "Doings", "Clicks", "Showing", "Courier", "Drawn",
    "Posted", "Door", "Outside", "Rooms", "Desk", "Purse", "Share", "Tally", "Shelf", "Stock", "FirstOf", "Workshop",
    "Scene", "Told", "Telling", "Charge", "Charging", "Petition", "Terms", "Post", "Making", "Made", "Ear", "Aside",
    "Errand", "Shift", "Fit",
})  # fmt: skip
"""Class names that were metaphors; each has the field's name now."""

MODULES = frozenset({
    "doors", "heard", "words", "production", "shown", "ran", "complaint", "relay", "aside", "judge", "lines",
    "greeting", "spoken", "ears", "courier", "desk", "purse", "shelf", "stock", "nudge",
})  # fmt: skip
"""Module names that were metaphors."""


def files(*suffixes: str) -> list[Path]:
    """The files of `FOLDERS` that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *FOLDERS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [ROOT / line for line in listed.stdout.splitlines()]
    return [path for path in paths if path.suffix in suffixes and path.exists()]


def phrases_in(text: str) -> set[str]:
    """The translated phrases in `text`, also across a line break; "there is no file" is plain English."""
    plain = " ".join(text.lower().split())
    return {phrase for phrase in PHRASES if re.search(rf"(?<!there )\b{phrase}\b", plain)}


def test_no_text_reads_as_translated():
    sources = files(".py", ".md")
    assert len(sources) > 100
    translated = {}
    for path in sources:
        name = str(path.relative_to(ROOT))
        if phrases := phrases_in(path.read_text(encoding="utf-8")) - ALLOWED.get(name, set()):
            translated[name] = phrases
    assert not translated


def test_a_phrase_is_found_across_a_line_break_and_only_as_whole_words():
    assert phrases_in("told what\nbecame of it, and Nobody else") == {"what became of", "nobody"}
    assert phrases_in("x is no file") == {"is no file"}
    assert not phrases_in("their heirlooms; there is no file x")


def test_no_class_or_module_has_a_retired_name():
    retired = {}
    for path in files(".py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        classes = {node.name.lstrip("_") for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        if names := classes & NAMES | {path.stem} & MODULES:
            retired[str(path.relative_to(ROOT))] = names
    assert not retired
