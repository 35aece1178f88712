"""What does Claude's spend limit hold of the batches, and how does that go on sooner?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.db.models import Min

from core.jobs.batches import nudge
from core.models import Batch, BatchPart, BatchRow, Call


def held_until(batch: Batch) -> dt.datetime | None:
    """When the first of its parts, or of its calls where it is live, goes on by itself that a spend limit holds.

    None where it holds none.
    """
    if batch.live:
        held = Call.objects.parked().filter(batch_row__batch=batch).aggregate(until=Min("not_before"))
    else:
        held = BatchPart.objects.parked().filter(batch=batch).aggregate(until=Min("next_at"))
    until: dt.datetime | None = held["until"]
    return until


def row_held_until(call: Call) -> dt.datetime | None:
    """The same of the part that a call goes with; None where it goes with none."""
    row = BatchRow.objects.filter(call=call).only("batch_id", "position").first()
    if row is None:
        return None
    parts = BatchPart.objects.parked().filter(batch_id=row.batch_id, first__lte=row.position, beyond__gt=row.position)
    return parts.values_list("next_at", flat=True).first()


def release(batches: Iterable[Batch]) -> int:
    """Let the parts of these that a spend limit holds be sent now; answers how many batches had any."""
    released = sum(bool(BatchPart.objects.filter(batch=batch).release()) for batch in batches)
    if released:
        nudge()
    return released
