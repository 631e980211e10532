"""Generated sentences around the grammar: the bytes of the plain sentence, or a refusal; never anything else.

`make test` tries a share of them, `make campaigns` all 5,000.
"""

from __future__ import annotations

from collections import Counter

import pytest

from bot.interpret.grammar import NotUnderstood, parse
from lanes.executors.apply_edits import EditError, apply_edits
from tests import campaign
from tests.integration.editor.sentences import FILES, PLAIN, Plain, Sentence, sentences

pytestmark = [pytest.mark.lanes, pytest.mark.timeout(1800)]

COUNT = 5_000 if campaign.WHOLE else 400
LEAST_DONE = 0.15
"""The share that is to be understood: a grammar that refuses everything would never write wrong bytes either."""


class MemoryTree:
    """The files that every sentence begins with."""

    def paths(self):
        return list(FILES)

    def read(self, path):
        return FILES.get(path)

    def mode(self, path):
        return "100644" if path in FILES else None


def outcome(text: str) -> dict[str, bytes | None] | str:
    """What changes, or the refusal in words."""
    edits = parse(text)
    if isinstance(edits, NotUnderstood):
        return edits.reason
    try:
        made = apply_edits(edits, MemoryTree())
    except EditError as error:
        return error.message
    return {**made.writes, **dict.fromkeys(made.deletes)}


@pytest.mark.parametrize("plain", PLAIN, ids=[plain.request for plain in PLAIN])
def test_the_plain_sentence_does_what_it_says(plain: Plain):
    assert outcome(plain.request) == plain.result


def test_a_disturbed_sentence_does_the_same_or_is_refused():
    found: Counter[str] = Counter()
    wrong: list[tuple[Sentence, object]] = []
    for sentence in sentences(COUNT, seed=8):
        came = outcome(sentence.text)
        kind = "refused" if isinstance(came, str) else "done" if came == sentence.plain.result else "wrong"
        found[kind] += 1
        if kind == "wrong":
            wrong.append((sentence, came))
    told = "\n".join(f"{s.text!r} ({'; '.join(s.how)}): {came}" for s, came in wrong[:40])
    assert not wrong, f"{found}\n{told}"
    assert found["done"] >= LEAST_DONE * COUNT, found
