"""Where are a running call's words kept for those who watch? In a short-lived Redis stream, which may vanish."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from typing import Any

import redis

from core.hints.connection import quick_redis

log = logging.getLogger(__name__)

# An hour after its last word nobody watches any more; the answer itself is in the database. Seconds.
KEPT_FOR = 3600
# Pieces; an answer has a few thousand at most. The oldest go first, and a late watcher then reads the database's.
MOST_PIECES = 20_000
# Pieces after which the hour begins anew; each time would double the work.
RENEWED_EACH = 100


def key_of(call_id: uuid.UUID) -> str:
    return f"claudeapp:live:{call_id}"


class Publisher:
    """The `Watch` of a worker: publishes what happens to one call. Without Redis the call runs on unwatched."""

    def __init__(self, call_id: uuid.UUID) -> None:
        self._key = key_of(call_id)
        self._whole = True
        self._pieces = 0

    def started(self, attempt: int) -> None:
        self._pieces = 0
        self._publish("started", str(attempt))

    def text(self, piece: str) -> None:
        # Words with a hole in them would mislead, and asking an absent server for each would hold the answer up.
        if self._whole:
            self._publish("text", piece)

    def ended(self, status: str) -> None:
        self._publish("ended", status)

    def opened(self, headers: Mapping[str, str]) -> None:
        pass

    def event(self, name: str, data: str) -> None:
        """A browser gets the words only."""

    def left(self) -> bool:
        # The page may come back, and whoever asked by a form wants the answer anyway.
        return False

    def _publish(self, kind: str, data: str) -> None:
        try:
            with quick_redis().pipeline(transaction=False) as pipe:
                pipe.xadd(self._key, {"kind": kind, "data": data}, maxlen=MOST_PIECES, approximate=True)
                # Wakes those who watch; what there is to read is in the stream.
                pipe.publish(self._key, "")
                if self._pieces % RENEWED_EACH == 0 or kind == "ended":
                    pipe.expire(self._key, KEPT_FOR)
                pipe.execute()
            self._pieces += 1
        except redis.RedisError as error:
            self._whole = False
            log.warning("nobody can watch %s any more: %s", self._key, error)


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
