"""How do thousands of watchers in one process wait for words without a connection each?

One connection hears of all calls that anybody here watches; whoever is woken reads what is new. How calls stand is
asked of the database for many watchers at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Iterable
from typing import Any
from weakref import WeakKeyDictionary

import redis.asyncio as aredis
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import Error, connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from core.live.channel import key_of
from core.live.reading import Entries, Reader
from core.live.tasks import end, of_nobody
from core.models import Call

log = logging.getLogger(__name__)

# Seconds within which those who ask how their call stands are asked for together.
GATHER = 0.05
# Seconds that a connection or an answer may take, and between two tries.
QUICKLY = 2.0
# Connections: one hears, one reads, and one is being made anew. Seconds that may be waited for one.
CONNECTIONS, QUEUING = 3, 15.0
# What is said of a call that was deleted while somebody watched.
GONE = "gone"


class Hub:
    """Of one event loop; ends with its last watcher."""

    def __init__(self) -> None:
        pool = aredis.BlockingConnectionPool.from_url(
            settings.REDIS_URL,
            max_connections=CONNECTIONS,
            timeout=QUEUING,
            decode_responses=True,
            protocol=2,
            socket_connect_timeout=QUICKLY,
            socket_timeout=QUICKLY + 3,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = aredis.Redis(connection_pool=pool)
        self._reader = Reader(self._redis)
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._changed = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._subscribing: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._asked: dict[uuid.UUID, asyncio.Future[str]] = {}
        self._asking: asyncio.Task[None] | None = None

    def join(self, key: str) -> asyncio.Event:
        """The event that is set whenever something may have been said under `key`."""
        news = asyncio.Event()
        self._watchers.setdefault(key, set()).add(news)
        if self._listening is None:
            self._listening = of_nobody(self._listen())
        self._changed.set()
        return news

    async def leave(self, key: str, news: asyncio.Event) -> None:
        others = self._watchers[key]
        others.discard(news)
        if not others:
            del self._watchers[key]
            self._changed.set()
        if not self._watchers:
            # Whoever comes now begins another one.
            _hubs.pop(asyncio.get_running_loop(), None)
            # To its end, also where this watcher is cut off once more meanwhile.
            self._closing = of_nobody(self._close())
            await asyncio.shield(self._closing)

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    self._subscribing = asyncio.create_task(self._subscribe(pubsub))
                    await self._hear(pubsub, self._subscribing)
            except RedisError as error:
                log.warning("calls are followed in the database: %s", error)
            except Exception:
                log.exception("calls are followed in the database")
            # There is one at a time, for it takes note of what changed.
            await end(self._subscribing)
            await asyncio.sleep(QUICKLY)

    async def _subscribe(self, pubsub: Any) -> None:
        """Hear of what is watched. One task alone does it: watchers come and go many at once, and are cut off."""
        subscribed: set[str] = set()
        self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            wanted = set(self._watchers)
            if wanted - subscribed:
                await pubsub.subscribe(*(wanted - subscribed))
            if subscribed - wanted:
                await pubsub.unsubscribe(*(subscribed - wanted))
            subscribed = wanted

    async def _hear(self, pubsub: Any, subscribing: asyncio.Task[None]) -> None:
        while True:
            if subscribing.done():
                # Raises why.
                subscribing.result()
            if not pubsub.subscribed:
                await asyncio.sleep(GATHER / 10)
                continue
            message = await pubsub.get_message(timeout=QUICKLY)
            # From its subscription on a watcher hears everything; before it, something may have been said.
            if message and message["type"] in {"message", "subscribe"}:
                self._wake([message["channel"]])

    def _wake(self, keys: Iterable[str]) -> None:
        for key in keys:
            for news in self._watchers.get(key, ()):
                news.set()

    async def read(self, key: str, position: str) -> Entries:
        """What was said under `key` behind `position`; nothing without Redis."""
        return await self._reader.read(key, position)

    async def status(self, call_id: uuid.UUID) -> str:
        """How far the call is; GONE where it was deleted, empty where the database does not say."""
        if call_id not in self._asked:
            self._asked[call_id] = asyncio.get_running_loop().create_future()
        if self._asking is None:
            self._asking = of_nobody(self._ask())
        return await asyncio.shield(self._asked[call_id])

    async def _ask(self) -> None:
        await asyncio.sleep(GATHER)
        asked, self._asked, self._asking = self._asked, {}, None
        known: dict[uuid.UUID, str] | None = None
        try:
            known = await sync_to_async(_statuses)(list(asked))
        finally:
            # Whatever it was, nobody is to wait for ever.
            for call_id, answer in asked.items():
                if not answer.done():
                    answer.set_result("" if known is None else known.get(call_id, GONE))

    async def _close(self) -> None:
        for task in (self._listening, self._subscribing, self._asking):
            await end(task)
        await self._reader.close()
        await self._redis.aclose(close_connection_pool=True)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


@contextlib.asynccontextmanager
async def watching(call_id: uuid.UUID) -> AsyncIterator[tuple[Hub, asyncio.Event]]:
    """This loop's hub, and what wakes whoever watches this call."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = Hub()
    key = key_of(call_id)
    news = hub.join(key)
    try:
        yield hub, news
    finally:
        await hub.leave(key, news)


def _statuses(call_ids: list[uuid.UUID]) -> dict[uuid.UUID, str] | None:
    """How far these calls are. The connection is given back, for watchers may stay for minutes."""
    try:
        return dict(Call.objects.filter(pk__in=call_ids).values_list("pk", "status"))
    except Error as error:
        log.warning("nobody knows how the watched calls stand: %s", error)
        return None
    finally:
        if not connection.in_atomic_block:
            connection.close()
