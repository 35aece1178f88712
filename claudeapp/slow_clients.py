"""What keeps clients that are slow, silent or gone from holding what others need?

`CLIENT_PATIENCE` seconds are what a client may take to send its headers, what it gets for its body beside the time that
the slowest line worth serving takes, and how long it may leave an answer unread.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

# Bytes a second.
SLOWEST_LINE = 32 * 1024
# Bytes that are read at once, so that a client's speed is known.
STEP = 64 * 1024
# Bytes; no request is larger (a batch of messages may be as large), and none is kept on the disk beyond that.
LARGEST_BODY = 256 * 1024 * 1024
TOO_LARGE = "Request exceeds the maximum size"
# Seconds between two looks at those that read.
TICK = 0.25

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Environ = dict[str, Any]


@dataclass
class Reading:
    """One thread that waits for what a client sends."""

    sock: socket.socket
    until: float
    expired: bool = False


class Watchdog:
    """Ends the reading of sockets whose time is up; the client can still be answered. One thread for each process."""

    def __init__(self) -> None:
        self._readings: dict[int, Reading] = {}
        self._numbers = itertools.count()
        self._pid = 0
        self._lock = threading.Lock()

    def begin(self, sock: socket.socket, seconds: float) -> int:
        """Watch a socket from now on; answers the number to end it by."""
        if self._pid != os.getpid():
            self._start()
        number = next(self._numbers)
        self._readings[number] = Reading(sock, time.monotonic() + seconds)
        return number

    def end(self, number: int) -> bool:
        """Watch it no more; True says that its time was up."""
        reading = self._readings.pop(number, None)
        return reading is not None and reading.expired

    def _start(self) -> None:
        with self._lock:
            if self._pid != os.getpid():
                self._pid, self._readings = os.getpid(), {}
                threading.Thread(target=self._watch, name="slow-clients", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(TICK)
            now = time.monotonic()
            for reading in list(self._readings.values()):
                if now > reading.until and not reading.expired:
                    reading.expired = True
                    with contextlib.suppress(OSError):
                        reading.sock.shutdown(socket.SHUT_RD)


WATCHDOG = Watchdog()


class TimedInput:
    """A request's body that has to arrive in time. Raises TimeoutError where it does not."""

    def __init__(self, body: Any, sock: socket.socket, patience: float) -> None:
        self._body, self._sock = body, sock
        self._seconds = patience

    def read(self, size: int | None = -1) -> bytes:
        left = LARGEST_BODY if size is None or size < 0 else size
        pieces = []
        while left > 0 and (piece := self._timed(self._body.read, min(left, STEP))):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def readline(self, size: int | None = -1) -> bytes:
        return self._timed(self._body.readline, -1 if size is None else size)

    def readlines(self, hint: int | None = None) -> list[bytes]:  # noqa: ARG002 - a server may ignore it
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def _timed(self, read: Callable[[int], bytes], size: int) -> bytes:
        began = time.monotonic()
        number = WATCHDOG.begin(self._sock, self._seconds)
        try:
            piece = read(size)
        finally:
            late = WATCHDOG.end(number)
        if late:
            raise TimeoutError("the client did not send its request in time")
        self._seconds += len(piece) / SLOWEST_LINE - (time.monotonic() - began)
        return piece


def timed_wsgi(
    application: Callable[[Environ, Any], Iterable[bytes]], patience: float
) -> Callable[[Environ, Any], Iterable[bytes]]:
    """The application, reading bodies with patience and no more; only gunicorn tells the socket."""

    def timed(environ: Environ, start_response: Any) -> Iterable[bytes]:
        sock = environ.get("gunicorn.socket")
        if sock is not None:
            environ["wsgi.input"] = TimedInput(environ["wsgi.input"], sock, patience)
        return application(environ, start_response)

    return timed


def timed_asgi(application: Any, patience: float) -> Callable[[Any, Receive, Send], Awaitable[None]]:
    """The application, reading bodies with patience and no more, and none that is larger than any may be."""

    async def timed(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        body = TimedBody(receive, patience, _declared(scope))
        await application(scope, body.receive, send)
        if body.problem:
            await _refuse(send, *body.problem)

    return timed


def _declared(scope: Any) -> int:
    """The bytes that the client says its body has; 0 where it does not say."""
    length = dict(scope["headers"]).get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0


class TimedBody:
    """What an event loop reads of a body; a body that is late or too large looks like a client that left."""

    def __init__(self, receive: Receive, patience: float, declared: int = 0) -> None:
        self.problem: tuple[int, str, str] | None = None
        self._receive = receive
        self._until = asyncio.get_running_loop().time() + patience
        self._bytes = 0
        self._whole = False
        self._too_large = declared > LARGEST_BODY

    async def receive(self) -> Message:
        if self._whole:
            # From here on it waits for the client to leave.
            return await self._receive()
        if self._too_large:
            # Not a byte of it needs to be read to know that.
            return self._gone(413, "request_too_large", TOO_LARGE)
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            return self._gone(408, "timeout_error", "The request's body did not come in time.")
        size = len(message.get("body", b""))
        self._bytes += size
        self._until += size / SLOWEST_LINE
        self._whole = not message.get("more_body", False)
        if self._bytes > LARGEST_BODY:
            return self._gone(413, "request_too_large", TOO_LARGE)
        return message

    def _gone(self, status: int, kind: str, words: str) -> Message:
        self.problem, self._whole = (status, kind, words), True
        return {"type": "http.disconnect"}


async def _refuse(send: Send, status: int, kind: str, words: str) -> None:
    body = json.dumps({"type": "error", "error": {"type": kind, "message": words}}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def limit_unread(sock: socket.socket, seconds: int) -> None:
    """Let the kernel give up a connection whose client has read nothing for so long, where it knows how to.

    Set on a listening socket, it counts for all connections that it accepts.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT") and sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)


def limit_sending(sock: socket.socket, seconds: int) -> None:
    """Let a thread that writes to this client wait so long and no longer until it reads."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", seconds, 0))
