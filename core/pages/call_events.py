"""How does a browser follow a call that is at work?"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from typing import cast

from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from core.live.relay import event_text, events
from core.pages.access import visible_calls

# Seconds after which a browser has to come anew and is asked who it is: a page may stay open for days, and whoever has
# signed out since, or may not see the call any more, hears nothing more of it. And milliseconds until it comes then,
# and where the connection was lost: thousands are not to press a server that has only just come back.
ASKED_ANEW, COMES_BACK, COMES_BACK_LOST = 300.0, 200, 3000


def call_events(request: HttpRequest, call_id: uuid.UUID) -> HttpResponseBase:
    """Server-sent events of a call that the visitor may see; `Last-Event-ID` resumes."""
    if request.method != "GET":
        return HttpResponse(status=405, headers={"Allow": "GET"})
    if not _may_watch(request, call_id):
        return HttpResponse("There is no such call, or it is not yours.\n", status=404, content_type="text/plain")
    stream = events(call_id, request.headers.get("Last-Event-ID", ""))
    return StreamingHttpResponse(
        _for_a_while(cast("AsyncGenerator[str]", stream)),
        content_type="text/event-stream",
        # A proxy that keeps the answer back until it is whole would make watching pointless.
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


async def _for_a_while(stream: AsyncGenerator[str]) -> AsyncIterator[str]:
    """The same, and `again` after a while: then the browser goes on behind the last word that it heard."""
    clock = asyncio.get_running_loop().time
    until = clock() + ASKED_ANEW
    # A browser keeps to the last one that it was told, also on another connection.
    yield f"retry: {COMES_BACK_LOST}\n"
    async with contextlib.aclosing(stream):
        async for piece in stream:
            yield piece
            if clock() > until:
                yield f"retry: {COMES_BACK}\n{event_text('again', '')}"
                return


def _may_watch(request: HttpRequest, call_id: uuid.UUID) -> bool:
    """The connection is given back at once, for a watcher may stay for minutes."""
    try:
        return visible_calls(request).filter(pk=call_id).exists()
    finally:
        if not connection.in_atomic_block:
            connection.close()
