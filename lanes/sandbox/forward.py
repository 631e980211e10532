"""The inner end of a port forward: relays loopback connections to a unix socket, then runs the command.

Called as ``forward.py [PORT=SOCKET ...] -- COMMAND [WORD ...]`` by a bare ``python3 -I -S -E`` inside the sandbox, as
the sandbox's user. It starts with every run that has a forward, so it imports only modules that load fast (`socket` and
`signal` import `enum`, which takes as long as all the rest).

The command replaces this process, so its exit code, signals and process id are its own. A process that is orphaned on
purpose relays the connections; it dies with the first process of the sandbox.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import os
import select
import sys

_CHUNK = 65536
_BUFFER_BYTES = 4 * _CHUNK
_MAX_CONNECTIONS = 64  # open connections; further ones wait in the kernel's queue
_WOULD_BLOCK = (BlockingIOError, InterruptedError)


class ForwardedStream:
    """One direction of a connection: bytes read from `source` and not yet written to `sink`."""

    def __init__(self, source: _socket.socket, sink: _socket.socket) -> None:
        self.source, self.sink = source, sink
        self.buffer = bytearray()
        self.at_eof = self.is_shut_down = False

    def can_read(self) -> bool:
        """True while the source is open and the buffer has room."""
        return not self.at_eof and len(self.buffer) < _BUFFER_BYTES

    def read(self) -> None:
        """Read what is available, and remember the end of the stream."""
        try:
            chunk = self.source.recv(_CHUNK)
        except _WOULD_BLOCK:
            return
        except OSError:
            chunk = b""
        self.buffer += chunk
        self.at_eof = not chunk

    def write(self) -> None:
        """Write what the sink accepts; after the last byte, shut down its write side."""
        try:
            if self.buffer:
                del self.buffer[: self.sink.send(self.buffer)]
        except _WOULD_BLOCK:
            return
        except OSError:
            self.buffer.clear()
            self.at_eof = True
        if self.at_eof and not self.buffer and not self.is_shut_down:
            self.is_shut_down = True
            try:
                self.sink.shutdown(_socket.SHUT_WR)
            except OSError:
                return  # the other end closed already


class ForwardRelay:
    """Relays the connections of all forwards in one poll loop."""

    def __init__(self, listeners: dict[int, tuple[_socket.socket, str]]) -> None:
        self.listeners = listeners
        self.streams: dict[
            int, tuple[ForwardedStream, ForwardedStream]
        ] = {}  # by the descriptor of either end: (stream from it, stream to it)

    def run(self) -> None:
        """Relay until killed."""
        while True:
            poll = select.poll()
            if len(self.streams) < 2 * _MAX_CONNECTIONS:
                for number in self.listeners:
                    poll.register(number, select.POLLIN)
            for number, (outgoing, incoming) in self.streams.items():
                mask = (select.POLLIN if outgoing.can_read() else 0) | (select.POLLOUT if incoming.buffer else 0)
                if mask:
                    poll.register(number, mask)
            for number, events in poll.poll():
                if number in self.listeners:
                    self.accept(*self.listeners[number])
                elif number in self.streams:
                    self.transfer(number, events)

    def accept(self, listener: _socket.socket, path: str) -> None:
        """Accept one connection and connect its other half to the unix socket."""
        try:
            number, _ = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - `socket.accept` calls it too
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
        to_outer, to_inner = ForwardedStream(inner, outer), ForwardedStream(outer, inner)
        self.streams[inner.fileno()] = (to_outer, to_inner)
        self.streams[outer.fileno()] = (to_inner, to_outer)

    def transfer(self, number: int, events: int) -> None:
        """Read and write what is possible at one end; close both ends when both streams are finished."""
        outgoing, incoming = self.streams[number]
        if events & (select.POLLIN | select.POLLHUP | select.POLLERR) and not outgoing.at_eof:
            outgoing.read()
        if events & (select.POLLHUP | select.POLLERR) and incoming.buffer:
            incoming.write()
        for stream in (outgoing, incoming):
            stream.write()
        if outgoing.is_shut_down and incoming.is_shut_down:
            for end in (outgoing.source, outgoing.sink):
                del self.streams[end.fileno()]
                end.close()


def main(args: list[str]) -> None:
    """Listen on the ports, leave a relay process behind, and become the command."""
    split = args.index("--")
    listeners = {}
    for arg in args[:split]:
        port, _, path = arg.partition("=")
        listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", int(port)))
        listener.listen(128)
        listener.setblocking(False)
        listeners[listener.fileno()] = (listener, path)
    intermediate = os.fork()
    if intermediate == 0:
        if os.fork() == 0:
            serve(listeners)
        os._exit(0)
    os.waitpid(intermediate, 0)
    exec_command(args[split + 1 :])


def serve(listeners: dict[int, tuple[_socket.socket, str]]) -> None:
    """Relay connections without holding the command's output open; never returns."""
    try:
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        ForwardRelay(listeners).run()
    finally:
        os._exit(1)


def exec_command(argv: list[str]) -> None:
    """Replace this process by the command with default signal actions; reports failures as a shell would."""
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):  # Python ignores these, and ignored signals are inherited
        _signal.signal(number, _signal.SIG_DFL)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode("utf-8", "surrogateescape"))
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    main(sys.argv[1:])
