"""How do single calls that may wait become a batch? Their routes said «send as batch»; each has its reservation."""

from __future__ import annotations

import logging
import uuid

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from core.batches.bodies import Filling, encoded
from core.models import Batch, BatchPart, BatchRow, Call

log = logging.getLogger(__name__)

# In one transaction, which holds these calls while it lasts.
MOST_TOGETHER = 2000
READ_AT_ONCE = 10
TITLE = "Single requests"


def gather() -> int:
    """Let those that wait go together, where the first has waited long enough or there are many; answers how many."""
    gathered = 0
    while _ready() and (count := _gathered()):
        gathered += count
    return gathered


def _ready() -> bool:
    waiting = Call.objects.joining().order_by()
    most = settings.BATCH_WAIT_CALLS
    return waiting.filter(not_before__lte=timezone.now()).exists() or waiting[most - 1 : most].exists()


@transaction.atomic
def _gathered() -> int:
    """One batch of them, started at once: what is reserved for each stays, and more than a batch can cost."""
    waiting = Call.objects.joining().order_by("not_before", "pk").select_for_update(no_key=True)
    calls = list(waiting.values_list("pk", flat=True)[:MOST_TOGETHER])
    if not calls:
        return 0
    sizes = _sizes(calls)
    now = timezone.now()
    batch = Batch.objects.create(
        door=Call.Door.FORM, title=TITLE, rows=len(calls), status=Batch.Status.SUBMITTING, started_at=now
    )
    BatchRow.objects.bulk_create(
        BatchRow(call_id=call, batch=batch, position=position, custom_id=f"call-{position}", size=sizes[call])
        for position, call in enumerate(calls)
    )
    BatchPart.objects.bulk_create(_parts(batch, [sizes[call] for call in calls]))
    Call.objects.filter(pk__in=calls).update(status=Call.Status.QUEUED, not_before=None)
    log.info("%s single calls go together as batch %s", len(calls), batch.public_id)
    return len(calls)


def _sizes(calls: list[uuid.UUID]) -> dict[uuid.UUID, int]:
    """The bytes of what each of these sends, of which a few are held at once."""
    found = Call.objects.filter(pk__in=calls).order_by().values_list("pk", "request")
    return {pk: len(encoded(request).encode()) for pk, request in found.iterator(chunk_size=READ_AT_ONCE)}


def _parts(batch: Batch, sizes: list[int]) -> list[BatchPart]:
    parts: list[BatchPart] = []
    filling = Filling()
    for position, size in enumerate(sizes):
        if not parts or not filling.fits(size):
            parts.append(BatchPart(batch=batch, number=len(parts) + 1, first=position, beyond=position))
            filling = Filling()
        filling.add(size)
        parts[-1].beyond = position + 1
    return parts
