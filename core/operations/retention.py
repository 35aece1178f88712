"""When are the contents of old calls removed, and what stays of them?

What was asked and answered goes, with what Claude said of it; who asked when, by which prompt, of which model, how it
ended and what it cost stays, so that reports and budgets are the same before and after.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from core.jobs.regular import known
from core.models import Batch, BatchRow, BulkRun, Call, FailedAttempt, RegularTask, SkippedLine

log = logging.getLogger(__name__)

TASK = "retention"
# Calls of one transaction.
CHUNK = 500


def prune_daily() -> str:
    """What the clock runs: nothing where contents are kept for ever."""
    days = settings.RESULT_RETENTION_DAYS
    if not days:
        return "contents are kept for ever (RESULT_RETENTION_DAYS)"
    return f"emptied calls older than {days} days: {prune(days)}"


def prune(days: int) -> int:
    """Remove the contents of all calls that have ended and were asked more than `days` days ago; answers how many.

    May be stopped and run again at any moment: each chunk is a transaction of its own.
    """
    cutoff = timezone.now() - dt.timedelta(days=days)
    begin = known()[TASK].reached
    # What has not ended is looked at again the next time; also what ends while the others are emptied.
    unfinished = _asked(begin, cutoff).exclude(status__in=Call.FINISHED).order_by("created_at")
    reached = unfinished.values_list("created_at", flat=True).first() or cutoff
    number, since = 0, begin
    while chunk := list(_old(since, cutoff).values_list("pk", "created_at")[:CHUNK]):
        _empty([pk for pk, _ in chunk])
        number, since = number + len(chunk), chunk[-1][1]
    _empty_tables(cutoff)
    RegularTask.objects.filter(pk=TASK).update(reached=reached)
    return number


def count_old(days: int) -> int:
    """How many calls `prune` would empty."""
    return _old(known()[TASK].reached, timezone.now() - dt.timedelta(days=days)).count()


def _asked(since: dt.datetime | None, until: dt.datetime) -> QuerySet[Call]:
    asked = Call.objects.filter(created_at__lt=until)
    return asked if since is None else asked.filter(created_at__gte=since)


def _old(since: dt.datetime | None, until: dt.datetime) -> QuerySet[Call]:
    ended = _asked(since, until).filter(status__in=Call.FINISHED, pruned_at=None, demo=False)
    return ended.order_by("created_at")


def _empty(calls: Sequence[UUID]) -> None:
    with transaction.atomic():
        Call.objects.filter(pk__in=calls).empty()
        FailedAttempt.objects.filter(call__in=calls).exclude(error_message="").update(error_message="")
        BatchRow.objects.filter(pk__in=calls).update(cells=None, body="", result=None)


def _empty_tables(cutoff: dt.datetime) -> None:
    """What was kept of tables besides their rows: skipped lines, faults, samples."""
    with transaction.atomic():
        skipped = SkippedLine.objects.filter(batch__created_at__lt=cutoff, batch__status__in=Batch.OVER)
        skipped.exclude(fault="").update(cells=[], fault="")
        runs = BulkRun.objects.filter(created_at__lt=cutoff, batch__status__in=Batch.OVER).exclude(samples=[])
        runs.update(faults=[], samples=[])
