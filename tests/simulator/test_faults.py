"""Every way to fail, on demand, and what each of them costs."""

from __future__ import annotations

import socket
import time
from decimal import Decimal
from typing import Any

import anthropic
import httpx2
import pytest

from core.simulator import Simulator
from core.simulator.faults import NAMES, Fault, parse
from core.simulator.tokens import count_text

from .conftest import MODEL, text_of


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def stream(client: anthropic.Anthropic, text: str, **params: Any) -> list[Any]:
    """All events of a stream, as far as they come."""
    return list(client.messages.create(model=MODEL, max_tokens=1000, messages=user(text), stream=True, **params))


def one_entry(simulator: Simulator) -> dict[str, Any]:
    deadline = time.monotonic() + 5
    while not simulator.bill()["entries"] and time.monotonic() < deadline:
        time.sleep(0.01)
    (entry,) = simulator.bill()["entries"]
    assert isinstance(entry, dict)
    return entry


@pytest.mark.parametrize(
    ("directive", "error", "kind"),
    [
        ("status=400", anthropic.BadRequestError, "invalid_request_error"),
        ("status=401", anthropic.AuthenticationError, "authentication_error"),
        ("status=402", anthropic.PaymentRequiredError, "billing_error"),
        ("status=403", anthropic.PermissionDeniedError, "permission_error"),
        ("status=404", anthropic.NotFoundError, "not_found_error"),
        ("status=409", anthropic.ConflictError, "conflict_error"),
        ("status=413", anthropic.RequestTooLargeError, "request_too_large"),
        ("status=429", anthropic.RateLimitError, "rate_limit_error"),
        ("status=500", anthropic.InternalServerError, "api_error"),
        ("status=503", anthropic.ServiceUnavailableError, "api_error"),
        ("status=504", anthropic.DeadlineExceededError, "timeout_error"),
        ("status=529", anthropic.OverloadedError, "overloaded_error"),
        ("status=418", anthropic.APIStatusError, "invalid_request_error"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_any_status_comes_with_its_type_and_is_not_billed(
    ask: Any, simulator: Simulator, directive: str, error: type[anthropic.APIStatusError], kind: str, streamed: bool
) -> None:
    with pytest.raises(error) as caught:
        ask(f"Hello [[simulate: {directive}]]", stream=streamed)
    assert caught.value.type == kind
    assert caught.value.request_id
    assert simulator.bill()["entries"] == []


def test_a_status_carries_the_headers_asked_for(ask: Any) -> None:
    with pytest.raises(anthropic.OverloadedError) as caught:
        ask('[[simulate: status=529 retry-after=7 should-retry=false message="Come back"]]')
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert caught.value.api_message == "Come back"


def test_a_rate_limit_says_when_to_retry_unless_told_otherwise(ask: Any) -> None:
    with pytest.raises(anthropic.RateLimitError) as caught:
        ask("[[simulate: status=429]]")
    assert caught.value.response.headers["retry-after"] == "1"
    with pytest.raises(anthropic.RateLimitError) as caught:
        ask("[[simulate: status=429 retry-after=none]]")
    assert "retry-after" not in caught.value.response.headers


def test_the_tiers_spend_limit_has_a_code_and_no_retry_after(ask: Any) -> None:
    with pytest.raises(anthropic.RateLimitError) as caught:
        ask("[[simulate: status=429 error_code=enforced_spend_limit_reached]]")
    assert caught.value.error_code == "enforced_spend_limit_reached"
    assert "retry-after" not in caught.value.response.headers


def test_the_workspaces_spend_limit_is_a_400_with_a_known_beginning(ask: Any) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask("[[simulate: spend-limit]]")
    assert str(caught.value.api_message).startswith("You have reached your specified")


def test_times_lets_a_later_try_through(simulator: Simulator) -> None:
    text = "[[simulate: status=529 retry-after-ms=1 times=2]]"
    with anthropic.Anthropic(api_key="k", base_url=simulator.url, max_retries=2) as client:
        message = client.messages.create(model=MODEL, max_tokens=200, messages=user(text))
    assert text_of(message)
    assert len(simulator.bill()["entries"]) == 1


def test_a_fault_for_one_model_spares_the_others(ask: Any) -> None:
    text = "[[simulate: status=529 model=opus]]"
    with pytest.raises(anthropic.OverloadedError):
        ask(text, model="claude-opus-5-5")
    assert ask(text, model="claude-sonnet-5-5").content


def test_a_header_asks_for_faults_too(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.OverloadedError) as caught:
        client.messages.create(
            model=MODEL,
            max_tokens=100,
            messages=user("Hello"),
            extra_headers={"x-simulator-fault": "status=529; retry-after=2"},
        )
    assert caught.value.response.headers["retry-after"] == "2"


def test_an_error_event_ends_the_stream_after_so_many_deltas(client: anthropic.Anthropic, simulator: Simulator) -> None:
    events: list[Any] = []
    source = client.messages.create(
        model=MODEL,
        max_tokens=1000,
        messages=user("Rivers [[simulate: long tokens=200]] [[simulate: error-event=overloaded_error after=5]]"),
        stream=True,
        thinking={"type": "disabled"},
    )
    with pytest.raises(anthropic.APIStatusError) as caught:
        events.extend(source)
    assert caught.value.type == "overloaded_error"
    assert caught.value.status_code == 200
    deltas = [event for event in events if event.type == "content_block_delta"]
    assert len(deltas) == 5
    entry = one_entry(simulator)
    assert entry["usage"]["output_tokens"] == count_text("".join(delta.delta.text for delta in deltas))
    assert entry["seen"] is False
    assert Decimal(simulator.bill()["unseen_usd"]) == Decimal(entry["amount_usd"]) > 0


def test_a_cut_stream_ends_quietly_without_message_stop(client: anthropic.Anthropic, simulator: Simulator) -> None:
    names = [event.type for event in stream(client, "Rivers [[simulate: cut after=3]]")]
    assert names.count("content_block_delta") == 3
    assert "message_delta" not in names
    assert "message_stop" not in names
    assert one_entry(simulator)["seen"] is False


def test_a_fault_after_more_deltas_than_there_are_strikes_at_the_end(client: anthropic.Anthropic) -> None:
    names = [event.type for event in stream(client, 'Hi [[simulate: answer="x"]] [[simulate: cut after=99]]')]
    assert names[-1] == "content_block_stop"


def test_a_connection_dropped_at_once_costs_nothing(ask: Any, simulator: Simulator) -> None:
    with pytest.raises(anthropic.APIConnectionError):
        ask("[[simulate: drop]]")
    assert simulator.bill()["entries"] == []


def test_a_connection_dropped_in_the_stream_costs_what_was_generated(
    client: anthropic.Anthropic, simulator: Simulator
) -> None:
    with pytest.raises((anthropic.APIConnectionError, httpx2.TransportError)):
        stream(client, "Rivers [[simulate: drop after=5]]", thinking={"type": "disabled"})
    entry = one_entry(simulator)
    assert entry["usage"]["output_tokens"] > 0
    assert entry["seen"] is False


@pytest.mark.parametrize("directive", ["drop after=0", "cut"])
def test_a_whole_answer_lost_on_its_way_is_billed_in_full(ask: Any, simulator: Simulator, directive: str) -> None:
    with pytest.raises((anthropic.APIConnectionError, httpx2.TransportError)):
        ask(f"Rivers [[simulate: {directive}]]")
    lost = one_entry(simulator)
    assert lost["seen"] is False
    simulator.state.clear()
    whole = ask("Rivers [[simulate: slow seconds=0]]")
    assert lost["usage"]["output_tokens"] == whole.usage.output_tokens


def test_a_hang_outlasts_an_impatient_client_and_costs_nothing(simulator: Simulator) -> None:
    client = anthropic.Anthropic(api_key="k", base_url=simulator.url, max_retries=0, timeout=0.2)
    with client, pytest.raises(anthropic.APITimeoutError):
        client.messages.create(model=MODEL, max_tokens=9, messages=user("[[simulate: hang seconds=0.5]]"))
    time.sleep(0.5)
    assert simulator.bill()["entries"] == []


def test_slow_delays_the_first_byte(ask: Any) -> None:
    began = time.monotonic()
    assert ask("Hi [[simulate: slow seconds=0.3]]").content
    assert 0.3 <= time.monotonic() - began < 3


def test_a_stream_may_fall_silent_in_its_middle(client: anthropic.Anthropic) -> None:
    began = time.monotonic()
    names = [event.type for event in stream(client, "Hi [[simulate: hang seconds=0.3 after=2]]")]
    assert names[-1] == "message_stop"
    assert 0.3 <= time.monotonic() - began < 3


def test_a_client_that_hangs_up_pays_for_what_was_generated_by_then() -> None:
    with Simulator(pace=100) as simulator, anthropic.Anthropic(api_key="k", base_url=simulator.url) as client:
        events = client.messages.create(
            model=MODEL,
            max_tokens=2000,
            messages=user("Rivers [[simulate: long tokens=1000]]"),
            stream=True,
            thinking={"type": "disabled"},
        )
        for event in events:
            if event.type == "content_block_delta":
                break
        events.close()
        entry = one_entry(simulator)
    assert 0 < entry["usage"]["output_tokens"] < 100
    assert entry["seen"] is False


def test_an_unknown_directive_is_refused(ask: Any) -> None:
    with pytest.raises(anthropic.BadRequestError, match="unknown directive 'explode now'"):
        ask("[[simulate: explode now]]")
    with pytest.raises(anthropic.BadRequestError, match="after should be a number"):
        ask("[[simulate: cut after=soon]]")
    with pytest.raises(anthropic.BadRequestError, match="status should be"):
        ask("[[simulate: status=200]]")


def test_directives_count_as_tokens_but_not_as_a_topic(ask: Any) -> None:
    message = ask("Rivers [[simulate: slow seconds=0]]")
    assert "simulate" not in text_of(message)
    assert message.usage.input_tokens > ask("Rivers").usage.input_tokens


@pytest.mark.parametrize(
    ("directive", "fault"),
    [
        ("status=529 retry-after=2", Fault("status", "529", {"retry-after": "2"})),
        ("status=529; retry-after=2", Fault("status", "529", {"retry-after": "2"})),
        ('answer="a \\"b\\"\\nc" times=2', Fault("answer", 'a "b"\nc', {"times": "2"})),
        ("drop", Fault("drop")),
    ],
)
def test_a_directive_is_read(directive: str, fault: Fault) -> None:
    assert parse(directive) == fault


def test_every_directive_is_in_the_table() -> None:
    import core.simulator

    assert core.simulator.__doc__ is not None
    assert all(f"| `{name}" in core.simulator.__doc__ for name in NAMES)


def test_stopping_the_simulator_breaks_open_connections() -> None:
    simulator = Simulator().start()
    host, port = simulator.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"GET /_simulator HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        simulator.stop()
        assert connection.recv(1000) == b""
