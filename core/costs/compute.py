"""What does this usage cost at these rates? Pure: plain values in, plain values out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from core.claude.usage import Usage

MILLION = Decimal(1_000_000)
SMALLEST = Decimal("0.0000000001")
# Source: the API's pricing page. Batches cost half on every token kind; inference kept in the US costs a tenth more.
BATCH = Decimal("0.5")
US_ONLY = Decimal("1.1")


@dataclass(frozen=True)
class Rates:
    """USD per million tokens, and per thousand web searches. None is an unknown rate, not a rate of zero."""

    input: Decimal | None
    output: Decimal | None
    cache_write_5m: Decimal | None
    cache_write_1h: Decimal | None
    cache_read: Decimal | None
    web_search: Decimal | None

    def as_json(self) -> dict[str, str | None]:
        return {kind: None if rate is None else f"{rate.normalize():f}" for kind, rate in asdict(self).items()}


@dataclass(frozen=True)
class Cost:
    """An amount in USD, or None with the reason why it is unknown."""

    amount: Decimal | None
    unknown_reason: str = ""


def compute(usage: Usage | None, rates: Rates | None) -> Cost:
    """The cost of one exchange. Rounded once, at the end, to ten places."""
    if usage is None:
        return Cost(None, "Claude's report of the usage never came")
    if rates is None:
        return Cost(None, "the price book has no price for this model on this day")
    if usage.speed == "fast":
        return Cost(None, "the price book has no price for fast mode")
    parts = {kind: (count, getattr(rates, kind)) for kind, count in _counts(usage).items() if count}
    missing = [kind.replace("_", " ") for kind, (_, rate) in parts.items() if rate is None]
    if missing:
        return Cost(None, f"the price book has no rate for {', '.join(missing)}")
    amount = sum((_part(kind, count, rate) for kind, (count, rate) in parts.items()), Decimal(0))
    return Cost(_multiplied(amount, parts, usage).quantize(SMALLEST, ROUND_HALF_EVEN))


def _counts(usage: Usage) -> Mapping[str, int]:
    return {
        "input": usage.input,
        "output": usage.output,
        "cache_write_5m": usage.cache_write_5m,
        "cache_write_1h": usage.cache_write_1h,
        "cache_read": usage.cache_read,
        "web_search": usage.web_searches,
    }


def _part(kind: str, count: int, rate: Decimal) -> Decimal:
    return count * rate / (1000 if kind == "web_search" else MILLION)


def _multiplied(amount: Decimal, parts: Mapping[str, tuple[int, Decimal]], usage: Usage) -> Decimal:
    """`amount` with the discounts and surcharges on tokens; web searches cost the same everywhere."""
    searches = _part("web_search", *parts["web_search"]) if "web_search" in parts else Decimal(0)
    factor = (BATCH if usage.service_tier == "batch" else 1) * (US_ONLY if usage.inference_geo == "us" else 1)
    return (amount - searches) * factor + searches
