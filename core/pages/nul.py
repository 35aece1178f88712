"""What becomes of an address that holds a NUL byte? No text that people write has one, and PostgreSQL stores none."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponseBase

from core.pages.errors import bad_request


class RefuseNulMiddleware:
    """Answer 400 before any page asks the database for such a text, and fails."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        query = request.META.get("QUERY_STRING", "")
        if "%00" in query or "\0" in query or "\0" in request.path:
            return bad_request(request, BadRequest("a NUL byte in the address"))
        return self.get_response(request)
