"""What is in the price book, and how does it get there?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from core.costs.compute import Rates
from core.models import ClaudeModel, Price

SOURCE = "genai-prices"
# A price without a first day in the source holds from here on; it is before the first Claude model.
ALWAYS = dt.date(2023, 1, 1)
_KINDS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_write_5m": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "cache_read": "cache_read_mtok",
    "web_search": "web_searches_kcount",
}


@dataclass(frozen=True)
class Entry:
    """One price as the source has it."""

    model_id: str
    valid_from: dt.date
    above_input_tokens: int
    rates: Rates


@dataclass(frozen=True)
class Change:
    """What loading one entry would do: `before` is None where the entry is new."""

    entry: Entry
    before: Rates | None

    def __str__(self) -> str:
        rates = self.entry.rates.as_json()
        old = self.before.as_json() if self.before else {}
        parts = [
            f"{kind} {old.get(kind) or '–'} → {new}" if self.before else f"{kind} {new}"
            for kind, new in rates.items()
            if old.get(kind) != new
        ]
        band = f" above {self.entry.above_input_tokens:,} tokens" if self.entry.above_input_tokens else ""
        return f"{self.entry.model_id} from {self.entry.valid_from}{band}: {', '.join(parts)}"


def rates_of(price: Price) -> Rates:
    return Rates(**{item.name: getattr(price, item.name) for item in fields(Rates)})


def published_prices(model_ids: list[str]) -> list[Entry]:
    """What genai-prices, from the data it ships, knows of these models; nothing is fetched."""
    from genai_prices import data_snapshot

    provider = next(p for p in data_snapshot.get_snapshot().providers if p.id == "anthropic")
    found = {model_id: provider.find_model(model_id) for model_id in model_ids}
    return [entry for model_id, model in found.items() if model for entry in _entries(model_id, model.prices)]


def pending_changes() -> list[Change]:
    """What loading would add or change, for the models in the catalogue."""
    entries = published_prices(list(ClaudeModel.objects.values_list("pk", flat=True)))
    stored = {
        (p.model_id, p.valid_from, p.above_input_tokens): rates_of(p) for p in Price.objects.filter(source=SOURCE)
    }
    held = {(e.model_id, e.valid_from, e.above_input_tokens): stored.get(_key(e)) for e in entries}
    return [Change(entry, held[_key(entry)]) for entry in entries if held[_key(entry)] != entry.rates]


@transaction.atomic
def load(changes: list[Change]) -> None:
    """Write these changes; what was spent keeps the rates it was spent at."""
    for change in changes:
        entry = change.entry
        Price.objects.update_or_create(
            model_id=entry.model_id,
            valid_from=entry.valid_from,
            above_input_tokens=entry.above_input_tokens,
            defaults={
                "source": SOURCE,
                "approved_at": timezone.now(),
                **{item.name: getattr(entry.rates, item.name) for item in fields(Rates)},
            },
        )


def _key(entry: Entry) -> tuple[str, dt.date, int]:
    return (entry.model_id, entry.valid_from, entry.above_input_tokens)


def _entries(model_id: str, prices: Any) -> Iterator[Entry]:
    dated = prices if isinstance(prices, list) else [_Always(prices)]
    for item in dated:
        start = getattr(item.constraint, "start_date", None) if item.constraint else ALWAYS
        if start is None:
            continue  # a price by the hour of the day: no Claude model has one
        for band in _bands(item.prices):
            yield Entry(model_id, start, band, _rates(item.prices, band))


@dataclass(frozen=True)
class _Always:
    prices: Any
    constraint: None = None


def _bands(prices: Any) -> list[int]:
    """Where the rates change with the length of the input, in tokens; zero is where they begin."""
    tiers = [tier.start for name in _KINDS.values() for tier in getattr(getattr(prices, name, None), "tiers", [])]
    return sorted({0, *tiers})


def _rates(prices: Any, band: int) -> Rates:
    return Rates(**{kind: _rate(getattr(prices, name, None), band) for kind, name in _KINDS.items()})


def _rate(price: Any, band: int) -> Decimal | None:
    if price is None or isinstance(price, Decimal):
        return price
    passed = [tier.price for tier in price.tiers if tier.start <= band]
    return Decimal(passed[-1] if passed else price.base)
