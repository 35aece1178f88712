"""How are calls that were answered ended and booked, several of a process in one transaction?

Under load most of a settlement's time is its many statements and its commit. Threads that settle at the same moment
share them, see `core.hints.together`; the rules are those of `ledger.settle`, and what is unusual takes its way.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from django.utils import timezone

from core.claude.usage import read_usage
from core.costs import held, ledger, statements
from core.costs.estimate import PricesOf
from core.costs.ledger import Exchange
from core.costs.statements import Booking
from core.hints.together import APART, Apart
from core.models import Call, CostRecord, Price, direct
from core.models.grouped import Grouped, transaction_of
from core.models.round_trip import run_all

# Settlements in one transaction: a shared budget waits for it.
MOST = 32


class Answered(NamedTuple):
    """A call that runs in this process, the exchange that answered it, and what `Call.succeed` takes."""

    call: Call
    exchange: Exchange
    answer: Mapping[str, Any]


def settle(answered: Answered) -> bool:
    """As `ledger.settle` with the call's success; together with others where the caller has no transaction open."""
    return _grouped.do(answered)


def _one(answered: Answered) -> bool:
    applied = settle_all([answered])[0]
    if not isinstance(applied, Apart):
        return applied
    change = partial(answered.call.succeed, dict(answered.answer))
    return ledger.settle(answered.call, answered.exchange, change) or _settled_before(answered)


def _settled_before(answered: Answered) -> bool:
    """Whether an earlier try ended it so, of whose commit nothing was heard: nobody else has the token of its lease."""
    call = answered.call
    settled = Call.objects.filter(pk=call.pk, status=Call.Status.SUCCEEDED, lease_token=call.lease_token).exists()
    if settled:
        call.success(answered.answer).apply()
    return settled


def settle_all(group: Sequence[Answered]) -> list[bool | Apart]:
    """What `ledger.settle` answers for each. Rows are locked in the same order: calls, reservations, windows.

    What somebody took over is `APART`: its call is not locked here, and must be before its reservations.
    """
    ordered = sorted(group, key=lambda each: each.call.pk)
    with transaction_of(len(ordered)):
        ended = _end(ordered)
        records = _book(ended)
        _give_back(ended, records)
    # Not before it is committed: whoever has to do it again needs them as they were.
    for each in ended.calls:
        each.change.apply()
        each.answered.call.only_record = records.get(each.answered.call.pk)
    done = {id(each.answered) for each in ended.calls}
    return [True if id(each) in done else APART for each in group]


class _One(NamedTuple):
    """A call that has ended here, and what has to be known to book its exchange."""

    answered: Answered
    change: direct.Change
    booking: Booking


class _Ended(NamedTuple):
    """The calls that have ended, what they had reserved, and the price book."""

    calls: list[_One]
    reservations: list[held.OfCall]
    prices: PricesOf


def _end(ordered: Sequence[Answered]) -> _Ended:
    """End the calls, and find all that is needed for the rest, in one round trip."""
    number, today = len(ordered), timezone.localdate()
    changes = [each.call.success(each.answer) for each in ordered]
    priced = list(dict.fromkeys(_priced(each) for each in ordered))
    done = run_all(
        [
            *(change.step for change in changes),
            *(statements.asking_booking(each.call, each.exchange.request_id, today) for each in ordered),
            held.asking([each.call.pk for each in ordered]),
            *(statements.asking_prices(*which) for which in priced),
        ]
    )
    bookings = [statements.booking_in(one) for one in done[number : 2 * number]]
    found = zip(ordered, changes, bookings, done[:number], strict=True)
    calls = [_One(answered, change, booking) for answered, change, booking, one in found if one.rows]
    mine = {each.answered.call.pk for each in calls}
    reservations = [each for each in held.found_in(done[2 * number]) if each.call_id in mine]
    prices = {which: statements.prices_in(one) for which, one in zip(priced, done[2 * number + 1 :], strict=True)}
    return _Ended(calls, reservations, lambda *which: prices[which] if which in prices else statements.prices(*which))


def _priced(answered: Answered) -> tuple[str, str]:
    """Whose price counts: of which model, at which speed."""
    usage = read_usage(answered.exchange.raw_usage or {})
    return answered.exchange.model or answered.call.model, usage.speed if usage else Price.Speed.STANDARD


def _book(ended: _Ended) -> dict[uuid.UUID, CostRecord]:
    """The record of each call that has no other, not stored yet; the others' are booked."""
    now = timezone.now()
    records = {}
    for (call, exchange, _), _, booking in ended.calls:
        if booking.before or booking.closed:
            ledger.book_locked(call, exchange)
        else:
            records[call.pk] = ledger.unsaved_record(
                call, exchange, booking, [], at=now, booked_on=timezone.localdate(now), prices=ended.prices
            )
    return records


def _give_back(ended: _Ended, records: Mapping[uuid.UUID, CostRecord]) -> None:
    """Store the records, and what the reservations come to with them, in one round trip."""
    others = [each.answered.call.pk for each in ended.calls if each.answered.call.pk not in records]
    stands = {call_id: ledger.stand_after(record) for call_id, record in records.items()}
    changes = held.Changes(ended.reservations, {**stands, **held.stands(others)})
    new = list(records.values())
    adding = ledger.adding(new)
    done = run_all([*adding, *changes.steps()])
    ledger.added(new, done[: len(adding)])
    changes.tell(done[len(adding) :])


_grouped: Grouped[Answered, bool] = Grouped(_one, settle_all, MOST)
