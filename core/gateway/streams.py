"""How does a stream reach the program, while a thread of its own runs the call to its end?

The response only reads what the thread feeds it, so a program that leaves ends the response and not the call.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

from django.db import connections
from django.http import StreamingHttpResponse

from core.claude.requests import Sending
from core.execution.run import Outcome, run_call
from core.execution.watching import NobodyWatches
from core.gateway.errors import body_of, error_body
from core.hints.logs import about, request_id
from core.models import Call

log = logging.getLogger(__name__)

# Seconds after which a stream that Claude keeps alive, but says nothing in, is begun all the same: proxies on the way
# give up a connection on which nothing comes. What goes wrong after that is an event, and no status any more.
LONGEST_SILENCE = 15.0
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
# Nothing on the way may hold back what has been written.
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def event_bytes(name: str, data: str) -> bytes:
    """One server-sent event on the wire."""
    lead = f"event: {name}\n" if name else ""
    lines = "\n".join(f"data: {line}" for line in data.split("\n"))
    return f"{lead}{lines}\n\n".encode("utf-8", "surrogatepass")


class Feed(NobodyWatches):
    """What the thread of a call writes and its response reads."""

    def __init__(self, *, cancel_when_left: bool = False) -> None:
        self.headers: Mapping[str, str] = {}
        self._cancel_when_left = cancel_when_left
        self._changed = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._outcome: Outcome | None = None
        self._begun = False
        # The headers of an answer of which nothing can be shown yet; and whether it was begun all the same.
        self._alive: Mapping[str, str] | None = None
        self._early = False
        self._gone = False
        # Wakes an asynchronous reader, which cannot wait for the condition.
        self._wake: Callable[[], object] | None = None

    # What the thread that runs the call tells.

    def opened(self, headers: Mapping[str, str]) -> None:
        self.headers = headers

    def alive(self, headers: Mapping[str, str]) -> None:
        with self._changed:
            self._alive = headers
            self._put(PING if self._early else b"")

    def event(self, name: str, data: str) -> None:
        with self._changed:
            self._begun = True
            self._put(event_bytes(name, data))

    def left(self) -> bool:
        return self._gone and self._cancel_when_left

    def finish(self, outcome: Outcome) -> None:
        """Nothing more comes; what went wrong after the first event is told by one."""
        with self._changed:
            self._outcome = outcome
            self._put(_last_words(outcome))

    def _put(self, piece: bytes) -> None:
        if piece and not self._gone:
            self._pieces.append(piece)
        self._changed.notify_all()
        if self._wake is not None:
            self._wake()

    # What the response asks.

    def wait_for_first(self) -> Outcome | None:
        """Wait for something to show; the outcome where the call ended before there was any, as an error."""
        until = time.monotonic() + LONGEST_SILENCE
        with self._changed:
            while not self._begun and self._outcome is None:
                late = time.monotonic() >= until
                if late and self._alive is not None:
                    self._begin_early(self._alive)
                    break
                self._changed.wait(None if late else until - time.monotonic())
            return None if self._begun else self._outcome

    def _begin_early(self, headers: Mapping[str, str]) -> None:
        self._early, self.headers = True, headers
        self._put(PING)

    def wake_by(self, wake: Callable[[], object]) -> None:
        with self._changed:
            self._wake = wake

    def taken(self, *, wait: bool) -> bytes | None:
        """All that is there; None at the end, and empty where nothing is there and the reader does not wait."""
        with self._changed:
            while wait and not self._pieces and self._outcome is None:
                self._changed.wait()
            if not self._pieces and self._outcome is not None:
                return None
            piece = b"".join(self._pieces)
            self._pieces.clear()
            return piece

    def leave(self) -> None:
        """Nobody reads any more: what comes is dropped, and the call goes on to its end or stops, as its key says."""
        with self._changed:
            self._gone = True
            self._wake = None
            self._pieces.clear()


def start(call: Call, sending: Sending, feed: Feed, afterwards: Callable[[], None]) -> None:
    """Run a call in a thread of its own that feeds its response. It is not stopped by the end of the process's work."""
    asked = request_id.get()

    def run() -> None:
        with about(request_id, asked):
            _run(call, sending, feed, afterwards)

    threading.Thread(target=run, name=f"call-{call.pk}").start()


def _run(call: Call, sending: Sending, feed: Feed, afterwards: Callable[[], None]) -> None:
    outcome = Outcome()
    try:
        outcome = run_call(call, feed, sending)
    except Exception:
        # Whoever renews the lease has stopped, so that the sweeper settles the call.
        log.exception("the stream of call %s failed", call.pk)
    feed.finish(outcome)
    try:
        afterwards()
    except Exception:
        log.exception("the limits did not learn of call %s", call.pk)
    finally:
        connections.close_all()


def _last_words(outcome: Outcome) -> bytes:
    if outcome.status == Call.Status.SUCCEEDED:
        return b""
    if outcome.error is not None:
        body = body_of(outcome.error)
    else:
        body = error_body("api_error", "This call was taken over or taken back while it ran.", "")
    return event_bytes("error", json.dumps(body, ensure_ascii=False))


def response(feed: Feed, headers: Mapping[str, str], *, asynchronous: bool) -> StreamingHttpResponse:
    """The response that reads this feed, as the server at hand wants it."""
    reader = AsyncReader(feed) if asynchronous else Reader(feed)
    return StreamingHttpResponse(
        reader, content_type="text/event-stream; charset=utf-8", headers={**HEADERS, **headers}
    )


class Reader(Iterator[bytes]):
    """Reads a feed for a server of threads."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def __next__(self) -> bytes:
        piece = self._feed.taken(wait=True)
        if piece is None:
            raise StopIteration
        return piece

    def close(self) -> None:
        """Called by the server at the end of the response, whatever ended it."""
        self._feed.leave()

    def __del__(self) -> None:
        # A response that was never begun is not closed either.
        self._feed.leave()


class AsyncReader(AsyncIterator[bytes]):
    """Reads a feed for a server with an event loop."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._some = asyncio.Event()

        self._begun = False

    def __aiter__(self) -> AsyncReader:
        return self

    async def __anext__(self) -> bytes:
        if not self._begun:
            # The response is made in a thread, and read in the loop.
            self._begun, loop = True, asyncio.get_running_loop()
            self._feed.wake_by(lambda: _wake(loop, self._some))
        while True:
            self._some.clear()
            piece = self._feed.taken(wait=False)
            if piece is None:
                raise StopAsyncIteration
            if piece:
                return piece
            await self._some.wait()

    def close(self) -> None:
        self._feed.leave()

    def __del__(self) -> None:
        self._feed.leave()


def _wake(loop: asyncio.AbstractEventLoop, some: asyncio.Event) -> None:
    # The loop is gone where the server has stopped.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(some.set)
