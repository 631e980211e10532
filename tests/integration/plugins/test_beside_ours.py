"""Guards and notifiers of plugins beside our own: what they add, and what comes of one that breaks."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest

from bot.plugins.guard import PluginGuards
from bot.plugins.notify import PluginNotifiers
from core.model.change import Change
from core.model.decision import ApprovalRequirements
from core.model.errors import PermanentError, TransientError
from core.model.event import Event
from core.model.lane import Lane
from core.model.masking import no_mask
from core.model.staged_diff import Finding, GuardReport, GuardVerdict
from core.model.webhook_delivery import WebhookDelivery
from tests.builders import NOON

pytestmark = pytest.mark.lanes

CHANGE = Change("r", "base", "tree", ())
LANE = Lane("l", "d", ("**",), "edit")
PASSED = Finding("paths", GuardVerdict.PASS, "fine")
BLOCKED = Finding("secrets", GuardVerdict.BLOCK, "a key", "a.py")


class Judge:
    def __init__(self, result: object, leaks: object = False) -> None:
        self._result, self._leaks = result, leaks

    async def judge(self, *_: object) -> GuardReport:
        if isinstance(self._result, Exception):
            raise self._result
        if self._result == "never":
            await asyncio.Event().wait()
        return self._result  # type: ignore[return-value]

    def leaks(self, text: str) -> bool:
        if isinstance(self._leaks, Exception):
            raise self._leaks
        return self._leaks in text if isinstance(self._leaks, str) else bool(self._leaks)

    async def masked(self, _change: Change, patch: bytes, _read: object) -> bytes:
        return patch.replace(b"hunter2", b"[redacted]")

    def mask(self, text: str) -> str:
        return text.replace("hunter2", "[redacted]")


async def judged(ours: GuardReport, *more: Judge) -> GuardReport:
    guards = PluginGuards(Judge(ours), {f"g{n}": guard for n, guard in enumerate(more)}, judge_s=0.2)
    terms: ApprovalRequirements = None  # type: ignore[assignment]
    return await guards.judge(CHANGE, LANE, terms, None)  # type: ignore[arg-type]


async def test_what_a_plugin_finds_is_added_under_its_name_and_takes_no_block_away():
    cheerful = Judge(GuardReport((Finding("secrets", GuardVerdict.PASS, "all is well"),)))
    report = await judged(GuardReport((PASSED, BLOCKED)), cheerful)
    assert report.findings[:2] == (PASSED, BLOCKED)
    assert report.findings[2].check == "g0/secrets"
    assert report.blocked


@pytest.mark.parametrize("result", [
    ValueError("oh"), None, "never", GuardReport(("no finding",)),  # type: ignore[arg-type]
    GuardReport((Finding("x", "pass", "words"),)),  # type: ignore[arg-type]
    GuardReport((Finding("x", GuardVerdict.PASS, 3),)),  # type: ignore[arg-type]
], ids=["raises", "nothing", "never", "no finding", "no verdict", "no words"])  # fmt: skip
async def test_a_guard_that_breaks_or_says_nothing_sensible_blocks(result):
    report = await judged(GuardReport((PASSED,)), Judge(result))
    (finding,) = report.blocks()
    assert finding.check == "g0"
    assert finding.detail.startswith("the plugin ")


async def test_a_fault_that_says_what_to_do_is_a_fault_and_no_verdict():
    with pytest.raises(TransientError):
        await judged(GuardReport((PASSED,)), Judge(TransientError("down", "the server is down")))


@pytest.mark.parametrize(("ours", "theirs", "leaks"), [
    (False, False, False), (True, False, True), (False, True, True), (False, ValueError("x"), True),
])  # fmt: skip
def test_a_text_leaks_when_anybody_says_so(ours, theirs, leaks):
    without = SimpleNamespace(judge=None)
    assert PluginGuards(Judge(None, ours), {"a": without, "b": Judge(None, theirs)}).leaks("text") is leaks


async def test_lanes_06_what_a_plugin_calls_a_secret_is_masked_beside_ours():
    guards = PluginGuards(Judge(None), {"theirs": Judge(None, "plum")})
    assert guards.mask("a hunter2\na plum\nb") == "a [redacted]\n[redacted: theirs]\nb"
    patch = await guards.masked(CHANGE, b"+hunter2\n+plum\n b\n", None)  # type: ignore[arg-type]
    assert patch == b"+[redacted]\n[redacted: theirs]\n b\n"
    assert PluginGuards(Judge(None), {"broken": Judge(None, ValueError("x"))}).mask("a\nb") == "[redacted: broken]"


class Listener:
    def __init__(self, *faults: Exception) -> None:
        self.faults, self.told = list(faults), []  # type: ignore[var-annotated]
        self.include_text = False

    async def notify(self, event: object) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.told.append(event)


def delivery(name: str) -> WebhookDelivery:
    return WebhookDelivery("delivery_1", name, 1, json.dumps({"event": {"kind": "task.staged"}, "task": None}), 1, 0)


async def test_a_notifier_that_breaks_is_told_again_and_one_that_is_gone_is_not():
    listener = Listener(OSError("full"), PermanentError("no", "never"))
    notifiers = PluginNotifiers(SimpleNamespace(prefixes=("jira:",)), {"ear": listener}, no_mask, notify_s=5)
    assert notifiers.prefixes == ("jira:", "plugin:")
    with pytest.raises(TransientError, match="the notifier ear failed: OSError: full"):
        await notifiers.deliver(delivery("plugin:ear"))
    with pytest.raises(PermanentError, match="never"):
        await notifiers.deliver(delivery("plugin:ear"))
    await notifiers.deliver(delivery("plugin:ear"))
    assert listener.told == [{"delivery": "delivery_1", "event": {"kind": "task.staged"}, "task": None}]
    with pytest.raises(PermanentError, match="no longer enabled"):
        await notifiers.deliver(delivery("plugin:gone"))


@pytest.mark.parametrize("include_text", [True, False])
def test_a_notifier_receives_no_secret(include_text):
    notifier = Listener()
    notifier.include_text = include_text
    builtin = SimpleNamespace(prefixes=(), owed=lambda *_: {"hook": "{}"})
    notifiers = PluginNotifiers(builtin, {"ear": notifier}, lambda text: text.replace("hunter2", "[redacted]"))
    body = json.dumps({"text": "the key is hunter2", "reason": "hunter2 was blocked", "rule": "hunter2"})
    event = Event(1, 1, 1, "task.requested", NOON, 0, "ana", "terminal", body, "0" * 64, "0" * 64)
    owed = notifiers.owed(event, None, ())
    assert owed.keys() == {"hook", "plugin:ear"}
    assert "hunter2" not in owed["plugin:ear"]
    assert ("the key is [redacted]" in owed["plugin:ear"]) == include_text


async def test_a_notifier_that_never_answers_is_given_up_for_now():
    class Deaf:
        async def notify(self, _event: object) -> None:
            await asyncio.Event().wait()

    with pytest.raises(TransientError, match="did not finish within"):
        await PluginNotifiers(SimpleNamespace(prefixes=()), {"ear": Deaf()}, no_mask, notify_s=0.1).deliver(
            delivery("plugin:ear")
        )
