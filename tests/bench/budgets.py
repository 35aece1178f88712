"""What do budgets add to a call, and how many settlements a second does one bear? `python -m tests.bench.budgets`."""

from __future__ import annotations

import datetime as dt
import json
import multiprocessing
import statistics
import sys
import threading
import time
import uuid
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import connection, connections, transaction

THREADS = 64
PROCESSES = 4
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


def run() -> dict[str, Any]:
    """All figures; Django is set up and the database is empty."""
    _make_book()
    cpu = {f"{number} budgets": _cpu(number) for number in (0, 1, 3)}
    _make_budgets(0)
    without = _settlements_by_threads(THREADS)
    _make_budgets(1)
    one_process = _settlements_by_threads(THREADS)
    together = _settlements_by_processes()
    return {
        "cpu_ms_per_call": cpu,
        "settlements_per_second": {
            f"{THREADS} threads in one process, without a budget": without,
            f"{THREADS} threads in one process": one_process,
            f"{PROCESSES} processes of {THREADS // PROCESSES} threads": together,
        },
        "ratios": {
            "cpu of one budget to the allowed": round(cpu["1 budgets"]["both"] / MOST_CPU_MS, 2),
            "settlements with one budget for all to those without": round(one_process / without, 2),
            "settlements to the needed": round(max(one_process, together) / LEAST_PER_SECOND, 2),
        },
    }


def holds(figures: dict[str, Any]) -> bool:
    """Whether the figures that were asked for are reached."""
    ratios = figures["ratios"]
    return bool(ratios["settlements to the needed"] >= 1 and ratios["cpu of one budget to the allowed"] <= 1)


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
    from core.costs.ledger import Exchange, settle

    request_id = f"req_{uuid.uuid4()}"
    exchange = Exchange(model="bench", request_id=request_id, raw_usage=USAGE, complete=True)
    end = partial(call.succeed, text="Done.", content=[], stop_reason="end_turn", model="bench", request_id=request_id)
    settle(call, exchange, end)


def _settlements_by_threads(threads: int, start: Any = None) -> float:
    """Settlements a second of so many threads at once in this process."""
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
    return round(threads * EACH / (time.monotonic() - began))


def _process(start: Any, rates: Any) -> None:
    rates.put(_settlements_by_threads(THREADS // PROCESSES, start))


def _settlements_by_processes() -> float:
    for each in connections.all(initialized_only=True):
        each.close()
        if hasattr(each, "close_pool"):
            each.close_pool()
    context = multiprocessing.get_context("fork")
    start, rates = context.Barrier(PROCESSES), context.SimpleQueue()
    workers = [context.Process(target=_process, args=(start, rates)) for _ in range(PROCESSES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return float(sum(rates.get() for _ in workers))


def main() -> None:
    from tests.bench.__main__ import _database, _machine, _set_up

    kind = "sqlite" if "--sqlite" in sys.argv else "postgres"
    with _database(kind) as address:
        _set_up(address)
        figures = {"benchmark": "budgets", **run(), "machine": _machine()}
    print(json.dumps(figures, indent=2))  # noqa: T201 - this is a program
    sys.exit(0 if holds(figures) else 1)


if __name__ == "__main__":
    main()
