"""Does a clock that jumps end a call, or have it run twice? And what does the sweeper cost while nothing happens?"""

from __future__ import annotations

import datetime as dt
import threading
import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from core.execution.lease import kept, lease_time
from core.jobs.housekeeping import sweep_once
from core.jobs.sweeper import Steady, Sweeper, sweep
from core.models import Call, CostRecord, clock

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def running(db: None, settings: Settings) -> Call:
    """At work in a process that lives, and sent."""
    settings.CALL_LEASE = 3
    made = Call.objects.create(request={"model": "claude-haiku-5-5"})
    call = Call.objects.claim(made.pk, lease_time())
    assert call is not None
    call.mark_sent("claude-haiku-5-5", "as the prompt says")
    return call


def status(call: Call) -> str:
    call.refresh_from_db()
    return call.status


def wait_until_nothing_looks_lost() -> None:
    deadline = time.monotonic() + 10
    while Call.objects.lost().exists():
        assert time.monotonic() < deadline, "nobody renewed it"
        time.sleep(0.05)


class Clock:
    """One that jumps: every lease that was given looks older or younger by as much."""

    def __init__(self) -> None:
        self.ahead = dt.timedelta()

    def read(self) -> float:
        return time.time() + self.ahead.total_seconds()

    def jump(self, by: dt.timedelta, call: Call) -> None:
        self.ahead += by
        until = Call.objects.get(pk=call.pk).lease_until
        assert until is not None
        Call.objects.filter(pk=call.pk).update(lease_until=until - by)


def test_a_clock_put_forward_ends_no_call_whose_process_lives(running: Call) -> None:
    there = Clock()
    sweeper = Sweeper(threading.Event(), there.read)
    sweeper.round(time.monotonic())
    there.jump(HOUR, running)

    sweeper.round(time.monotonic())
    assert status(running) == Call.Status.RUNNING
    Call.objects.held({running.pk: running.lease_token}).renew(lease_time())
    time.sleep(1.6)
    sweeper.round(time.monotonic())

    assert status(running) == Call.Status.RUNNING
    assert not CostRecord.objects.exists()


def test_after_a_clock_was_put_forward_a_lost_call_is_still_found(running: Call) -> None:
    there = Clock()
    sweeper = Sweeper(threading.Event(), there.read)
    sweeper.round(time.monotonic())
    there.jump(HOUR, running)
    sweeper.round(time.monotonic())

    time.sleep(1.6)
    sweeper.round(time.monotonic())

    assert status(running) == Call.Status.QUEUED
    assert CostRecord.objects.unknown().count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("who", ["the regular task", "a worker that begins"])
def test_after_an_outage_nobody_who_did_not_watch_takes_a_call_whose_process_lives(running: Call, who: str) -> None:
    """Nobody could renew its lease while the database was away, or its clock jumped; its process will in a moment."""
    with kept(running):
        Clock().jump(HOUR, running)
        if who == "the regular task":
            assert sweep_once() == "0 taken from lost workers, 0 queued again"
        else:
            over = threading.Event()
            sweeper = Sweeper(over)
            sweeper.start()
            wait_until_nothing_looks_lost()
            over.set()
            sweeper.join()

    assert status(running) == Call.Status.RUNNING
    assert not CostRecord.objects.exists()


def test_the_regular_task_takes_a_call_whose_process_is_gone(running: Call) -> None:
    Clock().jump(HOUR, running)

    assert sweep_once() == "1 taken from lost workers, 0 queued again"


def test_a_clock_put_back_does_not_keep_a_lost_call_for_as_long(running: Call) -> None:
    """Its lease now ends in an hour; nobody leases for so long, so it is made a usual one, which its owner renews."""
    Clock().jump(-HOUR, running)
    assert sweep().recovered == 0
    running.refresh_from_db()
    assert running.lease_until is not None
    assert (running.lease_until - timezone.now()).total_seconds() < 3.1

    time.sleep(3.1)

    assert sweep().recovered == 1


def test_a_machine_whose_clock_is_wrong_takes_nobodys_calls(running: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database's clock says whose lease ran out, and until when one that is taken lasts."""
    right = timezone.now
    waiting = Call.objects.create(request={"model": "claude-haiku-5-5"})
    monkeypatch.setattr(timezone, "now", lambda: right() + HOUR)

    assert sweep().recovered == 0
    claimed = Call.objects.claim(waiting.pk, lease_time())
    Call.objects.held({running.pk: running.lease_token}).renew(lease_time())

    assert claimed is not None
    assert claimed.lease_until is not None
    for until in (claimed.lease_until, Call.objects.get(pk=running.pk).lease_until):
        assert until is not None
        assert abs((until - right()).total_seconds() - 3) < 2
    assert abs(clock.read() - time.time()) < 2


@pytest.mark.parametrize("begun", [True, False], ids=["refused by Claude", "run again at a pace"])
def test_a_clock_put_back_lets_no_call_wait_for_as_much_longer(db: None, begun: bool) -> None:
    """It was to wait for two seconds; by a clock that went an hour ahead then."""
    then = timezone.now() + HOUR
    until = then + dt.timedelta(seconds=2)
    call = Call.objects.create(
        status=Call.Status.WAITING,
        created_at=then,
        started_at=then if begun else None,
        not_before=until,
        dispatched_at=until,
    )

    for _ in range(2):
        sweep()
        call.refresh_from_db()
        assert (call.status, call.not_before) == (Call.Status.WAITING, call.dispatched_at)
        assert call.not_before is not None
        assert 0 < (call.not_before - timezone.now()).total_seconds() < 3


def test_what_waits_for_a_date_or_was_asked_just_now_waits_on(db: None) -> None:
    soon, tomorrow = timezone.now() + dt.timedelta(seconds=20), timezone.now() + 24 * HOUR
    parked = Call.objects.create(
        status=Call.Status.WAITING, parked=True, started_at=timezone.now() + HOUR, not_before=tomorrow
    )
    again = Call.objects.create(status=Call.Status.WAITING, started_at=soon, not_before=tomorrow)

    sweep()

    for call in (parked, again):
        call.refresh_from_db()
        assert call.not_before == tomorrow


def test_a_call_that_was_queued_before_the_clock_was_put_back_and_lost_is_found(db: None) -> None:
    Call.objects.create(dispatched_at=timezone.now() + HOUR)

    assert sweep().dispatched == 1


def test_a_worker_looks_at_once_when_its_clock_was_put_back(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    right = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: right() + HOUR)
    sweeper = Sweeper(threading.Event())
    began = time.monotonic()
    sweeper.round(began)
    until = timezone.now() + dt.timedelta(seconds=60)
    call = Call.objects.create(
        status=Call.Status.WAITING, started_at=timezone.now(), not_before=until, dispatched_at=until
    )
    monkeypatch.undo()

    sweeper.round(began + 1)

    call.refresh_from_db()
    assert call.not_before is not None
    assert (call.not_before - timezone.now()).total_seconds() < 61


@pytest.mark.django_db(transaction=True)
def test_a_clock_put_back_while_the_sweeper_waits_does_not_keep_it_from_looking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = timezone.now
    waits: list[float | None] = []

    class Over(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            monkeypatch.setattr(timezone, "now", right)
            return False

    monkeypatch.setattr(timezone, "now", lambda: right() + HOUR)
    for seconds in (0.8, 0.9):
        until = timezone.now() + dt.timedelta(seconds=seconds)
        Call.objects.create(status=Call.Status.WAITING, not_before=until, dispatched_at=until)

    Sweeper(Over()).round(time.monotonic())

    assert len(waits) == 1
    assert waits[0] is not None
    assert waits[0] < 1


def test_an_even_clock_is_trusted(settings: Settings) -> None:
    settings.CALL_LEASE = 3
    steady = Steady(time.time)
    assert [steady.look() for _ in range(3)] == [True] * 3


def test_the_sweeper_at_rest_asks_one_question_a_second(running: Call) -> None:
    Call.objects.create(status=Call.Status.SUCCEEDED)
    sweeper = Sweeper(threading.Event())
    began = time.monotonic()
    sweeper.round(began)
    rounds = 3
    sweeper._forgotten_at = began + rounds + 1
    with CaptureQueriesContext(connection) as queries:
        for second in range(1, 1 + rounds):
            sweeper.round(began + second)

    assert len(queries) == rounds


def test_that_question_is_answered_by_indexes(db: None) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # A table this small would be read whole; what matters is that it need not be.
            cursor.execute("SET LOCAL enable_seqscan = off")
        plan = Call.objects.to_sweep(timezone.now()).only("pk").explain()

    assert "call_lease" in plan
    assert "Seq Scan" not in plan
    assert "SCAN core_call" not in plan
