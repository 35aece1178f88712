"""How does a script hear what a browser hears of a running call, whatever kind of process serves it?"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Iterator
from typing import cast

from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest, StreamingHttpResponse

from core.live.relay import events

# A proxy that keeps the answer back until it is whole would make following it pointless.
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def event_stream(request: HttpRequest, call_id: uuid.UUID) -> StreamingHttpResponse:
    """Server-sent events of a call from behind `Last-Event-ID`, the same that its page hears."""
    stream = cast("AsyncGenerator[str]", events(call_id, request.headers.get("Last-Event-ID", "")))
    # Whoever follows may stay for minutes, and looks into the database with a connection taken for that moment.
    if not connection.in_atomic_block:
        connection.close()
    content = stream if isinstance(request, ASGIRequest) else in_this_thread(stream)
    return StreamingHttpResponse(content, content_type="text/event-stream", headers=_HEADERS)


def in_this_thread(stream: AsyncGenerator[str]) -> Iterator[str]:
    """The same stream for a process without an event loop: one of its own, which ends with it.

    Without this, Django would first collect the stream to its end.
    """
    loop = asyncio.new_event_loop()
    try:
        while True:
            try:
                yield loop.run_until_complete(anext(stream))
            except StopAsyncIteration:
                return
    finally:
        loop.run_until_complete(stream.aclose())
        loop.close()
