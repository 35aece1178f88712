"""Do reports, lists and downloads stay quick with ten million cost records?"""

from __future__ import annotations

import argparse
import datetime as dt
import gc
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connection
from django.test import Client
from django.utils import timezone

from core.models import Call, CostRecord, User
from core.reports.periods import PRESETS
from core.reports.rollups import rebuild_rollups, roll_up_all
from core.reports.sums import DIMENSIONS
from tests.bench import loading

TIMES, WARM_UP = 15, 3
# People are numbered from the one who spends the most.
BUSIEST, MIDDLING = 1, loading.USERS // 2
FILES = {"csv": "CSV", "xlsx": "Excel file"}
# The figures to be held: milliseconds, times, seconds and megabytes.
MOST_MS, MOST_RATIO, MOST_LIST_MS, MOST_CSV_SECONDS, MOST_CSV_MB = 100, 1.5, 150, 60, 50


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Load `small` records, measure; load the rest, measure again."""
    records, small = arguments.records, arguments.small
    loading.people_and_things()
    sizes = [size for size in (small, records) if size <= records]
    stages = [_stage(0 if number == 0 else sizes[number - 1], size) for number, size in enumerate(sizes)]
    wanted = min(arguments.download, records)
    files = {kind: _download(kind, records, wanted) for kind in FILES}
    return {"records": records, "stages": stages, **files}


def _stage(before: int, size: int) -> dict[str, Any]:
    loading_seconds = _seconds(lambda: loading.load(before + 1, size))
    rebuild_seconds = _seconds(rebuild_rollups)
    loading.tidy()
    client, own = _client(BUSIEST), _client(MIDDLING)
    _say(f"{size:,} records loaded in {loading_seconds:.0f} s, rolled up in {rebuild_seconds:.0f} s")
    pages = {name: _median(client, address) for name, address in _pages().items()}
    usage = {name: _median(own, address) for name, address in _usage().items()}
    lists = {name: _median(client, address) for name, address in _lists().items()}
    rolled = _roll_up_speed()
    return {
        "records": CostRecord.objects.count(),
        "calls": Call.objects.count(),
        "loading_seconds": round(loading_seconds, 1),
        "rebuild_seconds": round(rebuild_seconds, 1),
        "roll_up_per_second": rolled,
        "pages_ms": pages,
        "usage_ms": usage,
        "lists_ms": lists,
    }


def _pages() -> dict[str, str]:
    today = timezone.localdate()
    two_years = f"from={today - dt.timedelta(days=loading.DAYS - 2)}&to={today}"
    odd = f"from={today - dt.timedelta(days=500)}&to={today - dt.timedelta(days=409)}"
    return {
        **{f"/spend/ {label.lower()}": f"/spend/?period={name}" for name, label in PRESETS.items()},
        **{f"/spend/ 12 months by {by}": f"/spend/?period=12-months&by={by}" for by in DIMENSIONS},
        **{f"/spend/ 92 days by {by}": f"/spend/?{odd}&by={by}" for by in DIMENSIONS},
        "/spend/ two years": f"/spend/?{two_years}",
    }


def _usage() -> dict[str, str]:
    """Reads the ledger for what it breaks down, so it grows with that person's records; no bound is set for it."""
    return {"/usage/ 30 days": "/usage/?period=30-days", "/usage/ last 12 months": "/usage/?period=12-months"}


def _lists() -> dict[str, str]:
    """The themed admin counts its pages from one."""
    return {
        f"{what} page {page:,}": f"/admin/core/{model}/?p={page}"
        for what, model in (("Calls", "call"), ("Cost records", "costrecord"))
        for page in (1, 1000)
    }


def _client(person: int) -> Client:
    """Signed in as this person, who may see all."""
    User.objects.filter(pk=person).update(is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(User.objects.get(pk=person))
    return client


def _median(client: Client, address: str) -> float:
    """Milliseconds in the server, from the request to the last byte."""
    times = []
    for _ in range(WARM_UP + TIMES):
        began = time.perf_counter()
        response = client.get(address)
        times.append((time.perf_counter() - began) * 1000)
        if response.status_code != 200:
            raise RuntimeError(f"{address} answered {response.status_code}")
    return round(statistics.median(times[WARM_UP:]), 1)


def _roll_up_speed() -> int:
    """Records a second, of those that are pending at this stage."""
    seconds = _seconds(roll_up_all)
    return round(loading.PENDING / seconds)


def _download(kind: str, records: int, wanted: int) -> dict[str, Any]:
    """The seconds that a file of so many records takes, and by how much the process grows meanwhile."""
    days = max(1, round(loading.DAYS * wanted / records))
    today = timezone.localdate()
    client = _client(BUSIEST)
    address = f"/spend/export.{kind}"
    # What is read once and kept is no part of the growth.
    b"".join(client.get(f"{address}?period=today").streaming_content)  # type: ignore[attr-defined]
    gc.collect()
    with _peak_memory() as grown:
        began = time.perf_counter()
        response: Any = client.get(f"{address}?from={today - dt.timedelta(days=days)}&to={today}")
        size, first = 0, 0.0
        for piece in response.streaming_content:
            first = first or time.perf_counter() - began
            size += len(piece)
        seconds = time.perf_counter() - began
        response.close()
    return {
        "records": CostRecord.objects.filter(booked_on__gte=today - dt.timedelta(days=days)).count(),
        "megabytes": round(size / 1e6),
        "seconds": round(seconds, 1),
        "first_piece_seconds": round(first, 2),
        "grown_mb": round(grown[0], 1),
    }


@contextmanager
def _peak_memory() -> Iterator[list[float]]:
    """By how many megabytes this process grew at most; looked at ten times a second, whatever it is at work on."""
    before, grown, ended = _resident_mb(), [0.0], threading.Event()

    def look() -> None:
        while not ended.wait(0.1):
            grown[0] = max(grown[0], _resident_mb() - before)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield grown
    finally:
        ended.set()
        looking.join()


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _say(words: str) -> None:
    print(f"[{connection.vendor}] {words}", flush=True)  # noqa: T201 - this is a program


def holds(figures: dict[str, Any]) -> bool:
    """Whether every figure is within its bound."""
    full, first = figures["stages"][-1], figures["stages"][0]
    pages = all(took < MOST_MS for took in full["pages_ms"].values())
    ratios = all(took <= MOST_RATIO * first["pages_ms"][name] for name, took in full["pages_ms"].items())
    lists = all(took < MOST_LIST_MS for took in full["lists_ms"].values())
    memory = all(figures[kind]["grown_mb"] < MOST_CSV_MB for kind in FILES)
    return pages and ratios and lists and memory and figures["csv"]["seconds"] < MOST_CSV_SECONDS


def as_table(figures: dict[str, Any]) -> str:
    """The figures in Markdown."""
    first, full = figures["stages"][0], figures["stages"][-1]
    lines = [
        f"{figures['machine']['database']}, {full['records']:,} records, {full['calls']:,} calls"
        f" (loaded in {full['loading_seconds']} s, sums made in {full['rebuild_seconds']} s)",
        "",
        f"| view | {first['records']:,} | {full['records']:,} | ratio |",
        "|---|---:|---:|---:|",
    ]
    for kind in ("pages_ms", "usage_ms", "lists_ms"):
        for name, took in full[kind].items():
            lines.append(f"| {name} | {first[kind][name]} ms | {took} ms | {took / first[kind][name]:.2f} |")
    lines.append("")
    for kind, name in FILES.items():
        file = figures[kind]
        lines.append(
            f"{name} of {file['records']:,} records ({file['megabytes']} MB): {file['seconds']} s, the first piece"
            f" after {file['first_piece_seconds']} s, grown by {file['grown_mb']} MB."
        )
    return "\n".join(lines)
