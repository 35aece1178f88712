"""The figures: requests a second, added time, streams, clients that leave; PostgreSQL ledger and a budget on.

Side by side in one run: the upstream called directly, a Django view that only calls the SDK, the same view with the two
commits that no ledger can do without, and the gateway, all but the first served by the same gunicorn with the same
settings. Programs, upstream, PostgreSQL and server share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from decimal import Decimal
from typing import Any

from django.db import connection, connections

from tests.bench.gateway import clients, servers
from tests.bench.gateway.clients import Times
from tests.bench.gateway.upstream import piece

AT_ONCE = (1, 16, 64)
DELAYS = (0, 50)
# Seconds of each measurement, requests a second of the steady one.
SECONDS, RATE, RATE_SECONDS = 4.0, 100.0, 10.0
STREAMS, STREAM_PIECES, STREAM_PACE = 300, 20, 500
LEAVERS, LEAVERS_AT_ONCE = 1000, 50
# Seconds for what was left behind to be tidied up.
TIDY = 90.0
# The figures to be held.
LEAST_OF_BARE, MOST_ADDED_MS, MOST_ADDED_95_MS = 0.60, 5.0, 20.0
MOST_FIRST_MS = {1: 5.0, 64: 15.0}
MOST_STREAMS_MB, LEAST_OF_DIRECT = 300, 0.70
# What is served in turn, the last of them this project; see `tests.bench.gateway.bare`.
_SERVED = {"bare": "bare view", "noted": "bare view with two commits", "gateway": "gateway"}
# What two processes are compared with calling directly: this server, and beside it what the bare view can do at all.
_TWO = {"here": "", "bare": ", bare view"}
# And what is compared with the bare view: this server, and what any ledger costs at all.
_TO_BARE = {"": "gateway", ", bare view with two commits": "noted"}


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures; Django is set up and the database is empty."""
    key = _fill()
    for each in connections.all(initialized_only=True):
        each.close()
    with servers.upstream() as upstream, servers.redis() as redis:
        environment = _environment(upstream, redis)
        direct = _throughput(upstream, key)
        kinds = {kind: _kind(kind, environment, key, upstream) for kind in servers.KINDS}
        two = _two_processes(environment, key, upstream)
        figures = {"direct": direct, **kinds, "two_processes": two}
    return {**figures, "ratios": _ratios(figures)}


def _fill() -> str:
    """A model, its price, one budget, and a key."""
    import datetime as dt

    from core.intake.keys import make_key
    from core.models import Budget, ClaudeModel, Price, User

    user = User.objects.create(username="bench")
    model = ClaudeModel.objects.create(pk="bench", display_name="Bench", max_input_tokens=200_000, max_tokens=100_000)
    rates = dict.fromkeys(("input", "output", "cache_read", "cache_write_5m", "cache_write_1h"), Decimal(1))
    now = dt.datetime.now(dt.UTC)
    Price.objects.create(model=model, valid_from=now.date() - dt.timedelta(days=9), approved_at=now, **rates)
    Budget.objects.create(name="All", scope="organisation", amount=Decimal(100_000), owner=user)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_note (id uuid PRIMARY KEY, asked text NOT NULL, answered text)")
    _, secret = make_key("Bench", user=user, by=user)
    return str(secret)


def _environment(upstream: int, redis: str) -> dict[str, str]:
    return {
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{upstream}",
        "REDIS_URL": redis,
        "ALLOWED_HOSTS": "127.0.0.1",
        "WEB_THREADS": "400",
        "SECURE_SSL_REDIRECT": "false",
    }


def _kind(kind: str, environment: dict[str, str], key: str, upstream: int) -> dict[str, Any]:
    figures = {}
    for name, more in {"bare": {}, "noted": {"BENCH_NOTES": "1"}}.items():
        with servers.gunicorn(kind, {**environment, **more}, bare=True) as server:
            figures[name] = _speeds(server, key, upstream)
    with servers.gunicorn(kind, environment) as server:
        figures["gateway"] = _speeds(server, key, upstream)
        return {**figures, "streams": _open_streams(server, key), "left": _left(server, key)}


def _speeds(server: servers.Server, key: str, upstream: int) -> dict[str, Any]:
    _warm_up(server.port, key)
    return {
        **_throughput(server.port, key),
        "cpu_ms": _cpu(server, key),
        "steady": _steady(server.port, key, upstream),
        "first_byte_ms": {str(number): _first_byte(server.port, key, upstream, number) for number in (1, 64)},
    }


def _warm_up(port: int, key: str) -> None:
    """Let every process read what it reads once, with its first requests."""
    asyncio.run(clients.at_once(port, clients.request(key), 8, 5.0, warm_up=0))


def _throughput(port: int, key: str) -> dict[str, Any]:
    """Requests a second and the median in ms, for each delay of the upstream and number of programs."""
    return {f"{delay} ms": {str(n): _speed(port, key, delay, n) for n in AT_ONCE} for delay in DELAYS}


def _speed(port: int, key: str, delay: int, number: int) -> dict[str, float]:
    message = clients.request(key, delay=delay)
    times = asyncio.run(clients.at_once(port, message, number, SECONDS))
    _refuse_failures(times)
    return {"per_second": round(times.per_second, 1), "median_ms": round(times.median_ms(), 2)}


def _cpu(server: servers.Server, key: str) -> float:
    """Milliseconds of the process's CPU for each request, 16 at once: hardly depends on what else the machine does."""
    before = server.cpu_seconds()
    times = asyncio.run(clients.at_once(server.port, clients.request(key), 16, SECONDS, warm_up=0))
    return round((server.cpu_seconds() - before) * 1000 / len(times.whole), 2)


def _steady(port: int, key: str, upstream: int) -> dict[str, float]:
    """At 100 requests a second: the 95th percentile in ms, here and directly."""
    message = clients.request(key, delay=50)
    direct, here = (asyncio.run(clients.at_rate(each, message, RATE, RATE_SECONDS)) for each in (upstream, port))
    _refuse_failures(here)
    return {"direct_95_ms": round(direct.percentile_ms(95), 2), "here_95_ms": round(here.percentile_ms(95), 2)}


def _first_byte(port: int, key: str, upstream: int, number: int) -> dict[str, float]:
    """Time to the first byte of a stream at so many at once, in ms, the median, here and directly."""
    message = clients.request(key, stream=True, delay=50, pieces=10, pace=20)
    direct, here = (asyncio.run(clients.at_once(each, message, number, SECONDS)) for each in (upstream, port))
    _refuse_failures(here)
    return {"direct": round(direct.first_ms(), 2), "here": round(here.first_ms(), 2)}


def _open_streams(server: servers.Server, key: str) -> dict[str, float]:
    """Many streams at once: every one's text must be whole; the process's memory before and at the most."""
    message = clients.request(key, stream=True, pieces=STREAM_PIECES, pace=STREAM_PACE)
    text = [piece(number) for number in range(STREAM_PIECES)]
    before = server.megabytes()
    most = before

    async def measure() -> int:
        nonlocal most
        streams = asyncio.gather(*(clients.Connection(server.port).ask(message) for _ in range(STREAMS)))
        while not streams.done():
            most = max(most, server.megabytes())
            await asyncio.sleep(0.2)
        return sum(status == 200 and all(word.encode() in body for word in text) for status, _, body in await streams)

    whole = asyncio.run(measure())
    return {
        "whole": whole,
        "before_mb": round(before, 1),
        "most_mb": round(most, 1),
        "kb_each": round((most - before) * 1024 / STREAMS, 1),
    }


def _left(server: servers.Server, key: str) -> dict[str, int]:
    """Clients that leave in the middle of a stream: what is left of threads, connections, reservations, calls.

    Pools keep what as many at once as never before needed, for the next request; that is told, and bounded.
    """
    message = clients.request(key, stream=True, pieces=10, pace=50)
    threads, connected, pooled = server.threads(), server.clients(), server.pooled()

    async def measure() -> None:
        for _ in range(0, LEAVERS, LEAVERS_AT_ONCE):
            leaving = (clients.Connection(server.port).leave_after(message, 600) for _ in range(LEAVERS_AT_ONCE))
            await asyncio.gather(*leaving)

    before = _calls("succeeded")
    asyncio.run(measure())
    deadline = time.monotonic() + TIDY
    while _unsettled() and time.monotonic() < deadline:
        time.sleep(0.5)
    return {
        "settled": _calls("succeeded") - before,
        "unsettled": _unsettled(),
        "reserved": _reserved(),
        "threads_more": server.threads() - threads,
        "clients_more": server.clients() - connected,
        "pooled_more": server.pooled() - pooled,
    }


def _calls(status: str) -> int:
    from core.models import Call

    return Call.objects.filter(status=status).count()


def _unsettled() -> int:
    from core.models import Call

    return Call.objects.exclude(status__in=Call.FINISHED).count()


def _reserved() -> int:
    from core.models import Reservation

    return Reservation.objects.filter(released_at=None).count()


def _two_processes(environment: dict[str, str], key: str, upstream: int) -> dict[str, float]:
    """Requests a second with the upstream at 50 ms and 64 at once: directly, of the bare view, and here."""
    speeds = {"direct": _speed(upstream, key, 50, 64)["per_second"]}
    for name, bare in (("bare", True), ("here", False)):
        with servers.gunicorn("api", environment, bare=bare, processes=2) as server:
            _warm_up(server.port, key)
            speeds[name] = _speed(server.port, key, 50, 64)["per_second"]
    return speeds


def _ratios(figures: dict[str, Any]) -> dict[str, float]:
    api = figures["api"]
    ratios = {}
    for delay in figures["direct"]:
        for number, bare in api["bare"][delay].items():
            for said, name in _TO_BARE.items():
                speed = api[name][delay][number]["per_second"]
                ratios[f"api to bare, {delay}, {number} at once{said}"] = round(speed / bare["per_second"], 2)
    two = figures["two_processes"]
    to_direct = {f"two processes to direct{said}": two[name] / two["direct"] for name, said in _TWO.items()}
    return {**ratios, **{name: round(ratio, 2) for name, ratio in to_direct.items()}}


def holds(figures: dict[str, Any]) -> bool:
    """Whether the figures asked for, which are those of `api`, are reached."""
    return not missed(figures)


def missed(figures: dict[str, Any]) -> list[str]:
    """What is not reached, each in words."""
    api, direct = figures["api"], figures["direct"]
    added = api["gateway"]["0 ms"]["1"]["median_ms"] - direct["0 ms"]["1"]["median_ms"]
    steady = api["gateway"]["steady"]["here_95_ms"] - api["gateway"]["steady"]["direct_95_ms"]
    checks: dict[str, bool] = {
        f"{name}: {ratio}": ratio >= (LEAST_OF_DIRECT if "direct" in name else LEAST_OF_BARE)
        for name, ratio in figures["ratios"].items()
        if ", bare view" not in name
    }
    checks[f"added at the median: {added:.2f} ms"] = added <= MOST_ADDED_MS
    checks[f"added at 95 %: {steady:.2f} ms"] = steady <= MOST_ADDED_95_MS
    for number, most in MOST_FIRST_MS.items():
        first = api["gateway"]["first_byte_ms"][str(number)]
        checks[f"first byte, {number} at once: {first}"] = first["here"] - first["direct"] <= most
    streams, left = api["streams"], api["left"]
    checks[f"open streams: {streams}"] = streams["whole"] == STREAMS and streams["most_mb"] <= MOST_STREAMS_MB
    tidy = left["settled"] == LEAVERS and not left["unsettled"] and not left["reserved"]
    checks[f"clients that left: {left}"] = tidy and left["threads_more"] <= 0 and left["clients_more"] <= 0
    return [name for name, held in checks.items() if not held]


def as_table(figures: dict[str, Any]) -> str:
    """The figures in Markdown."""
    lines = [
        figures["machine"]["database"],
        "",
        "| requests a second (median ms) | 1 at once | 16 | 64 |",
        "|---|---:|---:|---:|",
    ]
    rows: dict[str, Any] = {"direct": figures["direct"]}
    for kind in servers.KINDS:
        rows |= {f"{said}, {kind}": figures[kind][name] for name, said in _SERVED.items()}
    for delay in figures["direct"]:
        for name, row in rows.items():
            cells = " | ".join(f"{cell['per_second']} ({cell['median_ms']})" for cell in row[delay].values())
            lines.append(f"| {name}, upstream {delay} | {cells} |")
    lines += ["", "| what | api | web |", "|---|---|---|"]
    for served, said in _SERVED.items():
        for name in ("cpu_ms", "steady", "first_byte_ms"):
            lines.append(f"| {said}, {name} | {figures['api'][served][name]} | {figures['web'][served][name]} |")
    for name in ("streams", "left"):
        lines.append(f"| {name} | {figures['api'][name]} | {figures['web'][name]} |")
    lines += ["", *(f"- {name}: {ratio}" for name, ratio in figures["ratios"].items())]
    lines += ["", *(f"MISSED {name}" for name in missed(figures))]
    return "\n".join(lines)


def _refuse_failures(times: Times) -> None:
    # A server may close an idle connection just when the next request comes; more than a few are faults.
    if times.failed > 5 + len(times.whole) // 100:
        raise RuntimeError(f"{times.failed} of {len(times.whole)} requests failed")
