"""The bill against sums worked by hand from the published prices."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import anthropic
import httpx2
import pytest

from core.simulator import Simulator
from core.simulator.bill import plain, price
from core.simulator.catalogue import MODELS

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def usage(
    uncached: int = 0,
    output: int = 0,
    *,
    read: int = 0,
    written_5m: int = 0,
    written_1h: int = 0,
    searches: int = 0,
    **more: Any,
) -> dict[str, Any]:
    return {
        "input_tokens": uncached,
        "cache_creation_input_tokens": written_5m + written_1h,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": written_5m, "ephemeral_1h_input_tokens": written_1h},
        "output_tokens": output,
        "server_tool_use": {"web_search_requests": searches, "web_fetch_requests": 0},
        **more,
    }


MILLION = 1_000_000


@pytest.mark.parametrize(
    ("model", "used", "batch", "usd"),
    [
        ("claude-haiku-5-5", usage(1000, 1000), False, "0.0006"),  # 0.10 and 0.50 a million
        ("claude-sonnet-5-5", usage(1000, 1000), False, "0.012"),  # 2 and 10
        ("claude-opus-5-5", usage(1000, 1000), False, "0.024"),  # 4 and 20
        ("claude-fable-5-2", usage(1000, 1000), False, "0.048"),  # 8 and 40
        ("claude-mythos-5-2", usage(1000, 1000), False, "0.048"),
        ("claude-opus-5-5", usage(1000, 1000), True, "0.012"),  # a batch is half
        ("claude-opus-5-5", usage(1000, 1000, speed="fast"), False, "0.048"),  # 8 and 40
        ("claude-opus-5-5", usage(1000, 1000, inference_geo="us"), False, "0.0264"),  # 1.1 times
        ("claude-opus-5-5", usage(1000, 1000, inference_geo="us"), True, "0.0132"),
        ("claude-opus-5-5", usage(1000, 1000, inference_geo="global"), False, "0.024"),
        ("claude-opus-5-5", usage(written_5m=MILLION), False, "5"),  # 1.25 times the input
        ("claude-opus-5-5", usage(written_1h=MILLION), False, "8"),  # twice the input
        ("claude-opus-5-5", usage(read=MILLION), False, "0.2"),
        ("claude-opus-5-5", usage(100, 500, read=2000, written_5m=1000, written_1h=2000, searches=3), False, "0.0618"),
        ("claude-haiku-5-5", usage(searches=7), False, "0.07"),  # 10 a thousand
        ("claude-haiku-5-5", usage(searches=7), True, "0.07"),  # searches are never half
        ("claude-opus-5-5", usage(searches=7, inference_geo="us"), False, "0.07"),
        ("claude-haiku-5-5", usage(100_000, 100), False, "0.01005"),
        ("claude-haiku-5-5", usage(100_001, 100), False, "0.0502505"),  # every token at the higher rate
        ("claude-haiku-5-5", usage(1, 100, read=100_000), False, "0.0052505"),  # cache reads count for the band
        ("claude-haiku-5-5", usage(100_001, 100), True, "0.02512525"),
        ("claude-sonnet-4-5-20250929", usage(1000, 1000), True, "0.009"),
    ],
)
def test_a_price_is_what_a_hand_works_out(model: str, used: dict[str, Any], batch: bool, usd: str) -> None:
    assert price(model, used, batch=batch, at=NOW) == Decimal(usd)


@pytest.mark.parametrize("model", [model.id for model in MODELS])
@pytest.mark.parametrize("batch", [False, True])
def test_every_model_has_a_price(model: str, batch: bool) -> None:
    assert price(model, usage(1, 1), batch=batch, at=NOW) > 0


def test_a_batch_is_half_price_where_the_package_knows_no_batch_price() -> None:
    before_the_variant = datetime(2026, 10, 1, tzinfo=UTC)
    used = usage(1000, 1000, searches=1)
    assert price("claude-opus-5-5", used, batch=True, at=before_the_variant) == Decimal("0.012") + Decimal("0.01")


@pytest.mark.parametrize(("amount", "text"), [("0", "0"), ("1E+2", "100"), ("0.1230", "0.123"), ("1E-7", "0.0000001")])
def test_amounts_are_plain_decimals(amount: str, text: str) -> None:
    assert plain(Decimal(amount)) == text


def fetch(simulator: Simulator, method: str) -> Any:
    return httpx2.request(method, f"{simulator.url}/_simulator/bill").json()


def test_the_bill_is_the_sum_of_all_exchanges(client: anthropic.Anthropic, ask: Any, simulator: Simulator) -> None:
    whole = ask("Rivers", model="claude-opus-5-5")
    with client.messages.stream(
        model="claude-haiku-5-5", max_tokens=500, messages=[{"role": "user", "content": "Lakes"}]
    ) as stream:
        streamed = stream.get_final_message()
    by_hand = (
        Decimal(4 * whole.usage.input_tokens + 20 * whole.usage.output_tokens)
        + Decimal("0.1") * streamed.usage.input_tokens
        + Decimal("0.5") * streamed.usage.output_tokens
    ) / MILLION
    bill = fetch(simulator, "GET")
    assert Decimal(bill["total_usd"]) == by_hand
    assert bill["unseen_usd"] == "0"
    assert [entry["request_id"] for entry in bill["entries"]] == [whole._request_id, stream.request_id]
    assert [entry["model"] for entry in bill["entries"]] == ["claude-opus-5-5", "claude-haiku-5-5"]
    assert all(entry["seen"] and not entry["batch"] for entry in bill["entries"])
    assert bill["entries"][0]["usage"] == whole.usage.to_dict()


def test_the_bill_can_be_cleared(ask: Any, simulator: Simulator) -> None:
    ask()
    assert fetch(simulator, "DELETE") == {"entries": [], "total_usd": "0", "unseen_usd": "0"}


def test_counting_tokens_and_listing_models_is_free(client: anthropic.Anthropic, simulator: Simulator) -> None:
    client.messages.count_tokens(model="claude-opus-5-5", messages=[{"role": "user", "content": "Hello"}])
    client.models.list()
    assert fetch(simulator, "GET")["entries"] == []


def test_the_simulator_says_that_it_is_one(simulator: Simulator) -> None:
    assert httpx2.get(f"{simulator.url}/_simulator").json()["simulator"] is True
