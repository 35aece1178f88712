"""What did the demo's past calls cost? At the price book's rates, by the same arithmetic as real ones."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from core.claude.usage import read_usage
from core.costs import ledger
from core.costs.compute import compute
from core.costs.estimate import CHARACTERS_PER_TOKEN, approximate_tokens
from core.costs.prices import rates_of
from core.models import Call, CostRecord, Price

# Tokens. Shorter beginnings of a request are not kept in Claude's cache.
LEAST_TO_CACHE = 512
READ_FROM_CACHE, WRITTEN_TO_CACHE = 0.5, 0.2


@dataclass
class PriceBook:
    """The prices, each looked up once: some hundred records share a few."""

    _bands: dict[str, list[int]] = field(default_factory=dict)
    _found: dict[tuple[str, dt.date, int], Price | None] = field(default_factory=dict)

    def price(self, model: str, day: dt.date, input_tokens: int) -> Price | None:
        """As `Price.objects.of`."""
        band = max((start for start in self._bands_of(model) if start < input_tokens), default=0)
        key = (model, day, band)
        if key not in self._found:
            self._found[key] = Price.objects.of(model, day, input_tokens)
        return self._found[key]

    def _bands_of(self, model: str) -> list[int]:
        if model not in self._bands:
            starts = Price.objects.filter(model_id=model, above_input_tokens__gt=0)
            self._bands[model] = sorted(set(starts.values_list("above_input_tokens", flat=True)))
        return self._bands[model]


def make_usage(request: Mapping[str, Any], output_tokens: int, luck: random.Random) -> dict[str, Any]:
    """A usage report in the API's shape, as this request may have brought it."""
    whole = round(approximate_tokens(request) * luck.uniform(0.94, 1.06))
    read, written = _cached(whole, luck)
    return {
        "input_tokens": whole - read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def tokens_of(text: str, luck: random.Random) -> int:
    """About how many tokens an answer of this text was billed at, what the model thought before it included."""
    return max(1, round(len(text) / CHARACTERS_PER_TOKEN * luck.uniform(1.0, 1.7)))


def _cached(whole: int, luck: random.Random) -> tuple[int, int]:
    """How many of the input's tokens were read from the cache, and how many written to it."""
    if whole < LEAST_TO_CACHE:
        return 0, 0
    chance = luck.random()
    part = LEAST_TO_CACHE + (whole - LEAST_TO_CACHE) // 3
    if chance < READ_FROM_CACHE:
        return part, 0
    return 0, part if chance < READ_FROM_CACHE + WRITTEN_TO_CACHE else 0


def record(
    call: Call, book: PriceBook, raw_usage: dict[str, Any] | None, *, request_id: str, attempt: int, at: dt.datetime
) -> CostRecord:
    """The ledger's row for one exchange, not saved yet; without a usage its amount is unknown."""
    usage = read_usage(raw_usage) if raw_usage else None
    price = book.price(call.model, at.astimezone(dt.UTC).date(), usage.whole_input) if usage else None
    rates = rates_of(price) if price else None
    cost = compute(usage, rates)
    return CostRecord(
        at=at,
        booked_on=timezone.localdate(at),
        call=call,
        attempt=attempt,
        user_id=call.user_id,
        prompt_id=call.prompt_id,
        key_id=call.key_id,
        lane=call.lane,
        model=call.model,
        request_id=request_id,
        raw_usage=raw_usage,
        price=price,
        rates=rates.as_json() if rates else None,
        amount=cost.amount,
        unknown_reason=cost.unknown_reason,
        saved_by_cache=cost.saved_by_cache,
        saved_by_batch=cost.saved_by_batch,
        demo=True,
        **ledger.tokens_of(usage),
    )
