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
from tests.integration.github_surface.paper import PaperComments
from tests.integration.github_surface.payloads import commented, encoded, headers, on_line, reviewed, sign

pytestmark = pytest.mark.surfaces


async def test_every_payload_that_github_ever_sent_is_accepted(office):
    everything = payloads.recorded()
    assert len(everything) == 329
    answers = [await office.deliver(event, payload) for event, payload in everything]
    assert {answer.status_code for answer in answers} == {202}
    assert office.ears.said == []  # they are from 2019


async def test_every_payload_of_a_listed_repository_is_accepted_as_if_it_happened_now(make_office):
    everything = payloads.recorded()
    ids = {str(payload["repository"]["id"]) for _, payload in everything if "repository" in payload}
    office = make_office(repositories=dict.fromkeys(ids, "x"))
    for event, payload in everything:
        for part in ("comment", "review"):
            for at in ("created_at", "updated_at", "submitted_at"):
                if part in payload and at in payload[part]:
                    payload[part][at] = payloads.JUST_NOW
        assert (await office.deliver(event, payload)).status_code == 202, event
    assert [said.context for said in office.ears.said] == ["a review"]
    assert len(office.nudges) == 31


async def test_no_payload_with_one_bit_flipped_is_accepted(office):
    chance = random.Random(1)
    for event, payload in payloads.recorded():
        body = bytearray(encoded(payload))
        sent = headers(event, bytes(body))
        body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
        answer = await office.http.post("/hooks/github", content=bytes(body), headers=sent)
        assert answer.status_code == 401, event
    assert office.ears.deliveries == 0
    assert office.nudges == []


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
async def test_a_wrong_signature_is_401(office, signature):
    sent = [(name.encode(), value.encode()) for name, value in headers("ping", BODY, x_hub_signature_256="").items()]
    sent = [pair for pair in sent if pair[0] != b"x-hub-signature-256"]
    sent += [] if signature is None else [(b"x-hub-signature-256", signature)]
    answer = await office.http.post("/hooks/github", content=BODY, headers=sent)
    assert answer.status_code == 401


async def test_a_right_signature_is_accepted(office):
    assert (await office.deliver("ping", BODY)).status_code == 202


@pytest.mark.parametrize("secret", [None, "", "   "])
def test_without_a_secret_there_is_no_surface(secret):
    with pytest.raises(UsageError, match="no secret"):
        GitHubSurface(GitHubSurfaceConfig(secret, {}), PaperComments())


def test_the_secret_is_in_no_representation():
    surface = GitHubSurface(GitHubSurfaceConfig(payloads.SECRET, {}), PaperComments())
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
async def test_a_signed_body_that_can_be_read_in_no_way_or_in_two_is_400(office, body, why):
    answer = await office.deliver("issue_comment", body)
    assert answer.status_code == 400
    assert why in answer.text


async def test_a_form_is_refused_and_told_what_to_set(office):
    answer = await office.deliver("ping", b"payload=%7B%7D", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 415
    assert "application/json" in answer.text


async def test_a_form_that_is_not_signed_is_401_all_the_same(office):
    sent = headers("ping", b"x", content_type="application/x-www-form-urlencoded")
    assert (await office.http.post("/hooks/github", content=b"y", headers=sent)).status_code == 401


async def test_an_event_without_a_name_is_400(office):
    assert (await office.deliver("ping", BODY, x_github_event=None)).status_code == 400


async def test_only_posts_are_taken(office):
    assert (await office.http.get("/hooks/github")).status_code == 405


async def test_a_command_is_kept_before_it_is_acknowledged(office):
    answer = await office.deliver("issue_comment", commented("/task fix the typo\nin README.md"))
    assert (answer.status_code, answer.text) == (202, "Accepted: 1, accepted before: 0.\n")
    (said,) = office.ears.said
    assert said.identity == str(payloads.CODERTOCAT)
    assert (said.place.surface, said.place.channel, said.place.thread) == ("github", payloads.HELLO_WORLD, "issues/1")
    assert said.text == "/task fix the typo\nin README.md"
    assert said.message_id == "issue_comment:492700400"
    assert said.addressed
    assert said.name == "Codertocat"


async def test_a_comment_on_a_pull_request_is_there(office):
    await office.deliver("issue_comment", commented("/approve 9c1e04ab77d2e85b1f36", on_pull=True))
    assert office.ears.said[0].place.thread == "pull/1"


async def test_what_cannot_be_kept_is_not_acknowledged(office):
    office.ears.deaf = True
    answer = await office.deliver("issue_comment", commented("/task x"))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"
    office.ears.deaf = False
    assert (await office.deliver("issue_comment", commented("/task x"))).status_code == 202
    assert office.texts == ["/task x"]


async def test_a_nudge_that_cannot_be_taken_is_not_acknowledged(make_office):
    async def full(*_):
        raise TransientError("full", "the disk is full")

    office = make_office(wake_follow_job=full)
    assert (await office.deliver("push", dict(payloads.recorded())["push"])).status_code == 503


async def test_a_redelivery_has_one_effect_whatever_its_id(office):
    for delivery in ("one", "one", "two"):
        await office.deliver("issue_comment", commented("/task x"), x_github_delivery=delivery)
    await asyncio.gather(*(office.deliver("issue_comment", commented("/task x")) for _ in range(20)))
    assert office.texts == ["/task x"]


async def test_in_any_order_each_thing_has_one_effect(office):
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
            await office.deliver(event, payload)
    assert sorted(office.texts) == [
        "/cancel 3",
        "/reply make it shorter",
        "/task one",
        "/task two",
        "Please do it otherwise",
    ]


async def test_a_replay_older_than_three_days_is_ignored(office):
    old = "2026-11-17T11:59:59Z"
    answer = await office.deliver("issue_comment", commented("/task x", at=old))
    assert (answer.status_code, answer.text) == (202, "Ignored: too old.\n")
    await office.deliver("issue_comment", commented("/task x", at="2026-11-17T12:00:01Z"))
    assert office.texts == ["/task x"]


async def test_a_signed_body_under_another_events_name_says_nothing(office):
    for name in ("pull_request_review_comment", "pull_request_review", "commit_comment", "issues", "x" * 5000):
        assert (await office.deliver(name, commented("/task x"))).status_code == 202
    await office.deliver("issue_comment", on_line("/task x"))
    await office.deliver("issue_comment", payloads.example("commit_comment", "created"))
    assert office.ears.said == []


async def test_an_edit_is_a_new_request_only_when_it_is_another_command(office):
    await office.deliver("issue_comment", commented("hello"))
    await office.deliver("issue_comment", commented("hello you", "edited"))
    assert office.texts == []
    await office.deliver("issue_comment", commented("/task one"))
    await office.deliver("issue_comment", commented("/task one", "edited", at="2026-11-20T11:59:40Z"))
    await office.deliver("issue_comment", commented("never mind", "edited"))
    await office.deliver("issue_comment", commented("/task two", "edited"))
    assert office.texts == ["/task one", "/task two"]


async def test_who_edits_anothers_comment_does_not_speak_for_them(office):
    forged = commented("/approve 9c1e04ab77d2e85b1f36", "edited")
    forged["sender"] = {**forged["sender"], "id": 666, "login": "mallory"}
    answer = await office.deliver("issue_comment", forged)
    assert answer.text == "Ignored: not sent by its author.\n"
    assert office.ears.said == []


async def test_a_deleted_comment_says_nothing(office):
    await office.deliver("issue_comment", commented("/task x", "deleted"))
    assert office.ears.said == []


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
async def test_only_people_are_heard(office, author):
    assert (await office.deliver("issue_comment", commented("/task x", **author))).status_code == 202
    assert office.ears.said == []


async def test_words_that_an_app_wrote_in_a_persons_name_are_not_that_persons(office):
    payload = commented("/approve 9c1e04ab77d2e85b1f36")
    payload["comment"]["performed_via_github_app"] = {"id": 5, "slug": "an-agent"}
    await office.deliver("issue_comment", payload)
    assert office.ears.said == []


async def test_our_own_account_is_not_heard(make_office):
    office = make_office()
    office.comments.own_account = type(office.comments.own_account)(payloads.CODERTOCAT, "Codertocat")
    await office.surface.check()
    await office.deliver("issue_comment", commented("/task x"))
    assert office.ears.said == []


async def test_other_repositories_and_installations_are_acknowledged_and_ignored(make_office):
    elsewhere = make_office(repositories={"1": "other"})
    answer = await elsewhere.deliver("issue_comment", commented("/task x"))
    assert (answer.status_code, answer.text) == (202, "Ignored: the repository is not listed.\n")
    installed = make_office(installation=99)
    payload = commented("/task x") | {"installation": {"id": 98}}
    assert (await installed.deliver("issue_comment", payload)).text == "Ignored: another installation.\n"
    await installed.deliver("issue_comment", payload | {"installation": {"id": 99}})
    assert elsewhere.ears.said == []
    assert installed.texts == ["/task x"]


async def test_a_renamed_repository_is_known_by_its_number(office):
    payload = commented("/task x")
    payload["repository"] |= {"name": "else", "full_name": "mallory/else"}
    await office.deliver("issue_comment", payload)
    assert office.texts == ["/task x"]


async def test_a_repository_by_the_same_name_with_another_number_is_not_heard(office):
    payload = commented("/task x")
    payload["repository"]["id"] += 1
    await office.deliver("issue_comment", payload)
    assert office.ears.said == []


async def test_a_line_comment_with_a_command_has_its_file_and_line(office):
    at = {"path": "docs/a b.md", "line": 12, "side": "LEFT", "diff_hunk": "@@ -1 +1 @@\n-one\n+two\x1b[2J"}
    await office.deliver("pull_request_review_comment", on_line("/reply shorter", **at, in_reply_to_id=77))
    (said,) = office.ears.said
    assert said.context == "on docs/a b.md line 12 of the old file\n| @@ -1 +1 @@\n| -one\n| +two\\x1b[2J"
    assert said.place.thread == "pull/2"
    assert said.message_id == "review_comment:284312630"
    assert said.reply_to == "review_comment:77"


async def test_a_line_comment_without_a_command_comes_with_its_review(office):
    assert (await office.deliver("pull_request_review_comment", on_line("shorter"))).status_code == 202
    assert office.ears.said == []


async def test_a_review_is_one_turn(office):
    await office.deliver("pull_request_review", reviewed("Not like this", "changes_requested"))
    (said,) = office.ears.said
    assert (said.text, said.context, said.addressed) == ("Not like this", "a review that asks for changes", False)
    assert said.dedup == "review:237895671:2026-11-20T11:59:30Z"


@pytest.mark.parametrize("state", ["approved", "dismissed", "pending"])
async def test_githubs_own_approval_is_none_of_bytes(office, state):
    await office.deliver("pull_request_review", reviewed("looks good, approve", state))
    assert office.ears.said == []
    assert len(office.nudges) == 1


async def test_a_command_in_an_approving_review_is_heard(office):
    await office.deliver("pull_request_review", reviewed("/approve 9c1e04ab77d2e85b1f36", "approved"))
    assert office.texts == ["/approve 9c1e04ab77d2e85b1f36"]


@pytest.mark.parametrize("event", ["pull_request", "pull_request_review", "check_run", "check_suite", "status", "push"])
async def test_events_that_change_what_we_know_only_say_where_to_look(office, event):
    for name, payload in payloads.recorded():
        if name == event:
            await office.deliver(name, payload)
    assert office.ears.said == []
    assert office.nudges
    for repository, number, sha in office.nudges:
        assert repository == payloads.HELLO_WORLD
        assert number is None or number > 0
        assert sha is None or len(sha) == 40
    assert all(number for _, number, _ in office.nudges) or not event.startswith("pull_request")


async def test_words_that_no_store_can_keep_are_made_so_that_it_can(office):
    await office.deliver("issue_comment", commented("/task a\0b \ud800 c\r\nd"))
    (said,) = office.ears.said
    assert said.text == "/task a\N{REPLACEMENT CHARACTER}b \N{REPLACEMENT CHARACTER} c\nd"
    said.text.encode()


async def test_at_most_ten_commands_are_taken_from_one_comment(office):
    await office.deliver("issue_comment", commented("".join(f"/task {n}\n" for n in range(2000))))
    assert office.texts == [f"/task {n}" for n in range(10)]


async def test_the_same_command_twice_in_one_comment_is_two(office):
    await office.deliver("issue_comment", commented("/task x\n/task x"))
    assert office.texts == ["/task x", "/task x"]


JUNK: list[object] = [None, 0, -1, 1.5, True, "", "x", "\0", [], [[]], {}, {"id": 1}, 2**70, "2026-99-99T00:00:00Z"]


async def test_no_shape_of_a_signed_payload_is_a_fault(office):
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
            assert (await office.deliver(event, broken)).status_code == 202, path


def _paths(value, path=()):
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inside:
        yield (*path, key)
        yield from _paths(below, (*path, key))


async def test_a_large_body_is_read_to_the_limit_and_not_beyond(office):
    limit = 25 * 1024 * 1024
    rest = b'{"pad":"' + b"x" * (limit - 10) + b'"}'
    assert len(rest) == limit
    assert (await office.deliver("ping", rest)).status_code == 202
    assert (await office.deliver("ping", rest + b" ")).status_code == 413


async def test_a_body_in_chunks_is_held_to_a_small_limit(office):
    async def chunks(count):
        for _ in range(count):
            yield b" " * 100_000

    sent = headers("ping", b" " * 1_000_000)
    assert (await office.http.post("/hooks/github", content=chunks(10), headers=sent)).status_code == 400
    assert (await office.http.post("/hooks/github", content=chunks(11), headers=sent)).status_code == 413


async def test_a_packed_body_is_refused(office):
    assert (await office.deliver("ping", BODY, content_encoding="gzip")).status_code == 415
