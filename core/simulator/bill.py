"""What would the real API charge for what was served here?

Priced by `genai-prices` from the raw usage, never by the project's own code, so that its ledger can be checked against
somebody else's sum. The package's offline data is used; it is never updated over the network. It knows long-context
bands, cache writes and reads, web searches, and the prices for batches and fast mode as "variants". What it does not
know is added here: half price on tokens in a batch for models without a batch variant, and 1.1 times the price of all
tokens for `inference_geo: us` (https://platform.claude.com/docs/en/about-claude/pricing). Searches have neither.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from genai_prices import extract_usage
from genai_prices.types import ModelInfo

GEO_FACTOR = {"us": Decimal("1.1")}
BATCH_FACTOR = Decimal("0.5")


@dataclass
class Entry:
    """One exchange that is billed. `seen` (whether the final usage reached the client) may change later.

    A batch's exchanges have `{batch id}/{custom_id}` for a request id.
    """

    request_id: str
    at: datetime
    model: str
    usage: Mapping[str, Any]
    batch: bool
    seen: bool
    amount_usd: Decimal

    def as_json(self) -> dict[str, Any]:
        """The entry as the bill's page shows it; the amount is an exact decimal string in USD."""
        return {
            "request_id": self.request_id,
            "at": self.at.isoformat(),
            "model": self.model,
            "usage": self.usage,
            "batch": self.batch,
            "seen": self.seen,
            "amount_usd": plain(self.amount_usd),
        }


class Bill:
    """All entries since the start, or since the bill was last cleared."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []

    def add(self, request_id: str, model: str, usage: Mapping[str, Any], *, batch: bool, seen: bool) -> Entry:
        """Charge one exchange."""
        now = datetime.now(UTC)
        entry = Entry(request_id, now, model, dict(usage), batch, seen, price(model, usage, batch=batch, at=now))
        with self._lock:
            self._entries.append(entry)
        return entry

    def clear(self) -> None:
        """Forget all entries."""
        with self._lock:
            self._entries.clear()

    def entries(self) -> list[Entry]:
        """A copy, oldest first."""
        with self._lock:
            return list(self._entries)

    def as_json(self) -> dict[str, Any]:
        """Entries and sums; `unseen_usd` is the part whose usage never reached the client."""
        entries = self.entries()
        return {
            "entries": [entry.as_json() for entry in entries],
            "total_usd": plain(sum((entry.amount_usd for entry in entries), Decimal(0))),
            "unseen_usd": plain(sum((entry.amount_usd for entry in entries if not entry.seen), Decimal(0))),
        }


def price(model: str, usage: Mapping[str, Any], *, batch: bool, at: datetime) -> Decimal:
    """USD for one usage, as the API reports it, at that time."""
    extracted = extract_usage({"model": model, "usage": usage}, provider_id="anthropic")
    if extracted.model is None:
        raise LookupError(f"genai-prices has no model {model}")
    context = _context(usage, batch)
    result = extracted.calc_price(genai_request_timestamp=at, price_context=context)
    tokens = result.input_price + result.output_price
    tools = result.total_price - tokens
    if batch and not _has_variant(extracted.model, context, at):
        tokens *= BATCH_FACTOR
    return tokens * GEO_FACTOR.get(usage.get("inference_geo") or "", Decimal(1)) + tools


def _context(usage: Mapping[str, Any], batch: bool) -> dict[str, str]:
    if batch:
        return {"processing": "batch"}
    return {"speed": "fast"} if usage.get("speed") == "fast" else {}


def _has_variant(model: ModelInfo, context: Mapping[str, str], at: datetime) -> bool:
    return any(
        variant.when == context and (variant.constraint is None or variant.constraint.active(at))
        for variant in model.price_variants or ()
    )


def plain(amount: Decimal) -> str:
    """A decimal without exponent and without trailing zeros."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
