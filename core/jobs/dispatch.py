"""How does a call get to a worker?"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterable
from functools import lru_cache

import django_rq
from django.conf import settings
from redis.exceptions import RedisError
from rq import Queue

from core.hints.connection import quick_redis
from core.models import Call

log = logging.getLogger(__name__)

# What people wait for, and what runs beside it: a worker takes from its queues in their order.
CALLS, BULK = "calls", "batches"
# A name and not the function: whoever enqueues need not import what runs.
RUN = "core.jobs.calls.run"
# What the names of such jobs begin with: who reads the name need not read the job.
_NAME = "call-"


def queue(name: str = CALLS) -> Queue:
    return _queue_of(os.getpid(), name, settings.RQ_QUEUES[name]["URL"])


@lru_cache(maxsize=16)
def _queue_of(_pid: int, name: str, url: str) -> Queue:
    """Kept, for making one takes longer than using it."""
    # The caller has committed already, so nothing is left to wait for, and a form waits for this.
    return django_rq.get_queue(name, commit_mode="auto", connection=quick_redis(url, as_text=False))


def queue_of(call: Call) -> str:
    return BULK if call.door == Call.Door.BULK else CALLS


def dispatch(call_id: uuid.UUID, queue_name: str = CALLS, *, at_front: bool = False) -> bool:
    """Put a committed call into the queue. Without Redis the call stays queued in the database for the sweeper."""
    job = {"job_id": job_id_of(call_id), "description": f"call {call_id}", "at_front": at_front}
    try:
        queue(queue_name).enqueue(RUN, str(call_id), **job)
    except RedisError as error:
        log.warning("call %s waits for the sweeper: %s", call_id, error)
        return False
    return True


def dispatch_again(call: Call, *, at_front: bool = False) -> bool:
    """Put a call whose row says that it is queued into its queue; before all others where it has had its wait."""
    return dispatch(call.pk, queue_of(call), at_front=at_front)


def release(parked: Iterable[Call]) -> int:
    """Start calls that a spend limit holds; answers how many."""
    released = [call for call in parked if call.release()]
    for call in released:
        if not dispatch_again(call):
            break
    return len(released)


def in_queue() -> set[str]:
    """The ids of the jobs that the queues hold now. Raises RedisError."""
    return {job_id for name in (CALLS, BULK) for job_id in queue(name).job_ids}


def job_id_of(call_id: uuid.UUID) -> str:
    return f"{_NAME}{call_id}"


def call_of(job_id: str) -> str:
    """The id of the call that a job of this name is to run; empty where it is another job."""
    return job_id.removeprefix(_NAME) if job_id.startswith(_NAME) else ""
