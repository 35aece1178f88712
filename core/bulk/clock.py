"""What has to be done about tables and batches now? Run by a worker, as often and as many at once as one likes."""

from __future__ import annotations

from django.utils import timezone

from core.batches import clock
from core.bulk.runs import forget_old, look_after
from core.bulk.telling import tell_people
from core.models import BulkRun

AT_ONCE = 20


def tend() -> str:
    """Read and start tables, look after the batches, and tell of what has ended; answers what it came to."""
    for run in BulkRun.objects.due(timezone.now()).light().order_by("touched_at")[:AT_ONCE]:
        look_after(run)
    count = clock.tend()
    tell_people()
    forget_old()
    return f"{count} parts of batches looked after"
