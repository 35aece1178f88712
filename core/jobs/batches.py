"""How does the work on batches get to a worker?"""

from __future__ import annotations

import logging

import django_rq
from django.conf import settings
from django.utils import timezone
from redis.exceptions import RedisError

from core.hints.connection import quick_redis
from core.models import Batch, BatchPart

log = logging.getLogger(__name__)

BATCHES = "batches"
# A name and not the function: it belongs to a room above this one.
TEND = "core.batches.clock.tend"
# Seconds that one piece of work on batches may take: a hundred thousand results come and are booked in it.
LONGEST = 3600


def nudge() -> bool:
    """Let a worker look after the batches now; without Redis the clock does it a little later."""
    try:
        quick = quick_redis(settings.RQ_QUEUES[BATCHES]["URL"], as_text=False)
        queue = django_rq.get_queue(BATCHES, commit_mode="auto", connection=quick)
        queue.enqueue(TEND, job_timeout=LONGEST, ttl=60, result_ttl=20, description="look after the batches")
    except RedisError as error:
        log.warning("the batches wait for the clock: %s", error)
        return False
    return True


def nudge_if_due() -> str:
    """Let a worker look after the batches where there is something to do; started by the clock."""
    now = timezone.now()
    abandoned = Batch.objects.filter(status=Batch.Status.PREPARING, lease_until__lt=now)
    if BatchPart.objects.due(now).exists() or abandoned.exists():
        return "told a worker" if nudge() else "Redis is away"
    return "nothing to do"
