"""How are calls that were answered ended and booked, several of a process in one transaction?

Under load most of a settlement's time is its many statements and its commit. Threads that settle at the same moment
share them, see `core.hints.together`; the rules are those of `ledger.settle`, and what is unusual takes its way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from core.costs import bulk, ledger, statements
from core.costs.budgets import Stand
from core.costs.ledger import Exchange
from core.hints.per_process import PerProcess
from core.hints.together import Together
from core.models import Call, CostRecord, direct, shared

# Settlements in one transaction: a shared budget waits for it.
MOST = 32


@dataclass(frozen=True)
class Answered:
    """A call that runs in this process, the exchange that answered it, and what `Call.succeed` takes."""

    call: Call
    exchange: Exchange
    answer: Mapping[str, Any]


def settle(answered: Answered) -> bool:
    """As `ledger.settle` with the call's success; together with others where the caller has no transaction open."""
    return _alone(answered) if connection.in_atomic_block else _together.get().do(answered)


def _alone(answered: Answered) -> bool:
    call = answered.call
    return ledger.settle(call, answered.exchange, partial(call.succeed, dict(answered.answer)))


def settle_all(group: Sequence[Answered]) -> list[bool]:
    """What `ledger.settle` answers for each. Rows are locked in the same order: calls, reservations, windows."""
    ordered = sorted(group, key=lambda each: each.call.pk)
    changes = [each.call.success(each.answer) for each in ordered]
    with transaction.atomic():
        applied = shared.make_all(changes)
        records = _book(ordered, applied)
        bulk.settle_calls([each.call.pk for each in ordered], _stands(records))
    # Not before it is committed: whoever has to do it again needs them as they were.
    for change in (change for change, took_place in zip(changes, applied, strict=True) if took_place):
        change.apply()
    for each in ordered:
        each.call.only_record = records.get(each.call.pk)
    of_call = dict(zip((each.call.pk for each in ordered), applied, strict=True))
    return [of_call[each.call.pk] for each in group]


def _book(ordered: Sequence[Answered], applied: Sequence[bool]) -> dict[Any, CostRecord]:
    """Book each exchange; answers the record of each call that has no other."""
    now = timezone.now()
    today = timezone.localdate(now)
    bookings = statements.bookings([(each.call, each.exchange.request_id) for each in ordered], today)
    prices = bulk.remembered_prices()
    records = {}
    for each, ended, booking in zip(ordered, applied, bookings, strict=True):
        if not ended:
            # Somebody took it over, so its row is not locked yet; its cost is booked all the same.
            ledger.book(each.call, each.exchange)
        elif booking.before or booking.closed:
            ledger.book_locked(each.call, each.exchange)
        else:
            records[each.call.pk] = ledger.unsaved_record(
                each.call, each.exchange, booking, [], at=now, booked_on=today, prices=prices
            )
    if records:
        ledger.add_all(list(records.values()))
    return records


def _stands(records: Mapping[Any, CostRecord]) -> dict[Any, Stand]:
    return {call_id: ledger.stand_after(record) for call_id, record in records.items()}


_together: PerProcess[Together[Answered, bool]] = PerProcess(partial(Together, _alone, settle_all, MOST, direct.let_go))
