"""How many calls does one worker process run in a second, and what does each take, beside stock forking workers?

The upstream answers after a second. The calls wait in the queue before the workers start, which have one budget.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Max, Min
from django.utils import timezone

from core.costs import prices
from core.intake.requests import Asking, accept_request
from core.models import Budget, Call, ClaudeModel, User
from core.routing.catalogue import sync_models
from core.simulator.server import Simulator
from tests.bench.gateway.servers import _cpu_ticks, redis, upstream

ROOT = Path(__file__).parents[2]
MODEL = "claude-haiku-5-5"
WISHES = "delay=1000 pieces=5"
PATIENCE = 300.0
# The bounds: calls completed per second at 256 places in one process, how many of them are under way at once, its
# megabytes, and how many times better each is.
RATE, RUNNING, MEGABYTES, BETTER = 200.0, 240, 250.0, 10.0
# After so many calls a worker has what it needs; from then on it may grow by so many megabytes to the last of them.
SOON, GROWTH = 2000, 15


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    fill()
    with redis() as address, upstream() as port:
        settings.REDIS_URL = address
        for queue in settings.RQ_QUEUES.values():
            queue["URL"] = address
        environment = {"REDIS_URL": address, "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}"}
        ours = _measure(arguments.calls, 1, {**environment, "WORKER_CONCURRENCY": str(arguments.places)}, [])
        stock = _measure(4 * arguments.stock, arguments.stock, environment, ["--worker-class", "rq.Worker"])
    ours["in flight"], stock["in flight"] = arguments.places, arguments.stock
    for figures in (ours, stock):
        figures["megabytes per call in flight"] = round(figures["megabytes"] / figures["in flight"], 2)
    return {"one process": ours, "stock": stock}


def fill() -> None:
    with Simulator() as simulator:
        settings.ANTHROPIC_BASE_URL = simulator.url
        sync_models()
    prices.load(prices.pending_changes())
    person = User.objects.create_user("bench")
    Budget.objects.create(name="All", scope=Budget.Scope.ORGANISATION, amount=1_000_000, owner=person)
    assert ClaudeModel.objects.filter(pk=MODEL).exists()


def _measure(number: int, processes: int, environment: dict[str, str], options: list[str]) -> dict[str, Any]:
    began = timezone.now()
    asking = Asking(User.objects.get(username="bench"), None, Call.Door.API, Call.Lane.QUEUE)
    request = {
        "model": MODEL,
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hello"}],
        "metadata": {"user_id": WISHES},
    }
    for _ in range(number):
        accept_request(request, asking)
    calls = Call.objects.filter(created_at__gte=began)
    with worker_processes(processes, environment, options) as started:
        megabytes, early, running, deadline = 0.0, 0.0, [0], time.monotonic() + PATIENCE
        while (ended_by_now := calls.filter(status__in=Call.FINISHED).count()) < number and time.monotonic() < deadline:
            running.append(calls.filter(status=Call.Status.RUNNING).count())
            megabytes = max(megabytes, sum(map(_megabytes, _family(started))))
            early = early or (megabytes if ended_by_now >= SOON else 0.0)
            time.sleep(0.5)
        # Of the parents only, and with their start of about two seconds: for one process that is nearly all of it.
        seconds = sum(map(_cpu_ticks, started)) / os.sysconf("SC_CLK_TCK")
    ended = calls.filter(status=Call.Status.SUCCEEDED)
    span = calls.aggregate(first=Min("started_at"), last=Max("finished_at"))
    return {
        "calls": number,
        "processes": processes,
        "succeeded": ended.count(),
        "running": statistics.median(running),
        "running at most": max(running),
        "calls per second": round(number / (span["last"] - span["first"]).total_seconds(), 1),
        "megabytes": round(megabytes),
        f"megabytes after {SOON}": round(early),
        "processor ms per call": round(1000 * seconds / number, 1),
    }


@contextlib.contextmanager
def worker_processes(number: int, environment: dict[str, str], options: list[str]) -> Iterator[list[int]]:
    command = [sys.executable, "manage.py", "rqworker", "calls", "--verbosity", "0", *options]
    running = [subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}) for _ in range(number)]
    try:
        yield [process.pid for process in running]
    finally:
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _family(pids: list[int]) -> list[int]:
    """These processes and their children."""
    found = list(pids)
    for pid in pids:
        with contextlib.suppress(OSError):
            found += [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found


def _megabytes(pid: int) -> float:
    """What a process takes by itself: of pages that it shares, its part."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def as_table(figures: dict[str, Any]) -> str:
    names = (
        "in flight",
        "running",
        "running at most",
        "calls per second",
        "processor ms per call",
        "megabytes",
        "megabytes per call in flight",
    )
    head = f"| workers | {' | '.join(names)} |\n|---|{'---|' * len(names)}"
    rows = [
        f"| {kind} | {' | '.join(str(found[name]) for name in names)} |"
        for kind, found in figures.items()
        if kind in ROWS
    ]
    return "\n".join([head, *rows])


ROWS = ("one process", "stock")


def holds(figures: dict[str, Any]) -> bool:
    ours, stock = figures["one process"], figures["stock"]
    return bool(
        ours["succeeded"] == ours["calls"]
        and ours["calls per second"] >= RATE
        and ours["running at most"] >= RUNNING
        and ours["megabytes"] < MEGABYTES
        and ours["megabytes"] - ours[f"megabytes after {SOON}"] <= GROWTH
        and ours["calls per second"] >= BETTER * stock["calls per second"]
        and BETTER * ours["megabytes per call in flight"] <= stock["megabytes per call in flight"]
    )
