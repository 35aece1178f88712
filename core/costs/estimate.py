"""What will this request probably cost, and what at most?"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from django.conf import settings
from django.utils import timezone

from core.claude.usage import Usage
from core.costs import statements
from core.costs.bounds import LONGEST, seen_and_unseen, server_tool_uses
from core.costs.compute import MILLION, SMALLEST, THOUSAND, US, USUAL_PLACES, compute
from core.costs.prices import rates_of
from core.costs.statements import PriceRow
from core.models import ClaudeModel, CostRecord, Price, Prompt
from core.models.catalogue import band_for, bands_on

ONE_DAY = dt.timedelta(days=1)
# A call may wait for so long; the prices that the book has for these days count for its worst case.
AHEAD = dt.timedelta(days=31)
# Claude's tokens are between three and four characters of English text; a little low is a little dear.
CHARACTERS_PER_TOKEN = 3.5
# What a request weighs beside its text.
OVERHEAD = 10
# How many past answers of a prompt say what its next one will be like.
LEARN_FROM = 50
# Below so many they say less than the guess.
ENOUGH = 5


@dataclass(frozen=True)
class Lengths:
    """How long the answers are in tokens: one in ten is shorter than `low`, one in ten longer than `high`."""

    low: int
    likely: int
    high: int
    # From how many past answers this was learnt; zero for a guess.
    past: int = 0

    def within(self, longest: int) -> Lengths:
        return Lengths(min(self.low, longest), min(self.likely, longest), min(self.high, longest), self.past)


# A first guess for a prompt that hardly anybody has run yet.
GUESS = Lengths(100, 400, 1000)


@dataclass(frozen=True)
class Estimate:
    """A price before the run, in USD; None where the price book does not know the model.

    Four of five runs cost between `low` and `high`; none costs more than `at_most`. `counted` says that Claude counted
    the input itself, and `past` from how many answers the length of the next was learnt.
    """

    input_tokens: int
    output_tokens: int
    low: Decimal | None
    likely: Decimal | None
    high: Decimal | None
    at_most: Decimal | None
    counted: bool = False
    past: int = 0


def estimate(
    request: Mapping[str, Any],
    prompt: Prompt | None = None,
    input_tokens: int | None = None,
    *,
    batch: bool = False,
) -> Estimate:
    """The price of a Messages request; `input_tokens` is Claude's own count where somebody asked for it."""
    counted = approximate_tokens(request) if input_tokens is None else input_tokens
    answer = answer_lengths(prompt).within(int(request["max_tokens"]))
    today = timezone.now().date()
    model = str(request["model"])
    bands = bands_on(_in_force(model, request), today)
    return Estimate(
        input_tokens=counted,
        output_tokens=answer.likely,
        low=_amount(bands, request, counted, answer.low, batch),
        likely=_amount(bands, request, counted, answer.likely, batch),
        high=_amount(bands, request, counted, answer.high, batch),
        at_most=worst_case(model, request, today, batch=batch),
        counted=input_tokens is not None,
        past=answer.past,
    )


def approximate_tokens(request: Mapping[str, Any]) -> int:
    """About how many tokens the request's text is, counted here without asking anybody."""
    parts = [request.get("system") or "", *(message["content"] for message in request["messages"])]
    schema = request.get("output_config", {}).get("format")
    characters = sum(len(part if isinstance(part, str) else json.dumps(part)) for part in [*parts, schema or ""])
    return math.ceil(characters / CHARACTERS_PER_TOKEN) + OVERHEAD


def answer_lengths(prompt: Prompt | None) -> Lengths:
    """How long this prompt's answers have been lately."""
    if prompt is None or prompt.pk is None:
        return GUESS
    settled = CostRecord.objects.filter(
        prompt=prompt,
        purpose=CostRecord.Purpose.ANSWER,
        source=CostRecord.Source.SETTLED,
        output_tokens__isnull=False,
    )
    newest = settled.order_by("-at").values_list("output_tokens", flat=True)[:LEARN_FROM]
    return lengths_of([tokens for tokens in newest if tokens is not None])


def lengths_of(tokens: Sequence[int]) -> Lengths:
    """The tenth, fiftieth and ninetieth percentile, each one of the lengths that did occur; a guess for too few."""
    if len(tokens) < ENOUGH:
        return GUESS
    ordered = sorted(tokens)
    low, likely, high = (ordered[math.ceil(len(ordered) * part / 100) - 1] for part in (10, 50, 90))
    return Lengths(low, likely, high, len(ordered))


# The prices in force of a model and speed: `statements.prices`, or what somebody remembers of it.
PricesOf = Callable[[str, str], list[PriceRow]]


def worst_case(
    model_id: str,
    request: Mapping[str, Any],
    day: dt.date,
    *,
    batch: bool = False,
    prices: PricesOf = statements.prices,
) -> Decimal | None:
    """What this Messages request can cost at most in USD when `model_id` answers it, or None where that is unknown.

    `day` is the day in UTC on which it is accepted. It may wait and be answered later, so every price counts that the
    book knows for the next days; see `AHEAD`.
    """
    uses = server_tool_uses(request)
    seen, unseen = seen_and_unseen(request)
    counts = _Most(
        input=seen + (unseen and unseen * _longest_input(model_id)),
        # Whatever runs at the provider may make Claude begin anew.
        output=int(request["max_tokens"]) * (1 + uses),
        searches=uses,
        cached=_mentions(request, "cache_control"),
    )
    in_force = _in_force(model_id, request, prices)
    tomorrow = day + ONE_DAY
    days = {date: _reached(bands_on(in_force, date), counts.input) for date in _turns(in_force, day)}
    amounts = [_at_this_price(price, request, counts, batch) for reached in days.values() for price in reached]
    known = [amount for amount in amounts if amount is not None]
    if not (days[day] and days[tomorrow]) or len(known) < len(amounts):
        return None
    return max(known).quantize(SMALLEST, ROUND_CEILING)


@dataclass(frozen=True)
class _Most:
    """More of each than the request can use."""

    input: int
    output: int
    searches: int
    # Whether anything may be written to the cache or read from it.
    cached: bool


def _in_force(model_id: str, request: Mapping[str, Any], prices: PricesOf = statements.prices) -> list[PriceRow]:
    return prices(model_id, speed_of(request))


def speed_of(request: Mapping[str, Any]) -> str:
    """Whose price counts for a request."""
    return Price.Speed.FAST if request.get("speed") == "fast" else Price.Speed.STANDARD


def _turns(in_force: Sequence[PriceRow], day: dt.date) -> set[dt.date]:
    """The day, the next, and those of the days ahead on which another price begins to count."""
    begins = {price.valid_from for price in in_force}
    begins |= {price.valid_until + ONE_DAY for price in in_force if price.valid_until}
    return {day, day + ONE_DAY} | {date for date in begins if day < date <= day + AHEAD}


def _reached(bands: Sequence[PriceRow], input_tokens: int) -> list[PriceRow]:
    """Every band that so much input may come to, not only the highest: it may be less."""
    return [price for price in bands if price.above_input_tokens == 0 or price.above_input_tokens < input_tokens]


def _at_this_price(price: PriceRow, request: Mapping[str, Any], counts: _Most, batch: bool) -> Decimal | None:
    cache = [price.cache_write_5m, price.cache_write_1h, price.cache_read] if counts.cached else []
    rates = [price.input, *cache]
    known = [rate for rate in rates if rate is not None]
    web_search = price.web_search if counts.searches else Decimal(0)
    if price.output is None or web_search is None or len(known) < len(rates):
        return None
    tokens = (counts.input * max(known) + counts.output * price.output) * _highest_factor(price, request, batch)
    return tokens / MILLION + counts.searches * web_search / THOUSAND


def _mentions(value: Any, name: str) -> bool:
    """Whether `name` is a key anywhere in these plain values."""
    if isinstance(value, Mapping):
        return name in value or any(_mentions(item, name) for item in value.values())
    return isinstance(value, list | tuple) and any(_mentions(item, name) for item in value)


def _highest_factor(price: PriceRow, request: Mapping[str, Any], batch: bool) -> Decimal:
    # Whoever has bought the priority tier gets it unless the request declines it.
    tier = Decimal(1) if request.get("service_tier") == "standard_only" else max(Decimal(1), price.priority_factor)
    place = Decimal(1) if _place(request) in USUAL_PLACES else price.us_factor
    return (price.batch_factor if batch else tier) * place


def _place(request: Mapping[str, Any]) -> str:
    """Where it will be answered: as the request says, or as the workspace does for those that say nothing."""
    return str(request.get("inference_geo") or (US if settings.INFERENCE_IN_US else ""))


def _longest_input(model_id: str) -> int:
    model = ClaudeModel.objects.filter(pk=model_id).values_list("max_input_tokens", flat=True).first()
    return model or LONGEST


def _amount(
    bands: Sequence[PriceRow], request: Mapping[str, Any], input_tokens: int, output: int, batch: bool
) -> Decimal | None:
    price = band_for(bands, input_tokens)
    usage = Usage(
        input_tokens,
        output,
        service_tier="batch" if batch else "standard",
        inference_geo=_place(request),
        speed=request.get("speed") or "standard",
    )
    return compute(usage, rates_of(price) if price else None).amount
