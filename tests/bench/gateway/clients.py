"""Programs that call, as cheaply as Python can: each keeps one connection and sends one request after the other."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from dataclasses import dataclass, field

HEADERS = "host: 127.0.0.1\r\ncontent-type: application/json\r\nanthropic-version: 2026-10-21\r\n"


@dataclass
class Times:
    """What the answers took, in seconds: to their first byte of body, and whole."""

    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    failed: int = 0
    began: float = 0.0
    ended: float = 0.0

    def add(self, first: float, whole: float) -> None:
        self.first.append(first)
        self.whole.append(whole)

    @property
    def per_second(self) -> float:
        return len(self.whole) / (self.ended - self.began)

    def median_ms(self) -> float:
        return statistics.median(self.whole) * 1000

    def first_ms(self) -> float:
        return statistics.median(self.first) * 1000

    def percentile_ms(self, percent: int) -> float:
        ordered = sorted(self.whole)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000


def request(key: str, *, stream: bool = False, **wishes: int) -> bytes:
    """A request to the Messages endpoint with these wishes to the upstream."""
    said = {"metadata": {"user_id": " ".join(f"{name}={value}" for name, value in wishes.items())}} if wishes else {}
    body = json.dumps(
        {
            "model": "bench",
            "max_tokens": 100,
            "messages": [{"role": "user", "content": "A text of some words. " * 10}],
            **({"stream": True} if stream else {}),
            **said,
        }
    ).encode()
    head = f"POST /v1/messages HTTP/1.1\r\n{HEADERS}x-api-key: {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Connection:
    """One program's connection; made anew where the server closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, message: bytes) -> tuple[int, float, bytes]:
        """The status, when the body's first byte came, and the body."""
        reader, writer = await self._open()
        writer.write(message)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        status = int(lines[0].split()[1])
        fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        first, body = await _body(reader, fields)
        if fields.get("connection") == "close":
            self.close()
        return status, first, body

    async def leave_after(self, message: bytes, size: int) -> None:
        """Read so many bytes of the answer and go."""
        reader, writer = await self._open()
        writer.write(message)
        await reader.readexactly(size)
        self.close()

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None or self._streams[0].at_eof():
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams


async def _body(reader: asyncio.StreamReader, fields: dict[str, str]) -> tuple[float, bytes]:
    if "content-length" in fields:
        body = await reader.readexactly(int(fields["content-length"]))
        return time.monotonic(), body
    if fields.get("transfer-encoding") != "chunked":
        lead = await reader.read(1)
        return time.monotonic(), lead + await reader.read()
    parts, first = [], 0.0
    while size := int(await reader.readline(), 16):
        parts.append(await reader.readexactly(size + 2))
        first = first or time.monotonic()
    await reader.readline()
    return first, b"".join(part[:-2] for part in parts)


async def at_once(port: int, message: bytes, number: int, seconds: float, warm_up: float = 1.0) -> Times:
    """`number` programs, each sending its next request when the last is answered."""
    times = Times()
    start = time.monotonic() + warm_up
    end = start + seconds

    async def program() -> None:
        connection = Connection(port)
        while (now := time.monotonic()) < end:
            await _timed(connection, message, times if now >= start else Times())
        connection.close()

    await asyncio.gather(*(program() for _ in range(number)))
    times.began, times.ended = start, time.monotonic()
    return times


async def at_rate(port: int, message: bytes, rate: float, seconds: float) -> Times:
    """So many requests a second, whether or not the earlier ones are answered."""
    times = Times(began=time.monotonic())
    idle: list[Connection] = []
    tasks = []

    async def one() -> None:
        connection = idle.pop() if idle else Connection(port)
        await _timed(connection, message, times)
        idle.append(connection)

    for count in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, times.began + count / rate - time.monotonic()))
        tasks.append(asyncio.ensure_future(one()))
    await asyncio.gather(*tasks)
    times.ended = time.monotonic()
    for connection in idle:
        connection.close()
    return times


async def _timed(connection: Connection, message: bytes, times: Times) -> None:
    began = time.monotonic()
    try:
        status, first, _ = await connection.ask(message)
    except (OSError, asyncio.IncompleteReadError):
        # A server may close an idle connection at the moment of the next request; a program would ask again.
        connection.close()
        times.failed += 1
        return
    if status == 200:
        times.add(first - began, time.monotonic() - began)
    else:
        times.failed += 1
