"""Who is calling, may they, and how often?"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec

from django.db import connection
from django.http import HttpRequest, HttpResponseBase

from core.gateway import bodies
from core.gateway.errors import Refusal, answer_to
from core.intake import keys, limits
from core.models import Key

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, Key, P], HttpResponseBase]

# The same words whatever was wrong: none, a wrong one, an expired or a revoked one.
WHO = "invalid x-api-key"


def opened(*methods: str) -> Callable[[View[P]], Callable[..., HttpResponseBase]]:
    """A view for programs: these methods, with a key that opens the door; every error in the API's shape."""

    def decorate(view: View[P]) -> Callable[..., HttpResponseBase]:
        @functools.wraps(view)
        def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            try:
                if request.method not in methods:
                    raise Refusal(405, "Method Not Allowed", {"Allow": ", ".join(methods)})
                small = bodies.read_ahead(request)
                key = key_of(request)
                if not small:
                    give_back_connection()
                return view(request, key, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - whatever it is, the program gets the API's shape
                return answer_to(error)
            finally:
                # A program that left is not waited for by the server, which then would not give it back.
                give_back_connection()

        return wrapped

    return decorate


def key_of(request: HttpRequest) -> Key:
    """The key that the program sent. Raises `Refusal` 401, after the same work whatever is wrong with it."""
    key = keys.opened_by(secret_of(request))
    if key is None:
        raise Refusal(401, WHO)
    return key


def secret_of(request: HttpRequest) -> str:
    """What stands in `Authorization: Bearer …` or in `x-api-key`; empty where neither does."""
    return keys.secret_in(request.META)


def take(key: Key, input_tokens: int = 0) -> limits.Standing:
    """Count this request toward the limits of the key. Raises `Refusal` 429 with when to come again."""
    try:
        return limits.take(key, input_tokens)
    except limits.OverLimitError as error:
        raise Refusal(429, str(error), error.headers()) from error


def give_back_connection() -> None:
    """No connection to the database is held while a program reads or Claude answers."""
    if not connection.in_atomic_block:
        connection.close()


def unknown(request: HttpRequest, **_: str) -> HttpResponseBase:  # noqa: ARG001 - Django's signature
    """An address that the API does not have."""
    return answer_to(Refusal(404, "Not found"))
