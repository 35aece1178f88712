"""One contract, two targets: what holds here against the simulator must hold against the real Claude API.

`make test-live` runs these against the real one; a difference is a fault of the simulator.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from core.claude import client
from core.claude.errors import ClaudeError
from core.claude.requests import Sending
from core.claude.usage import read_usage
from tests.contract.target import LIVE, Target


@pytest.fixture
def target(request: pytest.FixtureRequest) -> Target:
    if not LIVE:
        request.getfixturevalue("simulator")
    return Target(live=LIVE)


def ask(target: Target, text: str = "Say hello in five words.", **more: Any) -> dict[str, Any]:
    return {
        "model": target.model,
        "max_tokens": target.max_tokens,
        "messages": [{"role": "user", "content": text}],
        **more,
    }


def refusal(request: dict[str, Any]) -> ClaudeError:
    with pytest.raises(ClaudeError) as caught:
        list(client.send(Sending(request), 30))
    return caught.value


def test_an_answer_comes_in_pieces_with_usage_and_request_id(target: Target) -> None:
    answering = client.send(Sending(ask(target)), 30)

    pieces = [event.text for event in answering]

    reply = answering.reply
    usage = read_usage(reply.usage)
    assert "".join(pieces) == reply.text
    assert reply.stopped
    assert reply.usage_complete
    assert reply.request_id.startswith("req_")
    assert reply.model.startswith(target.model)
    assert reply.stop_reason in {"end_turn", "max_tokens"}
    assert usage is not None
    assert usage.input > 0
    assert 0 < usage.output <= target.max_tokens


def test_counting_says_what_the_answer_then_reports(target: Target) -> None:
    request = ask(target, system="Answer briefly.")
    answering = client.send(Sending(request), 30)
    list(answering)

    usage = read_usage(answering.reply.usage)

    assert usage is not None
    assert client.count_tokens(request) == usage.whole_input


def test_a_system_prompt_counts_as_input(target: Target) -> None:
    assert client.count_tokens(ask(target, system="Be brief. " * 20)) > client.count_tokens(ask(target))


def test_an_answer_follows_a_schema(target: Target) -> None:
    schema = {
        "type": "object",
        "properties": {"sentiment": {"type": "string", "enum": ["positive", "negative"]}},
        "required": ["sentiment"],
        "additionalProperties": False,
    }
    request = ask(
        target,
        "Is this feedback positive? «I love it.»",
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    answering = client.send(Sending({**request, "max_tokens": 400}), 30)

    list(answering)

    assert json.loads(answering.reply.text)["sentiment"] in {"positive", "negative"}


def test_the_models_are_listed_with_what_the_catalogue_needs(target: Target) -> None:
    models = {model.id: model for model in client.list_models()}

    assert {model.lifecycle for model in models.values()} >= {"active", "retired"}
    model = models[target.model]
    assert model.line == "haiku"
    assert model.lifecycle == "active"
    assert model.max_tokens
    assert model.max_input_tokens
    assert model.capabilities is not None


def test_an_answer_that_is_too_long_is_cut_and_says_so(target: Target) -> None:
    answering = client.send(Sending({**ask(target, "Count from one to one hundred in words."), "max_tokens": 5}), 30)

    list(answering)

    assert answering.reply.stop_reason == "max_tokens"


def test_a_wrong_key_is_refused(target: Target, settings: Settings) -> None:
    settings.ANTHROPIC_API_KEY = "sk-invalid-key"

    error = refusal(ask(target))

    assert (error.status, error.type, error.retryable) == (401, "authentication_error", False)


@pytest.mark.parametrize("model", ["claude-sonnet-4-20250514", "claude-haiku-4-20250514", "claude-nonsense"])
def test_a_model_that_is_not_offered_is_not_found(target: Target, model: str) -> None:
    error = refusal({**ask(target), "model": model})

    assert (error.status, error.type, error.retryable, error.may_be_billed) == (404, "not_found_error", False, False)
    assert error.request_id


@pytest.mark.parametrize(
    "change",
    [
        {"messages": []},
        {"max_tokens": -1},
        {"max_tokens": 100_000_000},
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {"temperature": 0.5},
        {"no_such_field": 1},
    ],
    ids=[
        "no messages",
        "less than no tokens",
        "too many tokens",
        "thinking budget",
        "prefill",
        "temperature",
        "unknown field",
    ],
)
def test_what_todays_models_refuse_is_refused(target: Target, change: dict[str, Any]) -> None:
    error = refusal({**ask(target), **change})

    assert (error.status, error.type, error.retryable, error.may_be_billed) == (
        400,
        "invalid_request_error",
        False,
        False,
    )
    assert error.message


def test_an_answer_that_takes_too_long_is_ended(target: Target) -> None:
    with pytest.raises(ClaudeError) as caught:
        list(client.send(Sending(ask(target, "[[simulate: slow seconds=3]] Say hello.")), 0.05))

    assert caught.value.retryable


def test_the_address_is_the_one_in_the_settings(target: Target) -> None:
    assert str(client.sdk().base_url).rstrip("/") == django_settings.ANTHROPIC_BASE_URL
