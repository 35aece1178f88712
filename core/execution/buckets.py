"""How much may still be sent of each kind, and who has which place? The arithmetic of pacing, here and in Redis.

A group of requests has three buckets, as the API has: each holds up to a minute's allowance and fills evenly. Whoever
takes more than is there gets a place: the later time at which the debt will be filled. So waiting requests come back
one after another, at the rate at which Claude lets them. `hold` is the time until which Claude asked for quiet.

The script and `MemoryBuckets` do the same. Times are seconds; the script's are by the clock of Redis.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import redis

# The first two are what a request takes; what it answers is known only afterwards.
KINDS = ("requests", "input-tokens", "output-tokens")
WINDOW = 60.0
# Requests per minute where nobody has told a limit: what comes back after a 429 is spread by it.
ASSUMED_REQUESTS = 3000.0
# Seconds that a state is kept after its last use, and a place after its time.
KEPT = 300.0

Standing = Mapping[str, tuple[float, float]]
"""By kind: its limit per minute, and what remains of it."""


class Buckets(Protocol):
    def take(self, group: str, tokens: float, holder: str) -> float | None:
        """Seconds to wait (0: go), or None where nothing is known of the group."""

    def learn(self, group: str, standing: Standing) -> None: ...

    def hold(self, group: str, seconds: float) -> None: ...


@dataclass
class _Group:
    at: float
    hold: float = 0.0
    limits: dict[str, float] = field(default_factory=dict)
    levels: dict[str, float] = field(default_factory=dict)
    places: dict[str, float] = field(default_factory=dict)

    def refill(self, now: float) -> None:
        passed = max(0.0, now - self.at)
        self.at = now
        for kind, limit in self.limits.items():
            self.levels[kind] = min(limit, self.levels[kind] + passed * limit / WINDOW)


class MemoryBuckets:
    """Within one process, where there is no Redis."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: dict[str, _Group] = {}

    def take(self, group: str, tokens: float, holder: str) -> float | None:
        now = time.monotonic()
        with self._lock:
            known = self._groups.get(group)
            if known is None or (now - known.at > KEPT and now > known.hold):
                self._groups.pop(group, None)
                return None
            known.refill(now)
            place = known.places.pop(holder, None) if holder else None
            if place is not None and place > now:
                known.places[holder] = place
                return max(place, known.hold) - now
            if place is not None and known.hold <= now:
                return 0.0
            wait = self._pay(known, tokens, now)
            if wait > 0 and holder:
                known.places = {name: due for name, due in known.places.items() if due > now - KEPT}
                known.places[holder] = now + wait
            return wait

    def _pay(self, known: _Group, tokens: float, now: float) -> float:
        wait = max(0.0, known.hold - now)
        for kind, limit in known.limits.items():
            level = known.levels[kind]
            known.levels[kind] = level - price(kind, tokens, level, limit)
            wait = max(wait, -known.levels[kind] * WINDOW / limit)
        return wait

    def learn(self, group: str, standing: Standing) -> None:
        now = time.monotonic()
        with self._lock:
            known = self._groups.setdefault(group, _Group(now))
            known.refill(now)
            for kind, (limit, remaining) in standing.items():
                level = known.levels.get(kind, remaining)
                known.limits[kind] = limit
                known.levels[kind] = corrected(kind, level, remaining, limit)

    def hold(self, group: str, seconds: float) -> None:
        now = time.monotonic()
        with self._lock:
            known = self._groups.setdefault(group, _Group(now))
            known.refill(now)
            known.hold = max(known.hold, now + seconds)
            limit = known.limits.setdefault("requests", ASSUMED_REQUESTS)
            known.levels["requests"] = min(known.levels.get("requests", 0.0), -seconds * limit / WINDOW)


def price(kind: str, tokens: float, level: float, limit: float) -> float:
    """What a request takes of a bucket; one that is larger than the whole goes when the bucket is full."""
    if kind == "requests":
        return 1.0
    if kind == "input-tokens":
        return min(tokens, limit)
    # Nobody knows the length of an answer: while hardly any are left, one after another.
    return limit / 200 if level < limit / 20 else 0.0


def corrected(kind: str, level: float, remaining: float, limit: float) -> float:
    """The level after Claude has told what remains, which does not contain what waits or is on its way."""
    if kind == "output-tokens":
        return remaining
    # Estimates of input are too high where much is read from the cache; a queue on paper then has no ground.
    if kind == "input-tokens" and remaining > limit / 2:
        return max(min(level, remaining), remaining / 2)
    return min(level, remaining)


SCRIPT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local kinds = {'requests', 'input-tokens', 'output-tokens'}
local raw = redis.call('HGETALL', KEYS[1])
local state = {}
for i = 1, #raw, 2 do state[raw[i]] = tonumber(raw[i + 1]) end
-- A clock that was put back would hold everybody for as long.
if state.at and state.at > now + 1 then state = {} end
local known = state.at ~= nil
local passed = math.max(0, now - (state.at or now))
state.at = now
state.hold = state.hold or 0
for _, kind in ipairs(kinds) do
  local limit = state[kind .. ':limit']
  if limit then state[kind] = math.min(limit, state[kind] + passed * limit / 60) end
end

local function save(seconds)
  local flat = {}
  for name, value in pairs(state) do
    flat[#flat + 1] = name
    flat[#flat + 1] = string.format('%.6f', value)
  end
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], unpack(flat))
  redis.call('PEXPIRE', KEYS[1], math.ceil((math.max(seconds, state.hold - now, 0) + KEPT) * 1000))
end

if ARGV[1] == 'take' then
  if not known then return '' end
  local kept = KEYS[2] and redis.call('GET', KEYS[2]) or ''
  local place, given = tonumber(string.match(kept, '^%S+')), tonumber(string.match(kept, '%S+$'))
  -- One that was given later than now is of a clock that was put back since; an older version did not say when.
  if given and given < place and given > now + 1 then place = nil end
  if place and place > now then return string.format('%.6f', math.max(place, state.hold) - now) end
  if place and state.hold <= now then
    redis.call('DEL', KEYS[2])
    return '0'
  end
  local tokens, wait = tonumber(ARGV[2]), math.max(0, state.hold - now)
  for _, kind in ipairs(kinds) do
    local limit, level = state[kind .. ':limit'], state[kind]
    if limit then
      local price = 1
      if kind == 'input-tokens' then price = math.min(tokens, limit) end
      if kind == 'output-tokens' then price = level < limit / 20 and limit / 200 or 0 end
      state[kind] = level - price
      wait = math.max(wait, -state[kind] * 60 / limit)
    end
  end
  if wait > 0 and KEYS[2] then
    local mine = string.format('%.6f %.6f', now + wait, now)
    redis.call('SET', KEYS[2], mine, 'PX', math.ceil((wait + KEPT) * 1000))
  end
  save(wait)
  return string.format('%.6f', wait)
end

if ARGV[1] == 'hold' then
  local seconds = tonumber(ARGV[2])
  state.hold = math.max(state.hold, now + seconds)
  local limit = state['requests:limit'] or ASSUMED
  state['requests:limit'] = limit
  state.requests = math.min(state.requests or 0, -seconds * limit / 60)
  save(seconds)
  return ''
end

for i = 2, #ARGV, 3 do
  local kind, limit, remaining = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local level = math.min(state[kind] or remaining, remaining)
  if kind == 'output-tokens' then level = remaining end
  if kind == 'input-tokens' and remaining > limit / 2 then level = math.max(level, remaining / 2) end
  state[kind .. ':limit'], state[kind] = limit, level
end
save(0)
return ''
""".replace("KEPT", str(KEPT)).replace("ASSUMED", str(ASSUMED_REQUESTS))


class RedisBuckets:
    """For all processes together, each step one atomic script. Raises RedisError."""

    def __init__(self, connection: redis.Redis) -> None:
        self._script = connection.register_script(SCRIPT)

    def take(self, group: str, tokens: float, holder: str) -> float | None:
        keys = [group_key(group), f"{group_key(group)}:{holder}"] if holder else [group_key(group)]
        answer = self._script(keys, ["take", tokens])
        return float(answer) if answer else None

    def learn(self, group: str, standing: Standing) -> None:
        told = [part for kind, (limit, remaining) in standing.items() for part in (kind, limit, remaining)]
        self._script([group_key(group)], ["learn", *told])

    def hold(self, group: str, seconds: float) -> None:
        self._script([group_key(group)], ["hold", seconds])


def group_key(group: str) -> str:
    return f"claudeapp:pace:{group}"
