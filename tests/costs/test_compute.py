from __future__ import annotations

from decimal import Decimal as D

import pytest

from core.claude.usage import Usage, read_usage
from core.costs.compute import Rates, compute

# USD per million tokens; unlike each other, so that a mix-up shows.
RATES = Rates(
    input=D("2"),
    output=D("10"),
    cache_write_5m=D("2.5"),
    cache_write_1h=D("4"),
    cache_read=D("0.1"),
    web_search=D("10"),
)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        # 1,000 × 2/M + 500 × 10/M = 0.002 + 0.005
        (Usage(1000, 500), "0.0070000000"),
        # 0.007 + 200 × 2.5/M = 0.0005
        (Usage(1000, 500, cache_write_5m=200), "0.0075000000"),
        # 0.007 + 200 × 4/M = 0.0008
        (Usage(1000, 500, cache_write_1h=200), "0.0078000000"),
        # 0.007 + 3,000 × 0.1/M = 0.0003
        (Usage(1000, 500, cache_read=3000), "0.0073000000"),
        # half of 0.007
        (Usage(1000, 500, service_tier="batch"), "0.0035000000"),
        # 0.007 × 1.1
        (Usage(1000, 500, inference_geo="us"), "0.0077000000"),
        # 0.007 × 0.5 × 1.1
        (Usage(1000, 500, service_tier="batch", inference_geo="us"), "0.0038500000"),
        # half of 0.007, and 3 searches at 10 per thousand, which no discount touches
        (Usage(1000, 500, web_searches=3, service_tier="batch"), "0.0335000000"),
        # a priority answer costs what a standard one does
        (Usage(1000, 500, service_tier="priority"), "0.0070000000"),
        # nothing used is a cost of zero, which is known
        (Usage(0, 0), "0E-10"),
        # 1 × 0.1/M × 0.5 × 1.1 = 0.000000055
        (Usage(0, 0, cache_read=1, service_tier="batch", inference_geo="us"), "5.50E-8"),
    ],
)
def test_each_kind_is_charged_at_its_own_rate(usage: Usage, expected: str) -> None:
    cost = compute(usage, RATES)

    assert cost.amount is not None
    assert str(cost.amount) == expected
    assert cost.unknown_reason == ""


@pytest.mark.parametrize(
    ("usage", "rates", "reason"),
    [
        (None, RATES, "Claude's report of the usage never came"),
        (Usage(1, 1), None, "the price book has no price for this model on this day"),
        (Usage(1, 1, speed="fast"), None, "the price book has no price for this model on this day in fast mode"),
        (
            Usage(1, 1, cache_read=1, web_searches=1),
            Rates(D(1), D(1), None, None, None, None),
            "the price book has no rate for cache read, web search",
        ),
    ],
)
def test_what_is_not_known_is_never_zero(usage: Usage | None, rates: Rates | None, reason: str) -> None:
    cost = compute(usage, rates)

    assert cost.amount is None
    assert cost.unknown_reason == reason


def test_a_rate_that_is_not_needed_may_be_missing() -> None:
    assert compute(Usage(10, 0), Rates(D(1), None, None, None, None, None)).amount == D("0.00001")


def test_the_rounding_happens_once_at_the_end() -> None:
    # 3 × 0.125/M × 0.5 × 1.1 = 0.00000020625, and not three roundings of 0.00000006875
    rates = Rates(D("0.125"), D(1), None, None, None, None)

    cost = compute(Usage(3, 0, service_tier="batch", inference_geo="us"), rates)

    assert cost.amount == D("0.0000002062")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({}, None),
        ({"input_tokens": 5}, None),
        ({"input_tokens": 5, "output_tokens": 0}, Usage(5, 0)),
        (
            {
                "input_tokens": 5,
                "output_tokens": 7,
                "cache_creation_input_tokens": 30,
                "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
                "cache_read_input_tokens": 40,
                "server_tool_use": {"web_search_requests": 2},
                "service_tier": "batch",
                "inference_geo": "us",
                "speed": "fast",
            },
            Usage(5, 7, 10, 20, 40, 2, "batch", "us", "fast"),
        ),
        # Without the split, what was written to the cache counts as written for five minutes, once.
        ({"input_tokens": 5, "output_tokens": 7, "cache_creation_input_tokens": 30}, Usage(5, 7, cache_write_5m=30)),
        ({"input_tokens": 5, "output_tokens": 7, "cache_creation_input_tokens": None}, Usage(5, 7)),
    ],
)
def test_the_kinds_of_a_usage_report_are_disjoint(raw: dict[str, object], expected: Usage | None) -> None:
    assert read_usage(raw) == expected
