"""What does Redis know of the calls that a worker runs? As much as the queues' dashboard shows, told of many at once.

RQ notes the beginning and the end of each job by some thirty commands, and reads the job before; for a call that took
half of the processor time that the whole call took. What a call did is in the database, so here all that began and
ended within a moment is told in one round trip, and of a call that has ended nothing is kept.
"""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import redis
from rq.executions import Execution, ExecutionRegistry
from rq.job import JobStatus
from rq.queue import Queue
from rq.utils import now, utcformat
from rq.worker import BaseWorker


@dataclass
class _News:
    """What is still to be told."""

    begun: list[Execution] = field(default_factory=list)
    ended: list[Execution] = field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0


class Noted:
    """Of one worker, all of whose threads may tell; `write` is for one of them. `ttl` is in seconds."""

    def __init__(self, worker: BaseWorker, ttl: int) -> None:
        self._worker = worker
        self._ttl = ttl
        self._changing = threading.Lock()
        self._news = _News()

    def begin(self, job_id: str, queue: Queue) -> Execution:
        """This job was taken from the queue, and runs."""
        worker = self._worker
        job = worker.job_class(job_id, connection=worker.connection, serializer=worker.serializer)
        job.origin = queue.name
        execution = Execution(uuid4().hex, job_id, worker.connection, worker.name)
        # Known here, so that nobody reads it from Redis.
        execution._job = job
        with self._changing:
            worker.executions[execution.id] = execution
            self._news.begun.append(execution)
        return execution

    def end(self, execution: Execution, *, failed: bool) -> None:
        with self._changing:
            self._worker.executions.pop(execution.id, None)
            self._news.ended.append(execution)
            self._news.failed += failed
            self._news.seconds += (now() - execution.created_at).total_seconds()

    def write(self) -> None:
        """Tell Redis in one round trip. Raises RedisError; then it is told the next time."""
        with self._changing:
            news, self._news = self._news, _News()
        if not news.begun and not news.ended:
            return
        try:
            with self._worker.connection.pipeline(transaction=False) as pipe:
                self._tell(pipe, news)
                pipe.execute()
        except redis.RedisError:
            self._put_back(news)
            raise

    def _put_back(self, news: _News) -> None:
        with self._changing:
            self._news.begun[:0] = news.begun
            self._news.ended[:0] = news.ended
            self._news.failed += news.failed
            self._news.seconds += news.seconds

    def _tell(self, pipe: redis.client.Pipeline, news: _News) -> None:
        over = {execution.id for execution in news.ended}
        for execution in news.begun:
            # What began and ended within a moment was never seen.
            if execution.id not in over:
                self._show(pipe, execution)
        shown = over - {execution.id for execution in news.begun}
        for execution in news.ended:
            pipe.delete(execution.job.key)
            if execution.id in shown:
                execution.delete(execution.job, pipe)
        if news.ended:
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
