"""How much of its minute has each limit used, counted for all processes or, without Redis, for this one?

The way of counting is the `limits` library's sliding window counter: what the previous minute used counts in so far
as it lies within the last sixty seconds. The library asks its storage once for each limit; a request has up to six, and
one that is refused must count against none. So these storages, which keep what they count as the library does, take
all limits of a request or none, in one round trip.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import redis
from django.conf import settings
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage

from core.hints.connection import quick_redis

log = logging.getLogger(__name__)

MINUTE = 60
# Seconds for which a Redis that failed is left alone, so that not every request waits for it.
LEFT_ALONE = 5
# Brings one counter to the present: KEYS[i] is the previous minute's, KEYS[i + 1] the current one's.
_PRESENT = """
local expiry = tonumber(ARGV[1]) * 1000
local function present(previous, current)
    local ttl = redis.call('pttl', current)
    if ttl > 0 and ttl < expiry then
        redis.call('rename', current, previous)
        redis.call('set', current, 0, 'PX', ttl + expiry)
    end
    return {
        tonumber(redis.call('get', previous) or 0), math.max(redis.call('pttl', previous), 0),
        tonumber(redis.call('get', current) or 0), math.max(redis.call('pttl', current), 0),
    }
end
local function count(current, amount)
    if redis.call('exists', current) == 1 then
        redis.call('incrby', current, amount)
    else
        redis.call('set', current, amount, 'PX', 2 * expiry)
    end
end
"""
# ARGV: the expiry, then limit and amount of each counter.
_TAKE = f"""{_PRESENT}
local states, fits = {{}}, 1
for i = 1, #KEYS, 2 do
    local state = present(KEYS[i], KEYS[i + 1])
    states[#states + 1] = state
    local used = math.ceil(state[1] * state[2] / expiry) + state[3]
    if used + tonumber(ARGV[i + 2]) > tonumber(ARGV[i + 1]) then fits = 0 end
end
for i = 1, #KEYS, 2 do
    if fits == 1 then count(KEYS[i + 1], ARGV[i + 2]) end
end
return {{fits, states}}
"""
# ARGV: the expiry, then what each counter is to change by. What is given back is taken from where it was counted.
_CHANGE = f"""{_PRESENT}
for i = 1, #KEYS, 2 do
    local state = present(KEYS[i], KEYS[i + 1])
    local change = tonumber(ARGV[(i + 3) / 2])
    if change > 0 then
        count(KEYS[i + 1], change)
    else
        local here = math.min(-change, state[3])
        local before = math.min(-change - here, state[1])
        if here > 0 then redis.call('decrby', KEYS[i + 1], here) end
        if before > 0 then redis.call('decrby', KEYS[i], before) end
    end
end
return 1
"""


class Limit(NamedTuple):
    """What may be used in a minute, and of what: `of` names whose it is, as in «this key»."""

    kind: str
    of: str
    name: str
    item: RateLimitItem

    @classmethod
    def per_minute(cls, kind: str, of: str, pk: object, amount: int) -> Limit:
        item = RateLimitItemPerMinute(amount, namespace="claudeapp")
        return cls(kind, of, item.key_for(kind, of.replace(" ", "-"), str(pk)), item)


class Use(NamedTuple):
    """What a limit has counted: of the previous minute and of the current one, and the seconds each is still kept."""

    previous: int = 0
    previous_ttl: float = 0.0
    current: int = 0
    current_ttl: float = 0.0

    def used(self) -> int:
        """Rounded up: the library rounds down, which lets one more through when a minute has just ended."""
        return math.ceil(self.previous * self.previous_ttl / MINUTE) + self.current

    def wait(self, limit: int, amount: int) -> float:
        """Seconds until `amount` fits, if nobody else takes any: never too few. `amount` is not above `limit`."""
        if self.used() + amount <= limit:
            return 0.0
        room = limit - amount - self.current
        if room >= 0:
            return max(0.0, _until_decayed(self.previous, self.previous_ttl, room))
        # First the current minute has to become the previous one.
        shift = max(0.0, self.current_ttl - MINUTE)
        return shift + max(0.0, _until_decayed(self.current, MINUTE, limit - amount))

    def free_in(self, amount: int) -> float:
        """Seconds until nothing of what was counted, and of `amount` counted now, counts any more."""
        if self.current or amount:
            return self.current_ttl or 2.0 * MINUTE
        return self.previous_ttl if self.previous else 0.0


class Shared(RedisStorage):
    """Counted in Redis, for all processes."""

    def __init__(self, url: str) -> None:
        super().__init__(url, connection_pool=quick_redis(url).connection_pool, key_prefix="claudeapp:limits")
        self.lua_take = self.storage.register_script(_TAKE)
        self.lua_change = self.storage.register_script(_CHANGE)

    def take_all(self, limits: Sequence[Limit], amounts: Sequence[int]) -> tuple[bool, list[Use]]:
        """Count each amount, or none where one does not fit; and how each limit stood before."""
        pairs = [
            number for limit, amount in zip(limits, amounts, strict=True) for number in (limit.item.amount, amount)
        ]
        fits, rows = self.lua_take(self._keys(limits), [MINUTE, *pairs])
        uses = [Use(int(row[0]), row[1] / 1000, int(row[2]), row[3] / 1000) for row in rows]
        return bool(fits), uses

    def change_all(self, limits: Sequence[Limit], change: int) -> None:
        self.lua_change(self._keys(limits), [MINUTE, *[change] * len(limits)])

    def _keys(self, limits: Sequence[Limit]) -> list[str]:
        return [
            self.prefixed_key(key)
            for limit in limits
            for key in (self._previous_window_key(limit.name), self._current_window_key(limit.name))
        ]


class Own(MemoryStorage):
    """Counted in this process alone."""

    def __init__(self) -> None:
        super().__init__()
        self._one_at_a_time = threading.Lock()

    def take_all(self, limits: Sequence[Limit], amounts: Sequence[int]) -> tuple[bool, list[Use]]:
        """As `Shared.take_all`."""
        with self._one_at_a_time:
            now = time.time()
            uses = [Use(*self._get_sliding_window_info(*self._keys(limit, now), MINUTE, now)) for limit in limits]
            fits = all(
                use.used() + amount <= limit.item.amount
                for limit, use, amount in zip(limits, uses, amounts, strict=True)
            )
            for limit, amount in zip(limits, amounts, strict=True) if fits else ():
                self.incr(self._keys(limit, now)[1], 2 * MINUTE, amount)
        return fits, uses

    def change_all(self, limits: Sequence[Limit], change: int) -> None:
        with self._one_at_a_time:
            now = time.time()
            for limit in limits:
                previous, current = self._keys(limit, now)
                if change > 0:
                    self.incr(current, 2 * MINUTE, change)
                else:
                    here = min(-change, self.get(current))
                    self._take_from(current, here)
                    self._take_from(previous, -change - here)

    def _take_from(self, key: str, amount: int) -> None:
        # The library would keep a counter for ever that was never counted up.
        if amount and self.get(key):
            self.decr(key, amount)

    def _keys(self, limit: Limit, now: float) -> tuple[str, str]:
        return self.sliding_window_keys(limit.name, MINUTE, now)


class Counters:
    """Counts in Redis, or here while it does not answer; what was counted at one place is not known at the other."""

    def __init__(self, url: str) -> None:
        self._shared = Shared(url)
        self._own: Own | None = None
        self._not_before = 0.0
        self._lock = threading.Lock()

    def take(self, limits: Sequence[Limit], amounts: Sequence[int]) -> tuple[Shared | Own, bool, list[Use]]:
        """Where it was counted, whether it fits, and how each limit stood before."""
        if time.monotonic() >= self._not_before:
            try:
                return self._shared, *self._shared.take_all(limits, amounts)
            except redis.RedisError as error:
                self._leave_alone(error)
        own = self._here()
        return own, *own.take_all(limits, amounts)

    def change(self, place: Shared | Own, limits: Sequence[Limit], change: int) -> None:
        """Correct what was counted at `place`; forgotten where that cannot be reached any more."""
        if place is self._shared and time.monotonic() < self._not_before:
            return
        try:
            place.change_all(limits, change)
        except redis.RedisError as error:
            self._leave_alone(error)

    def _here(self) -> Own:
        with self._lock:
            self._own = self._own or Own()
            return self._own

    def _leave_alone(self, error: redis.RedisError) -> None:
        if time.monotonic() >= self._not_before:
            log.warning("Redis does not answer (%s); each process counts its limits by itself meanwhile.", error)
        self._not_before = time.monotonic() + LEFT_ALONE


def counters() -> Counters:
    """Those of this process and of the server that the settings name."""
    # Threads that are the first to ask together would each be given their own, and count to a limit each.
    with _making:
        return _counters_of(os.getpid(), settings.REDIS_URL)


_making = threading.Lock()


@lru_cache(maxsize=8)
def _counters_of(_pid: int, url: str) -> Counters:
    return Counters(url)


def _until_decayed(count: int, ttl: float, room: int) -> float:
    """Seconds until a minute's `count`, kept for `ttl` more, weighs at most `room`: two milliseconds more than that."""
    return ttl - room * MINUTE / count + 0.002
