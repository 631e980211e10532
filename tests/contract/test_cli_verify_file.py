"""`verify FILE` proves what the keys of the verifier signed, without a home, and nothing else of a receipt."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.model.change import FileChange
from core.model.staged_diff import digest_of
from core.rules import receipt
from core.signing import PUBLIC, Keys
from tests import campaign
from tests.homes import CliHome, Said
from tests.unit.core.test_passkey_proof import BASE, TREE, Home

pytestmark = [pytest.mark.law]
Json = dict[str, Any]
FLIPS = 300 if campaign.WHOLE else 30
FILE = FileChange(b"config/app.yaml", "100644", "100644", None, None, "1" * 64, "2" * 64, 10, 10, 1, 1)


@dataclass
class Lone:
    """A folder without a home: a receipt, lee's public keys, and the public key of the home that signed it."""

    folder: Path
    home: Home
    predicate: Json

    def verify(self, *options: str, predicate: Json | None = None, keys: Keys | None = None) -> Said:
        """Write the receipt of a predicate, and verify it with these options."""
        content = {"_type": receipt.STATEMENT_TYPE, "predicateType": receipt.PREDICATE_TYPE}
        content["predicate"] = predicate or self.predicate  # type: ignore[assignment]
        (self.folder / "receipt.json").write_bytes(receipt.sign(keys or self.home.keys, content))
        return self.verify_as_it_is(*options)

    def verify_as_it_is(self, *options: str) -> Said:
        """Verify the file that is there; the home that is named is none."""
        words = {"LEE": self.folder / "lee.json", "HOME": self.folder / "keys" / PUBLIC}
        return CliHome(self.folder / "none").call(
            "verify", self.folder / "receipt.json", *(words.get(option, option) for option in options), "--json"
        )


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Lone:
    folder = tmp_path_factory.mktemp("lone")
    home = Home(folder / "keys")
    (folder / "lee.json").write_text(json.dumps({"passkeys": [home.trusted.to_json()]}))
    digest = digest_of("local:web", BASE, [FILE])
    predicate = home.predicate(home.signed(home.statement(digest=digest)), digest)
    predicate["staged"] |= {"repository": "local:web", "tree": TREE, "files": [FILE.to_json()], "guard": []}
    predicate["published"] = {"branch": "countersign/7-x", "head": "e" * 40, "tree": TREE}
    return Lone(folder, home, predicate)


def verdicts(said: Said) -> dict[str, str]:
    return {check["name"]: check["verdict"] for check in said.json()["checks"]}


@pytest.mark.parametrize(
    ("options", "code", "proven", "signature", "passkeys"),
    [
        (("--keys", "LEE"), 0, ["lee"], "warn", "ok"),
        (("--passkey", "LEE", "--home-key", "HOME"), 0, ["lee"], "ok", "ok"),
        (("--home-key", "HOME"), 0, [], "ok", "warn"),
        ((), 1, [], "warn", "warn"),
    ],
    ids=["approver", "both", "home", "no-keys"],
)
def test_what_is_proven_is_what_a_key_of_the_verifier_signed(lone, options, code, proven, signature, passkeys):
    said = lone.verify(*options)
    assert (said.code, said.json()["task"], said.json()["verified"], said.json()["proven"]) == (
        code,
        7,
        code == 0,
        proven,
    )
    by_name = verdicts(said)
    assert (by_name["signature"], by_name["passkeys"]) == (signature, passkeys)
    assert by_name["approvals"] == ("ok" if signature == "ok" else "warn"), "the quorum is the home's word"
    assert by_name["rest"] == "warn", "what only the home has is named"


def changed(**staged: Any) -> Callable[[Json], None]:
    return lambda predicate: predicate["staged"].update(staged)


FORGERIES: dict[str, Callable[[Json], None]] = {
    "another file": changed(files=[FILE.to_json() | {"path": "src/a.py"}]),
    "another content": changed(files=[FILE.to_json() | {"sha256": "3" * 64}]),
    "one more file": lambda p: p["staged"]["files"].append(FILE.to_json() | {"path": "z"}),
    "another base": changed(base="f" * 40),
    "another digest": changed(digest="f" * 64),
    "another repository": changed(repository="local:infra"),
    "another task": lambda p: p["task"].update(number=8),
    "another person": lambda p: p["approvals"][0].update(person="max"),
    "no signature": lambda p: p["approvals"][0].pop("signature"),
    "none needed": lambda p: p.update(approvals=[], needs=p["needs"] | {"count": 0}),
    "two needed": lambda p: p["needs"].update(count=2),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_receipt_that_the_home_itself_forged_does_not_prove_an_approval(lone, forge):
    predicate = deepcopy(lone.predicate)
    forge(predicate)
    assert predicate != lone.predicate
    said = lone.verify("--keys", "LEE", predicate=predicate)
    assert (said.code, said.json()["verified"]) == (1, False), said


def test_a_receipt_of_another_home_is_not_signed_by_this_one(lone, tmp_path):
    other = Keys(tmp_path)
    other.make()
    said = lone.verify("--home-key", "HOME", keys=other)
    assert (said.code, verdicts(said)["signature"]) == (1, "fail")
    assert lone.verify("--keys", "LEE", keys=other).code == 1, "lee approved in another home"


@settings(max_examples=FLIPS, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10**6), byte=st.integers(1, 255))
def test_no_byte_of_the_statement_can_be_changed(lone, at, byte):
    lone.verify("--home-key", "HOME")
    file = lone.folder / "receipt.json"
    envelope = json.loads(file.read_bytes())
    payload = bytearray(base64.b64decode(envelope["payload"]))
    payload[at % len(payload)] ^= byte
    file.write_text(json.dumps(envelope | {"payload": base64.b64encode(payload).decode()}))
    assert lone.verify_as_it_is("--home-key", "HOME").code in (1, 2)


DEEP = "[" * 100_000
OTHERS = {
    "empty": "",
    "no JSON": "hello",
    "a list": "[]",
    "deep": DEEP,
    "another document": json.dumps({"payloadType": "x", "payload": "", "signatures": []}),
    "no predicate": json.dumps(
        {"payloadType": receipt.PAYLOAD_TYPE, "payload": base64.b64encode(b"[1]").decode(), "signatures": [{}]}
    ),
    "deep inside": json.dumps(
        {"payloadType": receipt.PAYLOAD_TYPE, "payload": base64.b64encode(DEEP.encode()).decode(), "signatures": [{}]}
    ),
}


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_another_file_is_a_usage_error_in_one_sentence(lone, text):
    (lone.folder / "receipt.json").write_text(text)
    said = lone.verify_as_it_is("--keys", "LEE")
    assert said.code == 2
    assert "is not a receipt of Countersign" in said.sentence()


def test_every_part_of_a_receipt_may_be_missing_or_of_another_type(lone):
    """A receipt comes from anywhere: whatever is in it, `verify` answers, and proves nothing of it."""
    for name in lone.predicate:
        values: tuple[Any, ...] = (None, [], {}, "x", 7)
        for value in values:
            said = lone.verify("--keys", "LEE", predicate=lone.predicate | {name: value})
            assert said.code in (1, 2) or name in ("published", "needs", "authors"), (name, value, said)


def test_what_is_missing_or_no_key_is_said(lone):
    assert lone.verify("--home-key", "LEE").code == 2
    home = CliHome(lone.folder / "none")
    assert home.call("verify", lone.folder / "gone.json").code == 6
    assert home.call("verify", 1, "--home-key", lone.folder / "lee.json").code == 2
    lone.verify()
    assert home.call("verify", lone.folder / "receipt.json", "--repo-path", lone.folder).code == 6
