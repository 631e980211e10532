"""The inside of a door: listens on loopback, passes what comes on to a unix socket, and becomes the command.

Called as ``relay.py [PORT=SOCKET ...] -- COMMAND [WORD ...]`` by a bare ``python3 -I -S -E`` inside the sandbox, as the
sandbox's own user. It is started with every run that has a door, so it imports only what starts in no time (`socket`
and `signal` bring `enum`, which costs as much as all the rest).

The command takes this process over, so its exit code, signals and process id are its own; the passing on is done by a
process that was orphaned on purpose, which dies with the first process of the sandbox.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import os
import select
import sys

_CHUNK = 65536
_FULL = 4 * _CHUNK
_MOST = 64  # connections at once; the next wait in the kernel's queue
_AGAIN = (BlockingIOError, InterruptedError)


class ForwardedStream:
    """One direction: what came from `source` and is not yet with `sink`."""

    def __init__(self, source: _socket.socket, sink: _socket.socket) -> None:
        self.source, self.sink = source, sink
        self.held = bytearray()
        self.ended = self.done = False

    def wants(self) -> bool:
        """True while more may be read."""
        return not self.ended and len(self.held) < _FULL

    def read(self) -> None:
        """Take what is there; at its end, remember that."""
        try:
            chunk = self.source.recv(_CHUNK)
        except _AGAIN:
            return
        except OSError:
            chunk = b""
        self.held += chunk
        self.ended = not chunk

    def write(self) -> None:
        """Give what the other end takes; after the last byte, tell it so."""
        try:
            if self.held:
                del self.held[: self.sink.send(self.held)]
        except _AGAIN:
            return
        except OSError:
            self.held.clear()
            self.ended = True
        if self.ended and not self.held and not self.done:
            self.done = True
            try:
                self.sink.shutdown(_socket.SHUT_WR)
            except OSError:
                return  # it is gone already


class ForwardRelay:
    """All connections of all doors, in one loop."""

    def __init__(self, doors: dict[int, tuple[_socket.socket, str]]) -> None:
        self.doors = doors
        self.pairs: dict[
            int, tuple[ForwardedStream, ForwardedStream]
        ] = {}  # by the descriptor of either end: (from it, to it)

    def loop(self) -> None:
        """Pass on until killed."""
        while True:
            poll = select.poll()
            if len(self.pairs) < 2 * _MOST:
                for number in self.doors:
                    poll.register(number, select.POLLIN)
            for number, (out, into) in self.pairs.items():
                wanted = (select.POLLIN if out.wants() else 0) | (select.POLLOUT if into.held else 0)
                if wanted:
                    poll.register(number, wanted)
            for number, happened in poll.poll():
                if number in self.doors:
                    self.accept(*self.doors[number])
                elif number in self.pairs:
                    self.pass_on(number, happened)

    def accept(self, listening: _socket.socket, path: str) -> None:
        """Take one connection, and open its other half."""
        try:
            number, _ = listening._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - what `socket` calls
        except OSError:
            return
        inner = _socket.socket(fileno=number)
        outer = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            outer.connect(path)
        except OSError:
            inner.close()
            outer.close()
            return
        for end in (inner, outer):
            end.setblocking(False)
        there, back = ForwardedStream(inner, outer), ForwardedStream(outer, inner)
        self.pairs[inner.fileno()] = (there, back)
        self.pairs[outer.fileno()] = (back, there)

    def pass_on(self, number: int, happened: int) -> None:
        """Move what can be moved at this end; close both when neither has more to say."""
        out, into = self.pairs[number]
        if happened & (select.POLLIN | select.POLLHUP | select.POLLERR) and not out.ended:
            out.read()
        if happened & (select.POLLHUP | select.POLLERR) and into.held:
            into.write()
        for stream in (out, into):
            stream.write()
        if out.done and into.done:
            for end in (out.source, out.sink):
                del self.pairs[end.fileno()]
                end.close()


def main(words: list[str]) -> None:
    """Open the doors, leave a process behind that serves them, and become the command."""
    split = words.index("--")
    doors = {}
    for word in words[:split]:
        port, _, path = word.partition("=")
        listening = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        listening.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", int(port)))
        listening.listen(128)
        listening.setblocking(False)
        doors[listening.fileno()] = (listening, path)
    between = os.fork()
    if between == 0:
        if os.fork() == 0:
            serve(doors)
        os._exit(0)
    os.waitpid(between, 0)
    become(words[split + 1 :])


def serve(doors: dict[int, tuple[_socket.socket, str]]) -> None:
    """Serve the doors, with no hold on the output of the command; never returns."""
    try:
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        ForwardRelay(doors).loop()
    finally:
        os._exit(1)


def become(argv: list[str]) -> None:
    """Run the command in our place, with signals as a program expects them; a failure is told as a shell would."""
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):  # python ignores them, and what is ignored is inherited
        _signal.signal(number, _signal.SIG_DFL)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode("utf-8", "surrogateescape"))
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    main(sys.argv[1:])
