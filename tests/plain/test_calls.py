"""Can a script put calls into the queue, come back for them, and take them back?"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group

from core.execution.run import run_call
from core.models import Budget, Call, Prompt, Reservation, User
from core.simulator.server import Simulator
from tests.plain.conftest import Script

pytestmark = pytest.mark.django_db


def test_a_prompt_is_answered_by_a_worker(
    script: Script, summary: dict[str, Any], simulator: Simulator, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks() as dispatched:
        accepted = script.post("/api/calls", summary)
    assert (accepted.status, len(dispatched)) == (202, 1)
    call = script.call(accepted)
    assert accepted.json == {
        "id": str(call.pk),
        "status": "queued",
        "url": f"http://testserver/api/calls/{call.pk}",
    }
    assert accepted.headers["location"] == accepted.json["url"]
    waiting = script.get(accepted.json["url"])
    assert (waiting.json["status"], waiting.json["text"], waiting.json["usage"]) == ("queued", None, None)

    run_call(call.pk)

    call.refresh_from_db()
    answer = script.get(accepted.json["url"]).json
    record = call.cost_records.get()
    assert {name: answer[name] for name in ("id", "status", "text", "model", "reason", "error", "prompt")} == {
        "id": str(call.pk),
        "status": "succeeded",
        "text": call.text,
        "model": "claude-haiku-5-5",
        "reason": call.reason,
        "error": None,
        "prompt": "summarise",
    }
    assert answer["usage"] == {
        "input_tokens": record.input_tokens,
        "output_tokens": record.output_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }
    assert Decimal(answer["cost_usd"]) == record.amount


def test_a_text_of_its_own_is_answered_by_a_worker(script: Script, simulator: Simulator) -> None:
    accepted = script.post("/api/calls", {"text": "Hello.", "system": "Be brief.", "model": "claude-haiku-5-5"})
    call = script.call(accepted)
    assert (call.lane, call.door, call.prompt) == ("queue", "api", None)

    run_call(call.pk)

    answer = script.get(accepted.json["url"]).json
    assert (answer["status"], answer["prompt"]) == ("succeeded", None)
    assert answer["text"]


def test_a_call_that_failed_tells_why(script: Script, simulator: Simulator) -> None:
    text = "[[simulate: status=400]]"
    accepted = script.post("/api/calls", {"text": text, "model": "claude-haiku-5-5"})
    run_call(script.call(accepted).pk)

    answer = script.get(accepted.json["url"]).json
    assert answer["status"] == "failed"
    assert answer["error"]["type"] == "invalid_request_error"
    assert answer["error"]["message"]


def test_variables_that_are_not_named_take_their_default(script: Script, prompt: Prompt) -> None:
    accepted = script.post("/api/calls", {"prompt": prompt.slug, "inputs": {"document": "A long text."}})

    assert script.call(accepted).inputs == {"document": "A long text.", "length": "short"}


def test_all_that_is_wrong_with_inputs_is_said_at_once_and_by_name(script: Script, prompt: Prompt) -> None:
    answer = script.post("/api/calls", {"prompt": prompt.slug, "inputs": {"length": "huge", "lenght": "short"}})

    assert (answer.status, answer.error) == (400, "invalid_request_error")
    assert answer.message == (
        "document: Please fill this in.; length: Please choose one of the options.; "
        "lenght: This prompt has no such variable."
    )
    assert not Call.objects.exists()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "give either «prompt», with its «inputs», or «text»"),
        ({"prompt": "summarise", "text": "x"}, "give either «prompt», with its «inputs», or «text»"),
        ({"text": "x", "inputs": {"a": "b"}}, "«inputs» belong to a «prompt»"),
        ({"text": ""}, "text: String should have at least 1 character"),
        ({"text": 5}, "text: Input should be a valid string"),
        ({"text": "x", "max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        ({"text": "x", "temperature": 1}, "temperature: Extra inputs are not permitted"),
        ({"text": "a\x00b"}, "text: String should match pattern"),
        (b"{", "The request body is not valid JSON"),
        (b"[]", "The request body is not a JSON object."),
        (b'"text"', "The request body is not a JSON object."),
        (b"", "Field required"),
        (b'{"text": "\\ud800"}', "The request body is not valid JSON"),
        (b'{"prompt": "summarise", "inputs": {"document": NaN}}', "The request body is not valid JSON"),
        (b'{"text": ' + b"[" * 100_000, "The request body is not valid JSON"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(
    script: Script, prompt: Prompt, body: dict[str, Any] | bytes, message: str
) -> None:
    answer = script.post("/api/calls", body)

    assert (answer.status, answer.error) == (400, "invalid_request_error")
    assert answer.message.startswith(message)
    assert not Call.objects.exists()


def test_a_body_that_is_too_large_is_413(script: Script) -> None:
    answer = script.post("/api/calls", b'{"text": "' + b"x" * 9_000_000 + b'"}')

    assert (answer.status, answer.error) == (413, "request_too_large")


def test_a_prompt_is_for_those_who_may_use_it(
    script: Script, stranger: Script, prompt: Prompt, summary: dict[str, Any]
) -> None:
    group = Group.objects.create(name="Editors of summaries")
    prompt.groups.add(group)
    prompt.access = Prompt.Access.GROUPS
    prompt.save()
    script.key.user.groups.add(group)

    refused = stranger.post("/api/calls", summary)

    assert (refused.status, refused.error) == (403, "permission_error")
    assert script.post("/api/calls", summary).status == 202


def test_a_key_for_other_prompts_or_models_is_refused(
    scripts: Callable[..., Script], member: User, prompt: Prompt, summary: dict[str, Any]
) -> None:
    other = Prompt.objects.create(name="Another", slug="another", template="Hello", model=prompt.model)
    for script, bound in ((scripts(member), "prompts_allowed"), (scripts(member), "models_allowed")):
        getattr(script.key, bound).add(other if bound == "prompts_allowed" else "claude-opus-5-5")
        refused = script.post("/api/calls", summary)
        assert (refused.status, refused.error) == (403, "permission_error")
    assert not Call.objects.exists()


def test_a_prompt_that_is_not_published_is_not_there(script: Script, prompt: Prompt, summary: dict[str, Any]) -> None:
    prompt.withdraw()
    answer = script.post("/api/calls", summary)

    assert (answer.status, answer.error) == (404, "not_found_error")


def test_over_budget_is_402_and_no_call(script: Script, summary: dict[str, Any], finance: User) -> None:
    Budget.objects.create(
        name="Tiny", scope=Budget.Scope.KEY, key=script.key, amount=Decimal("0.0000001"), owner=finance
    )
    answer = script.post("/api/calls", summary)

    assert (answer.status, answer.error) == (402, "billing_error")
    assert not Call.objects.exists()


def test_the_same_named_request_is_one_call(script: Script, summary: dict[str, Any]) -> None:
    first = script.post("/api/calls", summary, idempotency_key="row 17")
    second = script.post("/api/calls", summary, idempotency_key="row 17")
    third = script.post("/api/calls", summary, idempotency_key="row 18")

    assert first.json == second.json
    assert third.json["id"] != first.json["id"]
    assert Call.objects.count() == 2


def test_what_has_not_been_sent_is_taken_back_with_what_it_reserved(
    script: Script, summary: dict[str, Any], finance: User
) -> None:
    Budget.objects.create(name="Key", scope=Budget.Scope.KEY, key=script.key, amount=Decimal(10), owner=finance)
    accepted = script.post("/api/calls", summary)
    assert Reservation.objects.filter(held__gt=0).exists()

    for _ in range(2):
        answer = script.send("DELETE", accepted.json["url"])
        assert (answer.status, answer.json["status"]) == (200, "canceled")
    assert not Reservation.objects.filter(held__gt=0).exists()


@pytest.mark.parametrize("status", ["running", "succeeded", "failed"])
def test_what_is_at_work_or_has_ended_cannot_be_taken_back(
    script: Script, summary: dict[str, Any], status: str
) -> None:
    accepted = script.post("/api/calls", summary)
    Call.objects.update(status=status)
    answer = script.send("DELETE", accepted.json["url"])

    assert (answer.status, answer.error) == (409, "conflict_error")
    assert status in answer.message


def test_calls_are_listed_page_by_page_the_newest_first(script: Script, summary: dict[str, Any]) -> None:
    ids = [script.post("/api/calls", summary).json["id"] for _ in range(5)][::-1]

    first = script.get("/api/calls?limit=2").json
    second = script.get(f"/api/calls?limit=2&after_id={first['last_id']}").json
    third = script.get(f"/api/calls?limit=2&after_id={second['last_id']}").json

    assert [call["id"] for page in (first, second, third) for call in page["data"]] == ids
    assert [page["has_more"] for page in (first, second, third)] == [True, True, False]


def test_a_list_takes_the_same_number_of_queries_however_long(
    script: Script, summary: dict[str, Any], django_assert_max_num_queries: Any
) -> None:
    for _ in range(4):
        script.post("/api/calls", summary)
    with django_assert_max_num_queries(6):
        assert len(script.get("/api/calls").json["data"]) == 4


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "after_id=x", "limit=%00"])
def test_a_page_that_makes_no_sense_is_refused(script: Script, query: str) -> None:
    answer = script.get(f"/api/calls?{query}")

    assert (answer.status, answer.error) == (400, "invalid_request_error")


def test_a_key_sees_its_own_calls_only(
    script: Script, stranger: Script, scripts: Callable[..., Script], member: User, summary: dict[str, Any]
) -> None:
    accepted = script.post("/api/calls", summary)
    url, call_id = accepted.json["url"], accepted.json["id"]

    # Another key of the same person neither: whoever has one key has no more than that.
    for other in (stranger, scripts(member)):
        assert other.get("/api/calls").json["data"] == []
        for method, path in (
            ("GET", url),
            ("DELETE", url),
            ("GET", f"{url}/events"),
            ("GET", f"/api/calls?after_id={call_id}"),
        ):
            answer = other.send(method, path, b"")
            assert (answer.status, answer.error) == (404, "not_found_error")
    assert script.call(accepted).status == "queued"
