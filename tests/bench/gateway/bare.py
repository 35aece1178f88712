"""What the gateway is compared with: a view that only calls the SDK, in the same project, served the same way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.views.decorators.csrf import csrf_exempt


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
    if body.pop("stream", False):
        return StreamingHttpResponse(_events(body), content_type="text/event-stream")
    answer = _sdk().messages.with_raw_response.create(**body)
    return HttpResponse(answer.http_response.content, content_type="application/json")


def _events(body: dict[str, Any]) -> Iterator[bytes]:
    with _sdk().messages.with_streaming_response.create(**body, stream=True) as answer:
        yield from answer.http_response.iter_bytes()


# The project's middlewares ask for the admin's address.
urlpatterns = [path("v1/messages", messages), path("admin/", admin.site.urls)]
