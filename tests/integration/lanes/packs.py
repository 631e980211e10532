"""Packs and their objects as an attacker writes them, byte by byte and without git; and a server that has them."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT, TREE, BLOB, TAG, REF_DELTA = 1, 2, 3, 4, 7
_KINDS = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob", TAG: b"tag"}
_COPY_BYTES = 0xFFFFFF
WHO = b"t <t@example.com> 1700000000 +0000"


@dataclass
class Pack:
    """Objects in the order of their making; `add` and its like give the id of what they add."""

    records: list[bytes] = field(default_factory=list)
    count: int | None = None
    _known: set[bytes] = field(default_factory=set)

    def add(self, kind: int, content: bytes) -> bytes:
        """An object with this content; it is in the pack once."""
        oid = oid_of(kind, content)
        if oid not in self._known:
            self._known.add(oid)
            self.records.append(_head(kind, len(content)) + zlib.compress(content, 1))
        return oid

    def stream(self, kind: int, chunks: Sequence[bytes]) -> bytes:
        """An object of a content that is never in memory as a whole."""
        size, sha, press, out = sum(map(len, chunks)), hashlib.sha1(), zlib.compressobj(6), []
        sha.update(_KINDS[kind] + b" %d\0" % size)
        for chunk in chunks:
            sha.update(chunk)
            out.append(press.compress(chunk))
        self.records.append(_head(kind, size) + b"".join(out) + press.flush())
        return sha.digest()

    def lying(self, kind: int, size: int, content: bytes) -> None:
        """An object whose header claims `size`."""
        self.records.append(_head(kind, size) + zlib.compress(content))

    def delta(self, base: bytes, base_bytes: int, copies: int) -> None:
        """A delta whose result is the whole of `base`, `copies` times."""
        body = _number(base_bytes) + _number(base_bytes * copies)
        full, rest = divmod(base_bytes, 0xFFFFFF)
        once = b"".join(_copy(n * 0xFFFFFF, 0xFFFFFF) for n in range(full)) + (
            _copy(full * 0xFFFFFF, rest) if rest else b""
        )
        body += once * copies
        self.records.append(_head(REF_DELTA, len(body)) + base + zlib.compress(body))

    def tree(self, *entries: tuple[bytes, bytes, bytes]) -> bytes:
        """A tree of (mode, name, id), in the order given."""
        return self.add(TREE, b"".join(mode + b" " + name + b"\0" + oid for mode, name, oid in entries))

    def commit(self, tree: bytes, more: bytes = b"", *, who: bytes = WHO) -> bytes:
        """A commit of a tree."""
        return self.add(COMMIT, b"tree %s\n%sauthor %s\ncommitter %s\n\nx\n" % (tree.hex().encode(), more, who, who))

    def blob(self, content: bytes = b"x") -> bytes:
        """A blob."""
        return self.add(BLOB, content)

    def written(self) -> bytes:
        """The pack, with its checksum."""
        count = len(self.records) if self.count is None else self.count
        body = b"PACK" + (2).to_bytes(4, "big") + count.to_bytes(4, "big") + b"".join(self.records)
        return body + hashlib.sha1(body).digest()


def oid_of(kind: int, content: bytes) -> bytes:
    """git's id of an object."""
    return hashlib.sha1(_KINDS[kind] + b" %d\0" % len(content) + content).digest()


def _head(kind: int, size: int) -> bytes:
    first, size = kind << 4 | size & 15, size >> 4
    out = bytearray([first | (0x80 if size else 0)])
    while size:
        size, part = size >> 7, size & 0x7F
        out.append(part | (0x80 if size else 0))
    return bytes(out)


def _number(value: int) -> bytes:
    out = bytearray()
    while True:
        value, part = value >> 7, value & 0x7F
        out.append(part | (0x80 if value else 0))
        if not value:
            return bytes(out)


def _copy(offset: int, size: int) -> bytes:
    """The delta's instruction to copy: four bytes of offset, three of size."""
    return b"\xff" + offset.to_bytes(4, "little") + size.to_bytes(3, "little")


class HostileServer:
    """A git server over http that says what it is told to: for each name one branch, and one pack for every client."""

    def __init__(self) -> None:
        self.offers: dict[str, tuple[str, bytes]] = {}
        offers = self.offers

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                oid, _ = offers[self.path.split("/")[1]]
                refs = _line(f"{oid} refs/heads/main\0agent=hostile\n") + b"0000"
                self._send("advertisement", _line("# service=git-upload-pack\n") + b"0000" + refs)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._send("result", b"0008NAK\n" + offers[self.path.split("/")[1]][1])

            def _send(self, what: str, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", f"application/x-git-upload-pack-{what}")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):  # the client may have hung up
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)

    def offer(self, name: str, oid: bytes, pack: bytes) -> str:
        """The address of a repository whose main is at `oid`, and which sends `pack`."""
        self.offers[name] = (oid.hex(), pack)
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    @contextlib.contextmanager
    def serving(self) -> Iterator[HostileServer]:
        """Until the end of the block."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join(10)


def _line(text: str) -> bytes:
    return f"{len(text) + 4:04x}{text}".encode()
