from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest

from core.claude.usage import Usage, read_usage
from core.costs.compute import Rates, compute

# USD per million tokens; unlike each other, so that a mix-up shows. The priority factor is made up for the same reason.
BASE = Rates(
    input=D("2"),
    output=D("10"),
    cache_write_5m=D("2.5"),
    cache_write_1h=D("4"),
    cache_read=D("0.1"),
    web_search=D("10"),
    priority_factor=D("1.25"),
)
LONG = replace(BASE, input=D("4"), output=D("15"), cache_write_5m=D("5"), cache_write_1h=D("8"), cache_read=D("0.2"))
FAST = replace(BASE, input=D("8"), output=D("40"), cache_write_5m=D("10"), cache_write_1h=D("16"), cache_read=D("0.4"))
BOOKS = {"base": BASE, "long": LONG, "fast": FAST}
NO_RATES = Rates(None, None, None, None, None, None)


def used(**values: Any) -> Usage:
    return Usage(**{"input": 0, "output": 0, **values})


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        # nothing used is a cost of zero, which is known
        (used(), "0"),
        # 1,000 × 2/M
        (used(input=1000), "0.002"),
        # 500 × 10/M
        (used(output=500), "0.005"),
        # 200 × 2.5/M
        (used(cache_write_5m=200), "0.0005"),
        # 100 × 4/M
        (used(cache_write_1h=100), "0.0004"),
        # 3,000 × 0.1/M
        (used(cache_read=3000), "0.0003"),
        # 3 × 10/1,000
        (used(web_searches=3), "0.03"),
        # 1,000 × 2/M × 0.5
        (used(input=1000, service_tier="batch"), "0.001"),
        # 500 × 10/M × 0.5
        (used(output=500, service_tier="batch"), "0.0025"),
        # 200 × 2.5/M × 0.5
        (used(cache_write_5m=200, service_tier="batch"), "0.00025"),
        # 100 × 4/M × 0.5
        (used(cache_write_1h=100, service_tier="batch"), "0.0002"),
        # 3,000 × 0.1/M × 0.5
        (used(cache_read=3000, service_tier="batch"), "0.00015"),
        # 3 × 10/1,000: no discount and no surcharge touches a search
        (used(web_searches=3, service_tier="batch", inference_geo="us"), "0.03"),
        # 1,000 × 2/M × 1.1
        (used(input=1000, inference_geo="us"), "0.0022"),
        # 500 × 10/M × 1.1
        (used(output=500, inference_geo="us"), "0.0055"),
        # 200 × 2.5/M × 1.1
        (used(cache_write_5m=200, inference_geo="us"), "0.00055"),
        # 100 × 4/M × 1.1
        (used(cache_write_1h=100, inference_geo="us"), "0.00044"),
        # 3,000 × 0.1/M × 1.1
        (used(cache_read=3000, inference_geo="us"), "0.00033"),
        # kept anywhere, which is the usual price: 1,000 × 2/M
        (used(input=1000, inference_geo="global"), "0.002"),
        # 1 × 0.1/M × 0.5 × 1.1
        (used(cache_read=1, service_tier="batch", inference_geo="us"), "0.000000055"),
    ],
)
def test_each_kind_is_charged_at_its_own_rate(usage: Usage, expected: str) -> None:
    cost = compute(usage, BASE)

    assert cost.amount == D(expected)
    assert cost.unknown_reason == ""


# All kinds at once: 1,000 input, 500 output, 200 written for 5 minutes, 100 for an hour, 3,000 read, 3 searches.
# Searches are 3 × 10/1,000 = 0.03 in every row. The tokens, before factors, are
#   base: 1,000 × 2 + 500 × 10 + 200 × 2.5 + 100 × 4 + 3,000 × 0.1 = 2,000 + 5,000 + 500 + 400 + 300 = 8,200/M = 0.0082
#   long: 1,000 × 4 + 500 × 15 + 200 × 5 + 100 × 8 + 3,000 × 0.2 = 4,000 + 7,500 + 1,000 + 800 + 600 = 13,900/M = 0.0139
#   fast: 1,000 × 8 + 500 × 40 + 200 × 10 + 100 × 16 + 3,000 × 0.4
#         = 8,000 + 20,000 + 2,000 + 1,600 + 1,200 = 32,800/M = 0.0328
@pytest.mark.parametrize(
    ("book", "tier", "geo", "expected"),
    [
        # 0.0082 + 0.03
        ("base", "standard", "", "0.0382"),
        # 0.0082 × 1.1 = 0.00902, + 0.03
        ("base", "standard", "us", "0.03902"),
        # 0.0082 × 0.5 = 0.0041, + 0.03
        ("base", "batch", "", "0.0341"),
        # 0.0082 × 0.5 × 1.1 = 0.00451, + 0.03
        ("base", "batch", "us", "0.03451"),
        # 0.0082 × 1.25 = 0.01025, + 0.03
        ("base", "priority", "", "0.04025"),
        # 0.0082 × 1.25 × 1.1 = 0.011275, + 0.03
        ("base", "priority", "us", "0.041275"),
        # 0.0139 + 0.03
        ("long", "standard", "", "0.0439"),
        # 0.0139 × 1.1 = 0.01529, + 0.03
        ("long", "standard", "us", "0.04529"),
        # 0.0139 × 0.5 = 0.00695, + 0.03
        ("long", "batch", "", "0.03695"),
        # 0.0139 × 0.5 × 1.1 = 0.007645, + 0.03
        ("long", "batch", "us", "0.037645"),
        # 0.0139 × 1.25 = 0.017375, + 0.03
        ("long", "priority", "", "0.047375"),
        # 0.0139 × 1.25 × 1.1 = 0.0191125, + 0.03
        ("long", "priority", "us", "0.0491125"),
        # 0.0328 + 0.03
        ("fast", "standard", "", "0.0628"),
        # 0.0328 × 1.1 = 0.03608, + 0.03
        ("fast", "standard", "us", "0.06608"),
        # 0.0328 × 0.5 = 0.0164, + 0.03
        ("fast", "batch", "", "0.0464"),
        # 0.0328 × 0.5 × 1.1 = 0.01804, + 0.03
        ("fast", "batch", "us", "0.04804"),
        # 0.0328 × 1.25 = 0.041, + 0.03
        ("fast", "priority", "", "0.071"),
        # 0.0328 × 1.25 × 1.1 = 0.0451, + 0.03
        ("fast", "priority", "us", "0.0751"),
    ],
)
def test_bands_speeds_tiers_and_places_go_together(book: str, tier: str, geo: str, expected: str) -> None:
    usage = Usage(1000, 500, 200, 100, 3000, 3, tier, geo, "fast" if book == "fast" else "standard")

    cost = compute(usage, BOOKS[book])

    assert cost.amount == D(expected)
    assert sum(cost.parts.values()) == D(expected)


def test_the_parts_say_what_each_kind_cost() -> None:
    cost = compute(Usage(1000, 500, 200, 100, 3000, 3, "batch", "us"), BASE)

    # each of 0.002, 0.005, 0.0005, 0.0004 and 0.0003 × 0.5 × 1.1, and the searches as they are
    assert dict(cost.parts) == {
        "input": D("0.0011"),
        "output": D("0.00275"),
        "cache_write_5m": D("0.000275"),
        "cache_write_1h": D("0.00022"),
        "cache_read": D("0.000165"),
        "web_search": D("0.03"),
    }


@pytest.mark.parametrize(
    ("usage", "by_cache", "by_batch"),
    [
        # no cache and no batch
        (used(input=1000, output=500), "0", "0"),
        # 3,000 × (2 − 0.1)/M
        (used(cache_read=3000), "0.0057", "0"),
        # 200 × (2 − 2.5)/M: writing alone loses
        (used(cache_write_5m=200), "-0.0001", "0"),
        # 100 × (2 − 4)/M
        (used(cache_write_1h=100), "-0.0002", "0"),
        # (3,000 × 1.9 − 200 × 0.5 − 100 × 2)/M = (5,700 − 100 − 200)/M = 0.0054
        (used(cache_read=3000, cache_write_5m=200, cache_write_1h=100), "0.0054", "0"),
        # 0.0054 × 1.1
        (used(cache_read=3000, cache_write_5m=200, cache_write_1h=100, inference_geo="us"), "0.00594", "0"),
        # the other half of (1,000 × 2 + 500 × 10)/M = 0.007; searches save nothing
        (used(input=1000, output=500, web_searches=3, service_tier="batch"), "0", "0.0035"),
        # the cache: 0.0057 × 0.5; the batch: the other half of 3,000 × 0.1/M
        (used(cache_read=3000, service_tier="batch"), "0.00285", "0.00015"),
    ],
)
def test_what_caching_and_batches_saved(usage: Usage, by_cache: str, by_batch: str) -> None:
    cost = compute(usage, BASE)

    assert (cost.saved_by_cache, cost.saved_by_batch) == (D(by_cache), D(by_batch))


def test_a_saving_against_an_unknown_rate_is_unknown() -> None:
    assert compute(used(cache_read=1), replace(NO_RATES, cache_read=D(1))).saved_by_cache is None


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        # every rate is zero
        (Rates(D(0), D(0), D(0), D(0), D(0), D(0)), "0"),
        # a free input: 500 × 10/M + 200 × 2.5/M + 100 × 4/M + 3,000 × 0.1/M + 0.03 = 0.0062 + 0.03
        (replace(BASE, input=D(0)), "0.0362"),
        # free searches: the 0.0082 of the tokens
        (replace(BASE, web_search=D(0)), "0.0082"),
    ],
)
def test_a_rate_of_zero_is_a_rate(rates: Rates, expected: str) -> None:
    cost = compute(Usage(1000, 500, 200, 100, 3000, 3), rates)

    assert cost.amount == D(expected)
    assert cost.unknown_reason == ""


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        # batches for nothing
        (used(input=1000, service_tier="batch"), "0"),
        # 1,000 × 2/M: the factor is for batches only
        (used(input=1000), "0.002"),
    ],
)
def test_a_factor_of_zero_is_a_factor(usage: Usage, expected: str) -> None:
    assert compute(usage, replace(BASE, batch_factor=D(0))).amount == D(expected)


@pytest.mark.parametrize(
    ("usage", "rates", "reason"),
    [
        (None, BASE, "Claude's report of the usage never came"),
        (Usage(1, 1), None, "the price book has no price for this model on this day"),
        (Usage(1, 1, speed="fast"), None, "the price book has no price for this model on this day in fast mode"),
        (Usage(1, 1, cache_write_5m=-1), BASE, "Claude's report of the usage contradicts itself"),
        (Usage(1, 1, service_tier="flex"), BASE, "the price book has no factor for the service tier «flex»"),
        (Usage(1, 1, inference_geo="eu"), BASE, "the price book has no factor for inference kept in «eu»"),
        (used(input=1), NO_RATES, "the price book has no rate for input"),
        (used(output=1), NO_RATES, "the price book has no rate for output"),
        (used(cache_write_5m=1), NO_RATES, "the price book has no rate for cache write 5m"),
        (used(cache_write_1h=1), NO_RATES, "the price book has no rate for cache write 1h"),
        (used(cache_read=1), NO_RATES, "the price book has no rate for cache read"),
        (used(web_searches=1), NO_RATES, "the price book has no rate for web search"),
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
    assert (dict(cost.parts), cost.saved_by_cache, cost.saved_by_batch) == ({}, None, None)


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
