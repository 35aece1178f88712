"""Do batches through the gateway look to the official SDK as the Claude API's own do?"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import anthropic
import httpx2
import pytest

from core.models import Batch, Budget, BudgetWindow, Call, ClaudeModel, CostRecord
from core.simulator.server import Simulator
from tests.batches.conftest import assert_books_are_the_bill, tended
from tests.gateway.conftest import MODEL, Program, Server, question

pytestmark = pytest.mark.django_db(transaction=True)


def item(name: str, text: str = "Please pay it.", **more: Any) -> Any:
    return {"custom_id": name, "params": question(text, **{"max_tokens": 40, **more})}


def post(server: Server, program: Program, content: bytes, **headers: str) -> httpx2.Response:
    address = f"{server.url}/v1/messages/batches"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.post(address, content=content, headers=program.headers(**named), timeout=20)


def test_a_batch_goes_its_way_as_at_claude_itself(server: Server, program: Program, simulated: Simulator) -> None:
    client = program.sdk(server.url).messages.batches
    made = client.create(requests=[item("a"), item("b", "[[simulate: batch=errored]]"), item("c")])
    assert (made.type, made.processing_status, made.request_counts.processing) == ("message_batch", "in_progress", 3)
    assert made.id.startswith("msgbatch_")
    with pytest.raises(anthropic.AnthropicError):
        list(client.results(made.id))

    tended(Batch.objects.get())

    ended = client.retrieve(made.id)
    assert (ended.processing_status, ended.request_counts.succeeded, ended.request_counts.errored) == ("ended", 2, 1)
    assert ended.results_url == f"{server.url}/v1/messages/batches/{made.id}/results"
    found = {line.custom_id: line.result for line in client.results(made.id)}
    assert {name: result.type for name, result in found.items()} == {"a": "succeeded", "b": "errored", "c": "succeeded"}
    good, bad = found["a"], found["b"]
    assert good.type == "succeeded"
    assert good.message.usage.service_tier == "batch"
    assert good.message.content[-1].type == "text"
    assert good.message.model == MODEL
    assert bad.type == "errored"
    assert bad.error.error.type == "api_error"
    assert_books_are_the_bill(simulated)
    assert client.delete(made.id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        client.retrieve(made.id)
    assert CostRecord.objects.count() == 2, "what was spent stays in the books"


def test_a_program_sees_its_own_batches_only(api: Server, program: Program, other: Program) -> None:
    mine = program.sdk(api.url).messages.batches
    made = [mine.create(requests=[item("a")]).id for _ in range(3)]
    theirs = other.sdk(api.url).messages.batches
    assert list(theirs.list()) == []
    for asking in (theirs.retrieve, theirs.cancel, theirs.delete):
        with pytest.raises(anthropic.NotFoundError):
            asking(made[0])
    assert [batch.id for batch in mine.list(limit=2)] == made[::-1]
    first = mine.list(limit=2)
    assert (first.has_more, [batch.id for batch in first.data]) == (True, made[:0:-1])
    assert [batch.id for batch in mine.list(before_id=made[0], limit=1).data] == [made[1]]


def test_a_canceled_batch_ends(api: Server, program: Program, simulated: Simulator) -> None:
    client = program.sdk(api.url).messages.batches
    made = client.create(requests=[item("a"), item("b")])
    told = client.cancel(made.id)
    assert (told.processing_status, told.cancel_initiated_at is not None) == ("canceling", True)
    with pytest.raises(anthropic.BadRequestError):
        client.delete(made.id)
    tended(Batch.objects.get())
    assert client.retrieve(made.id).request_counts.canceled == 2
    assert {line.result.type for line in client.results(made.id)} == {"canceled"}
    assert_books_are_the_bill(simulated)


def test_over_budget_nothing_is_started(api: Server, program: Program) -> None:
    Budget.objects.create(
        name="Small", scope=Budget.Scope.KEY, key=program.key, amount=Decimal("0.00001"), owner=program.key.user
    )
    with pytest.raises(anthropic.APIStatusError) as caught:
        program.sdk(api.url).messages.batches.create(requests=[item("a"), item("b")])
    assert caught.value.status_code == 402
    assert caught.value.type == "billing_error"
    assert not Batch.objects.exists()
    assert not Call.objects.exists()
    assert not BudgetWindow.objects.filter(reserved__gt=0).exists()


def test_a_model_that_the_key_may_not_use_is_refused(api: Server, program: Program) -> None:
    program.key.models_allowed.set([ClaudeModel.objects.get(pk="claude-opus-5-5")])
    with pytest.raises(anthropic.PermissionDeniedError):
        program.sdk(api.url).messages.batches.create(requests=[item("a")])
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("[]", 400, "not valid JSON"),
        ('{"requests": [', 400, "not valid JSON"),
        ("{}", 400, "requests: Field required"),
        ('{"requests": []}', 400, "at least 1 item"),
        ('{"requests": {}}', 400, "valid list"),
        ('{"requests": [5]}', 400, "requests.0: Input should be a valid dictionary"),
        ('{"requests": [{"custom_id": "a"}]}', 400, "requests.0.params: Field required"),
        ('{"requests": [{"custom_id": "a", "params": {"model": "m"}}]}', 400, "requests.0.params.max_tokens"),
        (json.dumps({"requests": [item("a"), item("a")]}), 400, "must be unique"),
        (json.dumps({"requests": [item("a b")]}), 400, "requests.0.custom_id"),
        (json.dumps({"requests": [item("a")], "more": 1}), 400, "more: Extra inputs"),
        (json.dumps({"requests": [item("a")]}) + "x", 400, "not valid JSON"),
        (json.dumps({"requests": [item("a", model="no-such-model")]}), 404, "no-such-model"),
        (json.dumps({"requests": [item("a", "\ud800")]}), 400, "half a character"),
        (json.dumps({"requests": [item("a", max_tokens=10**20)]}), 400, "requests.0.params.max_tokens"),
        ("[" * 100_000, 400, "not valid JSON"),
    ],
    ids=range(16),
)  # fmt: skip
def test_what_is_no_batch_is_refused_with_a_sentence(
    api: Server, program: Program, body: str, status: int, words: str
) -> None:
    answer = post(api, program, body.encode())
    assert (answer.status_code, answer.json()["type"]) == (status, "error")
    assert words in answer.json()["error"]["message"]
    assert not Batch.objects.exists()
    assert not Call.objects.exists()


def test_the_same_batch_sent_again_is_started_once(api: Server, program: Program) -> None:
    body = json.dumps({"requests": [item("a")]}).encode()
    first = post(api, program, body, idempotency_key="monday")
    assert first.status_code == 200
    assert post(api, program, body, idempotency_key="monday").json()["id"] == first.json()["id"]
    assert post(api, program, body, x_stainless_retry_count="1").json()["id"] == first.json()["id"]
    another = json.dumps({"requests": [item("b")]}).encode()
    assert post(api, program, another, idempotency_key="monday").status_code == 422
    assert Batch.objects.count() == 1
    assert post(api, program, body).json()["id"] != first.json()["id"]


def test_large_requests_and_odd_characters_go_through_whole(
    api: Server, program: Program, simulated: Simulator
) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 1_200_000}}
    text = {"type": "text", "text": 'NUL \x00, quotes " and ümläuts – 日本語'}
    sent = [{"custom_id": "a", "params": {**question(), "messages": [{"role": "user", "content": [text, image]}]}}]
    program.sdk(api.url).messages.batches.create(requests=sent)  # type: ignore[arg-type]
    call = Call.objects.get()
    assert len(json.dumps(call.request)) < 10_000
    tended(Batch.objects.get())
    (there,) = list(simulated.state.batches._batches.values())[-1].requests
    assert there["params"] == sent[0]["params"]


def test_the_beta_of_the_sdk_is_passed_on_and_answered_on_all_its_addresses(
    server: Server, program: Program, simulated: Simulator
) -> None:
    client = program.sdk(server.url).beta.messages.batches
    # Known to the beta's types only.
    edits = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    made = client.create(requests=[item("a", context_management=edits)], betas=["context-management-2025-06-27"])
    tended(Batch.objects.get())
    assert client.retrieve(made.id).request_counts.succeeded == 1
    assert [each.id for each in client.list()] == [made.id]
    assert [line.result.type for line in client.results(made.id)] == ["succeeded"]
    assert [batch.beta for batch in simulated.state.batches._batches.values()][-1]
    client.delete(made.id)
    assert list(client.list()) == []
