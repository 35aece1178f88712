"""How do many watchers read what is new? Those who were woken at the same moment by one question to Redis.

Words of all calls of a worker come together, so their watchers are woken together; to be asked by each for itself took
most of the time that passing words on takes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import Any

import redis.asyncio as aredis
from redis.exceptions import RedisError, ResponseError

from core.live.tasks import end, of_nobody

log = logging.getLogger(__name__)

# Watchers that are read for at once: neither Redis nor this loop is to be kept for long.
MOST = 100

# Of a stream: each with its position and fields.
Entries = list[tuple[str, dict[str, str]]]


@dataclass
class _Wish:
    key: str
    position: str
    answer: asyncio.Future[Entries]


class Reader:
    """Of one event loop. Whoever comes while nobody reads is read for at once, the others in the next round."""

    def __init__(self, redis: aredis.Redis) -> None:
        self._redis = redis
        self._wishes: deque[_Wish] = deque()
        self._reading: asyncio.Task[None] | None = None

    async def read(self, key: str, position: str) -> Entries:
        """The entries of the stream `key` behind `position`; none without Redis."""
        wish = _Wish(key, position, asyncio.get_running_loop().create_future())
        self._wishes.append(wish)
        if self._reading is None:
            self._reading = of_nobody(self._read_all())
        return await wish.answer

    async def close(self) -> None:
        await end(self._reading)

    async def _read_all(self) -> None:
        try:
            while self._wishes:
                await self._read_some([self._wishes.popleft() for _ in range(min(MOST, len(self._wishes)))])
        finally:
            self._reading = None

    async def _read_some(self, wishes: list[_Wish]) -> None:
        found: dict[str, Entries] = {}
        try:
            found = await self._found(_earliest(wishes))
        except ResponseError as error:
            log.warning("a call that is watched cannot be read: %s", error)
            if len(wishes) > 1:
                # Only whoever asked what cannot be answered is to go without.
                for wish in wishes:
                    await self._read_some([wish])
        except RedisError as error:
            log.warning("%s calls are followed in the database: %s", len(wishes), error)
        except Exception:
            log.exception("%s calls are followed in the database", len(wishes))
        finally:
            # Whatever it was, nobody is to wait for ever.
            for wish in wishes:
                if not wish.answer.done():
                    wish.answer.set_result(_behind(wish.position, found.get(wish.key, [])))

    async def _found(self, positions: dict[str, str]) -> dict[str, Entries]:
        """What is in these streams behind these positions."""
        streams: dict[Any, Any] = dict(positions)
        answer: Any = await self._redis.xread(streams)
        return {key: list(entries) for key, entries in answer or ()}


def _earliest(wishes: list[_Wish]) -> dict[str, str]:
    """From where on each stream is to be read: two who watch the same call may be at different places of it."""
    positions: dict[str, str] = {}
    for wish in wishes:
        known = positions.get(wish.key)
        if known is None or _number(wish.position) < _number(known):
            positions[wish.key] = wish.position
    return positions


def _behind(position: str, entries: Entries) -> Entries:
    if not entries or _number(position) < _number(entries[0][0]):
        return entries
    return [each for each in entries if _number(each[0]) > _number(position)]


def _number(position: str) -> tuple[int, int]:
    milliseconds, _, number = position.partition("-")
    return int(milliseconds), int(number)
