"""Which requests are programs', and need none of what pages need: sessions, cookies, forms, policies?"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import resolve

from core.gateway.entry import unknown
from core.gateway.errors import Refusal, answer_to

PREFIXES = ("/v1/", "/api/")
# Below one of these, and yet for people.
PAGES = frozenset({"/api/docs"})


class ProgramsMiddleware:
    """Leads programs straight to their view. First of all, so that the other middlewares cost them nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not is_programs(request.path_info):
            return self.get_response(request)
        if settings.SECURE_SSL_REDIRECT and not request.is_secure():
            # A redirect would come too late for the key, and most programs do not follow one with their body.
            return answer_to(Refusal(403, "This server is called by https:// only."))
        try:
            # Before anything is begun whose answer would have to name an address here.
            request.get_host()
            match = resolve(request.path_info)
        except DisallowedHost:
            return answer_to(Refusal(400, "This server does not go by that name: ask for it to be in ALLOWED_HOSTS."))
        except Http404:
            return unknown(request)
        request.resolver_match = match
        return with_length(match.func(request, *match.args, **match.kwargs))


def with_length(answer: HttpResponseBase) -> HttpResponseBase:
    """So that whoever reads it, and each proxy on the way, knows whether it is whole."""
    if isinstance(answer, HttpResponse) and "Content-Length" not in answer.headers:
        answer.headers["Content-Length"] = str(len(answer.content))
    return answer


def is_programs(path: str) -> bool:
    return (path.startswith(PREFIXES) or f"{path}/" in PREFIXES) and path not in PAGES
