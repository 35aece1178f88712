"""How is a request sent to Claude, and how do its events come back?

The SDK takes 1.3 s and 50 MB to import, so it is imported where it is first used and nowhere else.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings

from core.claude.errors import ClaudeError, cut_off, from_event, timed_out, translated
from core.claude.replies import Reply

if TYPE_CHECKING:
    from anthropic import Anthropic
    from anthropic.types import ModelInfo

# Seconds to wait for a connection; what the answer may take is the caller's.
CONNECT_TIMEOUT = 10.0
# Idle connections are kept this long, in seconds, for the next call.
KEEP_ALIVE = 60.0
MOST_CONNECTIONS = 400


def sdk() -> Anthropic:
    """This process's client: it holds the connection pool. A forked child gets its own."""
    return _client_of(os.getpid(), settings.ANTHROPIC_API_KEY or "sk-simulated", settings.ANTHROPIC_BASE_URL)


@lru_cache(maxsize=4)
def _client_of(_pid: int, api_key: str, base_url: str) -> Anthropic:
    import anthropic
    import httpx2

    limits = httpx2.Limits(
        max_connections=MOST_CONNECTIONS,
        max_keepalive_connections=MOST_CONNECTIONS,
        keepalive_expiry=KEEP_ALIVE,
    )
    # Our own queue retries; the SDK's retries would multiply with it.
    return anthropic.Anthropic(
        api_key=api_key,
        base_url=base_url,
        max_retries=0,
        http_client=anthropic.DefaultHttpxClient(limits=limits),
    )


def preload() -> None:
    """Import the SDK now, so that processes forked from this one have it."""
    import anthropic  # noqa: F401


class Answering:
    """An answer on its way: iterate for the pieces of text; afterwards `reply` is whole.

    Raises `ClaudeError` where it does not become whole; `reply` then holds what had come.
    """

    def __init__(self, request: dict[str, Any], timeout: float) -> None:
        self.reply = Reply()
        self._request = request
        self._timeout = timeout

    def __iter__(self) -> Iterator[str]:
        try:
            with translated():
                yield from self._pieces()
        except ClaudeError as error:
            error.request_id = error.request_id or self.reply.request_id
            # Once the answer has begun, its input at least is billed.
            error.may_be_billed = error.may_be_billed or bool(self.reply.usage)
            raise

    def _pieces(self) -> Iterator[str]:
        deadline = time.monotonic() + self._timeout
        with _open_stream(self._request, self._timeout) as response:
            self.reply.request_id = response.headers.get("request-id") or ""
            for event in _events(response):
                if event.get("type") == "error":
                    raise from_event(event, self.reply.request_id)
                yield self.reply.take(event)
                if time.monotonic() > deadline and not self.reply.stopped:
                    raise timed_out()
        if not self.reply.stopped:
            raise cut_off(self.reply.request_id)


def stream(request: dict[str, Any], timeout: float) -> Answering:
    """Send a Messages request (without `stream`); its answer is read as it is written, within `timeout` seconds."""
    return Answering(request, timeout)


def count_tokens(request: dict[str, Any], timeout: float = 5.0) -> int:
    """How many input tokens Claude counts for a Messages request. Free of charge. Raises `ClaudeError`."""
    known = {key: request[key] for key in ("model", "messages", "system", "tools", "output_config") if key in request}
    with translated():
        return sdk().messages.count_tokens(**known, timeout=timeout).input_tokens


def list_models() -> list[ModelInfo]:
    """Every model that the API knows, retired ones included. Raises `ClaudeError`."""
    with translated():
        return list(sdk().models.list(limit=1000, lifecycle=["active", "deprecated", "retired"]))


@contextlib.contextmanager
def _open_stream(request: dict[str, Any], timeout: float) -> Iterator[Any]:
    import httpx2

    limits = httpx2.Timeout(timeout, connect=min(CONNECT_TIMEOUT, timeout))
    with sdk().messages.with_streaming_response.create(**request, stream=True, timeout=limits) as response:
        yield response.http_response


def _events(response: Any) -> Iterator[dict[str, Any]]:
    """The stream's events as the API wrote them, unknown fields included."""
    from anthropic import Stream

    for event in Stream.raw_events(response):
        if event.data:
            try:
                yield json.loads(event.data)
            except ValueError as error:
                raise cut_off(response.headers.get("request-id") or "") from error
