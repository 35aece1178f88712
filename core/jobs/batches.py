"""How does the work on batches get to a worker?"""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from redis.exceptions import RedisError

from core.jobs.once import ask_once
from core.models import Batch, BatchPart, BulkRun, Call

log = logging.getLogger(__name__)

BATCHES = "batches"
# A name and not the function: it belongs to a room above this one.
TEND = "core.bulk.clock.tend"
# Seconds that one piece of work on batches may take: a hundred thousand results come and are booked in it.
LONGEST = 3600


def nudge() -> bool:
    """Let a worker look after the batches now; without Redis the clock does it a little later."""
    try:
        ask_once(BATCHES, TEND, "look after the batches", longest=LONGEST)
    except RedisError as error:
        log.warning("the batches wait for the clock: %s", error)
        return False
    return True


def nudge_if_due() -> str:
    """Let a worker look after the batches where there is something to do; started by the clock."""
    now = timezone.now()
    waiting: list[QuerySet[Any]] = [
        BatchPart.objects.due(now),
        Call.objects.joining().filter(not_before__lte=now),
        Call.objects.joining().order_by()[settings.BATCH_WAIT_CALLS - 1 : settings.BATCH_WAIT_CALLS],
        BulkRun.objects.due(now),
        Batch.objects.abandoned(now),
        Batch.objects.live(),
        Batch.objects.untold(now),
        BulkRun.objects.forgotten(now),
    ]
    if any(found.exists() for found in waiting):
        return "told a worker" if nudge() else "Redis is away"
    return "nothing to do"
