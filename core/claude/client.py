"""How is a request sent to Claude, and how do its events come back?

The SDK takes 1.3 s and 50 MB to import, so it is imported where it is first used and nowhere else.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from django.conf import settings

from core.claude.errors import ClaudeError, cut_off, from_event, handed_on, timed_out, translated
from core.claude.replies import Reply
from core.claude.requests import Sending

if TYPE_CHECKING:
    import httpx2
    from anthropic import Anthropic
    from anthropic.types import ModelInfo

    from core.claude.senders import Senders

# Seconds to wait for a connection; what the answer may take is the caller's.
CONNECT_TIMEOUT = 10.0


def sdk() -> Anthropic:
    """A client of this process, for what is asked now and then."""
    return _senders().common


def _senders() -> Senders:
    """This process's clients, which hold its connections to Claude. A forked child gets its own."""
    return _senders_of(os.getpid(), settings.ANTHROPIC_API_KEY or "sk-simulated", settings.ANTHROPIC_BASE_URL)


@cache
def _senders_of(_pid: int, api_key: str, base_url: str) -> Senders:
    from core.claude.senders import Senders

    return Senders(api_key, base_url)


def preload() -> None:
    """Import the SDK now, so that processes forked from this one have it."""
    import core.claude.senders  # noqa: F401


@dataclass(frozen=True)
class Answer:
    """What the API answered to a request that only passes through here; an error status is an answer too."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Event:
    """One event of a stream as it came, and the text that it brought, often none."""

    name: str
    data: str
    text: str = ""


class Answering:
    """An answer on its way: iterate for the events of a stream (a JSON answer has none); then `reply` is whole.

    `headers` are the answer's, from the first event on. Raises `ClaudeError` where it does not become whole; `reply`
    then holds what had come.
    """

    def __init__(self, sending: Sending, seconds: float, silence: float | None = None) -> None:
        self.reply = Reply()
        self.headers: Mapping[str, str] = {}
        self._sending = sending
        self._seconds = seconds
        self._silence = min(silence or seconds, seconds)
        self._deadline = math.inf

    def __iter__(self) -> Generator[Event]:
        self._deadline = time.monotonic() + self._seconds
        try:
            with translated(), self._opened() as response:
                self.headers = handed_on(response.headers)
                self.reply.request_id = response.headers.get("request-id") or ""
                if self._sending.streamed:
                    yield from self._events(response)
                else:
                    self._read(response)
        except ClaudeError as error:
            error.request_id = error.request_id or self.reply.request_id
            # Once the answer has begun, its input at least is billed.
            error.may_be_billed = error.may_be_billed or bool(self.headers)
            raise

    @contextlib.contextmanager
    def _opened(self) -> Iterator[httpx2.Response]:
        import httpx2

        limits = httpx2.Timeout(self._silence, connect=min(CONNECT_TIMEOUT, self._silence))
        path = f"/v1/messages?{self._sending.query}" if self._sending.query else "/v1/messages"
        with _senders().one() as sender:
            response = sender.open(path, self._sending.encoded, self._sending.headers, limits)
            with contextlib.closing(response):
                yield response

    def _events(self, response: httpx2.Response) -> Iterator[Event]:
        from anthropic import Stream

        for sent in Stream.raw_events(response):
            event = self._parsed(sent.data)
            if event.get("type") == "error":
                raise from_event(event, self.reply.request_id)
            yield Event(sent.event or str(event.get("type") or ""), sent.data, self._taken(event))
            self._keep_time(self.reply.stopped)
        if not self.reply.stopped:
            raise cut_off(self.reply.request_id)

    def _taken(self, event: dict[str, Any]) -> str:
        try:
            return self.reply.take(event)
        except (LookupError, TypeError, ValueError) as error:
            # No event of the API looks like this one; whatever sent it, the rest cannot be trusted.
            raise cut_off(self.reply.request_id) from error

    def _parsed(self, data: str) -> dict[str, Any]:
        try:
            event = json.loads(data) if data else {}
        except ValueError as error:
            raise cut_off(self.reply.request_id) from error
        return event if isinstance(event, dict) else {}

    def _read(self, response: httpx2.Response) -> None:
        pieces = []
        for piece in response.iter_bytes():
            pieces.append(piece)
            self._keep_time(False)
        try:
            self.reply.take_whole(b"".join(pieces))
        except ValueError as error:
            raise cut_off(self.reply.request_id) from error

    def _keep_time(self, over: bool) -> None:
        if time.monotonic() > self._deadline and not over:
            raise timed_out()


def send(sending: Sending, seconds: float, silence: float | None = None) -> Answering:
    """Send a Messages request; the whole answer may take so many seconds, and each silence in it `silence` at most."""
    return Answering(sending, seconds, silence)


def forward(
    method: str,
    path: str,
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = 60.0,
) -> Answer:
    """A request that costs nothing, passed on as it came. Raises `ClaudeError` only where no answer came."""
    import anthropic
    import httpx2

    send_it = getattr(sdk(), method.lower())
    content = {} if method.upper() == "GET" else {"content": body or b""}
    limits = httpx2.Timeout(timeout, connect=min(CONNECT_TIMEOUT, timeout))
    with translated():
        try:
            response = send_it(
                f"{path}?{query}" if query else path,
                cast_to=httpx2.Response,
                options={"headers": dict(headers or {}), "timeout": limits},
                **content,
            )
        except anthropic.APIStatusError as error:
            response = error.response
    return Answer(response.status_code, handed_on(response.headers), response.content)


def count_tokens(request: dict[str, Any], timeout: float = 5.0) -> int:
    """How many input tokens Claude counts for a Messages request. Free of charge. Raises `ClaudeError`."""
    known = {key: request[key] for key in ("model", "messages", "system", "tools", "output_config") if key in request}
    with translated():
        return sdk().messages.count_tokens(**known, timeout=timeout).input_tokens


def list_models() -> list[ModelInfo]:
    """Every model that the API knows, retired ones included. Raises `ClaudeError`."""
    with translated():
        return list(sdk().models.list(limit=1000, lifecycle=["active", "deprecated", "retired"]))
