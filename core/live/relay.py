"""How are a running call's words passed on to a browser, from wherever it left off?"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import uuid
from collections.abc import AsyncIterator
from typing import Any

import redis.asyncio as aredis
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from core.live.channel import key_of
from core.models import Call

log = logging.getLogger(__name__)

# Seconds between two looks into the database while the stream is silent: it says when a call ended unseen.
PATIENCE = 2.0
# What is said of a call that was deleted while somebody watched.
GONE = "gone"
ENDS = frozenset({*Call.FINISHED, GONE})
_EVENT_ID = re.compile(r"^\d+-\d+$")


def event_text(kind: str, data: Any, event_id: str = "") -> str:
    """One server-sent event; `data` travels as JSON, so that line breaks do."""
    lead = f"id: {event_id}\n" if event_id else ""
    return f"{lead}event: {kind}\ndata: {json.dumps(data)}\n\n"


async def events(call_id: uuid.UUID, last_event_id: str = "") -> AsyncIterator[str]:
    """Server-sent events of a call from behind `last_event_id` until it ends: started, text, ended.

    What Redis does not have any more, or cannot be asked for, the page reads from the database at the end.
    """
    position = last_event_id if _EVENT_ID.match(last_event_id) else "0-0"
    # Sent at once, so that the browser and every proxy know that the stream is open.
    yield ": open\n\n"
    # A connection of its own, for each watcher waits on it; a shared one would be bound to the first one's event loop.
    async with _connection() as redis:
        while True:
            entries = await _read(redis, call_id, position)
            for position, fields in entries:
                if fields["kind"] != "ended":
                    yield event_text(fields["kind"], fields["data"], position)
            if not entries or any(fields["kind"] == "ended" for _, fields in entries):
                status = await sync_to_async(_status)(call_id)
                yield event_text("ended" if status in ENDS else "status", status)
                if status in ENDS:
                    return


async def _read(redis: Any, call_id: uuid.UUID, position: str) -> list[tuple[str, dict[str, str]]]:
    """The entries behind `position`, waiting for the first; none after `PATIENCE` seconds or without Redis."""
    try:
        answer = await redis.xread({key_of(call_id): position}, block=int(PATIENCE * 1000))
    except RedisError as error:
        log.warning("call %s is followed in the database: %s", call_id, error)
        await asyncio.sleep(PATIENCE)
        return []
    return list(answer[0][1]) if answer else []


def _connection() -> aredis.Redis:
    # A server that is there but silent must not keep the watcher from the database either.
    return aredis.Redis.from_url(
        settings.REDIS_URL,
        decode_responses=True,
        protocol=2,
        socket_connect_timeout=PATIENCE,
        socket_timeout=PATIENCE + 3,
        retry=Retry(NoBackoff(), 0),
    )


def _status(call_id: uuid.UUID) -> str:
    """How far the call is, GONE where it was deleted; gives the connection back, for a watcher may stay for minutes."""
    try:
        return Call.objects.values_list("status", flat=True).filter(pk=call_id).first() or GONE
    finally:
        if not connection.in_atomic_block:
            connection.close()
