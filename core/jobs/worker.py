"""How does one process run many calls at once? An RQ worker whose jobs are threads instead of forked processes.

A call waits for Claude nearly all of its time, so threads share what is dear: the SDK, its connections, the leases'
renewer. The database says what is to be done; Redis only says it sooner. So nothing here ends the worker but a signal:
while Redis or the database is away it waits.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import redis
from django.conf import settings
from django.db import connections
from rq import worker_registration
from rq.job import Job
from rq.job_lifecycle import call_exception_handlers
from rq.queue import Queue
from rq.timeouts import BaseDeathPenalty
from rq.worker import BaseWorker, WorkerStatus

from core.claude import client
from core.execution.recovery import hand_back
from core.jobs import calls
from core.jobs.alarms import Lookout
from core.jobs.dispatch import call_of, dispatch_again
from core.jobs.noted import Noted
from core.jobs.once import keep_few
from core.jobs.places import Places
from core.jobs.regular import HOUSEKEEPING
from core.jobs.sweeper import Sweeper
from core.jobs.taking import Taking
from core.live.outbox import outbox

log = logging.getLogger(__name__)

# Seconds between two signs of life, and after how many the dashboard takes a worker for dead.
BEAT = 5.0
TTL = 30
# Seconds until Redis is told which calls began and ended.
NOTE = 0.25
# Seconds until places that became free are filled, all of them at once.
GATHER = 0.01
# Seconds that a pop blocks; that an absent Redis is left alone, and that an answer of Redis may take.
POP = 1
PAUSE = 1.0
ANSWER = 10
# Seconds that handing back and taking leave may last before the process ends without; a thousand calls take half of it.
LEAVE = 30.0


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
        # A job that is no call notes its beginning and end, and redis-py's limit of 100 is an error and no queue.
        self.connection.connection_pool.max_connections = 2 * settings.WORKER_CONCURRENCY + 20
        self._places = Places(settings.WORKER_CONCURRENCY)
        self._noted = Noted(self, self.get_heartbeat_ttl(self.job_class("any", connection=self.connection)))
        # When it was asked to stop, and by when what runs has to have ended.
        self._asked_at, self._end_by = 0.0, math.inf
        self._over, self._left = threading.Event(), threading.Event()
        self._taking = Taking(self.connection, self.queues, self._places)
        self._clean_from = time.monotonic() + 2 * BEAT

    def work(self, burst: bool = False, max_jobs: int | None = None, **options: Any) -> bool:  # type: ignore[override]
        """Run jobs until a signal, or with `burst` until there are none. Answers whether there were any."""
        # 1.3 s now, instead of for the first call.
        client.preload()
        self._install_signal_handlers()  # type: ignore[no-untyped-call]
        self._patiently(lambda: self.bootstrap(options.get("logging_level")))
        self._in_background(self._keep_beating)
        self._in_background(self._end_what_hangs)
        if not burst:
            Sweeper(self._over).start()
            Lookout(self._over).start()
        try:
            started = self._run_until_stopped(burst, max_jobs)
            if not burst:
                self._end_by = min(self._end_by, time.monotonic() + settings.SHUTDOWN_GRACE)
            self._drain()
        finally:
            try:
                self._leave()
            finally:
                self._left.set()
        return bool(started)

    # --- taking and running jobs ---

    def _run_until_stopped(self, burst: bool, max_jobs: int | None) -> int:
        started = 0
        while not self._stop_requested and (max_jobs is None or started < max_jobs):
            room = self._places.free if max_jobs is None else min(self._places.free, max_jobs - started)
            taken = self._take(room, None if burst else POP) if room > 0 else []
            for queue, job_id in taken:
                self._start(queue, job_id)
            started += len(taken)
            if burst and not taken and not self._places.taken:
                break
            if room <= 0 or (burst and not taken):
                time.sleep(GATHER)
        return started

    def _take(self, room: int, timeout: int | None) -> list[tuple[Queue, str]]:
        taken: list[tuple[Queue, str]] = []
        try:
            self._taking.take(taken, room, timeout)
        except redis.RedisError as error:
            self._redis_is_away(error)
        # What was popped until then is in no queue any more.
        return taken

    def _start(self, queue: Queue, job_id: str) -> None:
        call_id = call_of(job_id)
        self._places.begin(
            partial(self._run_call, queue, job_id, call_id) if call_id else partial(self._run_other, queue, job_id)
        )

    def _run_call(self, queue: Queue, job_id: str, call_id: str) -> None:
        """The job's name says it all, so that Redis need not be asked."""
        execution = self._noted.begin(job_id, queue)
        failed = True
        try:
            calls.run(call_id)
            failed = False
        except Exception:
            # The sweeper recovers what was begun; RQ's list of failed jobs would not hold more than this.
            log.exception("call %s", call_id)
        finally:
            self._noted.end(execution, failed=failed)
            connections.close_all()

    def _run_other(self, queue: Queue, job_id: str) -> None:
        """A job as RQ knows it; one that cannot be read is not of this project's making."""
        try:
            found = self.queue_class._fetch_dequeued_job(
                self.connection, queue.key, job_id, job_class=self.job_class, serializer=self.serializer
            )
            if found:
                job, its_queue = found
                self.perform_job(job, its_queue, self.prepare_execution(job))
        except redis.RedisError as error:
            # What it did is in the database.
            log.warning("Redis does not know how job %s ended: %s", job_id, error)
        finally:
            for execution in [each for each in list(self.executions.values()) if each.job_id == job_id]:
                self.executions.pop(execution.id, None)
            connections.close_all()

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """RQ would write all that an error says, and a database's says what is in the row that it refuses."""
        log.error("job %s failed", job.id, exc_info=exc_info)
        call_exception_handlers(self._exc_handlers, job, *exc_info)

    def procline(self, message: str) -> None:
        pass

    # --- signs of life ---

    def _keep_beating(self) -> None:
        beat_at = time.monotonic() + BEAT
        while not self._over.wait(NOTE):
            try:
                self._noted.write()
                if time.monotonic() < beat_at:
                    continue
                beat_at = time.monotonic() + BEAT
                self._beat()
                if time.monotonic() > self._clean_from and self.should_run_maintenance_tasks:
                    self.run_maintenance_tasks()
            except redis.RedisError as error:
                self._redis_is_away(error)
            except Exception:
                log.exception("the worker's sign of life")

    def run_maintenance_tasks(self) -> None:
        super().run_maintenance_tasks()  # type: ignore[no-untyped-call]
        keep_few(HOUSEKEEPING)

    def _beat(self) -> None:
        """One round trip for the worker and all that it runs."""
        with self.connection.pipeline(transaction=False) as pipe:
            self.heartbeat(TTL + 60, pipeline=pipe)
            for execution in self._noted.shown():
                job = execution.job
                execution.heartbeat(job.started_job_registry, self.get_heartbeat_ttl(job), pipeline=pipe)
            self.set_state(WorkerStatus.BUSY if self.executions else WorkerStatus.IDLE, pipeline=pipe)
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

    def register_birth(self) -> None:
        """Where Redis went in the middle of the beginning, the worker that it knows by this name is this one."""
        if self.birth_date is not None:
            self.connection.delete(self.key)
        super().register_birth()  # type: ignore[no-untyped-call]

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
        self._end_by = self._asked_at + settings.SHUTDOWN_GRACE

    def request_force_stop(self, *_: object) -> None:
        """The second one: hand back at once what is under way. A terminal may send the first one twice."""
        if time.monotonic() - self._asked_at > 1:
            self._end_by = time.monotonic()

    def _drain(self) -> None:
        """Let what runs end; from a signal on, however late it was noticed, for `SHUTDOWN_GRACE` seconds."""
        while self._places.taken and time.monotonic() < self._end_by:
            time.sleep(0.02)

    def _end_what_hangs(self) -> None:
        """A database that neither answers nor refuses keeps the main thread for as long; its leases then run out."""
        while not self._left.wait(PAUSE):
            if time.monotonic() > self._end_by + LEAVE:
                log.error("the worker ends in the middle of its leave: the database or Redis does not answer")
                os._exit(1)

    def _leave(self) -> None:
        self._over.set()
        if self._places.taken:
            for call in hand_back():
                if not dispatch_again(call):
                    # Each would wait for Redis again; the sweeper sees them all.
                    break
        self._places.close()
        outbox().flush()
        try:
            self._noted.write()
            self.teardown()  # type: ignore[no-untyped-call]
        except redis.RedisError as error:
            log.warning("the worker leaves without a word to Redis: %s", error)
        connections.close_all()

    def _in_background(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name=work.__name__, daemon=True).start()
