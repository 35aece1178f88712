"""How does one process run many calls at once? An RQ worker whose jobs are threads instead of forked processes.

A call waits for Claude nearly all of its time, so threads share what is dear: the SDK, its connections, the leases'
renewer. The database says what is to be done; Redis only says it sooner. So nothing here ends the worker but a signal:
while Redis or the database is away it waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import redis
from django.conf import settings
from django.db import connections
from rq import worker_registration
from rq.exceptions import DequeueTimeout
from rq.job import Job
from rq.queue import Queue
from rq.suspension import is_suspended
from rq.timeouts import BaseDeathPenalty
from rq.utils import as_text
from rq.worker import BaseWorker, WorkerStatus

from core.claude import client
from core.execution.recovery import hand_back
from core.jobs.alarms import Lookout
from core.jobs.dispatch import dispatch_again
from core.jobs.sweeper import Sweeper

log = logging.getLogger(__name__)

# Seconds between two signs of life, and after how many the dashboard takes a worker for dead.
BEAT = 5.0
TTL = 30
# Seconds that a pop blocks, that an absent Redis is left alone, and that an answer of Redis may take.
POP = 1
PAUSE = 1.0
ANSWER = 10


class Unhurried(BaseDeathPenalty):
    """Nothing can end a thread from outside; what ends a call are the time-outs of its connection to Claude."""

    def setup_death_penalty(self) -> None:
        pass

    def cancel_death_penalty(self) -> None:
        pass


class CallWorker(BaseWorker):
    """Runs `WORKER_CONCURRENCY` jobs at once, those of its first queue before all others."""

    death_penalty_class = Unhurried
    log_result_lifespan = False
    log_job_description = False
    connection_timeout = ANSWER

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "worker_ttl": TTL, "job_monitoring_interval": TTL})
        # Each job notes its beginning and end, and redis-py's limit of 100 is an error and no queue.
        self.connection.connection_pool.max_connections = 2 * settings.WORKER_CONCURRENCY + 20
        self._running: set[threading.Thread] = set()
        self._cold, self._asked_at = False, 0.0
        self._over = threading.Event()
        self._looked_at = 0.0
        self._clean_from = time.monotonic() + 2 * BEAT

    def work(self, burst: bool = False, max_jobs: int | None = None, **options: Any) -> bool:  # type: ignore[override]
        """Run jobs until a signal, or with `burst` until there are none. Answers whether there were any."""
        # 1.3 s now, instead of for the first call.
        client.preload()
        self._install_signal_handlers()  # type: ignore[no-untyped-call]
        self._patiently(lambda: self.bootstrap(options.get("logging_level")))
        self._in_background(self._keep_beating)
        if not burst:
            Sweeper(self._over).start()
            Lookout(self._over).start()
        try:
            started = self._run_until_stopped(burst, max_jobs)
            self._drain(None if burst and not self._stop_requested else settings.SHUTDOWN_GRACE)
        finally:
            self._leave()
        return bool(started)

    # --- taking and running jobs ---

    def _run_until_stopped(self, burst: bool, max_jobs: int | None) -> int:
        started = 0
        while not self._stop_requested and (max_jobs is None or started < max_jobs):
            taken = self._take(None if burst else POP) if self._free() else None
            if taken:
                started += 1
                self._start(*taken)
            elif burst and not self._running:
                break
            elif burst or not self._free():
                time.sleep(0.01)
        return started

    def _free(self) -> int:
        return int(settings.WORKER_CONCURRENCY) - len(self._running)

    def _open_queues(self) -> list[Queue]:
        """Every queue; only the first for the last eighth of the places, so that bulk does not keep people waiting."""
        scarce = self._free() <= settings.WORKER_CONCURRENCY // 8
        return self.queues[:1] if scarce else self.queues

    def _take(self, timeout: int | None) -> tuple[Job, Queue] | None:
        try:
            if self._suspended():
                time.sleep(PAUSE)
                return None
            popped = self.queue_class.lpop([q.key for q in self._open_queues()], timeout, connection=self.connection)
            if popped is None:
                return None
            key, job_id = map(as_text, popped)
            found = self.queue_class._fetch_dequeued_job(
                self.connection, key, job_id, job_class=self.job_class, serializer=self.serializer
            )
            return found or None
        except DequeueTimeout:
            return None
        except redis.RedisError as error:
            self._redis_is_away(error)
        except Exception:
            # A job that cannot be read is not of this project's making.
            log.exception("a job could not be read")
        return None

    def _suspended(self) -> bool:
        """Whether somebody stopped all workers; looked at once a second."""
        if time.monotonic() - self._looked_at < PAUSE:
            return False
        suspended = bool(is_suspended(self.connection))
        if not suspended:
            self._looked_at = time.monotonic()
        return suspended

    def _start(self, job: Job, queue: Queue) -> None:
        thread = threading.Thread(target=self._run, args=(job, queue), name=job.id, daemon=True)
        self._running.add(thread)
        thread.start()

    def _run(self, job: Job, queue: Queue) -> None:
        try:
            self.perform_job(job, queue, self.prepare_execution(job))
        except redis.RedisError as error:
            # What a call did is in the database; if it did not even begin, the sweeper finds it.
            log.warning("Redis does not know how job %s ended: %s", job.id, error)
        except Exception:
            log.exception("job %s", job.id)
        finally:
            for execution in [each for each in list(self.executions.values()) if each.job_id == job.id]:
                self.executions.pop(execution.id, None)
            connections.close_all()
            self._running.discard(threading.current_thread())

    def procline(self, message: str) -> None:
        pass

    # --- signs of life ---

    def _keep_beating(self) -> None:
        while not self._over.wait(BEAT):
            try:
                self._beat()
                if time.monotonic() > self._clean_from and self.should_run_maintenance_tasks:
                    self.run_maintenance_tasks()  # type: ignore[no-untyped-call]
            except redis.RedisError as error:
                self._redis_is_away(error)
            except Exception:
                log.exception("the worker's sign of life")

    def _beat(self) -> None:
        """One round trip for the worker and all that it runs."""
        executions = list(self.executions.values())
        with self.connection.pipeline(transaction=False) as pipe:
            self.heartbeat(TTL + 60, pipeline=pipe)
            for execution in executions:
                job = execution.job
                execution.heartbeat(job.started_job_registry, self.get_heartbeat_ttl(job), pipeline=pipe)
            self.set_state(WorkerStatus.BUSY if executions else WorkerStatus.IDLE, pipeline=pipe)
            forgotten = pipe.execute()[0] == 1
            if forgotten:
                # A Redis that lost its data does not know this worker any more.
                pipe.hset(self.key, mapping=self.serialize())
                worker_registration.register(self, pipe)
                pipe.execute()

    def _redis_is_away(self, error: redis.RedisError) -> None:
        # After an outage every running job looks abandoned until its next sign of life.
        self._clean_from = time.monotonic() + 2 * BEAT
        log.warning("the worker waits for Redis: %s", error)
        time.sleep(PAUSE)

    def _patiently(self, step: Callable[[], object]) -> None:
        while not self._stop_requested:
            try:
                step()
                return
            except redis.RedisError as error:
                self._redis_is_away(error)

    def _set_ip_address(self, connection: redis.Redis) -> None:
        try:
            super()._set_ip_address(connection)
        except redis.RedisError:
            self.ip_address = "unknown"

    def _pubsub_exception_handler(self, exc: Exception, *_: object) -> None:
        if not isinstance(exc, redis.RedisError):
            raise exc
        time.sleep(PAUSE)

    # --- stopping ---

    def _shutdown(self) -> None:
        """Called by the first SIGTERM or SIGINT, wherever the main thread is: it may only leave a note."""
        self._stop_requested, self._asked_at = True, time.monotonic()

    def request_force_stop(self, *_: object) -> None:
        """The second one: hand back at once what is under way. A terminal may send the first one twice."""
        self._cold = time.monotonic() - self._asked_at > 1

    def _drain(self, grace: float | None) -> None:
        """Let what runs end, within `grace` seconds."""
        deadline = None if grace is None else time.monotonic() + grace
        while self._running and not self._cold and (deadline is None or time.monotonic() < deadline):
            time.sleep(0.02)
            if deadline is None and self._stop_requested:
                deadline = time.monotonic() + settings.SHUTDOWN_GRACE

    def _leave(self) -> None:
        self._over.set()
        if self._running:
            for call in hand_back():
                dispatch_again(call)
        try:
            self.teardown()  # type: ignore[no-untyped-call]
        except redis.RedisError as error:
            log.warning("the worker leaves without a word to Redis: %s", error)
        connections.close_all()

    def _in_background(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name=work.__name__, daemon=True).start()
