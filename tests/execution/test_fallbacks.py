"""Who answers when a model cannot, what is said of it, and what does it cost?"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.utils import timezone
from pytest_django import Settings

from core.claude.errors import timed_out
from core.claude.requests import Sending
from core.costs import budgets
from core.execution import breaker, fallbacks
from core.execution.fallbacks import NO_CHAIN, Chain, chain_of, with_fallbacks
from core.execution.run import run_call
from core.models import (
    Budget,
    BudgetWindow,
    Call,
    ClaudeModel,
    CostRecord,
    FailedAttempt,
    FallbackChain,
    Key,
    Prompt,
    User,
)
from core.routing.choose import Plan, plan
from core.simulator.server import Simulator
from tests.execution.programs import LONG, Ask, Program, body, ledger_is_the_bill

SONNET, HAIKU, OPUS = "claude-sonnet-5-5", "claude-haiku-5-5", "claude-opus-5-5"
DOWN = "[[simulate: status=529 retry-after-ms=10 model=sonnet]]"
ALL_DOWN = "[[simulate: status=529 retry-after-ms=10]]"
MakeChain = Callable[..., FallbackChain]


@pytest.fixture
def chain(catalogue: None) -> MakeChain:
    def make(*models: str, answer: str = "", usual: bool = True, name: str = "Usual") -> FallbackChain:
        made = FallbackChain.objects.create(name=name, is_default=usual, answer=answer)
        for position, model in enumerate(models):
            made.steps.create(model=model, position=position)
        return made

    return make


@pytest.mark.parametrize("lane", [Call.Lane.SYNC, Call.Lane.STREAM])
def test_after_its_tries_the_next_model_of_the_chain_answers(
    ask: Ask, chain: MakeChain, simulator: Simulator, lane: str
) -> None:
    chain(HAIKU)
    request = body(f"{DOWN} Say hello.")
    call, program = ask(request, lane), Program()

    outcome = run_call(call.pk, program, Sending(request, streamed=lane == Call.Lane.STREAM))

    call.refresh_from_db()
    told = json.loads(outcome.answer) if lane == Call.Lane.SYNC else program.events[0][1]["message"]
    assert outcome.status == "succeeded"
    assert call.model == told["model"] == HAIKU
    assert call.reason.endswith(f"{SONNET} did not answer (overloaded, 3 tries); {HAIKU} answered instead.")
    assert list(call.failed_attempts.values_list("model", flat=True)) == [SONNET] * 3
    assert FailedAttempt.objects.last().then == f"{HAIKU} was asked instead"  # type: ignore[union-attr]
    assert CostRecord.objects.get().model == HAIKU
    assert ledger_is_the_bill(simulator)


def test_a_model_whose_breaker_is_open_is_not_asked(ask: Ask, chain: MakeChain, simulator: Simulator) -> None:
    chain(OPUS, HAIKU)
    for model in (SONNET, OPUS):
        for _ in range(5):
            breaker.note_error(model, timed_out())
    request = body()
    call = ask(request)

    run_call(call.pk, None, Sending(request, streamed=False))

    call.refresh_from_db()
    assert (call.model, call.attempt) == (HAIKU, 1)
    assert f"{SONNET} did not answer (not asked, as it failed often lately)" in call.reason
    assert not FailedAttempt.objects.exists()
    assert len(simulator.bill()["entries"]) == 1


def test_without_a_chain_an_open_breaker_refuses_at_once(ask: Ask, simulator: Simulator) -> None:
    for _ in range(5):
        breaker.note_error(SONNET, timed_out())
    request = body()
    call = ask(request)

    outcome = run_call(call.pk, None, Sending(request, streamed=False))

    call.refresh_from_db()
    assert outcome.error is not None
    assert (outcome.status, call.status, outcome.error.status) == ("dead", "dead", 529)
    assert 1 <= int(outcome.error.headers["retry-after"]) <= 30
    assert outcome.error.type == "overloaded_error"
    assert simulator.bill()["entries"] == []


def test_the_breaker_opens_by_itself_and_a_good_answer_is_no_failure(
    ask: Ask, chain: MakeChain, settings: Settings
) -> None:
    settings.BREAKER_FAILURES = 3
    chain(HAIKU)
    request = body(f"{DOWN} Say hello.")
    run_call(ask(request).pk, None, Sending(request, streamed=False))

    again = ask(request)
    run_call(again.pk, None, Sending(request, streamed=False))

    again.refresh_from_db()
    assert (again.model, again.attempt) == (HAIKU, 1)
    assert {state.model: state.state for state in breaker.states()}[SONNET] == "open"


def test_mistakes_of_the_caller_open_no_breaker_and_reach_no_other_model(
    ask: Ask, chain: MakeChain, settings: Settings
) -> None:
    settings.BREAKER_FAILURES = 1
    chain(HAIKU, answer="Sorry.")
    request = body(no_such_field=1)
    call = ask(request)

    outcome = run_call(call.pk, None, Sending(request, streamed=False))

    assert outcome.error is not None
    assert outcome.error.status == 400
    assert breaker.seconds_closed_to(SONNET) == 0


@pytest.mark.parametrize("lane", [Call.Lane.SYNC, Call.Lane.STREAM, Call.Lane.QUEUE])
def test_at_last_the_written_answer_is_given_marked_and_free(
    ask: Ask, chain: MakeChain, simulator: Simulator, lane: str, settings: Settings
) -> None:
    settings.CALL_ATTEMPTS = 1
    chain(HAIKU, answer="We are sorry, please call 4711.")
    request = body(f"{ALL_DOWN} Say hello.")
    call, program = ask(request, lane), Program()

    outcome = run_call(call.pk, program, Sending(request, streamed=lane != Call.Lane.SYNC))

    call.refresh_from_db()
    assert (outcome.status, call.status, call.written) == ("succeeded", "succeeded", True)
    assert (call.text, call.model) == ("We are sorry, please call 4711.", "claudeapp-fallback")
    assert "The written answer was given instead." in call.reason
    if lane == Call.Lane.SYNC:
        message = json.loads(outcome.answer)
        assert (message["content"][0]["text"], message["stop_reason"]) == (call.text, "end_turn")
        assert message["usage"]["output_tokens"] == 0
    else:
        assert program.written == call.text
        assert (program.names[0], program.names[-1]) == ("message_start", "message_stop")
    assert not CostRecord.objects.exists()
    assert ledger_is_the_bill(simulator)


@pytest.mark.parametrize("deltas", [0, 1])
def test_a_stream_falls_back_before_its_first_words_only(
    ask: Ask, chain: MakeChain, simulator: Simulator, deltas: int
) -> None:
    """The first delta is the signature of thoughts that are not shown, which nobody sees either."""
    chain(HAIKU)
    broken_late = body(f"[[simulate: cut after=2 model=sonnet]] {LONG}")
    broken_early = body(f"[[simulate: cut after={deltas} model=sonnet]] {LONG}")
    late, early = ask(broken_late, Call.Lane.STREAM), ask(broken_early, Call.Lane.STREAM)
    seen_late, seen_early = Program(), Program()

    run_call(late.pk, seen_late, Sending(broken_late))
    run_call(early.pk, seen_early, Sending(broken_early))

    late.refresh_from_db()
    early.refresh_from_db()
    assert (late.status, late.model, seen_late.names[-1]) == ("dead", SONNET, "content_block_delta")
    assert late.content
    assert (early.status, early.model, seen_early.names[-1]) == ("succeeded", HAIKU, "message_stop")
    assert seen_early.names.count("message_start") == 1
    assert early.attempt == 3, "what may have been billed is asked for once more, then the other model is asked"
    assert CostRecord.objects.unknown().count() == 3
    assert ledger_is_the_bill(simulator)


def test_in_the_queue_an_open_breaker_turns_to_the_next_model_at_once(ask: Ask, chain: MakeChain) -> None:
    chain(HAIKU)
    for _ in range(5):
        breaker.note_error(SONNET, timed_out())
    call = ask(body(), Call.Lane.QUEUE)

    outcome = run_call(call.pk)

    call.refresh_from_db()
    assert (outcome.status, call.model, call.attempt) == ("succeeded", HAIKU, 1)


def test_in_the_queue_an_open_breaker_is_waited_for_where_nobody_else_can(ask: Ask, chain: MakeChain) -> None:
    chain(answer="Sorry.")
    for _ in range(5):
        breaker.note_error(SONNET, timed_out())
    call = ask(body(), Call.Lane.QUEUE)

    outcome = run_call(call.pk)

    call.refresh_from_db()
    assert (outcome.status, call.attempt) == ("waiting", 0)
    assert call.not_before is not None
    assert 20 < (call.not_before - timezone.now()).total_seconds() < 40
    assert "left alone" in call.error_message


def test_in_the_queue_the_next_model_answers_instead_of_giving_up(
    ask: Ask, chain: MakeChain, settings: Settings, simulator: Simulator
) -> None:
    settings.CALL_ATTEMPTS = 2
    chain(HAIKU)
    call = ask(body(f"{DOWN} Say hello."), Call.Lane.QUEUE)
    assert run_call(call.pk).status == "waiting"
    Call.objects.update(not_before=timezone.now())

    outcome = run_call(call.pk)

    call.refresh_from_db()
    assert (outcome.status, call.model, call.attempt) == ("succeeded", HAIKU, 3)
    assert call.reason.endswith(f"{SONNET} did not answer (overloaded, 2 tries); {HAIKU} answered instead.")
    assert list(FailedAttempt.objects.values_list("number", "model")) == [(1, SONNET), (2, SONNET)]
    assert ledger_is_the_bill(simulator)


def test_in_the_queue_the_next_model_has_tries_of_its_own(
    ask: Ask, chain: MakeChain, settings: Settings, simulator: Simulator
) -> None:
    settings.CALL_ATTEMPTS = 2
    chain(HAIKU)
    call = ask(body(f"{ALL_DOWN} Say hello."), Call.Lane.QUEUE)
    statuses = []
    for _ in range(4):
        statuses.append(run_call(call.pk).status)
        Call.objects.update(not_before=timezone.now())

    assert statuses == ["waiting", "waiting", "dead", ""]
    assert list(FailedAttempt.objects.values_list("model", flat=True)) == [SONNET, SONNET, HAIKU, HAIKU]


def test_thinking_and_what_the_other_model_refuses_is_left_out(ask: Ask, chain: MakeChain) -> None:
    chain("claude-haiku-4-5-20251001")
    for _ in range(5):
        breaker.note_error(SONNET, timed_out())
    history = [
        {"role": "user", "content": "Say hello."},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "of another model"},
                {"type": "text", "text": "Hello."},
            ],
        },
        {"role": "user", "content": "Again."},
    ]
    request = body(
        messages=history, output_config={"effort": "high"}, thinking={"type": "adaptive"}, max_tokens=100_000
    )
    call = ask(request)

    outcome = run_call(call.pk, None, Sending(request, streamed=False))

    assert outcome.error is None
    assert json.loads(outcome.answer)["model"].startswith("claude-haiku-4-5")


@pytest.fixture
def key(member: User) -> Key:
    return Key.objects.create(name="A program", user=member)


def test_a_model_that_the_key_may_not_use_is_passed_over(ask: Ask, chain: MakeChain, key: Key) -> None:
    chain(OPUS, HAIKU)
    key.models_allowed.set(ClaudeModel.objects.filter(pk__in=[SONNET, HAIKU]))
    request = body(f"{DOWN} Say hello.")
    call = ask(request, key=key)

    run_call(call.pk, None, Sending(request, streamed=False))

    call.refresh_from_db()
    assert call.model == HAIKU


def test_a_model_dearer_than_what_was_reserved_is_passed_over(ask: Ask, chain: MakeChain, member: User) -> None:
    """The chain was changed after the call had been accepted."""
    Budget.objects.create(name="All", scope=Budget.Scope.ORGANISATION, amount=100, owner=member)
    request = body(f"{DOWN} Say hello.")
    call = ask(request)
    budgets.reserve(call, [SONNET])
    chain(OPUS, HAIKU)

    run_call(call.pk, None, Sending(request, streamed=False))

    call.refresh_from_db()
    window = BudgetWindow.objects.get()
    assert call.model == HAIKU
    assert (window.reserved, window.spent) == (Decimal(0), CostRecord.objects.get().amount)


def test_the_reservation_covers_every_model_that_may_answer(ask: Ask, chain: MakeChain, member: User) -> None:
    chain(OPUS, HAIKU)
    models = with_fallbacks(plan(SONNET), chain_of(None, None))

    assert models == (SONNET, OPUS, HAIKU)


def test_what_is_no_model_any_more_or_has_no_price_is_in_no_chain(chain: MakeChain) -> None:
    ClaudeModel.objects.create(pk="claude-new", display_name="New")
    chain("claude-retired-long-ago", "claude-new", HAIKU)

    assert chain_of(None, None).models == (HAIKU,)


def test_the_key_decides_before_the_prompt_and_that_before_the_installation(
    chain: MakeChain, key: Key, prompt: Prompt
) -> None:
    assert chain_of(key, prompt) == NO_CHAIN
    usual, of_key, of_prompt = (chain(usual=n == "1", name=n, answer=n) for n in ("1", "2", "3"))
    fallbacks.chains.forget()
    assert chain_of(key, prompt).answer == usual.answer
    prompt.fallback = of_prompt
    assert chain_of(key, prompt).answer == of_prompt.answer
    key.fallback = of_key
    assert chain_of(key, prompt).answer == of_key.answer


def test_the_order_of_the_models_is_kept_and_each_named_once() -> None:
    assert with_fallbacks(Plan("a", ("a", "b")), Chain(("b", "c"))) == ("a", "b", "c")
