"""Which workers are there? Redis knows, and each of them tells it again every few seconds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.utils import timezone
from redis.exceptions import RedisError
from rq.utils import as_text, utcparse
from rq.worker_registration import REDIS_WORKER_KEYS

from core.hints.connection import quick_redis

# Seconds without a sign of life after which a worker does not count any more; it gives one every five.
SILENT = 30
_FIELDS = ("hostname", "pid", "queues", "state", "birth", "last_heartbeat")


@dataclass(frozen=True)
class WorkerStand:
    host: str
    pid: str
    queues: list[str]
    state: str
    since: dt.datetime | None
    heard: dt.datetime


def workers_alive() -> list[WorkerStand] | None:
    """All workers that gave a sign of life lately; None while Redis is away."""
    url = settings.RQ_QUEUES["calls"]["URL"]
    try:
        server = quick_redis(url, as_text=False)
        keys = sorted(as_text(key) for key in server.smembers(REDIS_WORKER_KEYS))
        with server.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hmget(key, _FIELDS)
            found = [_stand([as_text(value) if value else "" for value in row]) for row in pipe.execute()]
    except RedisError:
        return None
    oldest = timezone.now() - dt.timedelta(seconds=SILENT)
    return [worker for worker in found if worker is not None and worker.heard > oldest]


def serving(workers: Iterable[WorkerStand]) -> dict[str, int]:
    """How many of these workers take from each queue; a queue that nobody serves is there with 0."""
    taken = [name for worker in workers for name in set(worker.queues)]
    return {name: taken.count(name) for name in settings.RQ_QUEUES}


def queued_jobs() -> dict[str, int] | None:
    """How many jobs Redis holds for each queue, as a hint beside what the database says; None while it is away."""
    names = list(settings.RQ_QUEUES)
    try:
        with quick_redis(settings.RQ_QUEUES["calls"]["URL"]).pipeline(transaction=False) as pipe:
            for name in names:
                pipe.llen(f"rq:queue:{name}")
            return dict(zip(names, pipe.execute(), strict=True))
    except RedisError:
        return None


def _stand(values: list[str]) -> WorkerStand | None:
    host, pid, queues, state, birth, heard = values
    if not heard:
        return None
    since = utcparse(birth) if birth else None
    return WorkerStand(host, pid, queues.split(","), state, since, utcparse(heard))
