"""Which work comes again and again, when is it due, and how does each run once at a time only?

RQ's clock asks every few seconds, by `run_due`; what is due the database says. So a task that was missed because the
clock stood still is made up for, and of two clocks or workers one gets the task: it has a lease, renewed while it runs.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from django.db import Error, connection
from django.utils import timezone
from django.utils.module_loading import import_string
from redis.exceptions import RedisError

from core.hints.logs import first_words
from core.jobs.once import ask_once
from core.models import RegularTask

log = logging.getLogger(__name__)

HOUSEKEEPING = "housekeeping"
RUN_DUE = "core.jobs.regular.run_due"
LEASE = dt.timedelta(seconds=30)
DAY = dt.timedelta(days=1)
# After failures the waits are doubled up to this.
LONGEST_WAIT = {True: dt.timedelta(hours=2), False: dt.timedelta(minutes=5)}


class When(Protocol):
    daily: bool

    def after(self, now: dt.datetime) -> dt.datetime:
        """The next time after now."""


@dataclass(frozen=True)
class Each:
    seconds: int
    daily = False

    def after(self, now: dt.datetime) -> dt.datetime:
        return now + dt.timedelta(seconds=self.seconds)

    def __str__(self) -> str:
        return f"each {self.seconds} s"


@dataclass(frozen=True)
class Daily:
    """In the installation's time zone."""

    hour: int
    minute: int
    daily = True

    def after(self, now: dt.datetime) -> dt.datetime:
        local = timezone.localtime(now)
        today = local.replace(hour=self.hour, minute=self.minute, second=0, microsecond=0)
        return today if today > local else today + DAY

    def __str__(self) -> str:
        return f"daily at {self.hour:02}:{self.minute:02}"


@dataclass(frozen=True)
class Task:
    """A piece of work: a function that answers in words what it did, by its name, for some belong to rooms above."""

    label: str
    work: str
    when: When

    @property
    def grace(self) -> dt.timedelta:
        """How long after its time it counts as late."""
        return dt.timedelta(minutes=15) if self.when.daily else dt.timedelta(minutes=2)

    @property
    def forgiven(self) -> int:
        """So many failures in a row say nothing yet."""
        return 0 if self.when.daily else 2

    def wait_after(self, failures: int) -> dt.timedelta:
        first = dt.timedelta(minutes=10 if self.when.daily else 0, seconds=0 if self.when.daily else 10)
        return min(LONGEST_WAIT[self.when.daily], first * 2.0 ** min(failures, 10))


TASKS: Mapping[str, Task] = {
    "rollups": Task("Sums for reports", "core.jobs.housekeeping.roll_up_costs", Each(10)),
    "batches": Task("Batches that are due", "core.jobs.batches.nudge_if_due", Each(5)),
    # It runs in every worker, each second; this is for an installation whose workers are all down.
    "sweep": Task("Lost and forgotten calls", "core.jobs.housekeeping.sweep_once", Each(60)),
    "alarms": Task("Telling people of trouble", "core.jobs.alarms.look_out", Each(60)),
    "retention": Task("Removing old contents", "core.operations.retention.prune_daily", Daily(3, 37)),
    "chats": Task("Old and deleted chats", "core.chat.ending.tidy", Each(600)),
    "catalogue": Task("Models and prices", "core.jobs.housekeeping.sync_catalogue", Daily(4, 17)),
    # Late enough that the provider has most of yesterday, whose end is midnight UTC.
    "reconciliation": Task("Comparing with Claude's report", "core.jobs.housekeeping.reconcile_days", Daily(6, 41)),
}


def run_due() -> str:
    """Run what is due and nobody runs; answers in words what was run."""
    rows, now = known(), timezone.now()
    if any(row.lease_until and row.lease_until > now + 2 * LEASE for row in rows.values()):
        RegularTask.objects.shorten(LEASE)
    due = list(RegularTask.objects.due(now).order_by("next_at").values_list("pk", flat=True))
    ran = [name for name in due if name in TASKS and run(name)]
    return f"ran {', '.join(ran)}" if ran else "nothing is due"


def run(name: str) -> bool:
    """Run one task that is due; False where it is not, or somebody else runs it."""
    row = RegularTask.objects.claim(name, LEASE)
    if row is None:
        return False
    task, began = TASKS[name], time.monotonic()
    result = error = ""
    with _kept(row):
        try:
            result = str(import_string(task.work)())
        except Exception as caught:
            log.exception("the regular task %s", name)
            # It goes by e-mail, and to a page whose readers may not read everybody's calls.
            error = f"{type(caught).__name__}: {first_words(str(caught))}"
    now = timezone.now()
    next_at = now + task.wait_after(row.failures) if error else task.when.after(now)
    return row.end(time.monotonic() - began, next_at, result=result, error=error)


def run_now(name: str) -> bool:
    """Let a task run as soon as somebody can; False where it runs already."""
    made_due = RegularTask.objects.filter(pk=name, lease_until=None).update(next_at=timezone.now())
    ask_for_a_round()
    return bool(made_due)


def ask_for_a_round() -> None:
    """Have what is due run now, and not only at the clock's next tick."""
    try:
        ask_once(HOUSEKEEPING, RUN_DUE, "run what is due")
    except RedisError as error:
        log.warning("regular work waits for the clock: %s", error)


def known() -> dict[str, RegularTask]:
    """The rows of all tasks; those that are new are due at their next time, or at once where it comes often."""
    rows, now = {row.name: row for row in RegularTask.objects.all() if row.name in TASKS}, timezone.now()
    for row in rows.values():
        _bring_back(row, now)
    if len(rows) == len(TASKS):
        return rows
    fresh = [
        RegularTask(name=name, since=now, next_at=task.when.after(now))
        for name, task in TASKS.items()
        if name not in rows
    ]
    RegularTask.objects.bulk_create(fresh, ignore_conflicts=True)
    return {row.name: row for row in RegularTask.objects.filter(pk__in=TASKS)}


def _bring_back(row: RegularTask, now: dt.datetime) -> None:
    """A clock that went too far ahead and was put right leaves a task due on a day that nobody waits for."""
    when = TASKS[row.name].when
    if row.next_at > max(when.after(now), now + LONGEST_WAIT[when.daily]) + dt.timedelta(minutes=1):
        RegularTask.objects.filter(pk=row.pk, next_at=row.next_at).update(next_at=now)
        row.next_at = now


@contextlib.contextmanager
def _kept(row: RegularTask) -> Iterator[None]:
    """Renew the lease of a task until the block ends."""
    over = threading.Event()
    thread = threading.Thread(target=_keep, args=(row, over), name=f"lease of {row.name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _keep(row: RegularTask, over: threading.Event) -> None:
    while not over.wait(LEASE.total_seconds() / 3):
        try:
            row.renew(LEASE)
        except Error:
            log.exception("could not renew the lease of the regular task %s", row.name)
        finally:
            connection.close()
