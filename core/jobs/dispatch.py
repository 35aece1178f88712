"""How does a call get to a worker?"""

from __future__ import annotations

import logging
import uuid

import django_rq
from django.conf import settings
from redis.exceptions import RedisError
from rq import Queue

from core.hints.connection import quick_redis

log = logging.getLogger(__name__)

CALLS = "calls"
# A name and not the function: whoever enqueues need not import what runs.
RUN = "core.jobs.calls.run"


def queue() -> Queue:
    # The caller has committed already, so nothing is left to wait for, and a form waits for this.
    quick = quick_redis(settings.RQ_QUEUES[CALLS]["URL"], as_text=False)
    return django_rq.get_queue(CALLS, commit_mode="auto", connection=quick)


def dispatch(call_id: uuid.UUID) -> bool:
    """Put a committed call into the queue. Without Redis the call stays queued in the database for the sweeper."""
    try:
        queue().enqueue(RUN, str(call_id), job_id=job_id_of(call_id), description=f"call {call_id}")
    except RedisError as error:
        log.warning("call %s waits for the sweeper: %s", call_id, error)
        return False
    return True


def in_queue() -> set[str]:
    """The ids of the jobs that the queue holds now. Raises RedisError."""
    return set(queue().job_ids)


def job_id_of(call_id: uuid.UUID) -> str:
    return f"call-{call_id}"
