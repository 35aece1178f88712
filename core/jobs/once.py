"""How is a worker told that there is something to do, with one job in the queue however often it is told?"""

from __future__ import annotations

import django_rq
from django.conf import settings
from rq.utils import as_text

from core.hints.connection import quick_redis


def ask_once(queue_name: str, work: str, description: str, *, longest: int | None = None) -> None:
    """Put a job for this work into the queue, unless the last one still waits there: it will see what there is then.

    One that was taken already may have looked too early, so another one follows it. Of several who ask at the same
    moment each may put one. `longest` in seconds. Raises RedisError.
    """
    quick = quick_redis(settings.RQ_QUEUES[queue_name]["URL"], as_text=False)
    queue = django_rq.get_queue(queue_name, commit_mode="auto", connection=quick)
    key = f"claudeapp:asked:{work}"
    last = quick.get(key)
    if last is not None and queue.get_job_position(as_text(last)) is not None:
        return
    # It does not expire, for what is left of an expired job is its place in the queue.
    job = queue.enqueue(work, job_timeout=longest, result_ttl=20, description=description)
    quick.set(key, job.id)
