"""Secrets: every known format, however wrapped, in linear time, and no pragma that hides one (security.md 84-90)."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import tarfile
import time
import tracemalloc
import zipfile
import zlib
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.masking import mask_text
from policies.secrets import leaks_in, scan
from policies.secrets.patterns import PATTERNS
from tests import campaign
from tests.unit.policies.tokens import GITHUB, GITHUB_2, KNOWN

pytestmark = pytest.mark.law


def certain(blob: bytes | str, before: bytes = b"") -> set[str]:
    raw = blob.encode() if isinstance(blob, str) else blob
    return {leak.rule for leak in scan(raw, before).new if leak.certain}


@pytest.mark.parametrize("rule", sorted(KNOWN))
@pytest.mark.parametrize("around", ["{}", "a = '{}'\n", "x\n# {} \ny", '{{"k": "{}"}}', "k={}; z"])
def test_every_known_format_is_found(rule, around):
    found = scan(around.format(KNOWN[rule]).encode()).new
    assert rule in {leak.rule for leak in found if leak.certain}
    assert not any(KNOWN[rule][8:20] in leak.sentence() + repr(leak) for leak in found)


@pytest.mark.parametrize("rule", sorted(KNOWN))
def test_titles_messages_and_file_names_are_scanned_alike(rule):
    assert rule in {leak.rule for leak in leaks_in(f"Fix it with {KNOWN[rule]}")}


def percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


@pytest.mark.parametrize(
    "wrapped",
    [
        f'a = "{GITHUB[:12]}" + "{GITHUB[12:]}"',
        f"a = '{GITHUB[:12]}' \\\n    '{GITHUB[12:]}'",
        f'a = ("{GITHUB[:2]}"\n     "{GITHUB[2:9]}"\n     "{GITHUB[9:]}")',
        f"{GITHUB[:20]}\n{GITHUB[20:]}",
        f"# {GITHUB[:20]}\n# {GITHUB[20:]}",
        f'"{GITHUB[:8]}" . "{GITHUB[8:]}"',
        f"{GITHUB[:8]}\\\n{GITHUB[8:]}",
        base64.b64encode(GITHUB.encode()).decode(),
        base64.b64encode(f"token={GITHUB}\n".encode()).decode(),
        "data/" + base64.b64encode(GITHUB.encode()).decode(),
        base64.urlsafe_b64encode(b"??>" + GITHUB.encode()).decode(),
        base64.encodebytes(b"x" * 50 + GITHUB.encode() + b"y" * 50).decode(),
        GITHUB.encode().hex(),
        "f" + GITHUB.encode().hex(),
        percent(GITHUB),
        "q=" + quote("key=" + GITHUB) + "%20",
        "".join(f"\\x{b:02x}" for b in GITHUB.encode()),
        ", ".join(f"0x{b:02x}" for b in GITHUB.encode()),
        "".join(f"\\u00{b:02x}" for b in GITHUB.encode()),
    ],
)
def test_a_wrapped_secret_is_found_on_its_line(wrapped):
    blob = f"one\ntwo\n{wrapped}\n".encode()
    (leak,) = [leak for leak in scan(blob).new if leak.rule == "github-pat"]
    assert leak.certain
    assert leak.line == 3


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def xxd(raw: bytes) -> str:
    lines = (raw[n : n + 16] for n in range(0, len(raw), 16))
    return "\n".join(f"{16 * n:08x}: {line.hex(' ', 2)}  {line.decode()}" for n, line in enumerate(lines))


def hexdump(raw: bytes) -> str:
    lines = (raw[n : n + 16] for n in range(0, len(raw), 16))
    return "\n".join(
        f"{16 * n:08x}  {line[:8].hex(' ')}  {line[8:].hex(' ')}  |{line.decode()}|" for n, line in enumerate(lines)
    )


_RAW = GITHUB.encode()
DEEP = {
    "base64 twice": b64(b64(_RAW).encode()),
    "base64 three times": b64(b64(b64(_RAW).encode()).encode()),
    "base64 of a text with base64 in it": b64(f"token: '{b64(_RAW)}'\n".encode()),
    "hex in base64": b64(_RAW.hex().encode()),
    "base64 in hex": b64(_RAW).encode().hex(),
    "escapes in base64": b64("".join(f"\\x{b:02x}" for b in _RAW).encode()),
    "zlib in base64": b64(zlib.compress(_RAW)),
    "fast zlib in base64": b64(zlib.compress(b"x" * 500 + _RAW, 1)),
    "zlib in hex": zlib.compress(_RAW).hex(),
    "gzip in base64": b64(gzip.compress(_RAW, mtime=0)),
    "bzip2 in base64": b64(bz2.compress(_RAW)),
    "xz in base64": b64(lzma.compress(_RAW)),
    "lzma in base64": b64(lzma.compress(_RAW, format=lzma.FORMAT_ALONE)),
    "zlib cut short": b64(zlib.compress(_RAW * 3 + bytes(range(256)))[:-6]),
    "base64 in zlib in base64": b64(zlib.compress(b64(_RAW).encode())),
    "zlib twice in base64": b64(zlib.compress(zlib.compress(_RAW))),
    "spaced hex": _RAW.hex(" "),
    "spaced hex in pairs": _RAW.hex(" ", 2),
    "hex with colons": _RAW.hex(":"),
    "hex with dashes": _RAW.hex("-").upper(),
    "hex on lines": "\n".join(_RAW[n : n + 8].hex(" ") + " " for n in range(0, len(_RAW), 8)),
    "xxd": xxd(_RAW),
    "hexdump": hexdump(_RAW),
    "numbers": ", ".join(map(str, _RAW)),
    "chr": " + ".join(f"chr({b})" for b in _RAW),
    "entities": "".join(f"&#{b};" for b in _RAW),
    "hex entities": "".join(f"&#x{b:02x};" for b in _RAW),
    "base32": base64.b32encode(_RAW).decode(),
}


@pytest.mark.parametrize("name", DEEP)
def test_guard_16_a_secret_that_is_wrapped_more_than_once_is_found_on_its_line(name):
    (leak,) = {
        leak.line: leak for leak in scan(f"one\ntwo\n{DEEP[name]}\n".encode()).new if not leak.sealed and leak.certain
    }.values()
    assert leak.rule == "github-pat"
    assert leak.line == 3
    assert leak.last == 2 + len(DEEP[name].split("\n")) or name in {"xxd", "hexdump"}


@pytest.mark.parametrize("name", DEEP)
def test_guard_16_what_is_wrapped_is_taken_out_of_what_is_shown(name):
    assert "[redacted: " in mask_text(f"one\n{DEEP[name]}\n")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zlib.compress])
def test_guard_16_a_compressed_file_is_looked_into_though_it_is_sealed(pack):
    assert "github-pat" in certain(pack(_RAW))


UNPACKED_BYTES = 100_000_000 if campaign.WHOLE else 40_000_000
BOMBS = {
    "zlib": lambda: b64(zlib.compress(bytes(UNPACKED_BYTES), 9)),
    "gzip": lambda: b64(gzip.compress(bytes(UNPACKED_BYTES))),
    "bzip2": lambda: b64(bz2.compress(bytes(UNPACKED_BYTES))),
    "xz": lambda: b64(lzma.compress(bytes(UNPACKED_BYTES))),
    "many": lambda: (b64(zlib.compress(bytes(300_000), 9)) + "\n\n") * (UNPACKED_BYTES // 200_000),
    "nested": lambda: b64(zlib.compress(zlib.compress(bytes(UNPACKED_BYTES), 9), 9)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_guard_16_a_bomb_is_sealed_and_not_unpacked(name):
    bomb = BOMBS[name]().encode()
    tracemalloc.start()
    began = time.process_time()
    found = scan(bomb).new
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert any(leak.sealed for leak in found)
    assert peak < UNPACKED_BYTES
    assert time.process_time() - began < 20


def test_guard_16_what_is_wrapped_too_often_is_sealed():
    text = _RAW
    for _ in range(9):
        text = base64.b64encode(text)
    assert any(leak.sealed and "too often" in leak.sentence() for leak in scan(text).new)


@pytest.mark.parametrize(
    "text",
    [
        "1, 2, 3, 10, 20, 30, 100, 110, 120, 130, 140, 150, 160, 170, 180, 190\n",
        "MAC 00:1a:2b:3c:4d:5e 00:1a:2b:3c:4d:5e, 12:30:45 12:30:46 12:30:47\n",
        "data:image/png;base64," + b64(b"\x89PNG\r\n\x1a\n" + zlib.compress(bytes(range(256)) * 9)) + "\n",
        "fingerprint " + ":".join(f"{n * 7 % 256:02x}" for n in range(32)) + "\n",
        "integrity sha512-" + "Ab1/x9Qz" * 11 + "\n",
        b64(b"a plain text of a few words, wrapped once") + "\n",
    ],
)
def test_guard_16_ordinary_codes_hold_nothing(text):
    assert not [leak for leak in scan(text.encode()).new if leak.certain]


def test_utf_16_hides_nothing():
    assert "github-pat" in certain(GITHUB.encode("utf-16"))


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a", GITHUB)
    return out.getvalue()


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO())
    return out.getvalue()


SEALED = {"zip": _zip(), "gzip": gzip.compress(b"x", mtime=0), "tar": _tar()}


@pytest.mark.parametrize(("kind", "blob"), SEALED.items(), ids=SEALED)
def test_an_archive_is_sealed_also_inside_base64(kind, blob):
    for text in (blob, b"text: " + base64.b64encode(blob), b"text: " + blob.hex().encode()):
        leaks = [leak for leak in scan(text).new if leak.sealed]
        assert {leak.rule for leak in leaks} == {f"a {kind} archive"}
        assert not [leak for leak in scan(text + b"\n- more", text).new if leak.sealed] or text == blob


@pytest.mark.parametrize(
    "pragma",
    ["# pragma: allowlist secret", "# gitleaks:allow", "# nosec", "// pragma: whitelist secret", "# noqa: S105"],
)
def test_no_pragma_hides_a_secret(pragma):
    assert certain(f"k = '{GITHUB}'  {pragma}\n") == {"github-pat"}
    assert certain(f"{pragma}\nk = '{GITHUB}'\n# pragma: allowlist nextline secret\nx = '{GITHUB_2}'\n") == {
        "github-pat"
    }
    guesses = scan(f'password = "hunter2hunter2"  {pragma}\n'.encode()).new
    assert guesses
    assert not any(leak.certain for leak in guesses)


def test_only_what_is_new_is_new():
    before = f"a = '{GITHUB}'\n".encode()
    found = scan(b"b = 1\n" + before, before)
    assert [leak.line for leak in found.old] == [2]
    assert not found.new
    beside = scan(f"a = '{GITHUB}' + f('{base64.b64encode(GITHUB_2.encode()).decode()}')\n".encode(), before)
    assert [leak.how for leak in beside.new if leak.certain] == [" in base64 text"]


@pytest.mark.parametrize(
    "text",
    [
        "password: ${DB_PASSWORD}",
        "token = os.environ['TOKEN']",
        "api_key: <your-api-key>",
        "secret: changeme",
        "postgres://user:password@localhost/db",
        "https://example.com:8080/a@b",
        "hash = '" + "0f1e2d3c" * 8 + "'",
        "integrity: sha512-" + "Ab1/" * 22 + "==",
        "secret_name: my-secret-name-1234",
        "git clone git@example.com:a/b.git",
        "the hf_ and ghp_ prefixes\nare followed by 36 characters\nas said in 2021 by GitHub and others",
        "token: string",
        "import tokenize\npassword_field = forms.CharField(max_length=128)",
        "sk-learn, task-runner-with-a-long-name-2000",
    ],
)
def test_what_only_stands_for_a_secret_does_not_block(text):
    assert certain(text) == set()


def test_every_pattern_has_its_name_once_and_lower_case_hints():
    assert len({p.name for p in PATTERNS}) == len(PATTERNS)
    assert all(p.hints and all(h == h.lower() for h in p.hints) for p in PATTERNS)


def test_too_many_candidates_are_reported_and_not_passed_over():
    flood = "token=aaaaaaaaaaaaaaaaaa\n" * 20_001 + f"token={'aK3jf83jKd9sLq02'}\n"
    assert "generic-api-key" in certain(flood)


LINES = {
    "hints everywhere": b"ghp_ sk-ant- eyJ token= " * 100_000,
    "base64 words": (b"QUJD" * 6 + b" ") * 100_000,
    "many lines": b"a\n" * 1_000_000,
    "many seams": b'"+"' * 500_000,
    "escapes": b"\\x41" * 500_000,
    "percents": b"%41" * 700_000,
    "urls": b"http://a:" * 250_000,
    "spaces": b"password" + b" " * 2_000_000 + b"=",
    "quotes": b'password="' * 200_000,
    "curls": b"curl -u a: " * 180_000,
    "jdbc": b"jdbc:x;password=a " * 100_000,
    "connections": b"server=a;password=b;" * 100_000,
    "one connection": b"server=" + b"a=b;" * 500_000,
    "environment": b"ENV " + b"A=b PASSWORD " * 150_000,
    "environment lines": b"ENV A_PASSWORD=b c\n" * 100_000,
    "options": b" --password " * 160_000,
    "spaced hex": b"61 " * 600_000,
    "numbers": b"61, " * 500_000,
    "dump": b"00000000: 6161 6161 6161 6161\n" * 80_000,
    "base64 of base64": base64.b64encode(base64.b64encode(b"aA1" * 300_000)),
    "zlib pieces": (b64(zlib.compress(b"a" * 40)).encode() + b"\n ; \n") * 40_000,
    "auths": b'"auth": "QUJD" _auth=QUJD ' * 80_000,
}


def seconds_per_mb(blob: bytes) -> float:
    began = time.process_time()
    scan(blob, b"before")
    return (time.process_time() - began) * 1_000_000 / len(blob)


def test_megabytes_of_one_letter_take_at_most_a_second_each():
    assert seconds_per_mb(b"a" * (10_000_000 if campaign.WHOLE else 2_500_000)) <= 1


@pytest.mark.parametrize("name", sorted(LINES))
def test_time_is_linear_in_hostile_text(name):
    large = LINES[name] if campaign.WHOLE else LINES[name][: len(LINES[name]) // 4]
    small = large[: len(large) // 8]
    assert seconds_per_mb(large) <= max(1, 3 * seconds_per_mb(small))


@given(st.binary(max_size=300), st.binary(max_size=100))
def test_any_bytes_are_scanned_without_a_fault(blob, before):
    scan(blob, before)


@given(st.text("abcdefXYZ0123 \n=:'\"", max_size=60), st.text("abcdefXYZ0123 \n=:'\"", max_size=60))
def test_a_token_is_found_in_any_surroundings(left, right):
    assert "github-pat" in certain(f"{left} {GITHUB} {right}")
