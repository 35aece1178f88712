"""How does a browser follow a call that is at work?"""

from __future__ import annotations

import uuid

from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from core.live.relay import events
from core.pages.access import visible_calls


def call_events(request: HttpRequest, call_id: uuid.UUID) -> HttpResponseBase:
    """Server-sent events of a call that the visitor may see; `Last-Event-ID` resumes."""
    if request.method != "GET":
        return HttpResponse(status=405, headers={"Allow": "GET"})
    if not _may_watch(request, call_id):
        return HttpResponse("There is no such call, or it is not yours.\n", status=404, content_type="text/plain")
    stream = events(call_id, request.headers.get("Last-Event-ID", ""))
    return StreamingHttpResponse(
        stream,
        content_type="text/event-stream",
        # A proxy that keeps the answer back until it is whole would make watching pointless.
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


def _may_watch(request: HttpRequest, call_id: uuid.UUID) -> bool:
    """The connection is given back at once, for a watcher may stay for minutes."""
    try:
        return visible_calls(request).filter(pk=call_id).exists()
    finally:
        if not connection.in_atomic_block:
            connection.close()
