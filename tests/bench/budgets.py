"""What do budgets add to a call, and how many settlements a second does one bear?

Timed is, first, the CPU time of this process in `budgets.reserve` and in `budgets.settle`, each inside an open
transaction: what budgets add to a call. Second, how long 64 threads take to settle calls that are answered already: for
each call one whole transaction as `execution` ends a call (the call's last state, its record, its reservation, the row
of the one budget that all share, commit), and giving the connection back, of which a process has ten. Making, reserving
and claiming these calls is not timed. One process settles them, and then as many as the machine has processors, which
share out the threads. PostgreSQL writes each commit to the disk, as in production, and runs on the same processors.
"""

from __future__ import annotations

import argparse
import datetime as dt
import multiprocessing
import os
import statistics
import threading
import time
import uuid
from decimal import Decimal
from typing import Any

from django.db import connection, connections, transaction

THREADS = 64
PROCESSES = os.cpu_count() or 1
EACH = 20
CALLS = 400
# The figures to be held: milliseconds of CPU for each call, settlements a second.
MOST_CPU_MS, LEAST_PER_SECOND = 2.0, 300
REQUEST = {
    "model": "bench",
    "max_tokens": 1000,
    "messages": [{"role": "user", "content": "A text of some words. " * 40}],
}
USAGE = {"input_tokens": 250, "output_tokens": 300, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures; Django is set up and the database is empty."""
    _make_book()
    cpu = {str(number): _cpu(number) for number in (0, 1, 3)}
    _make_budgets(0)
    without = _per_second([_settle_by_threads(THREADS)])
    _make_budgets(1)
    one_process = _per_second([_settle_by_threads(THREADS)])
    together = _per_second(_settle_by_processes())
    return {
        "cpu_ms_per_call": cpu,
        "settlements_per_second": {
            f"{THREADS} threads in one process, without a budget": without,
            f"{THREADS} threads in one process, one budget": one_process,
            f"{THREADS} threads in {PROCESSES} processes, one budget": together,
        },
        "ratios": {
            "cpu of one budget to the allowed": round(cpu["1"]["both"] / MOST_CPU_MS, 2),
            "settlements with one budget for all to those without": round(one_process / without, 2),
            "settlements to the needed": round(together / LEAST_PER_SECOND, 2),
        },
    }


def holds(figures: dict[str, Any]) -> bool:
    """Whether the figures that were asked for are reached."""
    ratios = figures["ratios"]
    return bool(ratios["settlements to the needed"] >= 1 and ratios["cpu of one budget to the allowed"] <= 1)


def as_table(figures: dict[str, Any]) -> str:
    """The figures in Markdown."""
    lines = [
        figures["machine"]["database"],
        "",
        "| budgets of a call | reserving | settling | both |",
        "|---|---:|---:|---:|",
    ]
    for number, cpu in figures["cpu_ms_per_call"].items():
        lines.append(f"| {number} | {cpu['reserve']} ms | {cpu['settle']} ms | {cpu['both']} ms |")
    lines += ["", "| calls settled by | a second |", "|---|---:|"]
    lines += [f"| {how} | {rate} |" for how, rate in figures["settlements_per_second"].items()]
    return "\n".join(lines)


def _make_book() -> None:
    from core.models import ClaudeModel, Price, User

    User.objects.create(username="bench")
    model = ClaudeModel.objects.create(pk="bench", display_name="Bench", max_input_tokens=200_000)
    rates = dict.fromkeys(("input", "output", "cache_read", "cache_write_5m", "cache_write_1h"), Decimal(1))
    now = dt.datetime.now(dt.UTC)
    Price.objects.create(model=model, valid_from=now.date() - dt.timedelta(days=9), approved_at=now, **rates)


def _make_budgets(number: int) -> None:
    from core.models import Budget, Reservation, User

    user = User.objects.get()
    Reservation.objects.all().delete()
    Budget.objects.all().delete()
    scopes: list[dict[str, Any]] = [{"scope": "organisation"}, {"scope": "user", "user": user}]
    for count in range(number):
        scope = scopes[min(count, 1)]
        Budget.objects.create(name=f"{count}", amount=Decimal(100_000), owner=user, **scope)


def _cpu(number: int) -> dict[str, float]:
    """Milliseconds of this process's CPU in the median call, for reserving and for settling."""
    from core.costs import budgets

    _make_budgets(number)
    reserving, settling = [], []
    for _ in range(CALLS):
        call = _call()
        with transaction.atomic():
            began = time.thread_time()
            budgets.reserve(call)
            reserving.append(time.thread_time() - began)
        _finish(call)
        with transaction.atomic():
            began = time.thread_time()
            budgets.settle(call.pk)
            settling.append(time.thread_time() - began)
    reserve, settle = (statistics.median(times) * 1000 for times in (reserving, settling))
    return {"reserve": round(reserve, 2), "settle": round(settle, 2), "both": round(reserve + settle, 2)}


def _call() -> Any:
    from core.models import Call, User

    return Call.objects.create(user=User.objects.get(), lane="sync", request=REQUEST, model="bench")


def _finish(call: Any) -> None:
    """As a settlement leaves the call before its budgets' turn."""
    from core.costs.ledger import Exchange, book
    from core.models import Call

    book(call, Exchange(model="bench", request_id=f"req_{uuid.uuid4()}", raw_usage=USAGE, complete=True))
    Call.objects.filter(pk=call.pk).update(status="succeeded")


def _accepted(number: int) -> list[Any]:
    """Calls at work, each with its reservation."""
    from core.costs import budgets
    from core.models import Call

    calls = []
    for _ in range(number):
        with transaction.atomic():
            call = _call()
            budgets.reserve(call)
        claimed = Call.objects.claim(call.pk, dt.timedelta(hours=1))
        calls.append(claimed)
    return calls


def _settle(call: Any) -> None:
    """As `execution` ends a call, whole: its answer, its record, its budget."""
    from core.costs.answered import Answered, settle
    from core.costs.ledger import Exchange

    request_id = f"req_{uuid.uuid4()}"
    exchange = Exchange(model="bench", request_id=request_id, raw_usage=USAGE, complete=True)
    answer = {"text": "Done.", "content": [], "stop_reason": "end_turn", "model": "bench", "request_id": request_id}
    assert settle(Answered(call, exchange, answer))


def _succeeded(calls: list[Any]) -> int:
    from core.models import Call

    return Call.objects.filter(pk__in=[call.pk for call in calls], status="succeeded").count()


# How many calls were settled, and from when to when by the machine's own clock.
Stretch = tuple[int, float, float]


def _per_second(stretches: list[Stretch]) -> float:
    settled = sum(number for number, _, _ in stretches)
    return round(settled / (max(ended for _, _, ended in stretches) - min(began for _, began, _ in stretches)))


def _settle_by_threads(threads: int, start: Any = None) -> Stretch:
    """Settle calls in so many threads of this process at once."""
    shares = [_accepted(EACH) for _ in range(threads)]
    together = threading.Barrier(threads + 1)

    def work(calls: list[Any]) -> None:
        together.wait()
        for call in calls:
            _settle(call)
            # As after each request and each job: there are fewer connections than threads.
            connection.close()

    workers = [threading.Thread(target=work, args=(calls,)) for calls in shares]
    for worker in workers:
        worker.start()
    if start is not None:
        start.wait()
    together.wait()
    began = time.monotonic()
    for worker in workers:
        worker.join()
    ended = time.monotonic()
    settled = _succeeded([call for share in shares for call in share])
    assert settled == threads * EACH, f"{settled} calls were settled"
    return settled, began, ended


def _process(threads: int, start: Any, stretches: Any) -> None:
    stretches.put(_settle_by_threads(threads, start))


def _settle_by_processes() -> list[Stretch]:
    """Settle calls in as many processes as there are processors, with all threads together."""
    for each in connections.all(initialized_only=True):
        each.close()
        if hasattr(each, "close_pool"):
            each.close_pool()
    context = multiprocessing.get_context("fork")
    start, stretches = context.Barrier(PROCESSES), context.SimpleQueue()
    shares = [THREADS // PROCESSES + (number < THREADS % PROCESSES) for number in range(PROCESSES)]
    workers = [context.Process(target=_process, args=(threads, start, stretches)) for threads in shares]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [stretches.get() for _ in workers]
