"""Does one request, sent twice, come to one call and one bill?"""

from __future__ import annotations

import datetime as dt
import json
import threading
from typing import Any

import anthropic
import httpx2
import pytest
from django.test import Client
from django.utils import timezone

from core.gateway import messages
from core.models import Budget, Call, CostRecord, IdempotencyToken
from core.simulator.server import Simulator
from tests.gateway.conftest import Program, Server, question, until

Answer = Any


def ask(client: Client, program: Program, body: dict[str, Any], **headers: str) -> Answer:
    sent = program.headers(**{name.replace("_", "-"): value for name, value in headers.items()})
    return client.post("/v1/messages", body, content_type="application/json", headers=sent)


def later(minutes: int) -> None:
    """As if so much time had passed since all that happened."""
    past = timezone.now() - dt.timedelta(minutes=minutes)
    Call.objects.update(created_at=past, finished_at=past)
    IdempotencyToken.objects.update(created_at=past)


def test_a_named_request_is_one_call_one_bill_and_one_answer(
    client: Client, program: Program, simulated: Simulator
) -> None:
    first = ask(client, program, question(), idempotency_key="order-1")
    second = ask(client, program, question(), idempotency_key="order-1")

    assert first.status_code == second.status_code == 200
    assert second.json() == first.json()
    assert second.headers["x-claudeapp-call"] == first.headers["x-claudeapp-call"]
    assert second.headers["x-claudeapp-cost-usd"] == first.headers["x-claudeapp-cost-usd"]
    assert second.headers["request-id"] == first.headers["request-id"]
    assert (first.headers.get("x-claudeapp-replayed"), second.headers["x-claudeapp-replayed"]) == (None, "true")
    assert Call.objects.count() == CostRecord.objects.count() == len(simulated.bill()["entries"]) == 1


def test_the_name_for_another_body_is_a_mistake(client: Client, program: Program, simulated: Simulator) -> None:
    ask(client, program, question(), idempotency_key="order-1")

    answer = ask(client, program, question("Something else."), idempotency_key="order-1")

    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "invalid_request_error")
    assert Call.objects.count() == 1


def test_a_name_is_forgotten_after_a_day(client: Client, program: Program, simulated: Simulator) -> None:
    ask(client, program, question(), idempotency_key="order-1")
    later(minutes=24 * 60 + 1)

    answer = ask(client, program, question("Something else."), idempotency_key="order-1")

    assert answer.status_code == 200
    assert Call.objects.count() == 2
    assert IdempotencyToken.objects.get().call == Call.objects.latest("created_at")


def test_names_of_other_keys_are_theirs(client: Client, program: Program, simulated: Simulator, other: Program) -> None:
    mine = ask(client, program, question(), idempotency_key="order-1")
    theirs = ask(client, other, question(), idempotency_key="order-1")

    assert mine.headers["x-claudeapp-call"] != theirs.headers["x-claudeapp-call"]


@pytest.mark.parametrize("name", ["x" * 256, "schön", "a\tb"])
def test_a_name_is_short_and_printable(client: Client, program: Program, simulated: Simulator, name: str) -> None:
    assert ask(client, program, question(), idempotency_key=name).status_code == 400


def test_what_passed_by_at_no_cost_is_tried_anew_under_its_name(
    client: Client, program: Program, simulated: Simulator
) -> None:
    program.key.attempts = 1
    program.key.save()
    body = question("[[simulate: status=529 times=1]] Hello")

    first = ask(client, program, body, idempotency_key="order-1")
    second = ask(client, program, body, idempotency_key="order-1")

    assert (first.status_code, second.status_code) == (529, 200)
    assert CostRecord.objects.count() == 1


def test_a_refusal_is_told_again_under_its_name(client: Client, program: Program, simulated: Simulator) -> None:
    body = question("[[simulate: status=400 times=1]] Hello")

    first = ask(client, program, body, idempotency_key="order-1")
    second = ask(client, program, body, idempotency_key="order-1")

    assert (first.status_code, second.status_code) == (400, 400)
    assert second.json()["error"]["message"] == first.json()["error"]["message"]
    assert Call.objects.count() == 1


def test_an_sdks_retry_joins_what_has_an_answer(client: Client, program: Program, simulated: Simulator) -> None:
    first = ask(client, program, question())
    again = ask(client, program, question(), x_stainless_retry_count="1")
    anew = ask(client, program, question(), x_stainless_retry_count="0")

    assert again.json() == first.json()
    assert again.headers["x-claudeapp-replayed"] == "true"
    assert anew.headers["x-claudeapp-call"] != first.headers["x-claudeapp-call"]
    later(minutes=16)
    late = ask(client, program, question(), x_stainless_retry_count="1")
    assert "x-claudeapp-replayed" not in late.headers


def test_an_sdks_retry_of_what_failed_is_run_anew(client: Client, program: Program, simulated: Simulator) -> None:
    program.key.attempts = 1
    program.key.save()
    body = question("[[simulate: status=529 times=1]] Hello")

    first = ask(client, program, body)
    second = ask(client, program, body, x_stainless_retry_count="1")

    assert (first.status_code, second.status_code) == (529, 200)
    assert Call.objects.count() == 2


def test_an_sdks_retry_is_not_given_the_answer_of_an_earlier_request(
    client: Client, program: Program, simulated: Simulator
) -> None:
    body = question("[[simulate: status=529 times=1]] Hello")
    earlier = ask(client, program, body)
    simulated.state.clear()
    program.key.attempts = 1
    program.key.save()

    failed = ask(client, program, body)
    again = ask(client, program, body, x_stainless_retry_count="1")

    assert (earlier.status_code, failed.status_code, again.status_code) == (200, 529, 200)
    assert "x-claudeapp-replayed" not in again.headers


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fault", ["cut after=3", "drop after=3"])
def test_an_sdk_that_tries_again_pays_for_what_may_have_been_billed_once(
    api: Server, program: Program, simulated: Simulator, fault: str
) -> None:
    program.key.attempts = 1
    program.key.save()

    with program.sdk(api.url, max_retries=2) as sdk, pytest.raises(anthropic.InternalServerError) as raised:
        sdk.messages.create(**question(f"[[simulate: {fault}]] Hello"))

    assert raised.value.response.headers["x-should-retry"] == "false"
    retry = program.headers(**{"x-stainless-retry-count": "1"})
    again = httpx2.post(f"{api.url}/v1/messages", content=raised.value.request.read(), headers=retry)
    assert (again.status_code, again.headers["x-should-retry"]) == (raised.value.status_code, "false")
    assert Call.objects.count() == CostRecord.objects.count() == len(simulated.bill()["entries"]) == 1


@pytest.mark.parametrize("fault", ["status=401", "status=403", "spend-limit", "status=429 retry-after=none"])
def test_what_was_no_fault_of_the_request_is_tried_anew_under_its_name(
    client: Client, program: Program, simulated: Simulator, fault: str
) -> None:
    program.key.attempts = 1
    program.key.save()
    body = question(f"[[simulate: {fault} times=1]] Hello")

    first = ask(client, program, body, idempotency_key="order-1")
    second = ask(client, program, body, idempotency_key="order-1")

    assert first.status_code >= 400
    assert second.status_code == 200


@pytest.mark.django_db(transaction=True)
def test_who_is_second_gets_the_answer_also_where_the_first_took_the_last_of_a_budget(
    api: Server, program: Program, simulated: Simulator
) -> None:
    Budget.objects.create(name="One", scope=Budget.Scope.KEY, key=program.key, amount="0.0003", owner=program.key.user)
    answers: list[httpx2.Response] = []

    def send() -> None:
        headers = program.headers(**{"idempotency-key": "order-1"})
        answers.append(httpx2.post(f"{api.url}/v1/messages", json=question(), headers=headers, timeout=20))

    many = [threading.Thread(target=send) for _ in range(8)]
    for each in many:
        each.start()
    for each in many:
        each.join()

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.headers["x-claudeapp-call"] for answer in answers}) == 1
    assert CostRecord.objects.count() == len(simulated.bill()["entries"]) == 1


@pytest.mark.django_db(transaction=True)
def test_the_second_waits_for_the_first_and_gets_its_answer(
    api: Server, program: Program, simulated: Simulator
) -> None:
    body = question("[[simulate: slow seconds=1]] Hello")
    answers: list[httpx2.Response] = []

    def send() -> None:
        headers = program.headers(**{"idempotency-key": "order-1"})
        answers.append(httpx2.post(f"{api.url}/v1/messages", json=body, headers=headers, timeout=20))

    both = [threading.Thread(target=send) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert sorted(answer.headers.get("x-claudeapp-replayed", "") for answer in answers) == ["", "true"]
    assert CostRecord.objects.count() == len(simulated.bill()["entries"]) == 1


def test_who_waited_long_enough_is_told_to_come_again(
    client: Client, program: Program, simulated: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(client, program, question(), idempotency_key="order-1")
    Call.objects.update(status=Call.Status.RUNNING)
    monkeypatch.setattr(messages, "WAIT_FOR_SAME", 0.1)

    answer = ask(client, program, question(), idempotency_key="order-1")

    assert (answer.status_code, answer.json()["error"]["type"]) == (409, "conflict_error")
    assert answer.headers["retry-after"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"thinking": {"type": "adaptive"}},
        {
            "messages": [{"role": "user", "content": "[[simulate: tool=weather]] Rome?"}],
            "tools": [
                {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
            ],
        },
    ],
)
def test_a_stream_is_given_again_as_a_stream(
    api: Server, program: Program, simulated: Simulator, more: dict[str, Any]
) -> None:
    sdk = program.sdk(api.url)
    headers = {"Idempotency-Key": "order-1"}

    with sdk.messages.stream(**question(**more), extra_headers=headers) as stream:
        first = stream.get_final_message()
    until(lambda: Call.objects.get().finished, "the settlement")
    with sdk.messages.stream(**question(**more), extra_headers=headers) as stream:
        second = stream.get_final_message()
        assert stream.response.headers["x-claudeapp-replayed"] == "true"

    assert second.to_dict() == first.to_dict()
    assert CostRecord.objects.count() == 1


def test_a_kept_answer_costs_nothing_and_says_so(client: Client, program: Program, simulated: Simulator) -> None:
    program.key.cache_minutes = 10
    program.key.save()

    first = ask(client, program, question())
    second = ask(client, program, json.loads(json.dumps(question(), sort_keys=True)))

    assert second.json() == first.json()
    assert "x-claudeapp-kept" not in first.headers
    assert second.headers["x-claudeapp-kept"] == first.headers["x-claudeapp-call"]
    assert second.headers["x-claudeapp-cost-usd"] == "0"
    given = Call.objects.get(pk=second.headers["x-claudeapp-call"])
    assert (given.status, given.kept_from_id) == (Call.Status.SUCCEEDED, Call.objects.earliest("created_at").pk)
    assert CostRecord.objects.count() == len(simulated.bill()["entries"]) == 1


def test_an_answer_is_kept_for_its_time_and_its_request_only(
    client: Client, program: Program, simulated: Simulator, other: Program
) -> None:
    for each in (program, other):
        each.key.cache_minutes = 10
        each.key.save()
    ask(client, program, question())

    assert "x-claudeapp-kept" not in ask(client, program, question("Something else.")).headers
    assert "x-claudeapp-kept" not in ask(client, program, question(), anthropic_beta="files-api-2025-04-14").headers
    assert "x-claudeapp-kept" not in ask(client, other, question()).headers
    asked_otherwise = client.post(
        "/v1/messages?beta=true", question(), content_type="application/json", headers=program.headers()
    )
    assert "x-claudeapp-kept" not in asked_otherwise.headers
    assert "x-claudeapp-kept" in ask(client, program, question()).headers
    later(minutes=11)
    assert "x-claudeapp-kept" not in ask(client, program, question()).headers


def test_nothing_is_kept_unless_the_key_says_so(client: Client, program: Program, simulated: Simulator) -> None:
    ask(client, program, question())
    assert "x-claudeapp-kept" not in ask(client, program, question()).headers
    assert CostRecord.objects.count() == 2
