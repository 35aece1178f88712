"""Where are a running call's words kept for those who watch? In a short-lived Redis stream, which may vanish."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Mapping
from typing import Any

import redis

from core.hints.connection import quick_redis
from core.live.outbox import Told, outbox
from core.live.stops import stops

log = logging.getLogger(__name__)


def key_of(call_id: uuid.UUID) -> str:
    return f"claudeapp:live:{call_id}"


def forget(call_id: uuid.UUID) -> None:
    """Let go of the words at once; without Redis they go by themselves within an hour."""
    with contextlib.suppress(redis.RedisError):
        quick_redis().delete(key_of(call_id))


class Publisher:
    """The `Watch` of a worker: publishes what happens to one call. Without Redis the call runs on unwatched."""

    def __init__(self, call_id: uuid.UUID) -> None:
        self._call_id = call_id
        self._told = Told(key_of(call_id))
        self._outbox = outbox()

    def started(self, attempt: int) -> None:
        # What came of an attempt before, with a hole in it, is not shown any more.
        self._told.whole = True
        self._outbox.tell(self._told, "started", str(attempt))

    def text(self, piece: str) -> None:
        self._outbox.tell(self._told, "text", piece)

    def ended(self, status: str) -> None:
        self._outbox.tell(self._told, "ended", status)

    def opened(self, headers: Mapping[str, str]) -> None:
        pass

    def event(self, name: str, data: str) -> None:
        """A browser gets the words only."""

    def alive(self, headers: Mapping[str, str]) -> None:
        pass

    def left(self) -> bool:
        """Whether somebody asked it to stop. Who only closes the page may come back, and wants the answer anyway."""
        return stops.asked(self._call_id)


def text_so_far(call_id: uuid.UUID) -> str:
    """What the running attempt has written until now, for a page that does not stream."""
    try:
        entries: Any = quick_redis().xrange(key_of(call_id))
    except redis.RedisError as error:
        log.warning("no text so far for call %s: %s", call_id, error)
        return ""
    return latest_attempt([fields for _, fields in entries])


def latest_attempt(events: list[dict[str, str]]) -> str:
    """The text since the last start."""
    pieces: list[str] = []
    for event in events:
        if event["kind"] == "started":
            pieces.clear()
        elif event["kind"] == "text":
            pieces.append(event["data"])
    return "".join(pieces)
