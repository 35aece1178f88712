"""How does an exchange with Claude get into the books, once and only once?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from core.claude.usage import Usage, read_usage
from core.costs import budgets, statements
from core.costs.compute import Cost, compute, plain
from core.costs.estimate import PricesOf
from core.costs.held import Stand
from core.costs.prices import rates_of
from core.costs.statements import Booking
from core.models import Call, CostRecord, direct
from core.models.catalogue import band_for, bands_on
from core.models.round_trip import Done, Step, run_all


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
    """Change the call's state and book its exchange, both or neither; where it is neither, the object is as it was.

    `end` is one of the call's state changes. Where it answers False, because this process held on to the call for too
    long and lost it, the cost is booked all the same: it was spent. Answers what `end` answered.
    """
    with direct.as_it_was(call), transaction.atomic():
        applied = end()
        if exchange is not None:
            # A change that applied has locked the call's row.
            (book_locked if applied else book)(call, exchange)
        # Last, for all calls of a budget share its row.
        budgets.settle(call.pk, _stand(call) if applied and exchange is not None else None)
    return applied


def book(call: Call, exchange: Exchange) -> CostRecord:
    """The ledger's record of this exchange; the same request id, or the same attempt without one, is booked once."""
    with transaction.atomic():
        # The call's row serialises two processes that book the same exchange.
        Call.objects.select_for_update(no_key=True).values_list("pk").get(pk=call.pk)
        return book_locked(call, exchange)


def book_locked(call: Call, exchange: Exchange) -> CostRecord:
    """The same where this transaction has locked the call's row."""
    booking = statements.booking(call, exchange.request_id, timezone.localdate())
    # Hardly ever is there anything before, so the records are looked for only where there is.
    if not booking.before:
        call.only_record = _record(call, exchange, booking, [])
        return call.only_record
    call.only_record = None
    earlier = _already_booked(call, exchange)
    return earlier or _record(call, exchange, booking, _unanswered(call, exchange))


def _stand(call: Call) -> Stand | None:
    """What the ledger says of a call, where this process knows it without asking."""
    return None if call.only_record is None else stand_after(call.only_record, finished=call.finished)


def stand_after(record: CostRecord, *, finished: bool = True) -> Stand:
    """What it says of a call that has this record and no other."""
    return Stand(finished, int(record.amount is None), record.amount or Decimal(0))


def _already_booked(call: Call, exchange: Exchange) -> CostRecord | None:
    if exchange.request_id:
        return CostRecord.objects.filter(request_id=exchange.request_id).first()
    return CostRecord.objects.filter(call=call, attempt=call.attempt, purpose=exchange.purpose).first()


def _record(call: Call, exchange: Exchange, booking: Booking, before: list[CostRecord]) -> CostRecord:
    """A new record; it corrects the last of `before`, the attempt's own records of unknown cost."""
    now = timezone.now()
    booked_on = timezone.localdate(now)
    if before or booking.closed:
        booked_on = booking_day(timezone.localdate(before[0].at if before else now), booked_on)
    return add(unsaved_record(call, exchange, booking, before, at=now, booked_on=booked_on))


def unsaved_record(
    call: Call,
    exchange: Exchange,
    booking: Booking,
    before: list[CostRecord],
    *,
    at: dt.datetime,
    booked_on: dt.date,
    prices: PricesOf = statements.prices,
) -> CostRecord:
    """What the ledger is to say of an exchange that it knows nothing of but `before`."""
    usage = read_usage(exchange.raw_usage or {}) if exchange.complete else None
    # Tokens are told once in a chain, so that their sums stay right too.
    told = any(record.input_tokens is not None for record in before)
    model = exchange.model or call.model
    priced = price_usage(model, usage, at, prices)
    return CostRecord(
        at=at,
        booked_on=booked_on,
        call=call,
        attempt=call.attempt,
        purpose=exchange.purpose,
        user_id=call.user_id,
        prompt_id=call.prompt_id,
        key_id=call.key_id,
        lane=call.lane,
        # Whose team and cost centre: as they are now, or as they were for the record it corrects.
        team_id=before[0].team_id if before else booking.team_id,
        cost_centre=before[0].cost_centre if before else booking.cost_centre,
        model=before[0].model if before else model,
        request_id=exchange.request_id,
        raw_usage=exchange.raw_usage or None,
        corrects=before[-1] if before else None,
        **tokens_of(None if told else usage),
        **priced.columns(before),
    )


def add(record: CostRecord) -> CostRecord:
    """Store one record."""
    add_all([record])
    return record


def add_all(records: Sequence[CostRecord]) -> None:
    """The one way into the ledger: the records, and the notes that the rollups have yet to take them in."""
    added(records, run_all(adding(records)))


def adding(records: Sequence[CostRecord]) -> list[Step]:
    """What `add_all` runs; the first two for the first of them, and so on."""
    return [step for record in records for step in (direct.insertion(record), statements.await_rollup())]


def added(records: Sequence[CostRecord], done: Sequence[Done]) -> None:
    """To be told what became of the steps of `adding`."""
    for record, one in zip(records, done[::2], strict=True):
        direct.inserted(record, one)


def booking_day(day: dt.date, today: dt.date) -> dt.date:
    """The day for which something of `day` counts: itself, or where its month is closed, today.

    Should this month be closed already, the first day of the next open one. What closes a month must first wait for
    bookings under way: on PostgreSQL by `LOCK TABLE core_closedmonth IN ACCESS EXCLUSIVE MODE`, which the reading here
    makes it wait for; SQLite has one writer at a time.
    """
    closed = statements.closed_months(day.replace(day=1))
    for candidate in (day, today):
        if candidate.replace(day=1) not in closed:
            return candidate
    month = today.replace(day=1)
    while month in closed:
        month = (month + dt.timedelta(days=31)).replace(day=1)
    return month


@dataclass(frozen=True)
class Priced:
    """What a usage costs, and the price that says so."""

    cost: Cost
    price_id: int | None = None
    rates: dict[str, str | None] | None = None

    def columns(self, before: list[CostRecord]) -> dict[str, Any]:
        """The columns of the record that says so; for one that corrects `before`, the difference to their sum."""
        cost = self.cost
        return {
            "price_id": self.price_id,
            "rates": self.rates,
            "amount": difference(cost.amount, [record.amount for record in before]),
            "unknown_reason": cost.unknown_reason,
            "parts": {kind: plain(part) for kind, part in cost.parts.items()} or None,
            "saved_by_cache": difference(cost.saved_by_cache, [record.saved_by_cache for record in before]),
            "saved_by_batch": difference(cost.saved_by_batch, [record.saved_by_batch for record in before]),
        }


def price_usage(model: str, usage: Usage | None, at: dt.datetime, prices: PricesOf = statements.prices) -> Priced:
    """This usage at the rates that the price book has now for the day of the exchange."""
    day = at.astimezone(dt.UTC).date()
    bands = bands_on(prices(model, usage.speed), day) if usage else []
    price = band_for(bands, usage.whole_input) if usage else None
    if price is None:
        return Priced(compute(usage, None))
    rates = rates_of(price)
    return Priced(compute(usage, rates), price.id, rates.as_json())


def difference(new: Decimal | None, before: list[Decimal | None]) -> Decimal | None:
    """What has to be added to the known ones of `before` to come to `new`; None where `new` is unknown."""
    return None if new is None else new - sum((amount for amount in before if amount is not None), Decimal(0))


def _unanswered(call: Call, exchange: Exchange) -> list[CostRecord]:
    """The chain that began with this attempt's cost unknown, when a late answer now tells it; empty otherwise."""
    if not exchange.request_id:
        return []
    lost = CostRecord.objects.filter(
        call=call, attempt=call.attempt, purpose=exchange.purpose, request_id="", corrects=None
    ).first()
    chain = lost.chain() if lost else []
    # An answer of another request id has told it before.
    return [] if any(record.request_id for record in chain) else chain


def tokens_of(usage: Usage | None) -> dict[str, int]:
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
