"""How far is a batch whose calls are answered at once, and how does it end? Its calls run like any other's."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Count

from core.batches.ending import sum_up
from core.costs import budgets
from core.models import Batch, Call

# A person waits for these, and other people's calls wait behind them.
MOST_ROWS = 1000


def tend_live() -> int:
    """Cancel what was told to stop, and end what has ended; answers how many batches were looked at."""
    batches = list(Batch.objects.live())
    for batch in batches:
        if batch.status == Batch.Status.CANCELING:
            _cancel(batch)
        end_if_over(batch)
    return len(batches)


def counts_of(batch: Batch) -> dict[str, int]:
    """How many of its calls have each status now."""
    calls = Call.objects.filter(batch_row__batch=batch).order_by()
    return dict(calls.values_list("status").annotate(Count("pk")))


def end_if_over(batch: Batch) -> bool:
    """End a live batch of which no call is under way; counting again what somebody else ended changes nothing."""
    counts = counts_of(batch)
    ended = {
        "succeeded": counts.get(Call.Status.SUCCEEDED, 0),
        "errored": counts.get(Call.Status.FAILED, 0) + counts.get(Call.Status.DEAD, 0),
        "canceled": counts.get(Call.Status.CANCELED, 0),
    }
    if sum(ended.values()) < batch.rows:
        return False
    with transaction.atomic():
        # Nobody is to see it as ended without what it cost.
        if not batch.mark_live_ended(**ended):
            return False
        sum_up(batch)
    return True


def _cancel(batch: Batch) -> None:
    """Take back what has not been sent; what is at work is written to its end and paid for."""
    for call in Call.objects.filter(batch_row__batch=batch, status__in=Call.UNSENT).only("pk", "status"):
        budgets.cancel(call)
