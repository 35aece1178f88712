"""May this call be sent, and what did it take of its budgets?

Before anything is sent, a call reserves what it can cost at most in every budget that applies, or in none. Each change
of a window is one UPDATE, and for a hard budget it has a condition, so that no number of processes at once passes its
limit. `settle` brings a call's reservations to what the ledger says; it can be called any number of times.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from core.costs import held, statements
from core.costs.estimate import worst_case
from core.costs.held import Stand
from core.costs.statements import Held, scope_of
from core.costs.windows import renews_on, windows_of
from core.models import Budget, BudgetWindow, Call, CostRecord, Reservation
from core.models.round_trip import run_all

NOTHING = Decimal(0)
MOST_AT_ONCE = 1000


@dataclass(eq=False)
class OverBudgetError(Exception):
    """A hard budget has no room for a call. Amounts in USD; `needed` is None where the worst case is not known."""

    budget: Budget
    limit: Decimal
    left: Decimal
    needed: Decimal | None
    renews_on: dt.date | None

    def __str__(self) -> str:
        if self.needed is None:
            return (
                f"The price book does not say what this can cost at most, and the budget «{self.budget}» has a limit."
            )
        figures = f"it can cost {self.needed:.4f} USD at most, and {self.left:.4f} USD are left"
        return f"The budget «{self.budget}» has no room for this: {figures}."


def reserve(call: Call, models: Collection[str] = (), besides: Collection[Mapping[str, Any]] = ()) -> None:
    """Reserve the call's worst case in each budget that applies, or raise `OverBudgetError`.

    `models` are all that may come to answer, the dearest counts; without any it is the one that the request names.
    `besides` are Messages requests that may be sent before, to a classifier: each of them counts on top.
    Belongs into the transaction that stores the call: the error has to undo it as a whole.
    """
    today = timezone.localdate()
    applying = statements.applying(scope_of(call), today)
    if not applying:
        return
    if any(each.window_id is None for each in applying):
        windows_of(Budget.objects.filter(pk__in=[each.budget_id for each in applying]), today)
        applying = statements.applying(scope_of(call), today)
    amount = _together(models or [str(call.request["model"])], call.request, besides)
    windows = {each.window_id: each.hard for each in applying if each.window_id is not None}
    run_all(statements.holding((call, window_id, amount or NOTHING) for window_id in windows))
    for window_id, hard in windows.items():
        # Without a worst case nothing could hold a limit, so a hard one refuses.
        if (hard and amount is None) or not statements.take(window_id, amount or NOTHING, hard=hard):
            raise refusal(window_id, amount)


def share_left(call: Call) -> float | None:
    """How much of the tightest budget that counts `call` is neither spent nor reserved, from 0 to 1; None without."""
    applying = statements.applying(scope_of(call), timezone.localdate())
    present = [each.window_id for each in applying if each.window_id is not None]
    windows = BudgetWindow.objects.filter(pk__in=present) if present else []
    shares = [
        float(max(NOTHING, window.limit - window.spent - window.reserved) / window.limit) if window.limit else 0.0
        for window in windows
    ]
    # A budget without a window has not been touched in this period.
    return min([1.0, *shares]) if applying else None


def _together(
    models: Collection[str], request: Mapping[str, Any], besides: Collection[Mapping[str, Any]]
) -> Decimal | None:
    """The most that the request and what is sent besides can cost; None where that of one is unknown."""
    amounts = [_dearest(models, request), *(_dearest([str(other["model"])], other) for other in besides)]
    known = [amount for amount in amounts if amount is not None]
    return sum(known, NOTHING) if len(known) == len(amounts) else None


def _dearest(models: Collection[str], request: Mapping[str, Any]) -> Decimal | None:
    """The most that a request can cost with any of these models; None where that of one is unknown."""
    today = timezone.now().date()
    amounts = [worst_case(model, request, today) for model in models]
    known = [amount for amount in amounts if amount is not None]
    return max(known) if len(known) == len(amounts) else None


def hold_another(call: Call) -> bool:
    """Reserve for one attempt more, after one whose cost is not known; False, and nothing changed, without room.

    To be asked before the attempt that was lost is booked. Asking twice reserves once.
    """
    with transaction.atomic():
        # First the call and then its reservations, as every settlement does.
        Call.objects.select_for_update(no_key=True).filter(pk=call.pk).values_list("pk").first()
        reservations = held.found([call.pk])
        unknown = held.stands([call.pk])[call.pk].unknown if reservations else 0
        if all(_hold_for(each.reservation, unknown + 2) for each in reservations):
            return True
        transaction.set_rollback(True)
        return False


def settle(call_id: uuid.UUID, stand: Stand | None = None) -> None:
    """Bring the reservations of a call to what the ledger says of it, in the transaction that changed the ledger.

    `stand` is what it says, where the caller has just written that.

    Known amounts are spent. While the call is not finished it holds one worst case, and one more for each exchange
    whose cost is not known, until somebody puts that right: it may have been billed.
    """
    with transaction.atomic(savepoint=False):
        held.bring([call_id], None if stand is None else {call_id: stand})


def cancel(call: Call) -> bool:
    """Cancel what has not been sent, and give back what it reserved."""
    with transaction.atomic():
        canceled = call.cancel()
        if canceled:
            settle(call.pk)
    return canceled


def release_finished() -> int:
    """Give back what finished calls still hold without a reason; every ending does that itself, so there is none."""
    unknown = CostRecord.objects.unknown().filter(call=OuterRef("call"))
    left = Reservation.objects.filter(released_at=None, call__status__in=Call.FINISHED).exclude(Exists(unknown))
    calls = set(left.values_list("call_id", flat=True)[:MOST_AT_ONCE])
    for call_id in calls:
        settle(call_id)
    return len(calls)


def _hold_for(reservation: Held, attempts: int) -> bool:
    """Let a reservation hold the worst case of so many attempts; False where its window has no room."""
    more = reservation.amount * attempts - reservation.held
    if more <= 0:
        return True
    window = BudgetWindow.objects.select_related("budget").get(pk=reservation.window_id)
    Reservation.objects.filter(pk=reservation.pk).update(held=reservation.held + more)
    return statements.take(window.pk, more, hard=window.budget.hard)


def refusal(window_id: int, needed: Decimal | None) -> OverBudgetError:
    """What a window without room says."""
    window = BudgetWindow.objects.select_related("budget").get(pk=window_id)
    left = max(NOTHING, window.limit - window.spent - window.reserved)
    return OverBudgetError(window.budget, window.limit, left, needed, renews_on(window))
