"""How do bytes reach the client, and is it still there?"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Mapping
from http.client import responses

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: no goodbye


class ClientGoneError(ConnectionError):
    """The client went away before it had its answer."""


class Connection:
    """The answering half of one HTTP exchange."""

    def __init__(self, sock: socket.socket, keep_alive: bool) -> None:
        self._socket = sock
        self.keep_alive = keep_alive
        self.answered = False

    def send(self, status: int, headers: Mapping[str, str], body: bytes, *, cut: bool = False) -> None:
        """A whole answer; with `cut` only half of its body, after which the connection breaks."""
        head = self._head(status, {**headers, "Content-Length": str(len(body))})
        if cut:
            self._write(head + body[: len(body) // 2])
            self.drop()
        else:
            self._write(head + body)

    def start_stream(self, headers: Mapping[str, str]) -> None:
        """Status and headers of an event stream."""
        self._write(self._head(200, {**headers, "Transfer-Encoding": "chunked"}))

    def send_chunk(self, data: bytes) -> None:
        """One chunk of a stream."""
        self._write(b"%x\r\n%b\r\n" % (len(data), data))

    def end_stream(self) -> None:
        """The end of a stream, as HTTP sees it."""
        self._write(b"0\r\n\r\n")

    def drop(self) -> None:
        """Break the connection without a word."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.keep_alive = False
        self.answered = True

    def wait(self, seconds: float) -> None:
        """Sleep; raises `ClientGoneError` as soon as the client hangs up."""
        deadline = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if not poll.poll(max(0.0, seconds) * 1000):
            return
        try:
            peeked = self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            peeked = b""
        if not peeked:
            raise ClientGoneError
        time.sleep(max(0.0, deadline - time.monotonic()))  # it sent its next request already

    def _head(self, status: int, headers: Mapping[str, str]) -> bytes:
        lines = [
            f"HTTP/1.1 {status} {responses.get(status, 'Simulated')}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        if not self.keep_alive:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")

    def _write(self, data: bytes) -> None:
        self.answered = True
        try:
            self._socket.sendall(data)
        except OSError as error:
            self.keep_alive = False
            raise ClientGoneError from error
