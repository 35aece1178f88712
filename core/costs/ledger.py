"""How does an exchange with Claude get into the books, once and only once?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from core.claude.usage import Usage, read_usage
from core.costs.compute import Cost, compute, plain
from core.costs.prices import rates_of
from core.models import Call, CostRecord, PendingRollup, Price


@dataclass(frozen=True)
class Exchange:
    """One request that was sent and may have been billed.

    `raw_usage` is as the API reported it, empty where nothing came; `complete` says that nothing more was to come.
    """

    model: str
    request_id: str = ""
    raw_usage: dict[str, Any] | None = None
    complete: bool = False
    purpose: str = CostRecord.Purpose.ANSWER


def settle(call: Call, exchange: Exchange | None, end: Callable[[], bool]) -> bool:
    """Change the call's state and book its exchange, both or neither.

    `end` is one of the call's state changes. Where it answers False, because this process held on to the call for too
    long and lost it, the cost is booked all the same: it was spent. Answers what `end` answered.
    """
    with transaction.atomic():
        applied = end()
        if exchange is not None:
            book(call, exchange)
    return applied


def book(call: Call, exchange: Exchange) -> CostRecord:
    """The ledger's record of this exchange; the same request id, or the same attempt without one, is booked once."""
    with transaction.atomic():
        # The call's row serialises two processes that book the same exchange.
        Call.objects.select_for_update().get(pk=call.pk)
        earlier = _already_booked(call, exchange)
        return earlier or _record(call, exchange)


def _already_booked(call: Call, exchange: Exchange) -> CostRecord | None:
    if exchange.request_id:
        return CostRecord.objects.filter(request_id=exchange.request_id).first()
    return CostRecord.objects.filter(call=call, attempt=call.attempt, purpose=exchange.purpose).first()


def _record(call: Call, exchange: Exchange) -> CostRecord:
    usage = read_usage(exchange.raw_usage or {}) if exchange.complete else None
    now = timezone.now()
    model = exchange.model or call.model
    price = Price.objects.of(model, now.date(), usage.whole_input, usage.speed) if usage else None
    rates = rates_of(price) if price else None
    cost = compute(usage, rates)
    record = CostRecord.objects.create(
        at=now,
        call=call,
        attempt=call.attempt,
        purpose=exchange.purpose,
        user_id=call.user_id,
        prompt_id=call.prompt_id,
        key_id=call.key_id,
        lane=call.lane,
        **_charged_to(call),
        model=model,
        request_id=exchange.request_id,
        raw_usage=exchange.raw_usage or None,
        price=price,
        rates=rates.as_json() if rates else None,
        corrects=_unknown_before(call, exchange),
        **_tokens(usage),
        **_amount(cost),
    )
    PendingRollup.objects.create(record=record)
    return record


def _charged_to(call: Call) -> dict[str, Any]:
    """Whose team and cost centre a call counts for, as they are now."""
    owner = call.user
    centre = (call.key.cost_centre if call.key else "") or (owner.cost_centre if owner else "")
    return {"team_id": owner.team_id if owner else None, "cost_centre": centre}


def _unknown_before(call: Call, exchange: Exchange) -> CostRecord | None:
    """The record that said this attempt's cost was unknown, when a late answer now makes it known."""
    if not exchange.request_id:
        return None
    same = CostRecord.objects.unknown().filter(call=call, attempt=call.attempt, purpose=exchange.purpose, request_id="")
    return same.first()


def _tokens(usage: Usage | None) -> dict[str, int]:
    """The columns of a record; all NULL where the usage is unknown."""
    if usage is None:
        return {}
    return {
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_write_5m_tokens": usage.cache_write_5m,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "cache_read_tokens": usage.cache_read,
        "web_searches": usage.web_searches,
    }


def _amount(cost: Cost) -> dict[str, Any]:
    return {
        "amount": cost.amount,
        "unknown_reason": cost.unknown_reason,
        "parts": {kind: plain(part) for kind, part in cost.parts.items()} or None,
        "saved_by_cache": cost.saved_by_cache,
        "saved_by_batch": cost.saved_by_batch,
    }
