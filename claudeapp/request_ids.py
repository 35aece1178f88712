"""Which name has a request, so that its lines in the log are found together?"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from core.gateway.door import is_programs
from core.hints.logs import about, request_id

HEADER = "X-Request-ID"
# What a proxy in front may have named it; anything else could write lines of its own into the log.
_NAMED = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)


class RequestIdMiddleware:
    """Names each request, as the proxy in front has where it has, and tells people's browsers the name.

    Programs get the headers that Claude would send; an error of ours has the name in its `request-id`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        name = given if _NAMED.fullmatch(given) else secrets.token_hex(8)
        with about(request_id, name):
            response = self.get_response(request)
        if not is_programs(request.path_info):
            response.headers[HEADER] = name
        return response
