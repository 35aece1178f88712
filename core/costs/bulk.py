"""How are thousands of calls reserved for and settled at once? The rules are those of one call, the statements are few.

What `budgets.reserve`, `ledger.settle` and `budgets.settle` do for one call is done here for a batch's rows, so that a
hundred thousand of them take minutes and not hours. Rows are locked in the same order: calls, reservations, windows.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from core.costs import held, statements
from core.costs.budgets import refusal
from core.costs.estimate import PricesOf, worst_case
from core.costs.ledger import Exchange, add_all, booking_day, unsaved_record
from core.costs.statements import Applying, Booking, scope_of
from core.costs.windows import windows_of
from core.models import Batch, BatchRow, Budget, Call, Key, User
from core.models.round_trip import Done, Step

NOTHING = Decimal(0)
# Rows in one statement: a number of values that both databases take.
AT_ONCE = 500

_HOLD_ALL = """
    INSERT INTO core_reservation (call_id, window_id, amount, held, spent, created_at)
    SELECT call_id, %s, COALESCE(worst, 0), COALESCE(worst, 0), 0, %s FROM core_batchrow WHERE batch_id = %s"""


def remembered_prices() -> PricesOf:
    """The price book as it is now, each model asked for once; for as long as one piece of work takes."""
    return lru_cache(maxsize=None)(statements.prices)


def worst_of(
    models: Collection[str],
    request: Mapping[str, Any],
    prices: PricesOf,
    besides: Collection[Mapping[str, Any]] = (),
    *,
    batch: bool = True,
) -> Decimal | None:
    """The most that a row can cost with any of these models; None where that of one is unknown.

    `besides` are requests that may be sent before, at their usual price, to a classifier: each counts on top.
    """
    today = timezone.now().date()
    amounts = [worst_case(model, request, today, batch=batch, prices=prices) for model in models]
    others = [worst_case(str(other["model"]), other, today, prices=prices) for other in besides]
    known = [amount for amount in amounts if amount is not None]
    known_others = [amount for amount in others if amount is not None]
    if len(known) < len(amounts) or len(known_others) < len(others):
        return None
    return max(known) + sum(known_others, NOTHING)


def reserve_batch(batch: Batch) -> None:
    """Reserve the worst case of all rows in each budget that applies, or raise `OverBudgetError`.

    Belongs into the transaction that starts the batch: the error has to undo it as a whole. A window's row is locked
    from its one UPDATE to the commit only, after the reservations were written.
    """
    today = timezone.localdate()
    applying = statements.applying(scope_of(batch), today)
    if any(each.window_id is None for each in applying):
        windows_of(Budget.objects.filter(pk__in=[each.budget_id for each in applying]), today)
        applying = statements.applying(scope_of(batch), today)
    if not applying:
        return
    rows = BatchRow.objects.filter(batch=batch)
    whole = rows.aggregate(whole=Sum("worst"))["whole"] or NOTHING
    unknown = rows.filter(worst=None).exists()
    windows = {each.window_id: each.hard for each in applying if each.window_id is not None}
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        for window_id in windows:
            cursor.execute(_HOLD_ALL, [window_id, now, batch.pk])
    for window_id, hard in windows.items():
        # Without a worst case nothing could hold a limit, so a hard one refuses.
        if (hard and unknown) or not statements.take(window_id, whole, hard=hard):
            raise refusal(window_id, None if unknown else whole)


class Room:
    """What calls to be stored together reserve, each its worst case, None where that is not known.

    `applying` are the budgets that count each.
    """

    def __init__(self, worst: Sequence[tuple[Call, Decimal | None]], applying: Sequence[Sequence[Applying]]) -> None:
        self._holds: list[tuple[Call, int, Decimal]] = []
        self._sums: defaultdict[tuple[int, bool], Decimal] = defaultdict(Decimal)
        # Whether one of them has to be asked for by itself: there is no window yet, or its worst case has no bound.
        self.unclear = False
        for (call, amount), budgets in zip(worst, applying, strict=True):
            for each in budgets:
                if each.window_id is None or (each.hard and amount is None):
                    self.unclear = True
                else:
                    self._holds.append((call, each.window_id, amount or NOTHING))
                    self._sums[each.window_id, each.hard] += amount or NOTHING

    def steps(self) -> list[Step]:
        """What reserves it, in the transaction that stores the calls; the windows last, for all share their rows."""
        takes = [statements.taking(window, whole, hard=hard) for (window, hard), whole in sorted(self._sums.items())]
        return [*statements.holding(self._holds), *takes]

    def fits(self, done: Sequence[Done]) -> bool:
        """Whether there was room for all, by what became of the steps; the transaction is to be undone otherwise."""
        return all(each.rows == 1 for each in done)


@dataclass(frozen=True)
class Ended:
    """One call that this transaction has ended, and what it was billed for, if it was."""

    call: Call
    exchange: Exchange | None


def settle_ended(ended: Sequence[Ended], prices: PricesOf) -> tuple[Decimal, int]:
    """Book what these calls cost and give back what they reserved; answers the sum, and how many costs are unknown.

    Belongs into the transaction that ended them, whose conditional UPDATE is what makes each of them be booked once.
    """
    amounts = _book([each for each in ended if each.exchange is not None], prices)
    settle_calls([each.call.pk for each in ended])
    known = [amount for amount in amounts if amount is not None]
    return sum(known, NOTHING), len(amounts) - len(known)


def _book(billed: Sequence[Ended], prices: PricesOf) -> list[Decimal | None]:
    if not billed:
        return []
    now = timezone.now()
    today = timezone.localdate(now)
    booked_on = booking_day(today, today)
    bookings = _bookings([each.call for each in billed])
    records = [
        unsaved_record(
            each.call,
            each.exchange,
            bookings[each.call.user_id, each.call.key_id],
            [],
            at=now,
            booked_on=booked_on,
            prices=prices,
        )
        for each in billed
        if each.exchange is not None
    ]
    for start in range(0, len(records), AT_ONCE):
        add_all(records[start : start + AT_ONCE])
    return [record.amount for record in records]


def _bookings(calls: Sequence[Call]) -> dict[tuple[int | None, int | None], Booking]:
    """Where the cost of each pair of person and key is to be booked, as of now."""
    pairs = {(call.user_id, call.key_id) for call in calls}
    people = {pk: (team, centre) for pk, team, centre in _people({user for user, _ in pairs if user is not None})}
    keys = dict(Key.objects.filter(pk__in={key for _, key in pairs if key}).values_list("pk", "cost_centre"))
    return {
        (user, key): Booking(
            before=False,
            team_id=people[user][0] if user in people else None,
            cost_centre=(keys.get(key, "") if key else "") or (people[user][1] if user in people else "") or "",
        )
        for user, key in pairs
    }


def _people(ids: set[int]) -> list[tuple[int, int | None, str]]:
    return list(User.objects.filter(pk__in=ids).values_list("pk", "team_id", "cost_centre"))


def settle_calls(call_ids: Sequence[uuid.UUID]) -> None:
    """Bring the reservations of these calls to what the ledger says of them, as `budgets.settle` does for one."""
    with transaction.atomic(savepoint=False):
        for start in range(0, len(call_ids), AT_ONCE):
            held.bring(call_ids[start : start + AT_ONCE])
