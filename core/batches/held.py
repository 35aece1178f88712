"""What does Claude's spend limit hold of the batches, and how does that go on sooner?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from core.jobs import dispatch
from core.jobs.batches import nudge
from core.models import Batch, BatchPart, BatchRow, Call


def held_until(batch: Batch) -> dt.datetime | None:
    """When the first goes on by itself that the limit holds of it; None where it holds nothing."""
    until: dt.datetime | None = Batch.objects.with_held_until().get(pk=batch.pk).held_until  # type: ignore[attr-defined]
    return until


def row_held_until(call: Call) -> dt.datetime | None:
    """The same of the part that a call goes with; None where it goes with none."""
    row = BatchRow.objects.filter(call=call).only("batch_id", "position").first()
    if row is None:
        return None
    parts = BatchPart.objects.parked().filter(batch_id=row.batch_id, first__lte=row.position, beyond__gt=row.position)
    return parts.values_list("next_at", flat=True).first()


def release(batches: Iterable[Batch]) -> int:
    """Let go on now what a spend limit holds of these; answers of how many batches it held anything."""
    released = [batch for batch in batches if _release(batch)]
    if not all(batch.live for batch in released):
        nudge()
    return len(released)


def _release(batch: Batch) -> int:
    if batch.live:
        return dispatch.release(Call.objects.parked().filter(batch_row__batch=batch))
    return BatchPart.objects.filter(batch=batch).release()
