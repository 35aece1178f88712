"""Does `web` answer in one kept thread, stream until the client leaves, and give back what a stream took?"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core import signals
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from pytest_django import Settings

from claudeapp.one_hop import OneHop

threads: list[int] = []
finished_in: list[int] = []
ended = threading.Event()


def short(request: HttpRequest) -> HttpResponse:
    threads.append(threading.get_ident())
    return HttpResponse(request.body or b"short")


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(BytesIO(b"x" * 200_000))


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a fault")


def endless(request: HttpRequest) -> StreamingHttpResponse:
    async def pieces() -> AsyncIterator[str]:
        try:
            while True:
                yield "word"
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    return StreamingHttpResponse(pieces())


def from_threads(request: HttpRequest) -> StreamingHttpResponse:
    async def pieces() -> AsyncIterator[str]:
        for _ in range(3):
            threads.append(await sync_to_async(threading.get_ident)())
            yield "word"

    return StreamingHttpResponse(pieces())


def breaks_off(request: HttpRequest) -> StreamingHttpResponse:
    async def pieces() -> AsyncIterator[str]:
        yield "word"
        raise RuntimeError("a fault")

    return StreamingHttpResponse(pieces())


urlpatterns = [path(f"{view.__name__}/", view) for view in (short, file, broken, endless, from_threads, breaks_off)]


@pytest.fixture(autouse=True)
def _own_addresses(settings: Settings) -> Iterator[None]:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
    threads.clear()
    finished_in.clear()
    ended.clear()

    def note(**_: object) -> None:
        finished_in.append(threading.get_ident())

    signals.request_finished.connect(note)
    yield
    signals.request_finished.disconnect(note)


Talk = Callable[[OneHop], Awaitable[Any]]


def with_application(talk: Talk) -> Any:
    async def in_a_loop() -> Any:
        return await talk(OneHop())

    return asyncio.run(in_a_loop())


async def ask(application: OneHop, address: str, body: bytes = b"", leave_after: int = 0) -> tuple[int, list[bytes]]:
    """The status and pieces of an answer; whose client leaves after so many pieces."""
    sent, left = [], asyncio.Event()
    received = iter([{"type": "http.request", "body": body}])

    async def receive() -> Any:
        for message in received:
            return message
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if leave_after and len(sent) > leave_after:
            left.set()

    headers = [(b"host", b"testserver"), (b"content-length", str(len(body)).encode())]
    scope = {"type": "http", "method": "POST" if body else "GET", "path": address, "headers": headers}
    await application({**scope, "query_string": b""}, receive, send)
    return sent[0]["status"], [message["body"] for message in sent[1:] if message.get("body")]


def test_a_thread_that_is_kept_answers_one_after_the_other() -> None:
    async def talk(application: OneHop) -> list[Any]:
        return [await ask(application, "/short/", body) for body in (b"", b"one", b"two")]

    assert with_application(talk) == [(200, [b"short"]), (200, [b"one"]), (200, [b"two"])]
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()
    assert finished_in == threads, "whatever a view took is given back in its own thread"


def test_requests_that_come_together_are_answered_side_by_side() -> None:
    async def talk(application: OneHop) -> list[Any]:
        return await asyncio.gather(*(ask(application, "/short/", b"%d" % number) for number in range(20)))

    assert with_application(talk) == [(200, [b"%d" % number]) for number in range(20)]


def test_a_file_leaves_whole() -> None:
    status, pieces = with_application(lambda application: ask(application, "/file/"))
    assert (status, b"".join(pieces)) == (200, b"x" * 200_000)


def test_a_view_that_breaks_is_answered() -> None:
    assert with_application(lambda application: ask(application, "/broken/"))[0] == 500


def test_a_stream_ends_with_its_client() -> None:
    status, pieces = with_application(lambda application: ask(application, "/endless/", leave_after=5))
    assert status == 200
    assert set(pieces) == {b"word"}
    assert ended.is_set()


def test_what_a_stream_asks_threads_for_is_asked_and_given_back_in_one() -> None:
    """What holds a connection to the database there has to end there."""
    assert with_application(lambda application: ask(application, "/from_threads/")) == (200, [b"word"] * 3)
    assert len(set(threads)) == 1
    assert finished_in[-1] == threads[0]


def test_a_stream_that_breaks_says_so_to_the_server() -> None:
    with pytest.raises(RuntimeError, match="a fault"):
        with_application(lambda application: ask(application, "/breaks_off/"))
