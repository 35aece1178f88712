"""How does claudeapp answer where no server runs? As a function behind API Gateway, a load balancer or its own address.

The same Django as everywhere. An event that is no HTTP request, `{"body": "{\\"prompt\\": …}"}`, is `POST /api/chat`.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Mapping
from typing import Any

from apig_wsgi import make_lambda_handler
from django.apps import apps
from django.conf import settings

# From cold to the first answer almost all that is made stays, and looking for garbage in it takes 0.4 s in all.
if not apps.ready:
    gc.disable()

# Before the settings are read.
os.environ.setdefault("CLAUDEAPP_SERVES", "function")

from claudeapp.wsgi import application
from core.hints import aside

Event = Mapping[str, Any]

# Without it, a spreadsheet or a compressed file would be read as text; text and JSON stay as they are.
_serve = make_lambda_handler(application, binary_support=True)

CHAT = "/api/chat"
# Seconds for what nobody waits for, such as an e-mail.
LONGEST_ASIDE = 10.0
_KEY_HEADERS = frozenset({"authorization", "x-api-key"})


def handler(event: Event, context: Any) -> dict[str, Any]:
    """The answer to one event, as API Gateway wants it: `statusCode`, `headers`, `body`."""
    try:
        return _serve(_as_http(event), context)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        return _unreadable(f"This event is none that this function can read: {error!r}")
    finally:
        _started()
        # Between events nothing of a function runs.
        aside.wait(LONGEST_ASIDE)


def _started() -> None:
    """From the first answer on garbage is looked for, but not in what the start has left: that stays."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def _as_http(event: Event) -> dict[str, Any]:
    """The event in a form that has all that apig_wsgi asks for."""
    if "requestContext" not in event and "httpMethod" not in event:
        return _bare(event)
    if event.get("version") == "2.0":
        return _version_2(event)
    return _with_host(dict(event))


def _bare(event: Event) -> dict[str, Any]:
    """What somebody sends with `aws lambda invoke`: only who may invoke the function can, and the way is encrypted."""
    body = event.get("body")
    headers = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    if settings.LAMBDA_KEY and not _KEY_HEADERS & headers.keys():
        headers["x-api-key"] = settings.LAMBDA_KEY
    return {
        "version": "1.0",
        "httpMethod": "POST",
        "path": CHAT,
        "headers": {
            "host": settings.ALLOWED_HOSTS[0].lstrip(".*") or "localhost",
            **headers,
            "content-type": "application/json",
            "x-forwarded-proto": "https",
        },
        "body": body if isinstance(body, str | None) else json.dumps(body),
        "isBase64Encoded": bool(event.get("isBase64Encoded")),
    }


def _version_2(event: Event) -> dict[str, Any]:
    """HTTP APIs and function addresses. Their paths begin with the stage's name, if it has one."""
    context = event["requestContext"]
    stage, path = context.get("stage", "$default"), event.get("rawPath") or "/"
    if path == f"/{stage}" or path.startswith(f"/{stage}/"):
        path = path[len(stage) + 1 :] or "/"
    http = {"sourceIp": "", "protocol": "HTTP/1.1", **context["http"]}
    return _with_host(
        {
            **event,
            "rawPath": path,
            "rawQueryString": event.get("rawQueryString") or "",
            "headers": event.get("headers") or {},
            "requestContext": {**context, "http": http},
        }
    )


def _with_host(event: dict[str, Any]) -> dict[str, Any]:
    """A console's test event has no headers; the address it names is where it would have come to."""
    several = bool(event.get("multiValueHeaders"))
    name = "multiValueHeaders" if several else "headers"
    headers = event.get(name) or {}
    domain = (event.get("requestContext") or {}).get("domainName")
    if domain and "host" not in {str(header).lower() for header in headers}:
        headers = {**headers, "host": [domain] if several else domain}
    # Where it is there and empty, the other headers would not be looked at.
    rest = {key: value for key, value in event.items() if key != "multiValueHeaders"}
    return {**rest, name: headers}


def _unreadable(message: str) -> dict[str, Any]:
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": message}, "request_id": None}
    return {
        "statusCode": 400,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(error),
        "isBase64Encoded": False,
    }
