from __future__ import annotations

import datetime as dt
from decimal import Decimal as D

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from genai_prices import Usage as TheirUsage
from genai_prices import calc_price
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.claude.usage import Usage
from core.costs import prices
from core.costs.compute import compute
from core.costs.prices import published_prices, rates_of
from core.models import ClaudeModel, Price


def test_the_book_holds_todays_published_prices(catalogue: None) -> None:
    price = Price.objects.of("claude-sonnet-5-5", dt.date(2026, 11, 21), 1000)

    assert price is not None
    assert (price.input, price.output) == (D(2), D(10))


def test_a_long_input_is_charged_at_its_bands_rate(catalogue: None) -> None:
    day = dt.date(2026, 11, 21)
    usual = Price.objects.of("claude-haiku-5-5", day, 100_000)
    long = Price.objects.of("claude-haiku-5-5", day, 100_001)

    assert usual is not None
    assert long is not None
    assert usual.above_input_tokens == 0
    assert long.above_input_tokens == 100_000
    assert long.input is not None
    assert usual.input is not None
    assert long.input > usual.input


def test_an_unknown_model_or_day_has_no_price(catalogue: None) -> None:
    assert Price.objects.of("claude-nothing", dt.date(2026, 11, 21), 1) is None
    assert Price.objects.of("claude-sonnet-5-5", dt.date(2001, 1, 1), 1) is None


def test_a_newer_price_counts_from_its_first_day(catalogue: None) -> None:
    Price.objects.create(model_id="claude-sonnet-5-5", valid_from=dt.date(2026, 12, 1), input=D(1), output=D(1))

    before = Price.objects.of("claude-sonnet-5-5", dt.date(2026, 11, 30), 1)
    after = Price.objects.of("claude-sonnet-5-5", dt.date(2026, 12, 1), 1)

    assert before is not None
    assert after is not None
    assert (before.input, after.input) == (D(2), D(1))


def test_one_model_has_one_price_a_day(catalogue: None) -> None:
    price = Price.objects.get(model_id="claude-sonnet-5-5", above_input_tokens=0)

    with pytest.raises(IntegrityError), transaction.atomic():
        Price.objects.create(model_id=price.model_id, valid_from=price.valid_from)


def test_loading_twice_changes_nothing(catalogue: None) -> None:
    assert prices.pending_changes() == []


def test_a_dry_run_shows_the_change_and_makes_none(catalogue: None, capsys: pytest.CaptureFixture[str]) -> None:
    Price.objects.filter(model_id="claude-sonnet-5-5").update(input=D(3))

    call_command("load_prices", "--dry-run")

    assert "claude-sonnet-5-5 from 2023-01-01: input 3 → 2\n1 prices would change." in capsys.readouterr().out
    assert Price.objects.get(model_id="claude-sonnet-5-5").input == D(3)


counts = st.integers(min_value=0, max_value=400_000)


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    usage=st.builds(
        Usage, input=counts, output=counts, cache_write_5m=counts, cache_write_1h=counts, cache_read=counts
    ),
    data=st.data(),
)
def test_the_amount_is_what_the_price_datas_own_calculation_says(
    catalogue: None, usage: Usage, data: st.DataObject
) -> None:
    known = {entry.model_id for entry in published_prices(list(ClaudeModel.objects.values_list("pk", flat=True)))}
    model = data.draw(st.sampled_from(sorted(known)))
    now = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
    theirs = calc_price(
        TheirUsage(
            input_tokens=usage.whole_input,
            output_tokens=usage.output,
            cache_write_tokens=usage.cache_write_5m + usage.cache_write_1h,
            cache_write_1h_tokens=usage.cache_write_1h,
            cache_read_tokens=usage.cache_read,
        ),
        model,
        provider_id="anthropic",
        genai_request_timestamp=now,
    )

    price = Price.objects.of(model, now.date(), usage.whole_input)

    assert price is not None
    assert compute(usage, rates_of(price)).amount == theirs.total_price.quantize(D("0.0000000001"))
