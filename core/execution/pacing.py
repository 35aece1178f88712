"""When may the next request go to Claude, so that Claude does not have to refuse it?

Claude tells with each answer how many requests and tokens per minute a model still allows; all processes share what
they hear, in Redis, or each keeps it to itself where Redis is away. A group is a model: the API counts some models
together, but names such groups only to an admin key; each of them then hears of the others in its own headers.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeVar

import redis

from core.execution.buckets import KINDS, Buckets, MemoryBuckets, RedisBuckets, Standing
from core.hints.connection import quick_redis

log = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds in which an absent Redis is not asked again, and in which nothing is looked for where nothing was found.
AWAY = 5.0
QUIET = 1.0
# Seconds for which all calls of a model are held at most.
LONGEST_HOLD = 86_400.0
# While most is left, what Claude says is passed on once in so many seconds.
SELDOM = 1.0


class _Noticed:
    """What this process remembers, so as not to ask for each call."""

    def __init__(self) -> None:
        self.memory = MemoryBuckets()
        self.away_until = 0.0
        self.quiet_until: dict[str, float] = {}
        self.told_at: dict[str, float] = {}


_noticed = _Noticed()


def wait_for(model: str, tokens: float, *, holder: str = "") -> float:
    """Seconds to wait before a request of about so many input tokens may be sent to `model`; 0: send it now.

    It is counted at once, and whoever has to wait has a place. With a `holder`, the call's id, ask again after the
    wait, until the answer is 0: the place stays its own, and Claude may have asked for quiet meanwhile.
    """
    if _noticed.quiet_until.get(model, 0.0) > time.monotonic():
        return 0.0
    wait = _ask(lambda buckets: buckets.take(model, tokens, holder))
    if wait is None:
        _noticed.quiet_until[model] = time.monotonic() + QUIET
    return wait or 0.0


def learn(model: str, headers: Mapping[str, str]) -> None:
    """Take in the rate-limit headers of an answer, refusals included."""
    standing = read(headers)
    if not standing:
        return
    now = time.monotonic()
    plenty = all(remaining > limit / 2 for limit, remaining in standing.values())
    if plenty and now - _noticed.told_at.get(model, -SELDOM) < SELDOM:
        return
    _noticed.told_at[model] = now
    _noticed.quiet_until.pop(model, None)
    _ask(lambda buckets: buckets.learn(model, standing))


def slow_down(model: str, seconds: float) -> None:
    """Nobody sends to `model` for so many seconds: what a 429 asks for. Afterwards they go one after another.

    Not for longer than a day, of which nobody would hear: by then one call finds out whether it is still so.
    """
    _noticed.quiet_until.pop(model, None)
    _ask(lambda buckets: buckets.hold(model, min(max(0.0, seconds), LONGEST_HOLD)))


def read(headers: Mapping[str, str]) -> Standing:
    """By kind, the limit and what remains, as far as the headers tell it sensibly."""
    standing = {}
    for kind in KINDS:
        limit = _number(headers.get(f"anthropic-ratelimit-{kind}-limit"))
        remaining = _number(headers.get(f"anthropic-ratelimit-{kind}-remaining"))
        if limit and remaining is not None:
            standing[kind] = (limit, min(remaining, limit))
    return standing


def _number(raw: str | None) -> float | None:
    return float(raw) if raw and raw.isascii() and raw.isdigit() else None


def _ask(step: Callable[[Buckets], T]) -> T:
    if time.monotonic() >= _noticed.away_until:
        try:
            return step(_shared(quick_redis()))
        except redis.RedisError as error:
            _noticed.away_until = time.monotonic() + AWAY
            log.warning("each process paces itself: %s", error)
    return step(_noticed.memory)


@lru_cache(maxsize=2)
def _shared(connection: redis.Redis) -> RedisBuckets:
    return RedisBuckets(connection)
