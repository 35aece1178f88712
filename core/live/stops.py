"""Which running calls were asked to stop? A short list in Redis, which each process reads once a second at most."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from typing import Any

import redis

from core.hints.connection import quick_redis

log = logging.getLogger(__name__)

STOPS = "claudeapp:stops"
# Seconds that a wish is kept; no call runs for longer without being asked again. And those between two looks.
KEPT_FOR = 2 * 3600.0
LOOK_EVERY = 1.0


def ask_to_stop(call_id: uuid.UUID) -> bool:
    """Tell the process that runs this call that nobody wants more of it; False where it cannot be told now."""
    now = time.time()
    try:
        with quick_redis().pipeline(transaction=False) as pipe:
            pipe.zadd(STOPS, {str(call_id): now})
            pipe.zremrangebyscore(STOPS, 0, now - KEPT_FOR)
            pipe.execute()
    except redis.RedisError as error:
        log.warning("call %s cannot be told to stop: %s", call_id, error)
        return False
    return True


class Stops:
    """What this process knows of the list."""

    def __init__(self) -> None:
        self._asked: frozenset[str] = frozenset()
        self._looked = -LOOK_EVERY
        self._looking = threading.Lock()

    def asked(self, call_id: uuid.UUID) -> bool:
        """Whether this call was asked to stop, about a second ago at the latest."""
        if time.monotonic() - self._looked > LOOK_EVERY and self._looking.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._looking.release()
        return str(call_id) in self._asked

    def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            asked: Any = quick_redis().zrangebyscore(STOPS, time.time() - KEPT_FOR, "+inf")
            self._asked = frozenset(asked)
        except redis.RedisError as error:
            log.warning("nobody knows which calls are to stop: %s", error)


stops = Stops()
