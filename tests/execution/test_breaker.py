"""When is a model left alone, and when is it asked again?"""

from __future__ import annotations

import time

import pytest
from django.utils import timezone
from pytest_django import Settings

from core.claude.errors import ClaudeError, cut_off, timed_out
from core.execution import breaker, running
from core.execution.board import Board
from core.execution.run import run_call
from core.models import Call, User
from core.simulator.server import Simulator

MODEL = "claude-sonnet-5-5"
OVERLOADED = ClaudeError("overloaded_error", "Overloaded", 529, retryable=True)


def fail(times: int, error: ClaudeError = OVERLOADED) -> None:
    for _ in range(times):
        breaker.note_error(MODEL, error)


@pytest.mark.parametrize(
    "error",
    [
        OVERLOADED,
        ClaudeError("rate_limit_error", "Slow down", 429, retryable=True),
        ClaudeError("api_error", "Oh", 500, retryable=True),
        ClaudeError("connection_error", "No connection", retryable=True),
        timed_out(),
        cut_off(""),
    ],
    ids=lambda error: error.type,
)
def test_a_model_that_keeps_failing_is_left_alone(error: ClaudeError) -> None:
    fail(4, error)
    assert breaker.seconds_closed_to(MODEL) == 0

    fail(1, error)

    assert 29 < breaker.seconds_closed_to(MODEL) <= 30
    assert breaker.seconds_closed_to("claude-haiku-5-5") == 0


@pytest.mark.parametrize(
    "error",
    [
        ClaudeError("invalid_request_error", "No", 400),
        ClaudeError("authentication_error", "No", 401),
        ClaudeError("rate_limit_error", "The limit of the month is reached", 429, retryable=False),
        ClaudeError("conflict_error", "No", 409, retryable=True),
    ],
    ids=lambda error: f"{error.type}",
)
def test_what_is_no_fault_of_the_model_counts_neither_for_nor_against_it(error: ClaudeError) -> None:
    fail(4)

    fail(20, error)
    assert breaker.seconds_closed_to(MODEL) == 0

    fail(1)
    assert breaker.seconds_closed_to(MODEL) > 0


def test_an_answer_between_failures_keeps_it_closed() -> None:
    fail(4)
    breaker.note_answer(MODEL)
    fail(4)

    assert breaker.seconds_closed_to(MODEL) == 0


@pytest.fixture
def soon(settings: Settings) -> None:
    settings.BREAKER_SECONDS = 0.05
    settings.BREAKER_FAILURES = 2


def half_open() -> None:
    fail(2)
    deadline = time.monotonic() + 5
    while breaker.seconds_closed_to(MODEL) and time.monotonic() < deadline:
        time.sleep(0.01)


def test_after_a_while_one_call_tries_it_and_its_answer_closes_it(soon: None) -> None:
    half_open()

    assert breaker.seconds_closed_to(MODEL) > 0, "there is one that tries already"
    breaker.note_answer(MODEL)
    assert [breaker.seconds_closed_to(MODEL) for _ in range(3)] == [0, 0, 0]


def test_one_that_nobody_asks_any_more_is_not_called_open(settings: Settings) -> None:
    fail(5)
    assert [each.state for each in breaker.states()] == [breaker.OPEN]
    breaker.board.change(MODEL, opened_at=time.time() - 60)
    assert [each.state for each in breaker.states()] == [breaker.OVER]


def test_whoever_died_while_it_tried_leaves_none_half_open(settings: Settings) -> None:
    fail(5)
    breaker.board.change(MODEL, opened_at=time.time() - 60)
    assert breaker.seconds_closed_to(MODEL) == 0, "it tries"
    assert [each.state for each in breaker.states()] == [breaker.HALF_OPEN]

    # What remains when its time is over and it never told how that went.
    breaker.board.give_probe_back(MODEL)

    assert [each.state for each in breaker.states()] == [breaker.OVER]


def test_a_clock_put_back_leaves_no_model_alone_for_as_much_longer() -> None:
    fail(5)
    breaker.board.change(MODEL, opened_at=time.time() + 3600)

    assert not breaker.is_open(MODEL)
    assert breaker.seconds_closed_to(MODEL) == 0, "it is tried now"


def test_it_opens_again_where_the_one_that_tries_fails(soon: None, settings: Settings) -> None:
    half_open()
    settings.BREAKER_SECONDS = 30

    fail(1)

    assert breaker.seconds_closed_to(MODEL) > 29


def test_whoever_learnt_nothing_lets_the_next_one_try(soon: None) -> None:
    half_open()

    breaker.note_error(MODEL, ClaudeError("invalid_request_error", "No", 400))

    assert breaker.seconds_closed_to(MODEL) == 0


def test_all_processes_know_it_and_a_person_can_close_it() -> None:
    fail(5)
    another_process = Board()
    assert another_process.of(MODEL).state == "open"
    (state,) = breaker.states()
    assert (state.model, state.state, state.failures) == (MODEL, "open", 5)
    assert state.opened_at is not None
    assert state.reopens_at is not None
    assert 29 < (state.reopens_at - state.opened_at).total_seconds() < 31

    breaker.reset(MODEL)

    assert breaker.seconds_closed_to(MODEL) == 0
    assert Board().of(MODEL).failures == 0


def test_without_redis_each_process_keeps_its_own(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"

    fail(5)

    assert breaker.seconds_closed_to(MODEL) > 29
    assert breaker.states()[0].state == "open"
    breaker.reset(MODEL)
    assert breaker.seconds_closed_to(MODEL) == 0


def test_without_redis_one_call_tries_it_at_a_time(soon: None, settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    half_open()
    settings.BREAKER_SECONDS = 30

    breaker.note_nothing(MODEL)

    assert [breaker.seconds_closed_to(MODEL) > 0 for _ in range(2)] == [False, True]


def test_a_healthy_model_costs_next_to_no_questions() -> None:
    began = time.perf_counter()
    for _ in range(1000):
        breaker.seconds_closed_to(MODEL)
        breaker.note_answer(MODEL)

    assert time.perf_counter() - began < 0.1, "under a tenth of a millisecond each"


def test_calls_wait_spread_for_one_that_tries_and_its_answer_lets_them_all_go(
    catalogue: None, member: User, simulator: Simulator
) -> None:
    """They use up no attempt meanwhile, and none of them comes back before its time."""
    waiting, trying = [_asked(member) for _ in range(60)], _asked(member)
    fail(5)
    opened = time.time()
    assert _waits(waiting, shortest=15, longest=30 * 1.25) > 3, "spread over seconds"
    breaker.board.change(MODEL, opened_at=opened - 30)
    assert breaker.seconds_closed_to(MODEL) == 0, "somebody tries it"
    assert _waits(waiting, shortest=1.0, longest=1 + running.SHORTEST_SPREAD) > 2, "and not all look again each second"

    breaker.note_nothing(MODEL)
    assert run_call(trying.pk).status == "succeeded"
    Call.objects.filter(status="waiting").update(not_before=timezone.now())

    assert {run_call(call.pk).status for call in waiting[:5]} == {"succeeded"}
    assert set(Call.objects.filter(status="waiting").values_list("attempt", flat=True)) == {0}


def _asked(member: User) -> Call:
    request = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": "Say hello."}]}
    return Call.objects.create(user=member, request=request)


def _waits(calls: list[Call], shortest: float, longest: float) -> float:
    """Run all of them, none of which gets through; over how many seconds they come back."""
    Call.objects.filter(status="waiting").update(not_before=timezone.now())
    waits = []
    for call in calls:
        began = timezone.now()
        outcome = run_call(call.pk)
        assert (outcome.status, outcome.retry_at is not None) == ("waiting", True)
        waits.append((outcome.retry_at - began).total_seconds() if outcome.retry_at else 0.0)
    assert shortest <= min(waits)
    assert max(waits) <= longest + 0.5
    return max(waits) - min(waits)
