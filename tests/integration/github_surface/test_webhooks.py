"""Webhooks: what GitHub signed is accepted, what anybody touched is refused, and each thing is heard once."""

from __future__ import annotations

import asyncio
import copy
import random

import pytest

from bot.surfaces.github.surface import GitHubSurface
from bot.surfaces.port import GitHubSurfaceConfig
from core.model.errors import TransientError, UsageError
from tests.integration.github_surface import payloads
from tests.integration.github_surface.memory_comments import MemoryComments
from tests.integration.github_surface.payloads import commented, encoded, headers, on_line, reviewed, sign

pytestmark = pytest.mark.surfaces


async def test_every_payload_that_github_ever_sent_is_accepted(harness):
    everything = payloads.recorded()
    assert len(everything) == 329
    answers = [await harness.deliver(event, payload) for event, payload in everything]
    assert {answer.status_code for answer in answers} == {202}
    assert harness.inbox.messages == []  # they are from 2019


async def test_every_payload_of_a_listed_repository_is_accepted_as_if_it_happened_now(make_harness):
    everything = payloads.recorded()
    ids = {str(payload["repository"]["id"]) for _, payload in everything if "repository" in payload}
    harness = make_harness(repositories=dict.fromkeys(ids, "x"))
    for event, payload in everything:
        for part in ("comment", "review"):
            for at in ("created_at", "updated_at", "submitted_at"):
                if part in payload and at in payload[part]:
                    payload[part][at] = payloads.JUST_NOW
        assert (await harness.deliver(event, payload)).status_code == 202, event
    assert [said.context for said in harness.inbox.messages] == ["a review"]
    assert len(harness.wakes) == 31


async def test_no_payload_with_one_bit_flipped_is_accepted(harness):
    chance = random.Random(1)
    for event, payload in payloads.recorded():
        body = bytearray(encoded(payload))
        sent = headers(event, bytes(body))
        body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
        answer = await harness.http.post("/hooks/github", content=bytes(body), headers=sent)
        assert answer.status_code == 401, event
    assert harness.inbox.deliveries == 0
    assert harness.wakes == []


BODY = encoded({"zen": "Keep it logically awesome."})
GOOD = sign(BODY)


@pytest.mark.parametrize(
    "signature",
    [
        None,
        b"",
        b"sha256=",
        GOOD[:-1].encode(),
        GOOD.encode() + b"0",
        b"sha256=" + GOOD[7:].upper().encode(),
        b"SHA256=" + GOOD[7:].encode(),
        GOOD[7:].encode(),
        b"sha1=" + GOOD[7:47].encode(),
        b"sha256=" + "é".encode() * 32,
        b"sha256=" + "é".encode("latin-1") * 64,
        b"sha256=" + "\N{ARABIC-INDIC DIGIT ONE}".encode() * 64,
        b"sha256=" + b"0" * 64,
        sign(BODY, "another secret").encode(),
        sign(BODY + b" ").encode(),
        (" " + GOOD + ", " + GOOD).encode(),
    ],
)
async def test_a_wrong_signature_is_401(harness, signature):
    sent = [(name.encode(), value.encode()) for name, value in headers("ping", BODY, x_hub_signature_256="").items()]
    sent = [pair for pair in sent if pair[0] != b"x-hub-signature-256"]
    sent += [] if signature is None else [(b"x-hub-signature-256", signature)]
    answer = await harness.http.post("/hooks/github", content=BODY, headers=sent)
    assert answer.status_code == 401


async def test_a_right_signature_is_accepted(harness):
    assert (await harness.deliver("ping", BODY)).status_code == 202


@pytest.mark.parametrize("secret", [None, "", "   "])
def test_without_a_secret_there_is_no_surface(secret):
    with pytest.raises(UsageError, match="no secret"):
        GitHubSurface(GitHubSurfaceConfig(secret, {}), MemoryComments())


def test_the_secret_is_in_no_representation():
    surface = GitHubSurface(GitHubSurfaceConfig(payloads.SECRET, {}), MemoryComments())
    assert payloads.SECRET not in repr(surface)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"a":1,"a":2}', "twice"),
        (b'{"a":{"b":1,"b":1}}', "twice"),
        (b'{"a":"\xff"}', "UTF-8"),
        (b"\xff\xfe{\x00}\x00", "UTF-8"),
        (b"[1]", "not an object"),
        (b"", "JSON"),
        (b"{", "JSON"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deep"),
        (b'{"a":' + b"9" * 5000 + b"}", "digits"),
    ],
)
async def test_a_signed_body_that_can_be_read_in_no_way_or_in_two_is_400(harness, body, why):
    answer = await harness.deliver("issue_comment", body)
    assert answer.status_code == 400
    assert why in answer.text


async def test_a_form_is_refused_and_told_what_to_set(harness):
    answer = await harness.deliver("ping", b"payload=%7B%7D", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 415
    assert "application/json" in answer.text


async def test_a_form_that_is_not_signed_is_401_all_the_same(harness):
    sent = headers("ping", b"x", content_type="application/x-www-form-urlencoded")
    assert (await harness.http.post("/hooks/github", content=b"y", headers=sent)).status_code == 401


async def test_an_event_without_a_name_is_400(harness):
    assert (await harness.deliver("ping", BODY, x_github_event=None)).status_code == 400


async def test_only_posts_are_taken(harness):
    assert (await harness.http.get("/hooks/github")).status_code == 405


async def test_a_command_is_kept_before_it_is_acknowledged(harness):
    answer = await harness.deliver("issue_comment", commented("/task fix the typo\nin README.md"))
    assert (answer.status_code, answer.text) == (202, "Accepted: 1, accepted before: 0.\n")
    (said,) = harness.inbox.messages
    assert said.identity == str(payloads.CODERTOCAT)
    assert (said.place.surface, said.place.channel, said.place.thread) == ("github", payloads.HELLO_WORLD, "issues/1")
    assert said.text == "/task fix the typo\nin README.md"
    assert said.message_id == "issue_comment:492700400"
    assert said.addressed
    assert said.name == "Codertocat"


async def test_a_comment_on_a_pull_request_is_there(harness):
    await harness.deliver("issue_comment", commented("/approve 9c1e04ab77d2e85b1f36", on_pull=True))
    assert harness.inbox.messages[0].place.thread == "pull/1"


async def test_what_cannot_be_kept_is_not_acknowledged(harness):
    harness.inbox.refuses = True
    answer = await harness.deliver("issue_comment", commented("/task x"))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"
    harness.inbox.refuses = False
    assert (await harness.deliver("issue_comment", commented("/task x"))).status_code == 202
    assert harness.texts == ["/task x"]


async def test_a_wake_up_that_cannot_be_taken_is_not_acknowledged(make_harness):
    async def full(*_):
        raise TransientError("full", "the disk is full")

    harness = make_harness(wake_follow_job=full)
    assert (await harness.deliver("push", dict(payloads.recorded())["push"])).status_code == 503


async def test_a_redelivery_has_one_effect_whatever_its_id(harness):
    for delivery in ("one", "one", "two"):
        await harness.deliver("issue_comment", commented("/task x"), x_github_delivery=delivery)
    await asyncio.gather(*(harness.deliver("issue_comment", commented("/task x")) for _ in range(20)))
    assert harness.texts == ["/task x"]


async def test_in_any_order_each_thing_has_one_effect(harness):
    deliveries = [
        ("issue_comment", commented("/task one")),
        ("issue_comment", commented("/task two\n/cancel 3")),
        ("pull_request_review_comment", on_line("/reply make it shorter")),
        ("pull_request_review", reviewed("Please do it otherwise", "changes_requested")),
    ]
    for seed in range(10):
        shuffled = deliveries * 2
        random.Random(seed).shuffle(shuffled)
        for event, payload in shuffled:
            await harness.deliver(event, payload)
    assert sorted(harness.texts) == [
        "/cancel 3",
        "/reply make it shorter",
        "/task one",
        "/task two",
        "Please do it otherwise",
    ]


async def test_a_replay_older_than_three_days_is_ignored(harness):
    old = "2026-11-17T11:59:59Z"
    answer = await harness.deliver("issue_comment", commented("/task x", at=old))
    assert (answer.status_code, answer.text) == (202, "Ignored: too old.\n")
    await harness.deliver("issue_comment", commented("/task x", at="2026-11-17T12:00:01Z"))
    assert harness.texts == ["/task x"]


async def test_a_signed_body_under_another_events_name_says_nothing(harness):
    for name in ("pull_request_review_comment", "pull_request_review", "commit_comment", "issues", "x" * 5000):
        assert (await harness.deliver(name, commented("/task x"))).status_code == 202
    await harness.deliver("issue_comment", on_line("/task x"))
    await harness.deliver("issue_comment", payloads.example("commit_comment", "created"))
    assert harness.inbox.messages == []


async def test_an_edit_is_a_new_request_only_when_it_is_another_command(harness):
    await harness.deliver("issue_comment", commented("hello"))
    await harness.deliver("issue_comment", commented("hello you", "edited"))
    assert harness.texts == []
    await harness.deliver("issue_comment", commented("/task one"))
    await harness.deliver("issue_comment", commented("/task one", "edited", at="2026-11-20T11:59:40Z"))
    await harness.deliver("issue_comment", commented("never mind", "edited"))
    await harness.deliver("issue_comment", commented("/task two", "edited"))
    assert harness.texts == ["/task one", "/task two"]


async def test_who_edits_anothers_comment_does_not_speak_for_them(harness):
    forged = commented("/approve 9c1e04ab77d2e85b1f36", "edited")
    forged["sender"] = {**forged["sender"], "id": 666, "login": "mallory"}
    answer = await harness.deliver("issue_comment", forged)
    assert answer.text == "Ignored: not sent by its author.\n"
    assert harness.inbox.messages == []


async def test_a_deleted_comment_says_nothing(harness):
    await harness.deliver("issue_comment", commented("/task x", "deleted"))
    assert harness.inbox.messages == []


@pytest.mark.parametrize(
    "author",
    [
        {"type": "Bot"},
        {"type": "Organization"},
        {"type": "Mannequin"},
        {"type": None},
        {"login": "github-actions[bot]"},
        {"login": "github-actions[bot]", "type": "Bot", "id": 41898282},
        {"login": None},
        {"id": 0},
        {"id": "21031067"},
        {"id": True},
    ],
)
async def test_only_people_are_accepted(harness, author):
    assert (await harness.deliver("issue_comment", commented("/task x", **author))).status_code == 202
    assert harness.inbox.messages == []


async def test_words_that_an_app_wrote_in_a_persons_name_are_not_that_persons(harness):
    payload = commented("/approve 9c1e04ab77d2e85b1f36")
    payload["comment"]["performed_via_github_app"] = {"id": 5, "slug": "an-agent"}
    await harness.deliver("issue_comment", payload)
    assert harness.inbox.messages == []


async def test_our_own_account_is_not_accepted(make_harness):
    harness = make_harness()
    harness.comments.own_account = type(harness.comments.own_account)(payloads.CODERTOCAT, "Codertocat")
    await harness.surface.check()
    await harness.deliver("issue_comment", commented("/task x"))
    assert harness.inbox.messages == []


async def test_other_repositories_and_installations_are_acknowledged_and_ignored(make_harness):
    elsewhere = make_harness(repositories={"1": "other"})
    answer = await elsewhere.deliver("issue_comment", commented("/task x"))
    assert (answer.status_code, answer.text) == (202, "Ignored: the repository is not listed.\n")
    installed = make_harness(installation=99)
    payload = commented("/task x") | {"installation": {"id": 98}}
    assert (await installed.deliver("issue_comment", payload)).text == "Ignored: another installation.\n"
    await installed.deliver("issue_comment", payload | {"installation": {"id": 99}})
    assert elsewhere.inbox.messages == []
    assert installed.texts == ["/task x"]


async def test_a_renamed_repository_is_known_by_its_number(harness):
    payload = commented("/task x")
    payload["repository"] |= {"name": "else", "full_name": "mallory/else"}
    await harness.deliver("issue_comment", payload)
    assert harness.texts == ["/task x"]


async def test_a_repository_by_the_same_name_with_another_number_is_not_accepted(harness):
    payload = commented("/task x")
    payload["repository"]["id"] += 1
    await harness.deliver("issue_comment", payload)
    assert harness.inbox.messages == []


async def test_a_line_comment_with_a_command_has_its_file_and_line(harness):
    at = {"path": "docs/a b.md", "line": 12, "side": "LEFT", "diff_hunk": "@@ -1 +1 @@\n-one\n+two\x1b[2J"}
    await harness.deliver("pull_request_review_comment", on_line("/reply shorter", **at, in_reply_to_id=77))
    (said,) = harness.inbox.messages
    assert said.context == "on docs/a b.md line 12 of the old file\n| @@ -1 +1 @@\n| -one\n| +two\\x1b[2J"
    assert said.place.thread == "pull/2"
    assert said.message_id == "review_comment:284312630"
    assert said.reply_to == "review_comment:77"


async def test_a_line_comment_without_a_command_comes_with_its_review(harness):
    assert (await harness.deliver("pull_request_review_comment", on_line("shorter"))).status_code == 202
    assert harness.inbox.messages == []


async def test_a_review_is_one_turn(harness):
    await harness.deliver("pull_request_review", reviewed("Not like this", "changes_requested"))
    (said,) = harness.inbox.messages
    assert (said.text, said.context, said.addressed) == ("Not like this", "a review that asks for changes", False)
    assert said.dedup == "review:237895671:2026-11-20T11:59:30Z"


@pytest.mark.parametrize("state", ["approved", "dismissed", "pending"])
async def test_githubs_own_approval_is_none_of_bytes(harness, state):
    await harness.deliver("pull_request_review", reviewed("looks good, approve", state))
    assert harness.inbox.messages == []
    assert len(harness.wakes) == 1


async def test_a_command_in_an_approving_review_is_accepted(harness):
    await harness.deliver("pull_request_review", reviewed("/approve 9c1e04ab77d2e85b1f36", "approved"))
    assert harness.texts == ["/approve 9c1e04ab77d2e85b1f36"]


@pytest.mark.parametrize("event", ["pull_request", "pull_request_review", "check_run", "check_suite", "status", "push"])
async def test_events_that_change_what_we_know_only_say_where_to_look(harness, event):
    for name, payload in payloads.recorded():
        if name == event:
            await harness.deliver(name, payload)
    assert harness.inbox.messages == []
    assert harness.wakes
    for repository, number, sha in harness.wakes:
        assert repository == payloads.HELLO_WORLD
        assert number is None or number > 0
        assert sha is None or len(sha) == 40
    assert all(number for _, number, _ in harness.wakes) or not event.startswith("pull_request")


async def test_words_that_no_store_can_keep_are_made_so_that_it_can(harness):
    await harness.deliver("issue_comment", commented("/task a\0b \ud800 c\r\nd"))
    (said,) = harness.inbox.messages
    assert said.text == "/task a\N{REPLACEMENT CHARACTER}b \N{REPLACEMENT CHARACTER} c\nd"
    said.text.encode()


async def test_at_most_ten_commands_are_taken_from_one_comment(harness):
    await harness.deliver("issue_comment", commented("".join(f"/task {n}\n" for n in range(2000))))
    assert harness.texts == [f"/task {n}" for n in range(10)]


async def test_the_same_command_twice_in_one_comment_is_two(harness):
    await harness.deliver("issue_comment", commented("/task x\n/task x"))
    assert harness.texts == ["/task x", "/task x"]


JUNK: list[object] = [None, 0, -1, 1.5, True, "", "x", "\0", [], [[]], {}, {"id": 1}, 2**70, "2026-99-99T00:00:00Z"]


async def test_no_shape_of_a_signed_payload_is_a_fault(harness):
    """Each value of our three kinds of payload is replaced by junk: 2xx, always."""
    chance = random.Random(2)
    events = {
        "issue_comment": commented("/task x"),
        "pull_request_review_comment": on_line("/task x"),
        "pull_request_review": reviewed("/task x"),
        "check_run": payloads.example("check_run", "completed"),
    }
    for event, payload in events.items():
        places = [path for path in _paths(payload) if path[0] not in ("organization", "enterprise")]
        for path in chance.sample(places, 60) + [p for p in places if len(p) < 3]:
            broken = copy.deepcopy(payload)
            at = broken
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = chance.choice(JUNK)
            assert (await harness.deliver(event, broken)).status_code == 202, path


def _paths(value, path=()):
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inside:
        yield (*path, key)
        yield from _paths(below, (*path, key))


async def test_a_large_body_is_read_to_the_limit_and_not_beyond(harness):
    limit = 25 * 1024 * 1024
    rest = b'{"pad":"' + b"x" * (limit - 10) + b'"}'
    assert len(rest) == limit
    assert (await harness.deliver("ping", rest)).status_code == 202
    assert (await harness.deliver("ping", rest + b" ")).status_code == 413


async def test_a_body_in_chunks_is_held_to_a_small_limit(harness):
    async def chunks(count):
        for _ in range(count):
            yield b" " * 100_000

    sent = headers("ping", b" " * 1_000_000)
    assert (await harness.http.post("/hooks/github", content=chunks(10), headers=sent)).status_code == 400
    assert (await harness.http.post("/hooks/github", content=chunks(11), headers=sent)).status_code == 413


async def test_a_packed_body_is_refused(harness):
    assert (await harness.deliver("ping", BODY, content_encoding="gzip")).status_code == 415
