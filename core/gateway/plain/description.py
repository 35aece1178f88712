"""How is the plain API described, for programs and for people?"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from ninja import NinjaAPI
from ninja.openapi.docs import DocsBase
from ninja.openapi.schema import OpenAPISchema

from core.gateway.plain.faults import ANY_FAULT

DESCRIPTION = (
    "Text in, text out: ask and wait, or put a call into the queue and come back for it. Every call has a key, and is "
    "paid for, limited and kept as all others are. A `POST` may have an `Idempotency-Key`: the same one with the same "
    "body is the same call for 24 hours. Errors have the shape and the status of the Claude API. Programs that use an "
    "official SDK of Claude need none of this: for them there is `/v1/messages`."
)
_REFUSED = (
    "Refused: 400 for what makes no sense, 401 without a valid key, 402 over a budget, 403 for what the key may not "
    "use, 404 for what is not there, 409 for what it is too late or too early for, 413 for too much, 422 for another "
    "body under the same Idempotency-Key, 429 over a limit, with `retry-after`."
)
_FAILED = "Something failed here or at Claude: 529 says that Claude is overloaded, 504 that it took too long."


class Docs(DocsBase):
    """A page of ours around Swagger UI, because the one that ninja has runs scripts that our policy does not."""

    def render_page(self, request: HttpRequest, api: NinjaAPI, **kwargs: Any) -> HttpResponse:
        return render(request, "gateway/docs.html", {"openapi_url": self.get_openapi_url(api, kwargs)})


class DescribedAPI(NinjaAPI):
    """Says once for each address what can go wrong, and not for each status."""

    def get_openapi_schema(self, **kwargs: Any) -> OpenAPISchema:
        schema = super().get_openapi_schema(**kwargs)
        for methods in schema["paths"].values():
            for operation in methods.values():
                operation["responses"] = _in_ranges(operation["responses"])
        return schema


def _in_ranges(responses: dict[int | str, Any]) -> dict[int | str, Any]:
    fault = responses[ANY_FAULT]
    answers = {status: response for status, response in responses.items() if status != ANY_FAULT}
    return {**answers, "4XX": {**fault, "description": _REFUSED}, "5XX": {**fault, "description": _FAILED}}
