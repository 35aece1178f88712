"""What will this request probably cost, and what at most?"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Avg
from django.utils import timezone

from core.claude.usage import Usage
from core.costs.compute import compute
from core.costs.prices import rates_of
from core.models import CostRecord, Price, Prompt

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
