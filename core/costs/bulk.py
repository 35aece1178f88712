"""How are thousands of calls reserved for and settled at once? The rules are those of one call, the statements are few.

What `budgets.reserve`, `ledger.settle` and `budgets.settle` do for one call is done here for a batch's rows, so that a
hundred thousand of them take minutes and not hours. Rows are locked in the same order: calls, reservations, windows.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from core.costs import notices, statements
from core.costs.budgets import Stand, refusal
from core.costs.estimate import PricesOf, worst_case
from core.costs.ledger import Exchange, add_all, booking_day, unsaved_record
from core.costs.statements import Booking, Held
from core.costs.windows import windows_of
from core.models import Batch, BatchRow, Budget, Call, Key, User

NOTHING = Decimal(0)
# Rows in one statement: a number of values that both databases take.
AT_ONCE = 500

_HOLD_ALL = """
    INSERT INTO core_reservation (call_id, window_id, amount, held, spent, created_at)
    SELECT call_id, %s, COALESCE(worst, 0), COALESCE(worst, 0), 0, %s FROM core_batchrow WHERE batch_id = %s"""
_HELD_OF = """
    SELECT r.call_id, r.id, r.window_id, r.amount, r.held, r.spent, r.released_at, b.thresholds
    FROM core_reservation r
    JOIN core_budgetwindow w ON w.id = r.window_id
    JOIN core_budget b ON b.id = w.budget_id
    WHERE r.call_id {among} ORDER BY r.call_id, r.window_id{lock}"""
_STAND_OF = """
    SELECT c.id, c.status, r.id, r.amount, r.corrects_id
    FROM core_call c LEFT JOIN core_costrecord r ON r.call_id = c.id
    WHERE c.id {among}"""


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
    sample = _sample(batch.user_id, batch.key_id, batch.prompt_id)
    today = timezone.localdate()
    applying = statements.applying(sample, today)
    if any(each.window_id is None for each in applying):
        windows_of(Budget.objects.filter(pk__in=[each.budget_id for each in applying]), today)
        applying = statements.applying(sample, today)
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


def reserve_calls(worst: Sequence[tuple[Call, Decimal | None]]) -> bool:
    """Reserve for calls that this transaction has stored, each with its worst case, None where that is not known.

    False where one of them has to be asked for by itself: no window yet, no room, no worst case. The transaction is
    to be undone then.
    """
    today = timezone.localdate()
    applying_to = lru_cache(maxsize=None)(lambda *scope: statements.applying(_sample(*scope), today))
    holds: list[tuple[Call, int, Decimal]] = []
    of_window: defaultdict[tuple[int, bool], Decimal] = defaultdict(Decimal)
    for call, amount in worst:
        for each in applying_to(call.user_id, call.key_id, call.prompt_id):
            if each.window_id is None or (each.hard and amount is None):
                return False
            holds.append((call, each.window_id, amount or NOTHING))
            of_window[each.window_id, each.hard] += amount or NOTHING
    statements.hold(holds)
    return all(statements.take(window_id, whole, hard=hard) for (window_id, hard), whole in sorted(of_window.items()))


def _sample(user_id: int | None, key_id: int | None, prompt_id: int | None) -> Call:
    """One of those that the same budgets count."""
    return Call(user_id=user_id, key_id=key_id, prompt_id=prompt_id)


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


def settle_calls(call_ids: Sequence[uuid.UUID], known: Mapping[uuid.UUID, Stand] | None = None) -> None:
    """Bring the reservations of these calls to what the ledger says of them, as `budgets.settle` does for one.

    `known` is what it says of some, where the caller has just written that.
    """
    with transaction.atomic(savepoint=False):
        for start in range(0, len(call_ids), AT_ONCE):
            _settle(call_ids[start : start + AT_ONCE], known or {})


def _settle(call_ids: Sequence[uuid.UUID], known: Mapping[uuid.UUID, Stand]) -> None:
    held = _held(call_ids)
    if not held:
        return
    asked = [call_id for call_id in call_ids if call_id not in known]
    stands = {**known, **(_stands(asked) if asked else {})}
    changes: list[tuple[Held, Held]] = []
    for call_id, reservation in held:
        finished, unknown, spent = stands[call_id]
        attempts = unknown + (not finished)
        after = replace(
            reservation,
            held=min(reservation.held, reservation.amount * attempts),
            spent=spent,
            released=attempts == 0,
        )
        if after != reservation:
            changes.append((reservation, after))
    statements.bring_all([after for _, after in changes])
    _count(changes)


def _count(changes: Sequence[tuple[Held, Held]]) -> None:
    """Change each window once, by the sum of what its reservations changed; last, for all calls share its row."""
    of_window: defaultdict[int, list[tuple[Held, Held]]] = defaultdict(list)
    for before, after in changes:
        of_window[before.window_id].append((before, after))
    for window_id in sorted(of_window):
        pairs = of_window[window_id]
        spent = sum((after.spent - before.spent for before, after in pairs), NOTHING)
        held = sum((after.held - before.held for before, after in pairs), NOTHING)
        of_all, limit = statements.count(window_id, spent, held)
        if spent > 0:
            notices.notice(window_id, pairs[0][0].thresholds, of_all - spent, of_all, limit)


def _held(call_ids: Sequence[uuid.UUID]) -> list[tuple[uuid.UUID, Held]]:
    lock = " FOR UPDATE OF r" if connection.vendor == "postgresql" else ""
    rows = statements.of_calls(_HELD_OF, call_ids, lock=lock)
    return [(_as_uuid(call_id), statements.held_row(rest)) for call_id, *rest in rows]


def _stands(call_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Stand]:
    rows: defaultdict[Any, list[Any]] = defaultdict(list)
    for call_id, *rest in statements.of_calls(_STAND_OF, call_ids):
        rows[_as_uuid(call_id)].append(rest)
    return {call_id: Stand(*statements.stand_of(found)) for call_id, found in rows.items()}


def _as_uuid(value: Any) -> uuid.UUID:
    # SQLite knows none.
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)
