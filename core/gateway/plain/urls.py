"""Which address leads where in the plain API?"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, include, path, re_path

from core.gateway import bodies
from core.gateway.entry import give_back_connection, key_of, unknown
from core.gateway.errors import Refusal, answer_to
from core.gateway.plain.api import api

View = Callable[..., HttpResponseBase]
# Bytes; the longest text takes a fraction of this, however it is escaped.
MOST_BYTES = 8 * 1024 * 1024


def _in_our_shape(view: View) -> View:
    """`view` of ninja's, with what it says outside of an operation in the API's shape, too."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            if request.method in {"POST", "PUT", "PATCH"}:
                if not bodies.read_ahead(request):
                    # Who has no key fills no more memory than that.
                    key_of(request)
                    give_back_connection()
                # Where Django keeps a body that was read; ours is read within our own bounds.
                request._body = bodies.read_body(request, MOST_BYTES)
            response = view(request, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever it is, the program gets the API's shape
            return answer_to(error)
        if response.status_code == 405:
            return answer_to(Refusal(405, "Method Not Allowed", {"Allow": response["Allow"]}))
        return response

    return wrapped


def _start(request: HttpRequest) -> HttpResponseBase:  # noqa: ARG001 - Django's signature
    """Whoever looks at the API's own address in a browser wants to read about it."""
    return redirect("plain:openapi-view")


def _ours(pattern: URLPattern | URLResolver) -> URLPattern | URLResolver:
    if isinstance(pattern, URLPattern):
        pattern.callback = _start if pattern.name == "api-root" else _in_our_shape(pattern.callback)
    return pattern


_patterns, _, _namespace = api.urls

urlpatterns = [
    path("api/", include(([_ours(pattern) for pattern in _patterns], _namespace))),
    re_path(r"^api(?:/.*)?$", unknown),
]
