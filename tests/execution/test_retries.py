"""How often is Claude asked for a program that waits, and what does it cost?"""

from __future__ import annotations

import datetime as dt
import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from core.claude.requests import Sending
from core.costs import budgets
from core.execution import pacing
from core.execution.lease import lease_time
from core.execution.recovery import recover
from core.execution.run import run_call
from core.models import Budget, BudgetWindow, Call, CostRecord, FailedAttempt, Key, User
from core.simulator.server import Simulator
from tests.execution.programs import LONG, Ask, Program, body, ledger_is_the_bill

SOON = "retry-after-ms=20"


def attempts(call: Call) -> list[tuple[int, str, str]]:
    return list(call.failed_attempts.values_list("number", "error_type", "then"))


@pytest.mark.parametrize("lane", [Call.Lane.SYNC, Call.Lane.STREAM])
def test_a_passing_fault_is_tried_again_in_the_same_process(ask: Ask, simulator: Simulator, lane: str) -> None:
    request = body(f"[[simulate: status=529 {SOON} times=2]] Say hello.")
    call = ask(request, lane)

    outcome = run_call(call.pk, Program(), Sending(request, streamed=lane == Call.Lane.STREAM))

    call.refresh_from_db()
    assert (outcome.status, call.status, call.attempt) == ("succeeded", "succeeded", 3)
    assert attempts(call) == [(1, "overloaded_error", "tried again"), (2, "overloaded_error", "tried again")]
    assert "instead" not in call.reason
    assert call.error_type == ""
    assert CostRecord.objects.get().attempt == 3
    assert ledger_is_the_bill(simulator)


def test_a_call_that_goes_well_writes_no_attempt_and_asks_for_no_chain(ask: Ask) -> None:
    request = body()
    call = ask(request)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        run_call(call.pk, None, Sending(request, streamed=False))

    tables = "core_failedattempt", "core_fallbackchain", "core_fallbackstep"
    assert not [query for query in queries if any(table in query["sql"] for table in tables)]


def test_after_the_last_try_the_caller_gets_claudes_error_with_its_retry_after(ask: Ask, simulator: Simulator) -> None:
    request = body("[[simulate: status=529 retry-after=0]] Say hello.")
    call = ask(request)

    outcome = run_call(call.pk, None, Sending(request, streamed=False))

    call.refresh_from_db()
    assert outcome.error is not None
    assert (outcome.status, call.attempt, outcome.error.status) == ("dead", 3, 529)
    assert outcome.error.headers["retry-after"] == "0"
    assert (outcome.error.body or {})["error"]["type"] == "overloaded_error"
    assert [then for _, _, then in attempts(call)] == ["tried again", "tried again", "given up"]
    assert not CostRecord.objects.exists()


def test_nobody_waits_longer_than_the_caller_would(ask: Ask, settings: Settings) -> None:
    settings.SYNC_PATIENCE = 5
    request = body("[[simulate: status=429 retry-after=30]] Say hello.")
    call = ask(request)
    began = time.monotonic()

    outcome = run_call(call.pk, None, Sending(request, streamed=False))

    assert time.monotonic() - began < 5
    assert outcome.error is not None
    assert outcome.error.headers["retry-after"] == "30"
    assert FailedAttempt.objects.count() == 1


@pytest.fixture
def key(member: User) -> Key:
    return Key.objects.create(name="A program", user=member)


def test_a_key_has_figures_of_its_own(ask: Ask, key: Key) -> None:
    key.attempts, key.patience_seconds = 2, 100
    key.save()
    request = body(f"[[simulate: status=529 {SOON}]] Say hello.")
    call = ask(request, key=key)

    run_call(call.pk, None, Sending(request, streamed=False))

    assert [number for number, _, _ in attempts(call)] == [1, 2]


def test_a_try_takes_no_longer_than_the_key_says(ask: Ask, key: Key, simulator: Simulator) -> None:
    key.attempts, key.try_seconds = 1, 1
    key.save()
    request = body("[[simulate: hang seconds=5]] Say hello.")
    call = ask(request, key=key)

    outcome = run_call(call.pk, None, Sending(request, streamed=False))

    assert outcome.error is not None
    assert outcome.error.type == "timeout_error"
    assert CostRecord.objects.unknown().count() == 1


@pytest.mark.parametrize("lane", [Call.Lane.SYNC, Call.Lane.STREAM])
def test_what_may_have_been_billed_is_asked_for_once_more_and_booked(ask: Ask, simulator: Simulator, lane: str) -> None:
    request = body("[[simulate: drop]] Say hello.")
    call = ask(request, lane)

    run_call(call.pk, None, Sending(request, streamed=lane == Call.Lane.STREAM))

    call.refresh_from_db()
    assert (call.status, call.attempt) == ("dead", 2)
    assert list(CostRecord.objects.unknown().order_by("pk").values_list("attempt", flat=True)) == [1, 2]
    assert ledger_is_the_bill(simulator)


def test_without_room_for_another_it_is_not_asked_again(ask: Ask, member: User, simulator: Simulator) -> None:
    request = body("[[simulate: drop times=1]] Say hello.")
    call = ask(request)
    budget = Budget.objects.create(name="All", scope=Budget.Scope.ORGANISATION, amount=1, owner=member)
    budgets.reserve(call)
    window = BudgetWindow.objects.get(budget=budget)
    window.limit = window.reserved
    window.save()

    outcome = run_call(call.pk, None, Sending(request, streamed=False))

    window.refresh_from_db()
    assert outcome.status == "dead"
    assert attempts(call) == [(1, "connection_error", "given up")]
    assert window.reserved == window.limit, "what may have been spent is held"


def test_a_stream_that_breaks_after_its_first_words_keeps_them_and_tells(ask: Ask, simulator: Simulator) -> None:
    request = body(f"[[simulate: error-event=overloaded_error after=2]] {LONG}")
    call, program = ask(request, Call.Lane.STREAM), Program()

    outcome = run_call(call.pk, program, Sending(request))

    call.refresh_from_db()
    assert (outcome.status, call.attempt) == ("dead", 1)
    assert call.text
    assert program.written == call.text
    assert program.names.count("message_start") == 1
    assert outcome.error is not None
    assert outcome.error.type == "overloaded_error"
    assert attempts(call)[0][2] == "given up, for part of the answer had been shown"
    assert ledger_is_the_bill(simulator)


def test_a_stream_that_breaks_before_its_first_words_is_tried_again_unseen(ask: Ask, simulator: Simulator) -> None:
    request = body(f"[[simulate: cut after=0 times=1]] {LONG}")
    call, program = ask(request, Call.Lane.STREAM), Program()

    run_call(call.pk, program, Sending(request))

    call.refresh_from_db()
    assert (call.status, call.attempt) == ("succeeded", 2)
    assert program.names.count("message_start") == 1
    assert program.names[-1] == "message_stop"
    assert program.written == call.text
    assert program.headers == [program.headers[0]]
    assert program.headers[0]["request-id"] == call.request_id
    assert ledger_is_the_bill(simulator)


def test_a_refused_stream_tells_no_event(ask: Ask) -> None:
    request = body("[[simulate: status=400]] Say hello.")
    program = Program()

    outcome = run_call(ask(request, Call.Lane.STREAM).pk, program, Sending(request))

    assert program.events == []
    assert outcome.error is not None
    assert outcome.error.status == 400


def test_an_answer_nobody_waits_for_is_stopped_and_its_cost_unknown(ask: Ask, simulator: Simulator) -> None:
    request = body(f"[[simulate: hang seconds=3 after=4]] {LONG}")
    call = ask(request, Call.Lane.STREAM)
    began = time.monotonic()

    outcome = run_call(call.pk, Program(leaves_after=3), Sending(request))

    call.refresh_from_db()
    assert time.monotonic() - began < 3
    assert (outcome.status, call.status, call.error_type) == ("canceled", "canceled", "program_left")
    assert call.content
    assert CostRecord.objects.unknown().count() == 1


def test_who_left_before_anything_was_sent_pays_nothing(ask: Ask, simulator: Simulator) -> None:
    call = ask(body())

    outcome = run_call(call.pk, Program(leaves_after=0))

    assert outcome.status == "canceled"
    assert not CostRecord.objects.exists()
    assert simulator.bill()["entries"] == []


def test_out_of_pace_a_program_is_told_when_to_come_back(ask: Ask, settings: Settings, simulator: Simulator) -> None:
    settings.SYNC_PATIENCE = 1
    pacing.slow_down("claude-sonnet-5-5", 20)
    request = body()
    call = ask(request)

    outcome = run_call(call.pk, None, Sending(request, streamed=False))

    call.refresh_from_db()
    assert outcome.error is not None
    assert (outcome.error.status, outcome.error.type) == (429, "rate_limit_error")
    assert 19 <= int(outcome.error.headers["retry-after"]) <= 30
    assert call.sent_at is None
    assert simulator.bill()["entries"] == []


def test_out_of_pace_the_queue_waits_and_it_was_no_attempt(ask: Ask) -> None:
    pacing.slow_down("claude-sonnet-5-5", 20)
    call = ask(body(), Call.Lane.QUEUE)

    outcome = run_call(call.pk)

    call.refresh_from_db()
    assert (outcome.status, call.status, call.attempt) == ("waiting", "waiting", 0)
    assert call.not_before is not None
    assert (call.not_before - timezone.now()).total_seconds() > 18


def test_a_call_stored_as_claimed_is_run_without_another_claim(ask: Ask, simulator: Simulator) -> None:
    request = body()
    call = ask(request, **Call.claimed(lease_time()))
    call.claimed_here = True
    assert run_call(call.pk).status == "", "nobody else can claim it"

    outcome = run_call(call, None, Sending(request, streamed=False))

    call.refresh_from_db()
    assert (outcome.status, call.status, call.attempt) == ("succeeded", "succeeded", 1)
    assert run_call(call).status == "", "nor is it run twice"
    assert ledger_is_the_bill(simulator)


class Killed(BaseException):
    """As good as a kill: nothing of ours runs after it."""


@pytest.mark.parametrize(("directive", "unknown"), [(f"status=529 {SOON}", 0), ("drop", 1)])
def test_killed_between_two_tries_nothing_is_booked_that_was_not_sent(
    ask: Ask, simulator: Simulator, directive: str, unknown: int
) -> None:
    """The process dies while it waits for its second try."""
    request = body(f"[[simulate: {directive}]] Say hello.")
    call = ask(request)

    class DiesBetween(Program):
        def left(self) -> bool:
            if FailedAttempt.objects.exists():
                raise Killed
            return False

    with pytest.raises(Killed):
        run_call(call.pk, DiesBetween(), Sending(request, streamed=False))
    Call.objects.update(lease_until=timezone.now() - dt.timedelta(seconds=1))

    assert recover(Call.objects.get(pk=call.pk)) == "dead"
    assert attempts(call) == [(1, FailedAttempt.objects.get().error_type, "tried again")]
    assert CostRecord.objects.unknown().count() == unknown
    assert CostRecord.objects.count() == unknown


def test_a_lost_process_leaves_a_failed_attempt(ask: Ask) -> None:
    call = ask(body(), Call.Lane.QUEUE)
    claimed = Call.objects.claim(call.pk, dt.timedelta(seconds=-1))
    assert claimed is not None
    claimed.mark_sent("claude-sonnet-5-5", "")

    assert recover(claimed) == "queued"

    assert attempts(call) == [(1, "worker_lost", "tried again")]
    assert CostRecord.objects.unknown().count() == 1
