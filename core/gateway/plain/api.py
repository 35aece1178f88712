"""What makes the plain addresses one API: keys, errors, and its description?"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja.parser import Parser
from ninja.security import APIKeyHeader, HttpBearer

from core.gateway import bodies
from core.gateway.entry import key_of
from core.gateway.plain import bulk, calls, chat, prompts
from core.gateway.plain.description import DESCRIPTION, DescribedAPI, Docs
from core.gateway.plain.faults import told_in_our_shape
from core.models import Key


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


api = DescribedAPI(
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
api.add_router("", bulk.router)
api.add_router("", prompts.router)
told_in_our_shape(api)
