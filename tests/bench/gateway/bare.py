"""What the gateway is compared with: a view that only calls the SDK, in the same project, served the same way.

With `BENCH_NOTES` it also does what nothing that keeps a ledger can do without, in the cheapest way there is: a row is
committed before anything is sent, and changed when the answer is there. No key, budget, price or route is looked at.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

_NOTING = "BENCH_NOTES" in os.environ


@lru_cache
def _sdk() -> Any:
    import anthropic
    import httpx2

    limits = httpx2.Limits(max_connections=400, max_keepalive_connections=400, keepalive_expiry=60)
    client = anthropic.DefaultHttpxClient(limits=limits)
    return anthropic.Anthropic(api_key="none", base_url=settings.ANTHROPIC_BASE_URL, max_retries=0, http_client=client)


@csrf_exempt
def messages(request: HttpRequest) -> HttpResponseBase:
    body = json.loads(request.body)
    note = _note(request.body) if _NOTING else None
    if body.pop("stream", False):
        return StreamingHttpResponse(_events(body, note), content_type="text/event-stream")
    answer = _sdk().messages.with_raw_response.create(**body).http_response.content
    _note_answer(note, answer)
    return HttpResponse(answer, content_type="application/json")


def _events(body: dict[str, Any], note: uuid.UUID | None) -> Iterator[bytes]:
    pieces = []
    with _sdk().messages.with_streaming_response.create(**body, stream=True) as answer:
        for piece in answer.http_response.iter_bytes():
            pieces.append(piece)
            yield piece
    _note_answer(note, b"".join(pieces))


def _note(asked: bytes) -> uuid.UUID:
    note = uuid.uuid4()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO bench_note (id, asked) VALUES (%s, %s)", [note, asked.decode()])
    # Nobody holds a connection while Claude answers.
    connection.close()
    return note


def _note_answer(note: uuid.UUID | None, answer: bytes) -> None:
    if note is not None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE bench_note SET answered = %s WHERE id = %s", [answer.decode(), note])
        connection.close()


# The project's middlewares ask for the admin's address.
urlpatterns = [path("v1/messages", messages), path("admin/", admin.site.urls)]
