"""Calls to addresses that someone configured: where they may go, and what they do not follow."""

from __future__ import annotations

import pytest

from bot.integrations.webhooks.address import check_url, objection, target_of
from bot.integrations.webhooks.client import MAX_ANSWER_BYTES, CheckedClient
from core.model.errors import PermanentError, TransientError
from tests.integration.outbound.receiver import OK, Receiver, answer, certificate

pytestmark = pytest.mark.surfaces

PRIVATE = [
    "127.0.0.1",
    "127.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "168.63.129.16",
    "100.100.100.200",
    "0.0.0.0",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "fec0::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:7f00:1",
    "::127.0.0.1",
    "::8.8.8.8",
    "2002:7f00:1::",
    "2002:808:808::1",
    "2001:0:7f00:1::",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::a00:1",
]
PUBLIC = ["8.8.8.8", "140.82.121.3", "2606:4700::1111"]
ALWAYS = [
    "169.254.169.254",
    "168.63.129.16",
    "100.100.100.200",
    "fd00:ec2::254",
    "fe80::1",
    "0.0.0.0",
    "::ffff:10.0.0.1",
]


def resolving(*addresses):
    asked = []

    async def resolve(host, port):
        asked.append((host, port))
        return list(addresses)

    resolve.asked = asked  # type: ignore[attr-defined]
    return resolve


@pytest.mark.parametrize("address", PRIVATE)
async def test_128_what_is_not_public_is_refused_by_name_and_by_number(address):
    with pytest.raises(PermanentError) as caught:
        await target_of("https://hooks.example/x", allow_private=False, resolve=resolving(address))
    assert caught.value.problem.code == "address_refused"
    with pytest.raises(PermanentError):
        await target_of("https://hooks.example/x", allow_private=False, resolve=resolving("8.8.8.8", address))
    written = f"[{address}]" if ":" in address else address
    with pytest.raises(PermanentError):
        await target_of(f"https://{written}/x", allow_private=False, resolve=resolving())


@pytest.mark.parametrize("address", PUBLIC)
async def test_128_what_is_public_is_called_at_the_address_that_was_judged(address):
    resolve = resolving(address)
    target = await target_of("https://Hooks.Example:8443/a%20b?c=d", allow_private=False, resolve=resolve)
    assert str(target.address) == address
    assert target.host_header == "hooks.example:8443"
    assert target.url.endswith(":8443/a%20b?c=d")
    assert resolve.asked == [("hooks.example", 8443)]


@pytest.mark.parametrize("address", ALWAYS)
async def test_128_a_clouds_metadata_is_refused_even_where_private_is_allowed(address):
    with pytest.raises(PermanentError):
        await target_of("https://hooks.example/x", allow_private=True, resolve=resolving(address))


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0177.0.0.1", "0x7f000001", "127.1", "127.0.1", "0x7f.1", "017700000001", "127.0.0.1.",
     "1.2.3.04", "134744072", "\uff11\uff12\uff17.0.0.1", "127。0。0。1"],
)  # fmt: skip
async def test_128_numbers_in_disguise_are_refused(host):
    with pytest.raises(PermanentError):
        await target_of(f"https://{host}/x", allow_private=False, resolve=resolving("8.8.8.8"))


@pytest.mark.parametrize(
    "url",
    ["http://hooks.example/x", "ftp://hooks.example/", "file:///etc/passwd", "https://", "https:///x", "hooks.example",
     "https://user:hunter2@hooks.example/", "https://hooks.example@127.0.0.1/", "https://[::1", "https://a b/", "",
     "https://hooks.example:99999/", "gopher://127.0.0.1/", "https://\ud800/"],
)  # fmt: skip
async def test_what_is_no_https_address_is_refused(url):
    with pytest.raises(PermanentError) as caught:
        await target_of(url, allow_private=False, resolve=resolving("8.8.8.8"))
    assert "hunter" not in str(caught.value)
    assert check_url(url, allow_private=False) is not None


async def test_plain_http_is_for_this_host_alone():
    assert (await target_of("http://127.0.0.1:80/x", allow_private=True)).url == "http://127.0.0.1:80/x"
    for address in ("10.0.0.1", "8.8.8.8"):
        with pytest.raises(PermanentError, match="without encryption"):
            await target_of("http://hooks.example/", allow_private=True, resolve=resolving(address))


async def test_the_name_reaches_the_server_and_its_certificate_is_checked_against_it(tmp_path):
    server, trust = certificate(tmp_path, "hooks.example")
    resolve = resolving("127.0.0.1")
    async with Receiver(context=server) as receiver:
        client = CheckedClient(resolve=resolve, trust=trust)
        reply = await client.post(receiver.url("hooks.example"), b"{}", {"X-A": "b"}, allow_private=True)
        assert (reply.status, reply.body) == (200, b"ok")
        (got,) = receiver.got
        assert got.sni == "hooks.example"
        assert got.headers["host"] == f"hooks.example:{receiver.port}"
        assert (got.line, got.body, got.headers["x-a"]) == ("POST /hook HTTP/1.1", b"{}", "b")
        assert got.headers["accept-encoding"] == "identity"
        assert len(resolve.asked) == 1  # a second look could find another address
        with pytest.raises(TransientError, match="cannot be reached"):
            await client.post(receiver.url("other.example"), b"{}", {}, allow_private=True)
        assert len(receiver.got) == 1


async def test_an_unknown_certificate_is_not_trusted(tmp_path):
    server, _ = certificate(tmp_path, "hooks.example")
    async with Receiver(context=server) as receiver:
        client = CheckedClient(resolve=resolving("127.0.0.1"))
        with pytest.raises(TransientError):
            await client.post(receiver.url("hooks.example"), b"{}", {}, allow_private=True)
        assert receiver.got == []


async def test_128_redirects_are_not_followed():
    async with Receiver(answers=lambda _n: answer(302, "Location: http://169.254.169.254/")) as receiver:
        with pytest.raises(PermanentError, match="302"):
            await CheckedClient().post(receiver.url(), b"{}", {}, allow_private=True)
        assert len(receiver.got) == 1


@pytest.mark.parametrize(("status", "fault"), [(400, PermanentError), (401, PermanentError), (404, PermanentError),
                                               (410, PermanentError), (408, TransientError), (429, TransientError),
                                               (500, TransientError), (503, TransientError)])  # fmt: skip
async def test_what_may_pass_is_tried_again_and_a_no_is_not(status, fault):
    async with Receiver(answers=lambda _n: answer(status)) as receiver:
        with pytest.raises(fault) as caught:
            await CheckedClient().post(receiver.url(path="/hook/s3cret"), b"{}", {}, allow_private=True)
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [("120", 120), ("999999", 3600), ("-1", None), ("soon", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
     ("9" * 400, 3600)],
)  # fmt: skip
async def test_the_receivers_wait_is_kept_within_an_hour(said, wait_s):
    async with Receiver(answers=lambda _n: answer(429, f"Retry-After: {said}")) as receiver:
        with pytest.raises(TransientError) as caught:
            await CheckedClient().post(receiver.url(), b"{}", {}, allow_private=True)
        assert caught.value.retry_after_s == wait_s


async def test_silence_is_not_waited_for():
    async with Receiver(answers=lambda _n: None) as receiver:
        with pytest.raises(TransientError, match="did not answer"):
            await CheckedClient(timeout_s=0.3).post(receiver.url(), b"{}", {}, allow_private=True)


async def test_an_endless_answer_is_cut_off():
    long = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3_000_000
    async with Receiver(answers=lambda _n: long) as receiver:
        reply = await CheckedClient().post(receiver.url(), b"{}", {}, allow_private=True)
        assert len(reply.body) == MAX_ANSWER_BYTES


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with Receiver(answers=lambda _n: OK) as receiver:
        assert (await CheckedClient().post(receiver.url(), b"{}", {}, allow_private=True)).status == 200


def test_every_public_address_is_free_to_be_called():
    from ipaddress import ip_address

    assert all(objection(ip_address(address), allow_private=False) is None for address in PUBLIC)
