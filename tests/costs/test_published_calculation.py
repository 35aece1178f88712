"""The price book and `compute()` together say what genai-prices' own calculation says."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal as D
from typing import Any

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices import calc_price
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.claude.usage import Usage
from core.costs import prices
from core.costs.compute import compute
from core.costs.prices import rates_of
from core.costs.published import ALWAYS, claude_models, first_days, knows
from core.models import ClaudeModel, Price

MODELS = [model.id for model in claude_models().models]
DAY = dt.timedelta(days=1)
# The circumstances, and how the source calls them.
CIRCUMSTANCES: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {}),
    ({"service_tier": "batch"}, {"processing": "batch"}),
    ({"speed": "fast"}, {"speed": "fast"}),
]
counts = st.one_of(st.integers(0, 5000), st.integers(0, 400_000), st.sampled_from([99_999, 100_000, 200_000, 200_001]))
usages = st.fixed_dictionaries(
    dict.fromkeys(("input", "output", "cache_write_5m", "cache_write_1h", "cache_read"), counts)
    | {"web_searches": st.integers(0, 30)}
)


@pytest.fixture
def whole_book(db: None) -> None:
    """A book of every Claude model that the source knows, not only of those that the API lists today."""
    ClaudeModel.objects.bulk_create([ClaudeModel(pk=model_id, display_name=model_id) for model_id in MODELS])
    prices.load(prices.pending_changes())


def days_around(model_id: str) -> list[dt.date]:
    """Each day on which something begins, the one before and the one after, and some far from any."""
    starts = [day for day in first_days(claude_models().find_model(model_id)) if day > ALWAYS]
    near = [day + shift for day in starts for shift in (-DAY, 0 * DAY, DAY)]
    return [ALWAYS, dt.date(2024, 2, 29), *near, dt.date(2026, 11, 21), dt.date(2031, 1, 1)]


def their_amount(model_id: str, day: dt.date, usage: Usage, context: dict[str, str]) -> D:
    theirs = calc_price(
        TheirUsage(
            input_tokens=usage.whole_input,
            output_tokens=usage.output,
            cache_write_tokens=usage.cache_write_5m + usage.cache_write_1h,
            cache_write_1h_tokens=usage.cache_write_1h,
            cache_read_tokens=usage.cache_read,
            web_searches=usage.web_searches,
        ),
        model_id,
        provider_id="anthropic",
        genai_request_timestamp=dt.datetime.combine(day, dt.time(12), tzinfo=dt.UTC),
        price_context=context,
    )
    return theirs.total_price.quantize(D("0.0000000001"))


def agree(model_id: str, day: dt.date, counted: dict[str, int]) -> None:
    """Ours is theirs, in each circumstance for which the source has a price; unknown to it is unknown to us."""
    model = claude_models().find_model(model_id)
    for ours, theirs in CIRCUMSTANCES:
        if theirs and not knows(model, day, theirs):
            continue
        known: Any = (
            counted
            if model.get_prices(dt.datetime(2026, 11, 21, tzinfo=dt.UTC)).web_searches_kcount
            else {
                **counted,
                "web_searches": 0,
            }
        )
        usage = Usage(**known, **ours)
        price = Price.objects.of(model_id, day, usage.whole_input, usage.speed)
        assert price is not None
        cost = compute(usage, rates_of(price))
        if cost.amount is None:
            assert cost.unknown_reason.startswith("the price book has no rate for cache")
            assert model_id in {"claude-2", "claude-v1"}
        else:
            assert cost.amount == their_amount(model_id, day, usage, theirs), (model_id, day, usage)


ONE_OF_EACH = {"input": 1, "output": 1, "cache_write_5m": 1, "cache_write_1h": 1, "cache_read": 1, "web_searches": 1}
LONG = {**ONE_OF_EACH, "input": 200_000}


def test_on_and_around_each_day_of_each_model(whole_book: None) -> None:
    assert len(MODELS) > 20
    for model_id in MODELS:
        for day in days_around(model_id):
            agree(model_id, day, ONE_OF_EACH)
            agree(model_id, day, LONG)


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(counted=usages, data=st.data())
def test_for_any_usage(whole_book: None, counted: dict[str, int], data: st.DataObject) -> None:
    model_id = data.draw(st.sampled_from(MODELS))
    day = data.draw(st.one_of(st.sampled_from(days_around(model_id)), st.dates(ALWAYS, dt.date(2028, 1, 1))))

    agree(model_id, day, counted)
