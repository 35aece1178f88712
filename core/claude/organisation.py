"""What does the provider say a day cost? The only code that asks for the organisation's own report."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from django.conf import settings

from core.claude.errors import ClaudeError, translated

if TYPE_CHECKING:
    from anthropic import Anthropic
    from anthropic.types.beta.organization.analytics import BetaAnalyticsCostItem

# The report's amounts are in cents with as many places as they need.
CENTS = Decimal(100)
SMALLEST = Decimal("0.0000000001")
ROWS_PER_PAGE = 1000
# Seconds for a page of the report. It is asked for by the clock, so it may take its time.
TIMEOUT = 60.0
# What a cost is listed under that the report gives no model for, such as code execution.
NO_MODEL = "no model"


def reported_costs(day: dt.date) -> dict[str, Decimal]:
    """USD per model, after discounts, for this day in UTC, on which the provider's days begin.

    Of `beta.organization.analytics` this asks for `cost`, which takes an admin key and covers the Messages and batches
    endpoints; `cost_report` beside it is for Claude Enterprise seats. Raises `ClaudeError`, also where no admin key is
    set or the report is one that this code does not understand.
    """
    from anthropic import omit

    start = dt.datetime.combine(day, dt.time(), dt.UTC)
    with translated(), _client() as client:
        rows = client.beta.organization.analytics.cost.list(
            starting_at=start,
            ending_at=start + dt.timedelta(days=1),
            time_bucket_width="1d",
            group_by=["model"],
            products=["messages_api", "message_batches_api"],
            api_key_ids=settings.RECONCILE_API_KEY_IDS or omit,
            limit=ROWS_PER_PAGE,
            timeout=TIMEOUT,
        )
        return _sums(rows)


def _client() -> Anthropic:
    """A client of its own: it is used once a day, and its key must not get into the pool that calls Claude."""
    import anthropic

    key = settings.ANTHROPIC_ADMIN_KEY or ("sk-ant-admin-simulated" if settings.SIMULATED else "")
    if not key:
        raise ClaudeError("configuration_error", "ANTHROPIC_ADMIN_KEY is not set, and the cost report needs one.")
    return anthropic.Anthropic(api_key=key, base_url=settings.ANTHROPIC_BASE_URL, max_retries=2)


def _sums(rows: Iterable[BetaAnalyticsCostItem]) -> dict[str, Decimal]:
    """Exact sums, rounded once each to the places that money has here."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        sums[row.group.model or NO_MODEL] += _usd(row.cost.amount, row.cost.currency)
    return {model: amount.quantize(SMALLEST, ROUND_HALF_EVEN) for model, amount in sums.items()}


def _usd(cents: str, currency: str) -> Decimal:
    try:
        amount = Decimal(cents)
    except ArithmeticError:
        amount = Decimal("NaN")
    if currency != "USD" or not amount.is_finite():
        raise ClaudeError("unexpected_report", f"The cost report says {cents!r} {currency}, which is no amount of USD.")
    return amount / CENTS
