"""How soon do people see the first words of an answer, and how many may wait for some before pages get slow?

One `web` process, one worker, PostgreSQL, an upstream that answers after a second. Calls come by the plain API at an
even pace, and each is followed by the event stream that its page has. What is told of the first words is what they
took over the upstream's own, which is asked directly at the same time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import connections
from django.test import Client
from django.utils import timezone

from core.intake.keys import make_key
from core.models import Call, Key, User
from tests.bench.gateway import servers
from tests.bench.workers import MODEL, fill, worker_processes

WISHES = "delay=1000 pieces=5 pace=20"
# The bounds: milliseconds that the first words may take longer, at the median and of 99 in 100; megabytes of the
# process with idle watchers, and milliseconds of a page beside them.
MEDIAN, LATEST, MEGABYTES, PAGE = 60.0, 200.0, 400.0, 100.0
# Seconds until words are waited for in vain, and for which idle watchers are left alone before pages are asked for.
PATIENCE, QUIET = 60.0, 10.0
PAGES = 40
# Watchers that come at the same moment.
AT_ONCE = 50


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    fill()
    person = User.objects.get(username="bench")
    person.is_superuser = True
    person.save()
    _, key = make_key("Bench", person, by=None)
    browser = Client()
    browser.force_login(person)
    session = browser.cookies[settings.SESSION_COOKIE_NAME].value
    with servers.redis() as redis, servers.upstream(WISHES) as upstream:
        environment = {
            "REDIS_URL": redis,
            "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{upstream}",
            "ALLOWED_HOSTS": "127.0.0.1",
            "WORKER_CONCURRENCY": "256",
            "DJANGO_SETTINGS_MODULE": "tests.bench.page_settings",
        }
        with servers.gunicorn("web", environment) as web:
            with worker_processes(1, environment, []):
                words = asyncio.run(_first_words(web.port, upstream, key, arguments))
            idle = _idle(web, key, session, arguments.watchers)
    return {"first words": words, "idle": idle}


# --- first words ---


@dataclass
class _Heard:
    """Seconds until the first words: of calls, and of the upstream by itself."""

    here: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


async def _first_words(port: int, upstream: int, key: str, arguments: argparse.Namespace) -> dict[str, Any]:
    # Whoever comes first waits until everything is imported.
    warm = _Heard()
    for _ in range(2):
        await asyncio.gather(*(_follow(port, key, warm) for _ in range(8)))
    heard, number = _Heard(), arguments.rate * arguments.seconds
    began = time.monotonic()
    tasks = []
    for count in range(number):
        await asyncio.sleep(max(0.0, began + count / arguments.rate - time.monotonic()))
        tasks.append(asyncio.create_task(_follow(port, key, heard)))
        if count % 10 == 0:
            tasks.append(asyncio.create_task(_directly(upstream, heard)))
    await asyncio.gather(*tasks)
    own = statistics.median(heard.own)
    over = sorted(1000 * (each - own) for each in heard.here) or [0.0]
    return {
        "calls": number,
        "calls per second": arguments.rate,
        "lost": heard.lost[:5],
        "upstream's own ms": round(1000 * own),
        "median ms": round(statistics.median(over), 1),
        "99 % ms": round(over[min(len(over) - 1, len(over) * 99 // 100)], 1),
    }


async def _follow(port: int, key: str, heard: _Heard) -> None:
    """Ask, and follow the answer to its end, as a page does."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE):
            accepted = await _fetch(port, "POST", "/api/calls", key, {"text": "Hello.", "model": MODEL})
            async with _opened(port, f"/api/calls/{accepted['id']}/events", key) as reader:
                await reader.readuntil(b"event: text")
                heard.here.append(time.monotonic() - began)
                await reader.readuntil(b"event: ended")
    except (TimeoutError, OSError, asyncio.IncompleteReadError, KeyError, ValueError) as error:
        heard.lost.append(repr(error))


async def _directly(port: int, heard: _Heard) -> None:
    began = time.monotonic()
    body = {"model": MODEL, "stream": True, "messages": []}
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_request("POST", "/v1/messages", "", json.dumps(body).encode()))
    await reader.readuntil(b"event: content_block_delta")
    heard.own.append(time.monotonic() - began)
    writer.close()


# --- idle watchers ---


def _idle(web: servers.Server, key: str, session: str, number: int) -> dict[str, Any]:
    """Watchers of calls that say nothing, each of its own."""
    owner = Key.objects.get()
    calls = Call.objects.bulk_create(
        Call(
            user=owner.user, key=owner, status=Call.Status.RUNNING, started_at=timezone.now(), request={"model": MODEL}
        )
        for _ in range(number)
    )
    pks = [call.pk for call in calls]
    for each in connections.all(initialized_only=True):
        each.close()
    before = web.megabytes()
    return {"watchers": number, "megabytes before": round(before), **asyncio.run(_watch(web, key, session, pks))}


async def _watch(web: servers.Server, key: str, session: str, pks: list[uuid.UUID]) -> dict[str, Any]:
    async with contextlib.AsyncExitStack() as stack:
        for start in range(0, len(pks), AT_ONCE):
            openings = [_opened(web.port, f"/api/calls/{pk}/events", key) for pk in pks[start : start + AT_ONCE]]
            await asyncio.gather(*(stack.enter_async_context(each) for each in openings))
        await asyncio.sleep(QUIET)
        worked, began = web.cpu_seconds(), time.monotonic()
        await asyncio.sleep(QUIET)
        share = (web.cpu_seconds() - worked) / (time.monotonic() - began)
        times = []
        for _ in range(PAGES):
            times.append(await _page(web.port, "/calls/", session))
            await asyncio.sleep(0.1)
        return {
            "megabytes": round(web.megabytes()),
            "share of a processor": round(share, 2),
            "page, median ms": round(1000 * statistics.median(times), 1),
            "page, slowest ms": round(1000 * max(times), 1),
        }


async def _page(port: int, path: str, session: str) -> float:
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    cookie = f"cookie: {settings.SESSION_COOKIE_NAME}={session}\r\nx-forwarded-proto: https\r\n"
    writer.write(_request("GET", path, cookie))
    _, headers = await _head(reader, 200)
    await _body(reader, headers)
    writer.close()
    return time.monotonic() - began


# --- HTTP, as cheaply as Python can ---


def _request(method: str, path: str, more: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n{more}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def _head(reader: asyncio.StreamReader, status: int) -> tuple[int, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    found = int(lines[0].split()[1])
    if found != status:
        raise ValueError(f"{found} instead of {status}")
    return found, dict(line.split(": ", 1) for line in lines[1:] if ": " in line)


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    parts = []
    while size := int(await reader.readline(), 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    return b"".join(parts)


async def _fetch(port: int, method: str, path: str, key: str, body: dict[str, Any]) -> Any:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_request(method, path, f"x-api-key: {key}\r\n", json.dumps(body).encode()))
    _, headers = await _head(reader, 202)
    answer = json.loads(await _body(reader, headers))
    writer.close()
    return answer


@contextlib.asynccontextmanager
async def _opened(port: int, path: str, key: str) -> Any:
    """An event stream, once it has begun."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(_request("GET", path, f"x-api-key: {key}\r\n"))
        await _head(reader, 200)
        await reader.readuntil(b": open")
        yield reader
    finally:
        writer.close()


def as_table(figures: dict[str, Any]) -> str:
    lines = ["| what | figure |", "|---|---:|"]
    lines += [f"| {name} | {value} |" for part in ("first words", "idle") for name, value in figures[part].items()]
    return "\n".join(lines)


def holds(figures: dict[str, Any]) -> bool:
    words, idle = figures["first words"], figures["idle"]
    return bool(
        not words["lost"]
        and words["median ms"] <= MEDIAN
        and words["99 % ms"] <= LATEST
        and idle["megabytes"] < MEGABYTES
        and idle["page, median ms"] < PAGE
    )
