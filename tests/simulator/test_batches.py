"""Message batches from creation to results."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import anthropic
import pytest

from core.simulator import Simulator

from .conftest import MODEL, text_of


def item(custom_id: str, text: str = "Hello", **params: Any) -> Any:
    body = {"model": MODEL, "max_tokens": 200, "messages": [{"role": "user", "content": text}], **params}
    return {"custom_id": custom_id, "params": body}


@pytest.fixture
def slow() -> Iterator[tuple[Simulator, anthropic.Anthropic]]:
    """A simulator whose batches take long."""
    with (
        Simulator(batch_seconds=3600) as simulator,
        anthropic.Anthropic(api_key="k", base_url=simulator.url, max_retries=0) as client,
    ):
        yield simulator, client


def test_every_request_gets_its_own_result(client: anthropic.Anthropic, simulator: Simulator) -> None:
    batch = client.messages.batches.create(
        requests=[
            item("good", "Rivers"),
            item("retired", model="claude-sonnet-4-20250514"),
            item("typed", foo=1),
            item("unlucky", "[[simulate: batch=errored]]"),
            item("busy", "[[simulate: status=529]]"),
            item("late", "[[simulate: batch=expired]]"),
            item("gone", "[[simulate: batch=canceled]]"),
        ]
    )
    batch = client.messages.batches.retrieve(batch.id)
    assert batch.processing_status == "ended"
    assert batch.request_counts.to_dict() == {
        "processing": 0,
        "succeeded": 1,
        "errored": 4,
        "expired": 1,
        "canceled": 1,
    }
    results = {result.custom_id: result.result for result in client.messages.batches.results(batch.id)}
    kinds = {name: result.error.error.type for name, result in results.items() if result.type == "errored"}
    assert kinds == {
        "retired": "not_found_error",
        "typed": "invalid_request_error",
        "unlucky": "api_error",
        "busy": "overloaded_error",
    }
    good = results["good"]
    assert good.type == "succeeded"
    assert "Rivers" in text_of(good.message)
    assert good.message.usage.service_tier == "batch"
    by_hand = (
        Decimal("0.05") * good.message.usage.input_tokens + Decimal("0.25") * good.message.usage.output_tokens
    ) / 10**6
    (entry,) = simulator.bill()["entries"]
    assert entry["batch"] is True
    assert entry["seen"] is True
    assert entry["request_id"] == f"{batch.id}/good"
    assert Decimal(entry["amount_usd"]) == by_hand


def test_results_come_in_another_order_than_requests(client: anthropic.Anthropic) -> None:
    names = [f"request-{number}" for number in range(40)]
    batch = client.messages.batches.create(requests=[item(name) for name in names])
    found = [result.custom_id for result in client.messages.batches.results(batch.id)]
    assert found != names
    assert sorted(found) == sorted(names)


def test_a_batch_in_progress_has_no_results_and_no_bill(slow: tuple[Simulator, anthropic.Anthropic]) -> None:
    simulator, client = slow
    batch = client.messages.batches.create(requests=[item("a"), item("b")])
    assert batch.processing_status == "in_progress"
    assert batch.request_counts.processing == 2
    assert batch.results_url is None
    assert batch.ended_at is None
    assert simulator.bill()["entries"] == []
    with pytest.raises(anthropic.NotFoundError):
        client.get(f"/v1/messages/batches/{batch.id}/results", cast_to=object)
    with pytest.raises(anthropic.BadRequestError):
        client.messages.batches.delete(batch.id)


def test_a_cancelled_batch_ends_with_what_was_done(slow: tuple[Simulator, anthropic.Anthropic]) -> None:
    simulator, client = slow
    batch = client.messages.batches.create(requests=[item("a"), item("b")])
    cancelled = client.messages.batches.cancel(batch.id)
    assert cancelled.processing_status == "canceling"
    assert cancelled.cancel_initiated_at is not None
    ended = client.messages.batches.retrieve(batch.id)
    assert ended.processing_status == "ended"
    assert ended.request_counts.canceled == 2
    assert {result.result.type for result in client.messages.batches.results(batch.id)} == {"canceled"}
    assert simulator.bill()["entries"] == []


def test_batches_are_listed_by_key_newest_first_and_can_be_deleted(simulator: Simulator) -> None:
    with anthropic.Anthropic(api_key="sk-lister", base_url=simulator.url, max_retries=0) as client:
        made = [client.messages.batches.create(requests=[item("a")]).id for _ in range(3)]
        assert [batch.id for batch in client.messages.batches.list(limit=2)] == made[::-1]
        assert client.messages.batches.delete(made[0]).type == "message_batch_deleted"
        with pytest.raises(anthropic.NotFoundError):
            client.messages.batches.retrieve(made[0])
    stranger = anthropic.Anthropic(api_key="sk-stranger", base_url=simulator.url, max_retries=0)
    with stranger, pytest.raises(anthropic.NotFoundError):
        stranger.messages.batches.retrieve(made[1])


@pytest.mark.parametrize(
    ("requests", "message"),
    [
        ([], "requests: List should have at least 1 item"),
        ([item("a b")], "requests.0.custom_id: String should match pattern"),
        ([item("x" * 65)], "requests.0.custom_id: String should match pattern"),
        ([item("")], "requests.0.custom_id: String should match pattern"),
        ([item("a"), item("a")], "requests: `custom_id` must be unique"),
        ([{"custom_id": "a"}], "requests.0.params: Field required"),
        ([{"params": {}}], "requests.0.custom_id: Field required"),
        ([{**item("a"), "foo": 1}], "requests.0.foo: Extra inputs are not permitted"),
        (["x"], "requests.0: Input should be a valid dictionary"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_bad_envelope_is_refused_at_once(client: anthropic.Anthropic, requests: Any, message: str) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.batches.create(requests=requests)
    assert str(caught.value.api_message).startswith(message)
