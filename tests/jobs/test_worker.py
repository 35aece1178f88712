"""Does one worker run many calls at once, people's before bulk, and does nothing but a signal end it?"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django_rq
import pytest
import redis
from django.db import IntegrityError, OperationalError, connection, connections
from django_rq.workers import get_worker
from pytest_django import Settings
from rq.executions import Execution
from rq.job import Job
from rq.worker import BaseWorker, WorkerStatus

from core.execution.lease import kept
from core.execution.recovery import hand_back, recover
from core.hints.connection import quick_redis
from core.hints.logs import Json
from core.intake.accept import accept
from core.jobs import calls
from core.jobs import worker as worker_module
from core.jobs.dispatch import BULK, dispatch_again, in_queue, queue
from core.jobs.once import MOST_KEPT
from core.jobs.regular import HOUSEKEEPING, RUN_DUE
from core.jobs.worker import CallWorker
from core.models import Call, CostRecord, FailedAttempt, Prompt, User
from core.simulator.server import Simulator
from tests.crash.test_killed_workers import address_of_the_tests_database, until

pytestmark = pytest.mark.django_db(transaction=True)

Ask = Callable[..., Call]


@pytest.fixture
def ask(prompt: Prompt, member: User, simulator: Simulator) -> Ask:
    simulator.state.clear()

    def make(directive: str = "", door: str = Call.Door.FORM) -> Call:
        assert prompt.published is not None
        inputs = {"document": f"{directive} A text.", "length": "short"}
        return accept(prompt.published, inputs, user=member, door=door)

    return make


def made() -> CallWorker:
    worker = get_worker("calls", "batches", "housekeeping")
    assert isinstance(worker, CallWorker)
    return worker


def run_all(worker: CallWorker | None = None, *, burst: bool = True) -> CallWorker:
    """What `manage.py rqworker calls batches housekeeping --burst` does, in this process."""
    worker = worker or made()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        worker.work(burst=burst, logging_level="WARNING")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return worker


@contextlib.contextmanager
def worker_process(**environment: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "rqworker", "calls", "batches", "housekeeping", "--verbosity", "0"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "DATABASE_URL": address_of_the_tests_database(), **environment},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def statuses() -> set[str]:
    return set(Call.objects.values_list("status", flat=True))


def test_many_calls_run_at_once(ask: Ask) -> None:
    for _ in range(12):
        ask("[[simulate: slow seconds=1]]")
    began = time.monotonic()

    worker = run_all()

    assert time.monotonic() - began < 6
    assert statuses() == {Call.Status.SUCCEEDED}
    assert CostRecord.objects.exclude(amount=None).count() == 12
    assert not in_queue()
    assert not worker.executions
    assert int(quick_redis().hget(worker.key, "successful_job_count") or 0) == 12


def test_no_more_than_it_may_run_at_once(ask: Ask, settings: Settings, simulator: Simulator) -> None:
    settings.WORKER_CONCURRENCY = 2
    for _ in range(4):
        ask("[[simulate: slow seconds=0.5]]")
    began = time.monotonic()

    run_all()

    assert time.monotonic() - began >= 1
    assert statuses() == {Call.Status.SUCCEEDED}


def test_people_go_before_bulk(ask: Ask, settings: Settings) -> None:
    settings.WORKER_CONCURRENCY = 1
    bulk = ask(door=Call.Door.BULK)
    quick_redis().flushall()
    dispatch_again(bulk)
    person = ask()
    assert len(queue(BULK)) == 1

    run_all()

    person.refresh_from_db()
    bulk.refresh_from_db()
    assert person.finished_at is not None
    assert bulk.started_at is not None
    assert person.finished_at <= bulk.started_at


def test_bulk_leaves_places_free_for_people(ask: Ask, settings: Settings) -> None:
    settings.WORKER_CONCURRENCY = 8
    worker, over = made(), threading.Event()
    for _ in range(6):
        worker._places.begin(lambda: over.wait(10))
    assert len(worker._taking._open_queues()) == 3

    worker._places.begin(lambda: over.wait(10))

    assert [each.name for each in worker._taking._open_queues()] == ["calls"]
    bulk = ask(door=Call.Door.BULK)
    quick_redis().flushall()
    dispatch_again(bulk)
    began = time.monotonic()
    assert worker._take(1, 5) == []
    assert time.monotonic() - began < 2, "it looks soon whether bulk has places again"
    over.set()
    until(lambda: worker._places.taken == 0, "free places")
    assert [job_id for _, job_id in worker._take(8, None)] == [f"call-{bulk.pk}"]
    worker._places.close()


def test_a_job_that_fails_ends_no_worker(ask: Ask) -> None:
    queue().enqueue("core.jobs.calls.run", "no-id")
    call = ask()

    worker = run_all()

    call.refresh_from_db()
    assert call.status == Call.Status.SUCCEEDED
    assert int(quick_redis().hget(worker.key, "failed_job_count") or 0) == 1


def refused_by_the_database() -> None:
    row = ["what", "somebody", "asked"]
    raise IntegrityError(f"a column must not be null\nDETAIL:  Failing row contains ({' '.join(row)}).")


def test_the_log_says_that_a_job_failed_and_not_what_was_in_its_row(caplog: pytest.LogCaptureFixture) -> None:
    queue().enqueue(f"{__name__}.refused_by_the_database")

    run_all()

    written = "\n".join(Json().format(record) for record in caplog.records)
    assert "a column must not be null" in written
    assert "what somebody asked" not in written


def test_what_is_no_name_of_a_job_at_all_ends_no_worker(ask: Ask) -> None:
    call = ask()
    queue().connection.lpush(queue().key, b"\xff\xfe")

    run_all()

    call.refresh_from_db()
    assert call.status == Call.Status.SUCCEEDED


def test_a_redis_that_goes_in_the_middle_of_the_beginning_ends_no_worker(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, worker = ask(), made()
    subscribe = worker.subscribe

    def once_away() -> None:
        monkeypatch.setattr(worker, "subscribe", subscribe)
        raise redis.ConnectionError("gone")

    monkeypatch.setattr(worker, "subscribe", once_away)

    run_all(worker)

    call.refresh_from_db()
    assert call.status == Call.Status.SUCCEEDED


def test_the_dashboard_sees_the_worker_and_what_it_runs(ask: Ask) -> None:
    call = ask("[[simulate: slow seconds=1.5]]")
    worker = made()
    seen: dict[str, object] = {}

    def look() -> None:
        until(lambda: worker.executions, "the job")
        worker._noted.write(lasting=0)
        worker._beat()
        (found,) = BaseWorker.all(connection=worker.connection)
        seen.update(state=found.get_state(), jobs=[each.job_id for each in found.get_current_executions()])
        quick_redis().delete(worker.key)
        worker._beat()
        seen["again"] = len(BaseWorker.all(connection=worker.connection))

    watcher = threading.Thread(target=look)
    watcher.start()
    run_all(worker)
    watcher.join()

    assert seen == {"state": WorkerStatus.BUSY, "jobs": [f"call-{call.pk}"], "again": 1}
    assert BaseWorker.all(connection=worker.connection) == []


def test_redis_hears_only_of_calls_that_last_and_keeps_nothing_of_them(ask: Ask) -> None:
    worker = made()
    short, long = worker._noted.begin(f"call-{ask().pk}", queue()), worker._noted.begin(f"call-{ask().pk}", queue())
    worker._noted.end(short, failed=False)

    worker._noted.write()

    assert worker._noted.shown() == []
    assert not quick_redis().exists(short.key, Job.key_for(short.job_id), long.key)

    long.created_at -= dt.timedelta(seconds=10)
    worker._noted.write()

    assert worker._noted.shown() == [long]
    assert quick_redis().exists(long.key)

    worker._noted.end(long, failed=True)
    worker._noted.write()

    assert not quick_redis().exists(long.key, long.worker_executions_key, Job.key_for(long.job_id))
    assert len(queue().started_job_registry) == 0


def test_a_job_that_ends_while_the_worker_gives_a_sign_of_life_disturbs_nobody() -> None:
    worker = made()

    class Ending(Execution):
        def __hash__(self) -> int:
            worker.executions.pop("other", None)
            return super().__hash__()

    for name, kind in (("ending", Ending), ("other", Execution), ("third", Execution)):
        worker.executions[name] = kind(name, "a-job", worker.connection, worker.name)

    assert [each.id for each in worker._noted.shown()] == ["ending", "other", "third"]


def test_what_redis_could_not_be_told_it_is_told_the_next_time(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = made()
    runs, ended = (worker._noted.begin(f"call-{ask().pk}", queue()) for _ in range(2))
    worker._noted.end(ended, failed=False)
    with monkeypatch.context() as away:
        away.setattr(worker, "connection", redis.Redis.from_url("redis://127.0.0.1:9/0"))
        with pytest.raises(redis.RedisError):
            worker._noted.write(lasting=0)
    assert worker._noted.shown() == []

    worker._noted.write(lasting=0)

    assert worker._noted.shown() == [runs]
    assert quick_redis().exists(runs.key)
    assert not quick_redis().exists(Job.key_for(ended.job_id))
    worker._noted.end(runs, failed=False)


def test_no_connection_and_no_thread_is_left(ask: Ask) -> None:
    for _ in range(3):
        ask()

    run_all()

    if connection.vendor == "postgresql":
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'")
            assert cursor.fetchone() == (0,)
    until(lambda: "place" not in [thread.name for thread in threading.enumerate()], "the threads to end")


def test_a_stop_lets_calls_end_and_hands_the_rest_back_at_once(ask: Ask) -> None:
    """Of three calls at work one ends in time; the others are taken over without waiting for their leases."""
    short = ask("[[simulate: slow seconds=2]]")
    long = ask("[[simulate: hang seconds=50 times=1]]")
    with worker_process(SHUTDOWN_GRACE="3", CALL_TIMEOUT="60") as process:
        until(lambda: Call.objects.exclude(sent_at=None).count() == 2, "both calls to be sent")
        process.terminate()
        assert process.wait(timeout=15) == 0
    short.refresh_from_db()
    assert short.status == Call.Status.SUCCEEDED
    long.refresh_from_db()
    assert (long.status, long.attempt) == (Call.Status.QUEUED, 1)
    assert CostRecord.objects.get(call=long).amount is None
    assert in_queue() == {f"call-{long.pk}"}

    run_all()

    long.refresh_from_db()
    assert (long.status, long.attempt) == (Call.Status.SUCCEEDED, 2)


def test_a_stop_that_is_noticed_late_lasts_no_longer(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis or database that does not answer keeps the main thread for seconds."""
    settings.SHUTDOWN_GRACE = 1
    worker, over, told = made(), threading.Event(), threading.Event()
    worker._places.begin(lambda: over.wait(20))

    def hangs(*_: object) -> list[Any]:
        os.kill(os.getpid(), signal.SIGTERM)
        told.wait(1.5)
        return []

    monkeypatch.setattr(worker, "_take", hangs)
    began = time.monotonic()

    run_all(worker, burst=False)

    assert time.monotonic() - began < 2.4
    over.set()


def test_a_stop_that_hangs_for_good_ends_the_process(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SHUTDOWN_GRACE = 0
    ended: list[int] = []
    worker = made()

    def end(status: int) -> None:
        ended.append(status)
        worker._left.set()

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(worker_module, "LEAVE", 0.1)
    monkeypatch.setattr(worker_module, "PAUSE", 0.02)
    watch = threading.Thread(target=worker._end_what_hangs)
    watch.start()
    assert not worker._left.wait(0.3), "nobody asked it to stop"

    worker._shutdown()
    watch.join(timeout=10)

    assert ended == [1]


def test_without_redis_what_is_handed_back_is_left_to_the_sweeper_all_at_once(
    ask: Ask, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A Redis that does not answer would keep a leaving worker for five seconds with each call."""
    claimed = [Call.objects.claim(ask().pk, dt.timedelta(seconds=30)) for _ in range(3)]
    worker, over = made(), threading.Event()
    worker._places.begin(lambda: over.wait(20))
    settings.RQ_QUEUES = {name: {**one, "URL": "redis://127.0.0.1:9/0"} for name, one in settings.RQ_QUEUES.items()}
    with contextlib.ExitStack() as held:
        for call in claimed:
            assert call is not None
            held.enter_context(kept(call))
        worker._leave()
    over.set()

    assert statuses() == {Call.Status.QUEUED}
    assert caplog.text.count("waits for the sweeper") == 1


def test_what_was_not_sent_is_handed_back_as_if_nobody_had_taken_it(ask: Ask) -> None:
    call = ask()
    claimed = Call.objects.claim(call.pk, dt.timedelta(seconds=30))
    assert claimed is not None

    assert claimed.hand_back()

    call.refresh_from_db()
    assert (call.status, call.lease_token) == (Call.Status.QUEUED, "")
    assert call.attempt == 0, "however often workers are stopped, it keeps its tries"
    assert not claimed.mark_sent("claude-haiku-5-5", "too late")
    assert claimed.hand_back() is False


def test_a_database_that_goes_between_a_claim_and_sending_costs_no_try_and_no_lease(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, simulator: Simulator
) -> None:
    call, mark_sent = ask(), Call.mark_sent

    def once_away(self: Call, *given: Any, **more: Any) -> bool:
        monkeypatch.setattr(Call, "mark_sent", mark_sent)
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(Call, "mark_sent", once_away)

    assert calls.run(str(call.pk)) == Call.Status.SUCCEEDED

    call.refresh_from_db()
    assert (call.attempt, call.cost) == (1, CostRecord.objects.get().amount)
    assert len(simulator.bill()["entries"]) == 1


def test_handed_back_between_two_tries_the_first_one_counts(ask: Ask) -> None:
    claimed = Call.objects.claim(ask().pk, dt.timedelta(seconds=30))
    assert claimed is not None
    FailedAttempt.objects.create(call=claimed, number=1, model="claude-haiku-5-5", error_type="overloaded_error")

    assert claimed.hand_back()

    claimed.refresh_from_db()
    assert (claimed.status, claimed.attempt) == (Call.Status.QUEUED, 1)


def test_while_the_database_is_away_a_worker_leaves_without_handing_back(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed = Call.objects.claim(ask().pk, dt.timedelta(seconds=30))
    assert claimed is not None
    with kept(claimed):
        connections.close_all()
        monkeypatch.setattr(connections["default"], "connect", _away)

        assert hand_back() == []
    monkeypatch.undo()


def _away() -> None:
    raise OperationalError("no server")


def test_what_was_sent_is_not_simply_handed_back(ask: Ask) -> None:
    claimed = Call.objects.claim(ask().pk, dt.timedelta(seconds=30))
    assert claimed is not None
    claimed.mark_sent("claude-haiku-5-5", "as the prompt says")

    assert not claimed.hand_back()


def test_the_clock_fills_no_queue_that_nobody_may_take_from() -> None:
    paused = django_rq.get_queue(HOUSEKEEPING)
    paused.connection.delete(paused.key)
    for _ in range(MOST_KEPT + 30):
        paused.push_job_id("expired")
    last = paused.enqueue(RUN_DUE)
    worker = made()

    worker.run_maintenance_tasks()

    assert paused.count == MOST_KEPT
    assert paused.job_ids[-1] == last.id


def test_what_is_sent_while_a_worker_hands_back_its_calls_has_an_unknown_cost(ask: Ask) -> None:
    """A worker that ends hands back hundreds, one after another; its threads do not stand still meanwhile."""
    claimed = Call.objects.claim(ask().pk, dt.timedelta(seconds=30))
    assert claimed is not None
    found_before = Call.objects.get(pk=claimed.pk)
    claimed.mark_sent("claude-haiku-5-5", "as the prompt says")

    assert not found_before.hand_back()
    assert found_before.abandon()
    assert recover(found_before) == Call.Status.QUEUED

    assert CostRecord.objects.get(call=claimed).amount is None
    assert FailedAttempt.objects.get(call=claimed).error_type == "worker_lost"
