"""What is passed on to Claude and back as it is, because it costs nothing?"""

from __future__ import annotations

import json
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse

from core.claude import client
from core.gateway import bodies
from core.gateway.entry import give_back_connection, opened, take
from core.gateway.errors import Refusal
from core.gateway.headers import for_claude, for_program
from core.intake.requests import models_of
from core.models import Key

# Seconds that a program waits for such an answer.
TIMEOUT = 60.0


@opened("POST")
def count_tokens(request: HttpRequest, key: Key) -> HttpResponse:
    """How many tokens a request has; for a route or an alias, with the first of the models that it may lead to."""
    came = bodies.arrived(request)
    asked = came.body.get("model")
    known = models_of(key, asked) if isinstance(asked, str) else ()
    raw = came.raw if asked in known or not known else json.dumps({**came.body, "model": known[0]}).encode()
    return _passed_on(request, key, "/v1/messages/count_tokens", raw)


@opened("GET")
def models(request: HttpRequest, key: Key) -> HttpResponse:
    """The models as Claude lists them, whatever this key may use of them."""
    return _passed_on(request, key, "/v1/models")


@opened("GET")
def model(request: HttpRequest, key: Key, model_id: str) -> HttpResponse:
    if any(part in {".", ".."} for part in model_id.split("/")):
        # On the way it would become another address.
        raise Refusal(404, f"model: {model_id}")
    return _passed_on(request, key, f"/v1/models/{quote(model_id, safe='')}")


def _passed_on(request: HttpRequest, key: Key, path: str, body: bytes | None = None) -> HttpResponse:
    standing = take(key)
    give_back_connection()
    answer = client.forward(
        request.method or "GET",
        path,
        query=request.META.get("QUERY_STRING", ""),
        headers=for_claude(request.META),
        body=body,
        timeout=TIMEOUT,
    )
    kind = answer.headers.get("content-type", "application/json")
    headers = {**for_program(answer.headers), **standing.headers()}
    return HttpResponse(answer.body, status=answer.status, content_type=kind, headers=headers)
