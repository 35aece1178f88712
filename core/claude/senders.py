"""Which of the SDK's clients sends a request, and what need not be made anew for it?

Read where the SDK is first used, as it imports it.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import anthropic
import httpx2
from anthropic._models import FinalRequestOptions

# Idle connections are kept this long, in seconds, for the next call.
KEEP_ALIVE = 60.0
# Connections of the client for what is asked now and then.
MOST_AT_ONCE = 100
# Kinds of requests whose heads are remembered; programs make them up by their own headers and queries.
MOST_HEADS = 200

Heads = dict[tuple[Any, ...], httpx2.Request]

_POST = FinalRequestOptions.construct(method="post", url="")


class Sender(anthropic.Anthropic):
    """The SDK's client. Where requests differ in their body only, the SDK makes all the rest once.

    `heads` is what it made, for all clients of the same address and key.
    """

    def __init__(self, api_key: str, base_url: str, verify: Any, heads: Heads, connections: int) -> None:
        limits = httpx2.Limits(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=KEEP_ALIVE
        )
        # Requests of many people leave here; what one's answer sets is not for the next one's.
        cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        http_client = anthropic.DefaultHttpxClient(limits=limits, verify=verify, cookies=cookies)
        # Our own queue retries; the SDK's retries would multiply with it.
        super().__init__(api_key=api_key, base_url=base_url, max_retries=0, http_client=http_client)
        self._heads = heads

    @property
    def user_agent(self) -> str:
        """As the SDK says it, which would name this class."""
        return f"Anthropic/Python {self._version}"

    def open(self, path: str, content: bytes, headers: Mapping[str, str], timeout: httpx2.Timeout) -> httpx2.Response:
        """POST these bytes; the answer's body is still to be read, and to be closed. Raises what the SDK does."""
        given = {"url": path, "content": content, "headers": headers, "timeout": timeout}
        return self.request(httpx2.Response, _POST.model_copy(update=given), stream=True)

    def _build_request(self, options: FinalRequestOptions, *, retries_taken: int = 0) -> httpx2.Request:
        if not isinstance(options.content, bytes) or not isinstance(options.timeout, httpx2.Timeout):
            return super()._build_request(options, retries_taken=retries_taken)
        key = (options.url, retries_taken, *options.timeout.as_dict().values(), *dict(options.headers or {}).items())
        head = self._heads.get(key)
        if head is None:
            head = self._remember(key, super()._build_request(options, retries_taken=retries_taken))
        headers = httpx2.Headers(head.headers)
        headers["Content-Length"] = str(len(options.content))
        body = httpx2.ByteStream(options.content)
        return httpx2.Request(head.method, head.url, headers=headers, stream=body, extensions=head.extensions)

    def _remember(self, key: tuple[Any, ...], made: httpx2.Request) -> httpx2.Request:
        head = httpx2.Request(made.method, made.url, headers=made.headers, stream=None, extensions=made.extensions)
        if len(self._heads) >= MOST_HEADS:
            self._heads.clear()
        self._heads[key] = head
        return head


class Senders:
    """As many clients as there are requests under way, each of one connection.

    For each request a client's pool looks at all of its connections, and asks each that rests whether it still stands.
    """

    def __init__(self, api_key: str, base_url: str) -> None:
        self._given = (api_key, base_url, httpx2.create_ssl_context(), Heads())
        # For what is asked now and then, by several at once.
        self.common = Sender(*self._given, MOST_AT_ONCE)
        # Since when each rests, the longest first. What was used last is used next: its connection still stands.
        self._at_rest: deque[tuple[float, Sender]] = deque()

    @contextlib.contextmanager
    def one(self) -> Iterator[Sender]:
        """A client for one request. It is kept where the request was answered, be it by a refusal.

        What broke off may have left its connection in a state in which the next request would wait for it in vain.
        """
        try:
            _, sender = self._at_rest.pop()
        except IndexError:
            sender = Sender(*self._given, 1)
        try:
            yield sender
        except anthropic.APIStatusError:
            self._lay_down(sender)
            raise
        except BaseException:
            sender.close()
            raise
        self._lay_down(sender)

    def _lay_down(self, sender: Sender) -> None:
        now = time.monotonic()
        self._at_rest.append((now, sender))
        # After a peak fewer are needed; the others' connections would stay half open for ever.
        with contextlib.suppress(IndexError):
            while self._at_rest[0][0] < now - KEEP_ALIVE:
                self._at_rest.popleft()[1].close()
