"""How does the work stand right now? Numbers come from the database, so that a Redis that was lost tells nothing wrong.

Every question is answered by an index and counts to a limit, for it is asked each few seconds. What only Redis can
know (workers, what is left of rate limits, breakers) is None while it is away.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from core.costs.windows import untouched
from core.execution.headroom import Headroom, headroom
from core.jobs.dispatch import BULK, CALLS
from core.jobs.pausing import queue_names
from core.jobs.regular import HOUSEKEEPING
from core.jobs.workers import queued_jobs
from core.models import BatchPart, Budget, BudgetWindow, Call, ClaudeModel, PausedQueue, RegularTask
from core.models.calls import CallQuerySet
from core.reports.periods import Period
from core.reports.sums import Sums, total

# Beyond it nobody needs to know how many.
MOST_COUNTED = 100_000
MOST_BUDGETS = 50
# There may be one for each person; more are not looked at.
MOST_WINDOWS = 5000
# A queue whose oldest has waited so long, although it is not paused, wants somebody's attention.
LONG_WAIT = dt.timedelta(minutes=5)


@dataclass(frozen=True)
class QueueStand:
    """A queue: how many wait in it, since when the oldest, who paused it; `jobs` is what Redis holds."""

    name: str
    waiting: int
    oldest: dt.datetime | None
    pause: PausedQueue | None
    jobs: int | None

    @property
    def stuck(self) -> bool:
        return self.pause is None and self.oldest is not None and timezone.now() - self.oldest > LONG_WAIT


@dataclass(frozen=True)
class InFlight:
    model: str
    calls: int


@dataclass(frozen=True)
class Later:
    """Calls that wait for another try, those of them that Claude's spend limit holds, and the batches that it holds."""

    waiting: int
    parked: int
    batches: int


@dataclass(frozen=True)
class Spend:
    """Of today, in USD, and the budgets whose period it is, the fullest first."""

    today: Sums
    budgets: list[BudgetWindow]


def queues() -> list[QueueStand]:
    """All queues, with the pauses."""
    pauses = {row.name: row for row in PausedQueue.objects.select_related("by")}
    jobs = queued_jobs() or {}
    stands = []
    for name in queue_names():
        counted = [_counted(rows, *fields) for rows, fields in _WAITING[name]()]
        oldest = min((since for _, since in counted if since is not None), default=None)
        number = sum(number for number, _ in counted)
        stands.append(QueueStand(name, number, oldest, pauses.get(name), jobs.get(name)))
    return stands


def in_flight() -> list[InFlight]:
    """Calls at work now, by model; the most first. Those whose model is not chosen yet come under no name."""
    running = Call.objects.filter(status=Call.Status.RUNNING, lease_until__isnull=False).order_by()
    rows = running.values_list("model").annotate(number=Count("pk")).order_by("-number", "model")
    return [InFlight(model, number) for model, number in rows]


def later() -> Later:
    held = Call.objects.filter(status=Call.Status.WAITING, not_before__isnull=False).order_by()
    batches = BatchPart.objects.parked().aggregate(number=Count("batch", distinct=True))["number"]
    return Later(held[:MOST_COUNTED].count(), held.filter(parked=True)[:MOST_COUNTED].count(), batches)


def letters() -> tuple[int, dt.datetime | None]:
    """How many calls were given up and not dealt with, and since when the oldest."""
    return _counted(Call.objects.letters().order_by(), "dead_since")


def rate_limits() -> list[Headroom] | None:
    """What is left of Claude's rate limits, by model; None while Redis is away."""
    return headroom(ClaudeModel.objects.values_list("pk", flat=True))


def spend() -> Spend:
    day = timezone.localdate()
    windows = BudgetWindow.objects.filter(budget__active=True, first_day__lte=day).filter(
        Q(last_day__isnull=True) | Q(last_day__gte=day)
    )
    touched = list(windows.select_related("budget").order_by("-spent")[:MOST_WINDOWS])
    fullest = sorted([*touched, *untouched(_unspent(windows, day), day)], key=_share, reverse=True)
    return Spend(total(Period(day, day)), fullest[:MOST_BUDGETS])


def _unspent(windows: QuerySet[BudgetWindow], day: dt.date) -> QuerySet[Budget]:
    """The budgets of that day from which nobody has spent yet, so that they have no window; those of 0 USD are full."""
    present = Budget.objects.filter(Q(ends_on=None) | Q(ends_on__gte=day), active=True, starts_on__lte=day)
    return present.exclude(Exists(windows.filter(budget=OuterRef("pk")))).order_by("amount", "pk")[:MOST_BUDGETS]


def _share(window: BudgetWindow) -> Decimal:
    return window.spent / window.limit if window.limit else Decimal(1)


def _counted(rows: QuerySet[Any], *fields: str) -> tuple[int, dt.datetime | None]:
    """How many, and the earliest that any of these fields tells."""
    number = rows[:MOST_COUNTED].count()
    return number, min(filter(None, (_first(rows, field) for field in fields)), default=None) if number else None


def _first(rows: QuerySet[Any], field: str) -> dt.datetime | None:
    """In the order of an index, so that only one row is read."""
    return rows.filter(**{f"{field}__isnull": False}).order_by(field).values_list(field, flat=True).first()


def _calls(*, bulk: bool) -> CallQuerySet:
    queued = Call.objects.filter(status=Call.Status.QUEUED, lane=Call.Lane.QUEUE).order_by()
    return queued.of_bulk(bulk=bulk)


# What a call that was put into the queue again waited there before is not forgotten.
_SINCE = ("dispatched_at", "queued_since")

_WAITING: dict[str, Any] = {
    CALLS: lambda: [(_calls(bulk=False), _SINCE)],
    BULK: lambda: [(_calls(bulk=True), _SINCE), (BatchPart.objects.due(timezone.now()).order_by(), ("next_at",))],
    HOUSEKEEPING: lambda: [(RegularTask.objects.due(timezone.now()).order_by(), ("next_at",))],
}
