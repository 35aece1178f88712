"""How is a batch stopped?"""

from __future__ import annotations

from django.utils import timezone

from core.jobs.batches import nudge
from core.models import Batch, BatchPart


def cancel(batch: Batch) -> bool:
    """Stop what has not been worked on; False where it has ended or was told before.

    What was not sent ends at once without a cost; Claude is told about the rest, and bills what it has worked on.
    """
    if not batch.mark_canceling():
        return False
    working = BatchPart.objects.filter(batch=batch).exclude(state__in=BatchPart.OVER)
    working.update(next_at=timezone.now(), parked=False)
    nudge()
    return True
