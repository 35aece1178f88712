"""What does genai-prices, from the data it ships, say that Claude's models cost? Nothing is fetched."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from core.costs.compute import BATCH, Rates

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

SOURCE = "genai-prices"
# A price without a first day in the source holds from here on; it is before the first Claude model.
ALWAYS = dt.date(2023, 1, 1)
STANDARD = "standard"
FAST = "fast"
_KINDS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_write_5m": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "cache_read": "cache_read_mtok",
    "web_search": "web_searches_kcount",
}
_BATCH_CONTEXT = {"processing": "batch"}
_CONTEXTS = {STANDARD: {}, FAST: {"speed": "fast"}}
# The book keeps a factor with so many places.
_PLACES = Decimal("0.0001")

# Where an entry stands in the book: speed, first day, and above how many tokens of input it counts.
Place: TypeAlias = tuple[str, dt.date, int]


@dataclass(frozen=True)
class Entry:
    """One price as the source has it."""

    model_id: str
    valid_from: dt.date
    above_input_tokens: int
    rates: Rates
    speed: str = STANDARD

    @property
    def place(self) -> Place:
        return (self.speed, self.valid_from, self.above_input_tokens)


class NotInOurTermsError(Exception):
    """The source knows a price that the book cannot hold without changing what it says."""


@dataclass(frozen=True)
class Published:
    """The entries for the models asked for, and a sentence for each that the book cannot hold."""

    entries: list[Entry] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def published_prices(held: dict[str, set[Place]]) -> Published:
    """What the source says of these models now, also at the places where the book holds an entry of it already.

    A price that the source has taken back is thereby answered with what it says of those days instead.
    """
    known = claude_models()
    answer = Published()
    for model_id, places in held.items():
        found = known.find_model(model_id)
        if found:
            try:
                answer.entries.extend(_entries(model_id, found, places))
            except NotInOurTermsError as error:
                answer.refused.append(f"{model_id}: {error}")
    return answer


def claude_models() -> Any:
    """The source's own catalogue of the Claude API."""
    from genai_prices import data_snapshot

    return next(p for p in data_snapshot.get_snapshot().providers if p.id == "anthropic")


def first_days(model: ModelInfo) -> list[dt.date]:
    """The days on which anything about this model's price begins. Raises `NotInOurTermsError`."""
    dated: list[Any] = model.prices if isinstance(model.prices, list) else []
    constraints = [item.constraint for item in [*dated, *(model.price_variants or [])] if item.constraint]
    if any(not hasattr(constraint, "start_date") for constraint in constraints):
        raise NotInOurTermsError("its price depends on the hour of the day, which the price book does not know")
    return sorted({ALWAYS, *(constraint.start_date for constraint in constraints)})


def knows(model: ModelInfo, day: dt.date, context: dict[str, str]) -> bool:
    """Whether the source has a price of its own for such requests on that day."""
    return any(
        variant.when == context and (variant.constraint is None or variant.constraint.active(_noon(day)))
        for variant in model.price_variants or []
    )


def _entries(model_id: str, model: ModelInfo, held: set[Place]) -> Iterable[Entry]:
    days = first_days(model)
    for speed in _CONTEXTS:
        held_here = {(day, band) for place_speed, day, band in held if place_speed == speed}
        before: dict[int, Rates] = {}
        for day in sorted({*days, *(day for day, _band in held_here)}):
            if speed == FAST and not knows(model, day, _CONTEXTS[FAST]):
                continue
            bands = _rates_on(model, day, speed, {band for held_day, band in held_here if held_day == day})
            held_today = any(held_day == day for held_day, _band in held_here)
            if held_today or bands != before:
                yield from (Entry(model_id, day, band, rates, speed) for band, rates in bands.items())
            before = bands


def _rates_on(model: ModelInfo, day: dt.date, speed: str, held_bands: set[int]) -> dict[int, Rates]:
    """The rates of each band, the lowest first."""
    usual = model.get_prices(_noon(day), _CONTEXTS[speed])
    bands = sorted({*_bands(usual), *held_bands})
    rates = {band: _rates(usual, band) for band in bands}
    if speed == STANDARD and knows(model, day, _BATCH_CONTEXT):
        batch = model.get_prices(_noon(day), _BATCH_CONTEXT)
        factor = _batch_factor(rates, {band: _rates(batch, band) for band in {*bands, *_bands(batch)}})
        rates = {band: replace(held, batch_factor=factor) for band, held in rates.items()}
    return rates


def _batch_factor(usual: dict[int, Rates], batch: dict[int, Rates]) -> Decimal:
    """The one factor that turns every usual price into the batch price. Raises `NotInOurTermsError`."""
    if usual.keys() != batch.keys() or any(usual[band].web_search != batch[band].web_search for band in usual):
        raise NotInOurTermsError("its batch prices have other bands or other searches than its usual ones")
    pairs = [
        (getattr(usual[band], kind), getattr(batch[band], kind))
        for band in usual
        for kind in _KINDS
        if kind != "web_search"
    ]
    factors = {there / here for here, there in pairs if here and there is not None}
    factor = factors.pop() if len(factors) == 1 else BATCH
    if any((here is None) != (there is None) or (here and here * factor != there) for here, there in pairs):
        raise NotInOurTermsError("its batch prices are not the same part of each of its usual prices")
    if factor != factor.quantize(_PLACES):
        raise NotInOurTermsError(f"its factor for batches, {factor}, has more places than the price book keeps")
    return factor


def _bands(prices: ModelPrice) -> set[int]:
    """Where the rates change with the length of the input, in tokens; zero is where they begin."""
    tiers = [tier.start for name in _KINDS.values() for tier in getattr(getattr(prices, name, None), "tiers", [])]
    return {0, *tiers}


def _rates(prices: ModelPrice, band: int) -> Rates:
    kinds: dict[str, Any] = {kind: _rate(getattr(prices, name, None), band) for kind, name in _KINDS.items()}
    return Rates(**kinds)


def _rate(price: Any, band: int) -> Decimal | None:
    if price is None or isinstance(price, Decimal):
        return price
    passed = [tier.price for tier in price.tiers if tier.start <= band]
    return Decimal(passed[-1] if passed else price.base)


def _noon(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(12), tzinfo=dt.UTC)
