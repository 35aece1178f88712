"""What will this request probably cost, and what at most?"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from django.db.models import Avg
from django.utils import timezone

from core.claude.usage import Usage
from core.costs.bounds import LONGEST, server_tool_uses, upper_bound
from core.costs.compute import MILLION, SMALLEST, THOUSAND, compute
from core.costs.prices import rates_of
from core.models import ClaudeModel, CostRecord, Price, Prompt

# Claude's tokens are between three and four characters of English text; a little low is a little dear.
CHARACTERS_PER_TOKEN = 3.5
# What a request weighs beside its text.
OVERHEAD = 10
# How many past answers of a prompt say what its next one will be like.
LEARN_FROM = 50
# A first guess for a prompt that nobody has run yet, in tokens.
USUAL_ANSWER = 400


@dataclass(frozen=True)
class Estimate:
    """A price before the run, in USD; None where the price book does not know the model."""

    input_tokens: int
    output_tokens: int
    likely: Decimal | None
    at_most: Decimal | None


def estimate(request: Mapping[str, Any], prompt: Prompt | None = None, input_tokens: int | None = None) -> Estimate:
    """The price of a Messages request; `input_tokens` is Claude's own count where somebody asked for it."""
    counted = approximate_tokens(request) if input_tokens is None else input_tokens
    longest = int(request["max_tokens"])
    answer = min(longest, usual_answer(prompt))
    today = timezone.now().date()
    model = str(request["model"])
    return Estimate(
        input_tokens=counted,
        output_tokens=answer,
        likely=_amount(model, today, counted, answer),
        at_most=_amount(model, today, counted, longest),
    )


def approximate_tokens(request: Mapping[str, Any]) -> int:
    """About how many tokens the request's text is, counted here without asking anybody."""
    parts = [request.get("system") or "", *(message["content"] for message in request["messages"])]
    schema = request.get("output_config", {}).get("format")
    characters = sum(len(part if isinstance(part, str) else json.dumps(part)) for part in [*parts, schema or ""])
    return math.ceil(characters / CHARACTERS_PER_TOKEN) + OVERHEAD


def usual_answer(prompt: Prompt | None) -> int:
    """How long this prompt's answers have been lately, in tokens."""
    if prompt is None or prompt.pk is None:
        return USUAL_ANSWER
    past = CostRecord.objects.filter(prompt=prompt, output_tokens__isnull=False).order_by("-at")[:LEARN_FROM]
    mean = past.aggregate(mean=Avg("output_tokens"))["mean"]
    return USUAL_ANSWER if mean is None else math.ceil(mean)


def _amount(model: str, day: dt.date, input_tokens: int, output_tokens: int) -> Decimal | None:
    price = Price.objects.of(model, day, input_tokens)
    return compute(Usage(input_tokens, output_tokens), rates_of(price) if price else None).amount


def worst_case(model_id: str, request: Mapping[str, Any], day: dt.date, *, batch: bool = False) -> Decimal | None:
    """What this Messages request can cost at most in USD when `model_id` answers it, or None where that is unknown.

    It may be answered after midnight, so the prices of `day` and of the next one are looked at.
    """
    bound = upper_bound(request, _longest_input(model_id))
    searches = server_tool_uses(request)
    output = int(request["max_tokens"]) * (1 + searches)
    speed = "fast" if request.get("speed") == "fast" else "standard"
    worst = []
    for date in (day, day + dt.timedelta(days=1)):
        bands = Price.objects.bands_of(model_id, date, speed)
        reached = [price for price in bands if price.above_input_tokens == 0 or price.above_input_tokens < bound]
        worst.append([_at_this_price(price, request, (bound, output, searches), batch) for price in reached])
    amounts = [amount for dated in worst for amount in dated]
    if not all(worst) or None in amounts:
        return None
    return max(amount for amount in amounts if amount is not None).quantize(SMALLEST, ROUND_CEILING)


def _at_this_price(
    price: Price, request: Mapping[str, Any], counts: tuple[int, int, int], batch: bool
) -> Decimal | None:
    rates = _input_rates(price, request)
    web_search = price.web_search if counts[2] else Decimal(0)
    if price.output is None or web_search is None or None in rates:
        return None
    dearest = max(rate for rate in rates if rate is not None)
    tokens = (counts[0] * dearest + counts[1] * price.output) * _highest_factor(price, request, batch) / MILLION
    return tokens + counts[2] * web_search / THOUSAND


def _input_rates(price: Price, request: Mapping[str, Any]) -> list[Decimal | None]:
    """Those that an input token of this request may be charged at."""
    if '"cache_control"' not in json.dumps(request, default=str):
        return [price.input]
    return [price.input, price.cache_write_5m, price.cache_write_1h, price.cache_read]


def _highest_factor(price: Price, request: Mapping[str, Any], batch: bool) -> Decimal:
    # Whoever has bought the priority tier gets it unless the request declines it.
    tier = Decimal(1) if request.get("service_tier") == "standard_only" else max(Decimal(1), price.priority_factor)
    us = price.us_factor if request.get("inference_geo") == "us" else Decimal(1)
    return (price.batch_factor if batch else tier) * us


def _longest_input(model_id: str) -> int:
    model = ClaudeModel.objects.filter(pk=model_id).values_list("max_input_tokens", flat=True).first()
    return model or LONGEST
