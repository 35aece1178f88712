"""What makes the plain addresses one API: keys, errors, and its description?"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from ninja import NinjaAPI
from ninja.openapi.docs import DocsBase
from ninja.parser import Parser
from ninja.security import APIKeyHeader, HttpBearer

from core.gateway import bodies
from core.gateway.entry import key_of
from core.gateway.plain import calls, chat, prompts
from core.gateway.plain.faults import told_in_our_shape
from core.models import Key

DESCRIPTION = (
    "Text in, text out: ask and wait, or put a call into the queue and come back for it. Every call has a key, and is "
    "paid for, limited and kept as all others are. Errors have the shape and the status of the Claude API. Programs "
    "that use an official SDK of Claude need none of this: for them there is `/v1/messages`."
)


class BearerKey(HttpBearer):
    """`Authorization: Bearer KEY`."""

    def __call__(self, request: HttpRequest) -> Key:
        return key_of(request)

    def authenticate(self, request: HttpRequest, token: str) -> None:
        raise NotImplementedError("the key was read already")


class HeaderKey(APIKeyHeader):
    """`x-api-key: KEY`; for the description only, for whoever reads one key reads both."""

    param_name = "x-api-key"

    def authenticate(self, request: HttpRequest, key: str | None) -> None:
        raise NotImplementedError("the key was read already")


class Bodies(Parser):
    """The body as all of the gateway reads it."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        return bodies.parsed(request.body)


class Docs(DocsBase):
    """A page of ours around Swagger UI, because the one that ninja has runs scripts that our policy does not."""

    def render_page(self, request: HttpRequest, api: NinjaAPI, **kwargs: Any) -> HttpResponse:
        return render(request, "gateway/docs.html", {"openapi_url": self.get_openapi_url(api, kwargs)})


api = NinjaAPI(
    title="claudeapp, the plain API",
    version="1",
    description=DESCRIPTION,
    urls_namespace="plain",
    auth=[BearerKey(), HeaderKey()],
    parser=Bodies(),
    docs=Docs(),
)
api.add_router("", chat.router)
api.add_router("", calls.router)
api.add_router("", prompts.router)
told_in_our_shape(api)
