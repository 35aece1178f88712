"""How does the process `web` answer by Django's synchronous code? In a kept thread, with one hop there and one back.

Django's own handler begins a thread for each request, and goes there and back three times: for its signals, for the
answer and for its end. Of a short request that was most of its processor time. Here all of it is done in one go, as the
process `api` does; only what streams goes on in the event loop, and has a thread of its own as before, if it wants one.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

import django
from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.http import FileResponse
from django.urls import set_script_prefix

from core.live.tasks import end

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

# Begun when they are needed: a program that waits for its answer keeps one for as long. Beyond that requests wait.
MOST_THREADS = 1000


def one_hop_application() -> OneHop:
    """Django set up, and what answers for it."""
    django.setup(set_prefix=False)
    return OneHop()


class OneHop(ASGIHandler):
    """Django's handler, whose middlewares and views are all called in the same thread."""

    def __init__(self) -> None:
        super().__init__()
        self._threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="request")

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: ARG002 - Django's signature
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        # What streams may ask for addresses, too.
        set_script_prefix(get_script_prefix(scope))
        response = await self._in_thread(self._answer, scope, body)
        if response.streaming:
            await self._stream(response, receive, send)
        else:
            await self.send_response(response, send)

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._threads, context.run, work, *arguments)

    def _answer(self, scope: Scope, body: IO[bytes]) -> Any:
        """The answer, closed already but where it streams."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, refusal = self.create_request(scope, body)
        response: Any = self.get_response(request) if request is not None else refusal
        response._handler_class = self.__class__
        body.close()
        if response.streaming and response.is_async:
            # Gives back the connection to the database: what streams takes one when it needs it.
            signals.request_finished.send(sender=self.__class__)
            return response
        if response.streaming:
            _read_whole(response, self.chunk_size)
        response.close()
        return response

    async def _stream(self, response: Any, receive: Receive, send: Send) -> None:
        """Send it piece by piece until its end, or until the client leaves."""
        async with ThreadSensitiveContext() as own_thread:
            sending = asyncio.create_task(self.send_response(response, send))
            leaving = asyncio.create_task(self.listen_for_disconnect(receive))
            try:
                await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
            finally:
                await end(leaving)
                await end(sending)
                if own_thread in SyncToAsync.context_to_thread_executor:
                    # What it asked the database for, it asked from there.
                    await sync_to_async(response.close)()
                else:
                    # It holds nothing that could be waited for.
                    response.close()
        if not sending.cancelled():
            # Raises what went wrong.
            sending.result()


def _read_whole(response: Any, block_size: int) -> None:
    """A file, which is small here: all of it now, for a loop cannot wait for the disk."""
    if isinstance(response, FileResponse):
        response.block_size = block_size
    response.streaming_content = _each(list(response))


async def _each(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
