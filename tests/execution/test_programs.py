"""What does a program get, that sent a request of its own?"""

from __future__ import annotations

import json

import pytest
from pytest_django import Settings

from core.claude import client
from core.claude.requests import Sending
from core.execution.run import run_call
from core.models import Call, CostRecord
from core.simulator.server import Simulator
from tests.execution.programs import LONG, Ask, Program, body, ledger_is_the_bill


def test_a_json_answer_is_kept_byte_for_byte(ask: Ask, simulator: Simulator) -> None:
    request = body()
    call = ask(request)

    outcome = run_call(call.pk, None, Sending(request, streamed=False))

    call.refresh_from_db()
    message = json.loads(outcome.answer)
    assert outcome.status == call.status == Call.Status.SUCCEEDED
    assert message["type"] == "message"
    assert {**(call.envelope or {}), "content": call.content} == message
    assert outcome.headers["request-id"] == call.request_id
    assert CostRecord.objects.get().amount is not None
    assert ledger_is_the_bill(simulator)


def test_a_stream_is_told_as_it_came(ask: Ask, simulator: Simulator) -> None:
    request = body(output_config={"effort": "low"})
    call, program = ask(request, Call.Lane.STREAM), Program()

    outcome = run_call(call.pk, program, Sending(request))

    call.refresh_from_db()
    assert outcome.status == Call.Status.SUCCEEDED
    assert program.events[0][0] == "message_start"
    assert program.events[-1] == ("message_stop", {"type": "message_stop"})
    assert program.written == call.text
    assert program.headers[0]["request-id"] == call.request_id
    assert (call.envelope or {})["stop_reason"] == "end_turn"


def test_fields_and_headers_unknown_here_reach_claude(ask: Ask) -> None:
    request = body(no_such_field={"a": [1, None]})

    outcome = run_call(ask(request).pk, None, Sending(request, {"anthropic-beta": "x-2026"}, streamed=False))

    assert outcome.error is not None
    assert outcome.error.status == 400
    assert "no_such_field" in outcome.error.message
    assert outcome.error.body == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": outcome.error.message},
        "request_id": outcome.error.request_id,
    }
    assert outcome.error.headers["request-id"] == outcome.error.request_id


@pytest.mark.parametrize("directive", ["cut after=3", "drop after=3"])
def test_a_body_that_never_comes_has_an_unknown_cost(
    ask: Ask, simulator: Simulator, directive: str, settings: Settings
) -> None:
    settings.SYNC_ATTEMPTS = 1
    request = body(f"[[simulate: {directive}]] {LONG}")

    outcome = run_call(ask(request).pk, None, Sending(request, streamed=False))

    assert outcome.error is not None
    assert outcome.error.may_be_billed
    assert CostRecord.objects.unknown().count() == 1
    assert ledger_is_the_bill(simulator)


def test_what_costs_nothing_is_passed_on_as_it_came(simulator: Simulator) -> None:
    question = {name: value for name, value in body().items() if name != "max_tokens"}
    counted = client.forward("POST", "/v1/messages/count_tokens", body=json.dumps(question).encode())
    listed = client.forward("GET", "/v1/models", query="limit=1")
    missing = client.forward("GET", "/v1/models/none")

    assert counted.status == listed.status == 200
    assert json.loads(counted.body)["input_tokens"] > 0
    assert len(json.loads(listed.body)["data"]) == 1
    assert (missing.status, json.loads(missing.body)["error"]["type"]) == (404, "not_found_error")
    assert missing.headers["request-id"]
