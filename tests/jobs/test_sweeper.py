from __future__ import annotations

import datetime as dt
import threading
import time
import uuid
from collections.abc import Callable

import pytest
import redis
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import DataError
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from core.execution.patience import MOST_LOST_UNSENT
from core.execution.recovery import recover
from core.execution.run import run_call
from core.execution.watching import NobodyWatches
from core.intake.accept import accept
from core.intake.keys import make_key
from core.jobs import sweeper
from core.jobs.dispatch import dispatch_again, in_queue, job_id_of, queue
from core.jobs.sweeper import FORGOTTEN, Sweeper, Swept, sweep
from core.models import Budget, Call, CostRecord, IdempotencyToken, Prompt, Reservation, User
from core.operations import standing

Ask = Callable[[], Call]


@pytest.fixture
def ask(prompt: Prompt, member: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Ask:
    """Asks as a form does: the call is put into the queue when it is committed."""

    def make() -> Call:
        assert prompt.published is not None
        with django_capture_on_commit_callbacks(execute=True):
            return accept(prompt.published, {"document": "A text.", "length": "short"}, user=member)

    return make


def age(call: Call, seconds: int = 60) -> None:
    Call.objects.filter(pk=call.pk).update(dispatched_at=timezone.now() - dt.timedelta(seconds=seconds))


def lose(call: Call, *, sent: bool) -> None:
    """Leave the call as a killed worker does."""
    past = timezone.now() - dt.timedelta(seconds=1)
    claimed = Call.objects.claim(call.pk, dt.timedelta(seconds=30))
    assert claimed is not None
    if sent:
        claimed.mark_sent("claude-haiku-5-5", "as the prompt says")
    Call.objects.filter(pk=call.pk).update(lease_until=past)


def test_a_committed_call_is_in_the_queue_under_its_own_id(ask: Ask) -> None:
    call = ask()

    assert in_queue() == {job_id_of(call.pk)}
    job = queue().fetch_job(job_id_of(call.pk))
    assert job is not None
    assert job.description == f"call {call.pk}", "the text of a call is not for the queue's dashboard"


def test_what_is_in_the_queue_is_left_there(ask: Ask) -> None:
    call = ask()
    age(call)

    assert sweep() == Swept()


def test_what_a_worker_has_taken_and_is_about_to_claim_is_not_queued_again(ask: Ask) -> None:
    """It is in no queue for a moment; what was forgotten is in none at the next look either."""
    call = ask()
    age(call)
    redis.Redis.from_url(django_settings.REDIS_URL).flushall()
    looking = Sweeper(threading.Event())
    began = time.monotonic() + FORGOTTEN

    looking.round(began)
    assert in_queue() == set()
    looking.round(began + FORGOTTEN)
    assert in_queue() == {job_id_of(call.pk)}


@pytest.mark.parametrize("error", [ValueError, DataError])
def test_one_that_cannot_be_recovered_holds_up_no_other(
    error: type[Exception], ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = [ask() for _ in range(3)]
    for call in calls:
        lose(call, sent=False)
    odd = calls[1].pk

    def and_stumbles(call: Call) -> str:
        if call.pk == odd:
            raise error("something that nobody thought of")
        return recover(call)

    monkeypatch.setattr(sweeper, "recover", and_stumbles)

    assert sweeper.recover_lost() == 2
    assert f"call {odd} cannot be taken" in caplog.text
    assert set(Call.objects.filter(status=Call.Status.RUNNING)) == {calls[1]}


def test_however_many_are_due_a_lost_call_is_seen_and_whoever_waited_longest_goes_first(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "MOST_AT_ONCE", 3)
    due = [ask() for _ in range(5)]
    redis.Redis.from_url(django_settings.REDIS_URL).flushall()
    for minutes, call in enumerate(due, start=1):
        at = timezone.now() - dt.timedelta(minutes=minutes)
        Call.objects.filter(pk=call.pk).update(status=Call.Status.WAITING, not_before=at, dispatched_at=at)
    lost = ask()
    lose(lost, sent=False)

    Sweeper(threading.Event()).round(time.monotonic())

    lost.refresh_from_db()
    assert lost.status == Call.Status.QUEUED
    started = Call.objects.filter(pk__in=[call.pk for call in due], status=Call.Status.QUEUED)
    assert set(started) == set(due[-2:]), "those that were due first"


def test_a_call_that_redis_forgot_is_queued_again(ask: Ask) -> None:
    call = ask()
    redis.Redis.from_url(django_settings.REDIS_URL).flushall()
    assert sweep() == Swept(), "it may still be on its way"
    age(call)

    assert sweep() == Swept(dispatched=1)
    assert in_queue() == {job_id_of(call.pk)}
    assert sweep() == Swept()


def test_a_call_that_a_worker_takes_while_the_sweeper_looks_is_not_queued_twice(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ask()
    age(call)
    look = sweeper._waiting_longest

    def taken_meanwhile() -> list[uuid.UUID]:
        redis.Redis.from_url(django_settings.REDIS_URL).lpop(queue().key)
        return look()

    monkeypatch.setattr(sweeper, "_waiting_longest", taken_meanwhile)

    assert sweep() == Swept()
    assert in_queue() == set()


def test_a_long_queue_that_is_paused_hides_no_forgotten_call_of_another(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "MOST_AT_ONCE", 2)
    for _ in range(3):
        row = Call.objects.create(door=Call.Door.BULK)
        assert dispatch_again(row)
        age(row, 600)
    call = ask()
    redis.Redis.from_url(django_settings.REDIS_URL).delete(queue().key)
    age(call)

    assert sweep() == Swept(dispatched=1)
    assert job_id_of(call.pk) in in_queue()


def test_without_redis_a_call_is_stored_and_waits(
    ask: Ask, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreachable = {**settings.RQ_QUEUES["calls"], "URL": "redis://127.0.0.1:9/0"}
    settings.RQ_QUEUES = {**settings.RQ_QUEUES, "calls": unreachable}

    call = ask()
    age(call)

    assert call.status == Call.Status.QUEUED
    assert sweep() == Swept()


def test_a_call_lost_before_it_was_sent_runs_again_and_cost_nothing(ask: Ask) -> None:
    call = ask()
    lose(call, sent=False)
    redis.Redis.from_url(django_settings.REDIS_URL).flushall()

    assert sweep().recovered == 1

    call.refresh_from_db()
    assert call.status == Call.Status.QUEUED
    assert not CostRecord.objects.exists()
    assert run_call(call.pk).status == Call.Status.SUCCEEDED


def test_a_call_lost_after_it_was_sent_runs_again_and_its_unknown_cost_is_told(ask: Ask) -> None:
    call = ask()
    lose(call, sent=True)

    assert sweep().recovered == 1
    assert run_call(call.pk).status == Call.Status.SUCCEEDED

    unknown, known = CostRecord.objects.order_by("pk")
    assert (unknown.amount, unknown.attempt) == (None, 1)
    assert (known.amount is not None, known.attempt) == (True, 2)
    call.refresh_from_db()
    assert call.cost is None


def test_a_call_lost_before_it_was_sent_was_not_tried_but_one_that_ends_every_worker_ends_some_day(
    ask: Ask, prompt: Prompt
) -> None:
    prompt.most_attempts = 1
    prompt.save()
    call = ask()
    states = []
    for _ in range(MOST_LOST_UNSENT + 1):
        lose(call, sent=False)
        sweep()
        call.refresh_from_db()
        states.append(call.status)

    assert states == [*[Call.Status.QUEUED] * MOST_LOST_UNSENT, Call.Status.DEAD]
    assert not CostRecord.objects.exists()


def test_tries_that_cost_nothing_do_not_use_up_the_one_for_a_lost_worker(ask: Ask) -> None:
    call = ask()
    told = {"model": "claude-haiku-5-5", "error_type": "overloaded_error", "then": "tried again"}
    call.failed_attempts.create(number=1, **told)
    Call.objects.update(attempt=1)
    lose(call, sent=True)

    sweep()

    call.refresh_from_db()
    assert (call.status, call.attempt) == (Call.Status.QUEUED, 2)


def test_a_call_lost_twice_is_given_up(ask: Ask) -> None:
    call = ask()
    for _ in range(2):
        lose(call, sent=True)
        sweep()

    call.refresh_from_db()
    assert (call.status, call.error_type) == (Call.Status.DEAD, "worker_lost")
    assert CostRecord.objects.unknown().count() == 2
    assert call.finished_at is not None


def test_where_the_prompt_forbids_it_a_sent_call_is_not_paid_twice(ask: Ask, prompt: Prompt) -> None:
    prompt.run_again_if_lost = False
    prompt.save()
    prompt.publish(None)
    call = ask()
    lose(call, sent=True)

    sweep()

    call.refresh_from_db()
    assert call.status == Call.Status.DEAD


def test_a_running_call_with_a_living_worker_is_left_alone(ask: Ask) -> None:
    call = ask()
    Call.objects.claim(call.pk, dt.timedelta(seconds=30))

    assert sweep() == Swept()


def test_a_late_answer_puts_the_unknown_cost_right(ask: Ask, prompt: Prompt) -> None:
    """The sweeper took a slow process for a dead one; then its answer came."""
    prompt.run_again_if_lost = False
    prompt.save()
    prompt.publish(None)
    call = ask()

    class Slow(NobodyWatches):
        def started(self, attempt: int) -> None:
            Call.objects.filter(pk=call.pk).update(lease_until=timezone.now() - dt.timedelta(seconds=1))
            sweep()

    outcome = run_call(call.pk, Slow())

    call.refresh_from_db()
    assert outcome.status == ""
    assert call.status == Call.Status.DEAD
    unknown, known = CostRecord.objects.order_by("pk")
    assert known.corrects == unknown
    assert call.cost == known.amount
    assert not CostRecord.objects.unknown().exists()


def test_a_waiting_call_is_queued_when_its_time_has_come(ask: Ask) -> None:
    call = ask()
    redis.Redis.from_url(django_settings.REDIS_URL).flushall()
    now = timezone.now()
    Call.objects.filter(pk=call.pk).update(
        status=Call.Status.WAITING, not_before=now + dt.timedelta(hours=1), dispatched_at=now + dt.timedelta(hours=1)
    )
    assert sweep() == Swept()
    Call.objects.filter(pk=call.pk).update(not_before=now, dispatched_at=now)
    others = [ask() for _ in range(3)]

    assert sweep() == Swept(dispatched=1)
    in_order = [job_id_of(each.pk) for each in (call, *others)]
    assert queue().job_ids == in_order, "it has waited, so it is before those that came meanwhile"


def test_since_when_a_call_waits_is_remembered_however_often_redis_loses_it(ask: Ask) -> None:
    call = ask()
    age(call, 3600)
    since = Call.objects.get(pk=call.pk).dispatched_at
    for _ in range(3):
        redis.Redis.from_url(django_settings.REDIS_URL).flushall()
        assert sweep() == Swept(dispatched=1)
        assert standing.queues()[0].oldest == since
        Call.objects.filter(pk=call.pk).update(dispatched_at=timezone.now() - dt.timedelta(seconds=6))

    claimed = Call.objects.claim(call.pk, dt.timedelta(seconds=30))

    assert claimed is not None
    assert claimed.queued_since is None
    assert claimed.hand_back()
    now = standing.queues()[0].oldest
    assert now is not None
    assert now > since + dt.timedelta(minutes=59), "a worker had it meanwhile"


def test_a_clock_put_back_makes_no_call_wait_since_tomorrow(ask: Ask) -> None:
    call = ask()
    redis.Redis.from_url(django_settings.REDIS_URL).flushall()
    age(call, -86_400)

    assert sweep() == Swept(dispatched=1)

    oldest = standing.queues()[0].oldest
    assert oldest is not None
    assert oldest <= timezone.now()


def test_the_command_says_what_it_did(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    lose(ask(), sent=False)

    call_command("sweep")

    assert capsys.readouterr().out == "Calls taken from lost workers: 1, queued again: 0.\n"


@pytest.mark.parametrize("lane", [Call.Lane.SYNC, Call.Lane.STREAM])
def test_what_a_stopped_server_never_began_gives_its_reservation_back(prompt: Prompt, member: User, lane: str) -> None:
    Budget.objects.create(name="All", scope=Budget.Scope.ORGANISATION, amount=100, owner=member)
    assert prompt.published is not None
    call = accept(prompt.published, {"document": "A text.", "length": "short"}, user=member, lane=lane)
    sweep()
    call.refresh_from_db()
    assert call.status == Call.Status.QUEUED, "its server may be about to begin it"
    age(call, seconds=600)

    sweep()

    call.refresh_from_db()
    assert call.status == Call.Status.CANCELED
    assert not Reservation.objects.filter(released_at=None).exists()


def test_the_names_of_requests_are_forgotten_after_a_day(prompt: Prompt, member: User) -> None:
    key, _ = make_key("Invoices", member, by=None)
    call = Call.objects.create(user=member, key=key)
    for token, hours in (("old", 25), ("new", 23)):
        made = timezone.now() - dt.timedelta(hours=hours)
        IdempotencyToken.objects.create(key=key, token=token, digest="", call=call, created_at=made)

    sweep()

    assert [row.token for row in IdempotencyToken.objects.all()] == ["new"]
