from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal as D
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries, Settings

from core.costs.bounds import LONGEST, upper_bound
from core.costs.counting import counted_by_claude
from core.costs.estimate import GUESS, Lengths, answer_lengths, estimate, lengths_of, worst_case
from core.execution.run import run_call
from core.intake.accept import accept
from core.models import Call, CostRecord, Price, Prompt, User
from core.simulator.server import Simulator
from core.simulator.tokens import count_prompt
from tests.books import rewrite_prices
from tests.environment import free_port

TODAY = dt.date(2026, 11, 21)
SONNET = "claude-sonnet-5-5"
HAIKU = "claude-haiku-5-5"
# 100 for the request and 20 for its message, whatever it says
FRAME = 120
MARK = {"cache_control": {"type": "ephemeral"}}


def request(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": SONNET, "max_tokens": 1000, "messages": [{"role": "user", "content": text}], **more}


# --- The bound on input tokens ---

texts = st.one_of(st.text(max_size=200), st.text("ﷺ㌀½ \n\t{}\"'日本語🎉e\u0301", max_size=60))
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
sources = st.one_of(
    st.builds(lambda data: {"type": "text", "media_type": "text/plain", "data": data}, texts),
    st.builds(lambda content: {"type": "content", "content": content}, texts),
    st.builds(lambda n: {"type": "base64", "media_type": "application/pdf", "data": "A" * n}, st.integers(0, 9000)),
    st.just({"type": "url", "url": "https://example.org/a.pdf"}),
)
blocks = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, texts),
    st.builds(lambda text: {"type": "text", "text": text, **MARK}, texts),
    st.builds(lambda source: {"type": "document", "source": source, "title": "A"}, sources),
    st.builds(lambda n: {"type": "image", "source": {"type": "base64", "data": "A" * n}}, st.integers(0, 3_000_000)),
    st.builds(lambda value: {"type": "tool_use", "id": "a", "name": "b", "input": {"c": value}}, json_values),
    st.builds(lambda text: {"type": "tool_result", "tool_use_id": "a", "content": text}, texts),
    st.builds(
        lambda text: {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": text}]}, texts
    ),
)
contents = st.one_of(texts, st.lists(blocks, max_size=4))
requests = st.builds(
    lambda messages, system, tools, schema: {
        "model": SONNET,
        "max_tokens": 100,
        "messages": messages,
        "system": system,
        "tools": tools,
        **({"output_config": {"format": {"type": "json_schema", "schema": schema}}} if schema else {}),
    },
    st.lists(st.builds(lambda content: {"role": "user", "content": content}, contents), min_size=1, max_size=4),
    st.one_of(texts, st.lists(st.builds(lambda text: {"type": "text", "text": text, **MARK}, texts), max_size=3)),
    st.lists(st.builds(lambda value: {"name": "t", "input_schema": {"p": value}}, json_values), max_size=3),
    st.one_of(st.none(), st.dictionaries(texts, json_values, max_size=3)),
)


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=requests)
@example(asked=request("")).via("an empty text")
@example(asked=request("!" * 1000)).via("a token for each byte")
def test_the_bound_is_never_below_what_count_tokens_says(asked: dict[str, Any]) -> None:
    assert upper_bound(asked) >= count_prompt(asked)


@pytest.mark.parametrize(
    ("asked", "bound"),
    [
        # a byte is the shortest token
        (request("hello"), FRAME + 5),
        # three bytes each
        (request("日本語"), FRAME + 9),
        # 3 bytes as it is written; in its normal form 18 characters, 15 of them Arabic letters of two bytes
        (request("ﷺ"), FRAME + 33),
        # half of a pair of surrogates cannot be written alone, and still counts
        (request("\ud83c"), FRAME + 3),
        # what an address stands for is not seen here: a whole longest input, 49 bytes of JSON, 20 for the block
        (
            request([{"type": "container_upload", "file_id": "file_1"}]),  # type: ignore[arg-type]
            FRAME + LONGEST + 49 + 20,
        ),
    ],
)
def test_what_the_bound_is_made_of(asked: dict[str, Any], bound: int) -> None:
    assert upper_bound(asked) == bound


# --- The worst case ---


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        # (125 × 2 + 1,000 × 10)/M
        ({}, "0.01025"),
        # the same × 1.1
        ({"inference_geo": "us"}, "0.011275"),
        # the system prompt is 80 bytes of JSON and 20 for its block, and all of it may be written for an hour at 4:
        # ((125 + 20 + 80) × 4 + 1,000 × 10)/M = (900 + 10,000)/M
        ({"system": [{"type": "text", "text": "Be brief. ok", **MARK}]}, "0.0109"),
    ],
)
def test_the_worst_case_is_the_bound_at_the_highest_rates(catalogue: None, more: dict[str, Any], expected: str) -> None:
    assert worst_case(SONNET, request(**more), TODAY) == D(expected)


def test_where_a_workspace_keeps_what_says_nothing_is_reserved_for(catalogue: None, settings: Settings) -> None:
    def most(**more: str) -> D | None:
        return worst_case(SONNET, request(**more), TODAY)

    plain, dearer = most(), most(inference_geo="us")
    assert plain is not None
    assert dearer == plain * D("1.1")
    settings.INFERENCE_IN_US = True
    assert (most(), most(inference_geo="global")) == (dearer, plain)


def test_a_batch_costs_half_at_most(catalogue: None) -> None:
    # (125 × 2 + 1,000 × 10)/M × 0.5
    assert worst_case(SONNET, request(), TODAY, batch=True) == D("0.005125")


def test_fast_mode_is_reserved_at_its_own_price(catalogue: None) -> None:
    # opus 5.5 in fast mode: (125 × 8 + 1,000 × 40)/M
    assert worst_case("claude-opus-5-5", request(speed="fast"), TODAY) == D("0.041")
    assert worst_case(SONNET, request(speed="fast"), TODAY) is None


def test_a_bound_above_a_band_is_reserved_at_the_bands_price(catalogue: None) -> None:
    text = "a" * (100_000 - FRAME)

    # exactly at the band's edge: (100,000 × 0.1 + 1,000 × 0.5)/M
    assert worst_case(HAIKU, request(text), TODAY) == D("0.0105")
    # one more: (100,001 × 0.5 + 1,000 × 2.5)/M
    assert worst_case(HAIKU, request(text + "a"), TODAY) == D("0.0525005")


def test_a_cheaper_band_does_not_lower_the_worst_case(catalogue: None) -> None:
    rewrite_prices(Price.objects.filter(model_id=HAIKU, above_input_tokens=100_000), input=D("0.01"), output=D("0.01"))

    # it may be less input than the bound: (100,001 × 0.1 + 1,000 × 0.5)/M
    assert worst_case(HAIKU, request("a" * (100_001 - FRAME)), TODAY) == D("0.0105001")


@pytest.mark.parametrize(
    ("day", "amount"), [(TODAY, "0.010375"), (dt.date(2026, 10, 22), "0.010375"), (dt.date(2026, 10, 21), "0.01025")]
)
def test_the_prices_of_the_days_that_a_call_may_wait_count_too(catalogue: None, day: dt.date, amount: str) -> None:
    Price.objects.create(
        model_id=SONNET, valid_from=dt.date(2026, 11, 22), input=D(3), output=D(10), approved_at=timezone.now()
    )

    # (125 × 3 + 1,000 × 10)/M, from the thirty-second day before on; (125 × 2 + 1,000 × 10)/M earlier
    assert worst_case(SONNET, request(), day) == D(amount)


def test_the_list_price_after_a_contract_counts_for_a_call_that_may_wait_until_then(catalogue: None) -> None:
    days = {"valid_from": TODAY - dt.timedelta(days=9), "valid_until": TODAY + dt.timedelta(days=9)}
    rates = {"input": D(1), "output": D(1)}
    Price.objects.create(model_id=SONNET, contract=True, approved_at=timezone.now(), **days, **rates)

    # (125 × 2 + 1,000 × 10)/M
    assert worst_case(SONNET, request(), TODAY) == D("0.01025")


def test_a_price_that_ends_later_without_another_does_not_stop_work_today(catalogue: None) -> None:
    rewrite_prices(Price.objects.filter(model_id=SONNET), valid_until=TODAY + dt.timedelta(days=9))

    assert worst_case(SONNET, request(), TODAY) == D("0.01025")


def test_what_has_no_price_has_no_worst_case(catalogue: None) -> None:
    assert worst_case("claude-nothing", request(), TODAY) is None
    rewrite_prices(Price.objects.filter(model_id=SONNET), output=None)
    assert worst_case(SONNET, request(), TODAY) is None


def test_searches_at_the_provider_are_reserved_with_all_they_may_read(catalogue: None) -> None:
    tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    rewrite_prices(Price.objects.filter(model_id=SONNET), output=D(0))

    found = worst_case(SONNET, request(tools=[tool]), TODAY)

    # two rounds more of a million tokens each at 2/M, two searches at 10 per thousand, and the first round
    assert found is not None
    assert found > D(2) * 2 + D("0.02")


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=texts.filter(str.strip), most=st.integers(1, 3000))
def test_no_estimate_is_above_the_worst_case(catalogue: None, text: str, most: int) -> None:
    found = estimate(request(text, max_tokens=most))

    assert found.low is not None
    assert found.likely is not None
    assert found.high is not None
    assert found.at_most is not None
    assert found.low <= found.likely <= found.high <= found.at_most


def test_a_run_costs_no_more_than_its_worst_case(prompt: Prompt, member: User, simulator: Simulator) -> None:
    assert prompt.published is not None
    call = accept(prompt.published, {"document": "Tea is warm. " * 40, "length": "long"}, user=member)
    worst = worst_case(prompt.model_id, call.request, timezone.now().date())

    run_call(call.pk)

    amount = CostRecord.objects.get(call=call).amount
    assert amount is not None
    assert worst is not None
    assert D(0) < amount <= worst


# --- What past answers teach ---


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([], GUESS),
        # four are too few
        ([7] * 4, GUESS),
        ([7] * 5, Lengths(7, 7, 7, 5)),
        # of 1 to 10 one is up to the tenth percentile, five up to the fiftieth, nine up to the ninetieth
        (range(10, 0, -1), Lengths(1, 5, 9, 10)),
        (range(1, 51), Lengths(5, 25, 45, 50)),
    ],
)
def test_the_range_is_what_one_in_ten_stays_below_and_above(tokens: Sequence[int], expected: Lengths) -> None:
    assert lengths_of(list(tokens)) == expected


def test_a_range_ends_at_the_longest_answer() -> None:
    assert Lengths(1, 5, 9, 10).within(6) == Lengths(1, 5, 6, 10)


def answered(prompt: Prompt, tokens: int | None, **values: Any) -> None:
    assert prompt.published is not None
    call = Call.objects.create(
        prompt=prompt, version=prompt.published, model=prompt.model_id, inputs={}, request={}, user=None
    )
    known = {"amount": D(0), "output_tokens": tokens, "input_tokens": 1} if tokens is not None else {}
    unknown = {} if known else {"unknown_reason": "lost"}
    CostRecord.objects.create(call=call, prompt=prompt, model=prompt.model_id, **known, **unknown, **values)


def test_the_last_answers_of_the_same_prompt_are_learnt_from(prompt: Prompt) -> None:
    old = timezone.now() - dt.timedelta(days=9)
    for _ in range(20):
        answered(prompt, 900, at=old)
    for tokens in range(1, 51):
        answered(prompt, tokens)
    answered(prompt, None)

    assert answer_lengths(prompt) == Lengths(5, 25, 45, 50)
    assert estimate(request(max_tokens=30), prompt).output_tokens == 25
    assert answer_lengths(None) == GUESS


def test_an_estimate_costs_few_queries(prompt: Prompt, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    # past answers, and prices for the estimate and for the worst case
    with django_assert_num_queries(3):
        estimate(request(), prompt)


# --- Claude's own count ---


def test_claude_counts_and_is_asked_once_for_the_same_text(settings: Settings) -> None:
    asked = request("Count me, please.")
    port = free_port()
    settings.ANTHROPIC_BASE_URL = f"http://127.0.0.1:{port}"
    server = Simulator(port=port, pace=0)
    server.start()
    try:
        first = counted_by_claude(asked)
    finally:
        server.stop()

    assert first == count_prompt(asked)
    # Nobody listens any more: the same text is answered from memory, another is not answered.
    assert counted_by_claude(asked) == first
    assert counted_by_claude(request("Count me too, please.")) is None


def test_an_unreachable_claude_leaves_the_local_estimate(catalogue: None, settings: Settings) -> None:
    settings.ANTHROPIC_BASE_URL = "http://127.0.0.1:9"

    found = estimate(request(), None, counted_by_claude(request()))

    assert not found.counted
    assert found.likely is not None
