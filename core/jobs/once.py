"""How is a worker told that there is something to do, with one job in the queue however often it is told?"""

from __future__ import annotations

import django_rq
from django.conf import settings
from rq import Queue
from rq.utils import as_text

from core.hints.connection import quick_redis

# Of one work's jobs; as all say the same, one would do.
MOST_KEPT = 20


def ask_once(queue_name: str, work: str, description: str, *, longest: int | None = None) -> None:
    """Put a job for this work into the queue, unless the last one still waits there: it will see what there is then.

    One that was taken already may have looked too early, so another one follows it. Of several who ask at the same
    moment each may put one. `longest` in seconds. Raises RedisError.
    """
    queue = _queue(queue_name)
    quick, key = queue.connection, f"claudeapp:asked:{work}"
    last = quick.get(key)
    if last is not None and queue.get_job_position(as_text(last)) is not None:
        return
    # It does not expire, for what is left of an expired job is its place in the queue.
    job = queue.enqueue(work, job_timeout=longest, result_ttl=20, description=description)
    quick.set(key, job.id)


def keep_few(queue_name: str) -> None:
    """Leave the newest jobs of a queue whose jobs are all for the same work: the clock fills it while it is paused.

    Raises RedisError.
    """
    queue = _queue(queue_name)
    queue.connection.ltrim(queue.key, -MOST_KEPT, -1)


def _queue(name: str) -> Queue:
    quick = quick_redis(settings.RQ_QUEUES[name]["URL"], as_text=False)
    return django_rq.get_queue(name, commit_mode="auto", connection=quick)
