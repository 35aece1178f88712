"""How much does each model's rate limit still allow, as the processes have heard from Claude?"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import redis

from core.execution.buckets import KINDS, WINDOW, group_key
from core.hints.connection import quick_redis


@dataclass(frozen=True)
class Room:
    """One kind of a model's limit: what may be sent in a minute, and what is left; below 0 where requests queue."""

    kind: str
    limit: float
    left: float

    @property
    def words(self) -> str:
        return self.kind.replace("-", " ")

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return min(1.0, max(0.0, self.left / self.limit)) if self.limit else 0.0


@dataclass(frozen=True)
class Headroom:
    """A model's limits, and for how many seconds Claude asked for quiet."""

    model: str
    rooms: list[Room]
    hold: float


def headroom(models: Collection[str]) -> list[Headroom] | None:
    """Of those models that were asked lately; None while Redis is away."""
    names = sorted(models)
    try:
        with quick_redis().pipeline(transaction=False) as pipe:
            pipe.time()
            for name in names:
                pipe.hgetall(group_key(name))
            (seconds, micros), *states = pipe.execute()
    except redis.RedisError:
        return None
    now = seconds + micros / 1e6
    return [_headroom(name, state, now) for name, state in zip(names, states, strict=True) if state]


def _headroom(model: str, state: dict[str, Any], now: float) -> Headroom:
    passed = max(0.0, now - float(state.get("at", now)))
    rooms = []
    for kind in KINDS:
        if f"{kind}:limit" in state:
            limit = float(state[f"{kind}:limit"])
            rooms.append(Room(kind, limit, min(limit, float(state[kind]) + passed * limit / WINDOW)))
    return Headroom(model, rooms, max(0.0, float(state.get("hold", 0)) - now))
