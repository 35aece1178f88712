"""How are a running call's words passed on to a browser, from wherever it left off?"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, NamedTuple

from core.live.channel import key_of
from core.live.hub import GONE, Hub, watching
from core.live.reading import Entries
from core.models import Call

# Seconds between two looks into the database while the stream is silent: it says when a call ended unseen.
PATIENCE = 2.0
ENDS = frozenset({*Call.FINISHED, GONE})
# Two numbers of 64 bits at most, in Redis' own writing.
_EVENT_ID = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")


class Heard(NamedTuple):
    """Something that happened to a call: started, text, status, ended; or, with an empty kind, nothing for a while."""

    kind: str
    data: str = ""
    # Where it stands in the stream, to go on behind it; empty where the database said it.
    position: str = ""


def event_text(kind: str, data: Any, event_id: str = "") -> str:
    """One server-sent event; `data` travels as JSON, so that line breaks do."""
    lead = f"id: {event_id}\n" if event_id else ""
    return f"{lead}event: {kind}\ndata: {json.dumps(data)}\n\n"


async def events(call_id: uuid.UUID, last_event_id: str = "") -> AsyncIterator[str]:
    """Server-sent events of a call from behind `last_event_id` until it ends: started, text, ended.

    What Redis does not have any more, or cannot be asked for, the page reads from the database at the end.
    """
    # Sent at once, so that the browser and every proxy know that the stream is open.
    yield ": open\n\n"
    async with contextlib.aclosing(hear(call_id, last_event_id)) as hearing:
        async for heard in hearing:
            yield event_text(*heard) if heard.kind else ": still here\n\n"


async def hear(call_id: uuid.UUID, last_event_id: str = "") -> AsyncGenerator[Heard]:
    """What happens to a call from behind `last_event_id` until it ends, as `events` says."""
    position = last_event_id if _EVENT_ID.fullmatch(last_event_id) else "0-0"
    async with watching(call_id) as (hub, news):
        woken = True
        while True:
            entries = await _read_news(hub, call_id, position, news) if woken else []
            position = entries[-1][0] if entries else position
            for word in _words(entries):
                yield word
            ended = any(fields["kind"] == "ended" for _, fields in entries)
            woken = not ended and await _heard(news)
            if not woken:
                status = await hub.status(call_id)
                # It may have said its last words and ended since they were read.
                for word in _words(await hub.read(key_of(call_id), position) if status in ENDS and not ended else []):
                    yield word
                yield Heard("ended" if status in ENDS else "status", status) if status else Heard("")
                if status in ENDS:
                    return


def _words(entries: Entries) -> list[Heard]:
    """What these entries say, but for the end, which is the database's to say."""
    return [Heard(each["kind"], each["data"], position) for position, each in entries if each["kind"] != "ended"]


async def _read_news(hub: Hub, call_id: uuid.UUID, position: str, news: asyncio.Event) -> Entries:
    # First, so that what is said while it is read is read the next time.
    news.clear()
    return await hub.read(key_of(call_id), position)


async def _heard(news: asyncio.Event) -> bool:
    """Whether there was something new within `PATIENCE` seconds."""
    if not news.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await news.wait()
    return news.is_set()
