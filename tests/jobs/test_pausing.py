"""Does a paused queue stay paused, whatever happens to Redis and workers, and do the others go on?"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import OperationalError

from core.hints.connection import quick_redis
from core.intake.accept import accept
from core.jobs import pausing
from core.jobs.dispatch import dispatch_again, in_queue
from core.jobs.pausing import Pauses, pause, resume
from core.models import Call, Prompt, User
from core.simulator.server import Simulator
from tests.jobs.test_worker import run_all

Ask = Callable[..., Call]


@pytest.fixture
def ask(prompt: Prompt, member: User, simulator: Simulator) -> Ask:
    def make(door: str = Call.Door.FORM) -> Call:
        assert prompt.published is not None
        call = accept(prompt.published, {"document": "A text.", "length": "short"}, user=member, door=door)
        if door == Call.Door.BULK:
            quick_redis().delete("rq:queue:calls")
            dispatch_again(call)
        return call

    return make


@pytest.mark.django_db(transaction=True)
def test_a_worker_takes_nothing_from_a_paused_queue_and_all_from_the_others(ask: Ask, operator: User) -> None:
    bulk = ask(Call.Door.BULK)
    form = ask()
    pause("calls", by=operator)
    run_all()
    form.refresh_from_db()
    bulk.refresh_from_db()
    assert (form.status, bulk.status) == (Call.Status.QUEUED, Call.Status.SUCCEEDED)
    assert in_queue() == {f"call-{form.pk}"}
    resume("calls")
    run_all()
    form.refresh_from_db()
    assert form.status == Call.Status.SUCCEEDED


@pytest.mark.django_db(transaction=True)
def test_a_redis_that_lost_its_data_lets_nothing_go_on(ask: Ask, operator: User) -> None:
    call = ask()
    pause("calls", by=operator)
    quick_redis().flushall()
    dispatch_again(call)
    run_all()
    call.refresh_from_db()
    assert call.status == Call.Status.QUEUED


def test_a_pause_is_made_once_and_ended_once(operator: User) -> None:
    assert [pause("calls", by=operator), pause("calls", by=operator)] == [True, False]
    assert [resume("calls"), resume("calls")] == [True, False]


def test_what_is_known_stays_known_while_the_database_is_away(
    operator: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pausing, "LOOK_EVERY", 0.0)
    pause("calls", by=operator)
    pauses = Pauses()
    assert pauses.open(["calls", "batches"]) == {"batches"}

    def away(*_: object, **__: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr("core.models.PausedQueue.objects.values_list", away)
    assert pauses.open(["calls", "batches"]) == {"batches"}
    assert Pauses().open(["calls", "batches"]) == set()
