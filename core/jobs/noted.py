"""What does Redis know of the calls that a worker runs? As much as the queues' dashboard shows, told of many at once.

RQ notes the beginning and the end of each job by some thirty commands, and reads the job before; for a call that took
half of the processor time that the whole call took. What a call did is in the database, so here all that began and
ended within a moment is told in one round trip: only of calls that last a while that they run, and of a call that has
ended nothing is kept.
"""

from __future__ import annotations

import datetime as dt
import itertools
import threading
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import redis
from rq.executions import Execution, ExecutionRegistry
from rq.job import Job, JobStatus
from rq.queue import Queue
from rq.utils import now, utcformat
from rq.worker import BaseWorker

# Seconds for which a call runs before the dashboard hears of it; most have ended by then.
LASTING = 2.0


@dataclass
class _News:
    """What is still to be told."""

    begun: list[Execution] = field(default_factory=list)
    # Of those that were shown as running.
    over: list[Execution] = field(default_factory=list)
    # The keys of all jobs that ended.
    ended: list[str] = field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0


class Noted:
    """Of one worker, all of whose threads may tell; `write` is for one of them. `ttl` is in seconds."""

    def __init__(self, worker: BaseWorker, ttl: int) -> None:
        self._worker = worker
        self._ttl = ttl
        self._changing = threading.Lock()
        self._news = _News()
        # What runs and is not shown yet, with the names of its queues, the oldest first.
        self._unseen: dict[Execution, str] = {}

    def begin(self, job_id: str, queue: Queue) -> Execution:
        """This job was taken from the queue, and runs."""
        execution = Execution(uuid4().hex, job_id, self._worker.connection, self._worker.name)
        with self._changing:
            self._worker.executions[execution.id] = execution
            self._unseen[execution] = queue.name
        return execution

    def end(self, execution: Execution, *, failed: bool) -> None:
        with self._changing:
            self._worker.executions.pop(execution.id, None)
            if self._unseen.pop(execution, None) is None:
                self._news.over.append(execution)
            self._news.ended.append(self._worker.job_class.key_for(execution.job_id))
            self._news.failed += failed
            self._news.seconds += (now() - execution.created_at).total_seconds()

    def shown(self) -> list[Execution]:
        """What runs and was told of; its signs of life have to be renewed."""
        with self._changing:
            # Copied at once: jobs that are no calls come and go without being told here.
            return [each for each in list(self._worker.executions.values()) if each not in self._unseen]

    def write(self, lasting: float = LASTING) -> None:
        """Tell Redis in one round trip, of what runs as far as it has lasted so many seconds.

        Raises RedisError; then it is told the next time.
        """
        with self._changing:
            news, self._news = self._news, _News()
            news.begun = self._lasting(lasting)
        if not news.begun and not news.ended:
            return
        try:
            with self._worker.connection.pipeline(transaction=False) as pipe:
                self._tell(pipe, news)
                pipe.execute()
        except redis.RedisError:
            self._put_back(news)
            raise

    def _lasting(self, seconds: float) -> list[Execution]:
        since = now() - dt.timedelta(seconds=seconds)
        found = list(itertools.takewhile(lambda each: each.created_at <= since, self._unseen))
        for execution in found:
            # Known here, so that nobody reads it from Redis.
            execution._job = self._job(execution, self._unseen.pop(execution))
        return found

    def _job(self, execution: Execution, queue_name: str) -> Job:
        worker = self._worker
        job: Job = worker.job_class(execution.job_id, connection=worker.connection, serializer=worker.serializer)
        job.origin = queue_name
        return job

    def _put_back(self, news: _News) -> None:
        with self._changing:
            running = {each: each.job.origin for each in news.begun if each.id in self._worker.executions}
            self._unseen = {**running, **self._unseen}
            self._news.over[:0] = news.over
            self._news.ended[:0] = news.ended
            self._news.failed += news.failed
            self._news.seconds += news.seconds

    def _tell(self, pipe: redis.client.Pipeline, news: _News) -> None:
        for execution in news.begun:
            self._show(pipe, execution)
        for execution in news.over:
            execution.delete(execution.job, pipe)
        if news.ended:
            pipe.delete(*news.ended)
            pipe.hincrby(self._worker.key, "successful_job_count", len(news.ended) - news.failed)
            pipe.hincrby(self._worker.key, "failed_job_count", news.failed)
            self._worker.increment_total_working_time(dt.timedelta(seconds=news.seconds), pipe)

    def _show(self, pipe: redis.client.Pipeline, execution: Execution) -> None:
        job, since = execution.job, utcformat(execution.created_at)
        execution.save(self._ttl, pipe)
        ExecutionRegistry(job.id, pipe).add(execution, self._ttl, pipe)
        job.started_job_registry.add_execution(execution, pipeline=pipe, ttl=self._ttl)
        pipe.sadd(execution.worker_executions_key, execution.composite_key)
        beginning: dict[Any, Any] = {"status": JobStatus.STARTED, "worker_name": self._worker.name}
        pipe.hset(job.key, mapping={**beginning, "started_at": since, "last_heartbeat": since})
