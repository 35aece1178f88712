"""What does this usage cost at these rates? Pure: plain values in, plain values out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import ROUND_HALF_EVEN, Decimal

from core.claude.usage import Usage

MILLION = Decimal(1_000_000)
THOUSAND = Decimal(1000)
SMALLEST = Decimal("0.0000000001")
NOTHING = Decimal(0)
# Source: the API's pricing page. Batches cost half on every token kind; inference kept in the US costs a tenth more.
BATCH = Decimal("0.5")
US_ONLY = Decimal("1.1")
PRIORITY = Decimal(1)
SEARCHES = "web_search"
# The circumstances that a price has a factor for; whatever else the API may name one day has an unknown cost.
TIERS = frozenset({"standard", "batch", "priority"})
US, USUAL_PLACES = "us", frozenset({"", "global", "not_available"})


@dataclass(frozen=True)
class Rates:
    """USD per million tokens, and per thousand web searches; factors on all tokens.

    None is an unknown rate, not a rate of zero.
    """

    input: Decimal | None
    output: Decimal | None
    cache_write_5m: Decimal | None
    cache_write_1h: Decimal | None
    cache_read: Decimal | None
    web_search: Decimal | None
    batch_factor: Decimal = BATCH
    us_factor: Decimal = US_ONLY
    priority_factor: Decimal = PRIORITY

    def as_json(self) -> dict[str, str | None]:
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: None if value is None else plain(value) for name, value in values.items()}


@dataclass(frozen=True)
class Cost:
    """An amount in USD with its parts per kind and what was saved, or None with the reason why it is unknown.

    The parts are not rounded, so that they add up to the amount before its rounding.
    """

    amount: Decimal | None
    unknown_reason: str = ""
    parts: Mapping[str, Decimal] = field(default_factory=dict)
    saved_by_cache: Decimal | None = None
    saved_by_batch: Decimal | None = None


def compute(usage: Usage | None, rates: Rates | None) -> Cost:
    """The cost of one exchange. Rounded once, at the end, to ten places."""
    if usage is None:
        return Cost(None, "Claude's report of the usage never came")
    if rates is None:
        speed = " in fast mode" if usage.speed == "fast" else ""
        return Cost(None, f"the price book has no price for this model on this day{speed}")
    counts = {kind: count for kind, count in _counts(usage).items() if count}
    if any(count < 0 for count in counts.values()):
        return Cost(None, "Claude's report of the usage contradicts itself")
    missing = [kind.replace("_", " ") for kind in counts if getattr(rates, kind) is None]
    if missing:
        return Cost(None, f"the price book has no rate for {', '.join(missing)}")
    strange = _strange(usage)
    if strange:
        return Cost(None, f"the price book has no factor for {strange}")
    factor = _factor(usage, rates)
    parts = {kind: _part(kind, count, getattr(rates, kind), factor) for kind, count in counts.items()}
    return Cost(
        amount=rounded(sum(parts.values(), NOTHING)),
        parts=parts,
        saved_by_cache=_saved_by_cache(usage, rates, factor),
        saved_by_batch=_saved_by_batch(usage, rates, parts),
    )


def rounded(amount: Decimal) -> Decimal:
    return amount.quantize(SMALLEST, ROUND_HALF_EVEN)


def plain(value: Decimal) -> str:
    """A decimal as a text without an exponent or idle zeros."""
    return f"{value.normalize():f}"


def _counts(usage: Usage) -> dict[str, int]:
    return {
        "input": usage.input,
        "output": usage.output,
        "cache_write_5m": usage.cache_write_5m,
        "cache_write_1h": usage.cache_write_1h,
        "cache_read": usage.cache_read,
        SEARCHES: usage.web_searches,
    }


def _part(kind: str, count: int, rate: Decimal, factor: Decimal) -> Decimal:
    """Discounts and surcharges are on tokens; a web search costs the same everywhere."""
    return count * rate / THOUSAND if kind == SEARCHES else count * rate * factor / MILLION


def _strange(usage: Usage) -> str:
    """What the usage names that no factor is known for; empty for nothing."""
    if usage.service_tier not in TIERS:
        return f"the service tier «{usage.service_tier[:40]}»"
    return "" if usage.inference_geo in {US, *USUAL_PLACES} else f"inference kept in «{usage.inference_geo[:40]}»"


def _factor(usage: Usage, rates: Rates) -> Decimal:
    tier = {"batch": rates.batch_factor, "priority": rates.priority_factor}.get(usage.service_tier, Decimal(1))
    return tier * (rates.us_factor if usage.inference_geo == US else 1)


def _saved_by_cache(usage: Usage, rates: Rates, factor: Decimal) -> Decimal | None:
    """What the tokens read from and written to the cache would have cost more as plain input; below zero if it lost.

    None where nobody knows what plain input costs.
    """
    kinds = {
        "cache_write_5m": usage.cache_write_5m,
        "cache_write_1h": usage.cache_write_1h,
        "cache_read": usage.cache_read,
    }
    cached = {kind: count for kind, count in kinds.items() if count}
    if not cached:
        return NOTHING
    if rates.input is None:
        return None
    saved = sum((count * (rates.input - getattr(rates, kind)) for kind, count in cached.items()), NOTHING)
    return rounded(saved * factor / MILLION)


def _saved_by_batch(usage: Usage, rates: Rates, parts: Mapping[str, Decimal]) -> Decimal:
    if usage.service_tier != "batch" or not rates.batch_factor:
        return NOTHING
    tokens = sum((part for kind, part in parts.items() if kind != SEARCHES), NOTHING)
    return rounded(tokens / rates.batch_factor - tokens)
