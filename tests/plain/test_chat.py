"""What does `POST /api/chat` answer, and what does it cost?"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from core.models import Budget, Call, ClaudeModel, CostRecord, Prompt, User
from core.simulator.server import Simulator
from tests.plain.conftest import Script

pytestmark = pytest.mark.django_db

HELLO = {"prompt": "Hello.", "model": "claude-haiku-5-5"}


def test_a_text_is_answered_with_a_text_and_what_it_cost(script: Script, simulator: Simulator) -> None:
    answer = script.chat("Name three uses of a brick.", system="You are brief.")

    assert answer.status == 200
    call, record = Call.objects.get(), CostRecord.objects.get()
    assert answer.json["text"] == call.text != ""
    assert answer.json["call"] == str(call.pk)
    assert answer.json["model"] == "claude-haiku-5-5"
    assert answer.json["stop_reason"] == "end_turn"
    assert answer.json["written"] is False
    assert Decimal(answer.json["cost_usd"]) == record.amount != 0
    assert answer.json["tokens"] == (record.input_tokens or 0) + (record.output_tokens or 0)
    assert answer.headers["x-claudeapp-call"] == str(call.pk)
    assert answer.headers["x-claudeapp-cost-usd"] == answer.json["cost_usd"]
    assert (call.lane, call.door, call.key, call.user) == ("sync", "api", script.key, script.key.user)
    assert call.request["system"] == "You are brief."


def test_without_a_model_the_usual_one_answers(script: Script, simulator: Simulator, ready_made: None) -> None:
    answer = script.post("/api/chat", {"prompt": "Hello."})

    assert answer.status == 200
    assert ClaudeModel.objects.get(pk=answer.json["model"]).line == "sonnet"


def test_an_x_api_key_opens_the_door_too(script: Script, simulator: Simulator) -> None:
    assert script.post("/api/chat", HELLO, authorization="", x_api_key=script.secret).status == 200


def test_the_same_named_request_is_one_call_and_one_bill(script: Script, simulator: Simulator) -> None:
    first = script.post("/api/chat", HELLO, idempotency_key="order-1")
    second = script.post("/api/chat", HELLO, idempotency_key="order-1")

    assert (first.status, second.status) == (200, 200)
    assert second.json == first.json
    assert second.headers["x-claudeapp-replayed"] == "true"
    assert Call.objects.count() == CostRecord.objects.count() == 1


def test_another_body_under_the_same_name_is_refused(script: Script, simulator: Simulator) -> None:
    assert script.post("/api/chat", HELLO, idempotency_key="order-1").status == 200
    other = script.post("/api/chat", {**HELLO, "prompt": "Goodbye."}, idempotency_key="order-1")

    assert (other.status, other.error) == (422, "invalid_request_error")
    assert Call.objects.count() == 1


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("status=400", 400, "invalid_request_error"),
        ("status=413", 413, "request_too_large"),
        ("status=429", 429, "rate_limit_error"),
        ("status=500", 500, "api_error"),
        ("status=529", 529, "overloaded_error"),
    ],
)
def test_what_claude_says_is_said_with_its_status(
    script: Script, simulator: Simulator, fault: str, status: int, kind: str
) -> None:
    script.key.attempts = 1
    script.key.save()
    answer = script.chat(f"[[simulate: {fault}]]")

    assert (answer.status, answer.error) == (status, kind)
    assert Call.objects.get().finished


def test_over_budget_is_402_and_nothing_is_sent(script: Script, simulator: Simulator, finance: User) -> None:
    Budget.objects.create(
        name="Tiny", scope=Budget.Scope.KEY, key=script.key, amount=Decimal("0.0000001"), owner=finance
    )
    answer = script.chat("Hello.")

    assert (answer.status, answer.error) == (402, "billing_error")
    assert "USD" in answer.message
    assert not Call.objects.exists()


def test_over_the_limit_is_429_with_the_time_to_come_again(
    scripts: Callable[..., Script], member: User, simulator: Simulator
) -> None:
    script = scripts(member, requests_per_minute=1)
    first, second = script.chat("Hello."), script.chat("Hello.")

    assert (first.status, first.headers["anthropic-ratelimit-requests-remaining"]) == (200, "0")
    assert (second.status, second.error) == (429, "rate_limit_error")
    assert int(second.headers["retry-after"]) >= 1


def test_a_key_for_certain_prompts_sends_no_text_of_its_own(script: Script, prompt: Prompt) -> None:
    script.key.prompts_allowed.add(prompt)
    answer = script.chat("Hello.")

    assert (answer.status, answer.error) == (403, "permission_error")
    assert not Call.objects.exists()


def test_a_key_for_certain_models_gets_no_other(script: Script) -> None:
    script.key.models_allowed.add(ClaudeModel.objects.get(pk="claude-opus-5-5"))
    answer = script.chat("Hello.")

    assert (answer.status, answer.error) == (403, "permission_error")
    assert not Call.objects.exists()


def test_a_model_that_does_not_exist_is_404(script: Script) -> None:
    answer = script.chat("Hello.", model="claude-none")

    assert (answer.status, answer.error) == (404, "not_found_error")


def test_an_answer_that_is_given_again_takes_no_tokens_of_a_limit(
    scripts: Callable[..., Script], member: User, simulator: Simulator
) -> None:
    script = scripts(member, tokens_per_minute=20_000, cache_minutes=10)
    # About 8,000 tokens.
    answers = [script.chat("Hello." * 5000) for _ in range(5)]

    assert [answer.status for answer in answers] == [200] * 5


def test_a_kept_answer_costs_nothing(script: Script, simulator: Simulator) -> None:
    script.key.cache_minutes = 10
    script.key.save()
    first, second = script.chat("Hello."), script.chat("Hello.")

    assert second.json["text"] == first.json["text"]
    assert second.json["cost_usd"] == "0"
    assert second.headers["x-claudeapp-kept"] == first.json["call"]
    assert CostRecord.objects.count() == 1
