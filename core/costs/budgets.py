"""May this call be sent, and what did it take of its budgets?

Before anything is sent, a call reserves what it can cost at most in every budget that applies, or in none. Each change
of a window is one UPDATE, and for a hard budget it has a condition, so that no number of processes at once passes its
limit. `settle` brings a call's reservations to what the ledger says; it can be called any number of times.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.utils import timezone

from core.costs import notices
from core.costs.estimate import worst_case
from core.costs.windows import renews_on, windows_of
from core.models import Budget, BudgetWindow, Call, CostRecord, Reservation, User
from core.models.fields import MoneyField

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


def applying(call: Call, day: dt.date) -> QuerySet[Budget]:
    """The budgets that count `call` on `day`: the organisation's, and those of its person, groups, key and prompt."""
    scopes = Q(scope=Budget.Scope.ORGANISATION)
    if call.user_id:
        groups = User.groups.through._default_manager.filter(user_id=call.user_id).values("group_id")
        scopes |= Q(user_id=call.user_id) | Q(group_id__in=groups)
    if call.key_id:
        scopes |= Q(key_id=call.key_id)
    if call.prompt_id:
        scopes |= Q(prompt_id=call.prompt_id)
    lasting = Q(ends_on=None) | Q(ends_on__gte=day)
    return Budget.objects.filter(scopes, lasting, active=True, starts_on__lte=day).order_by("pk")


def reserve(call: Call) -> None:
    """Reserve the call's worst case in each budget that applies, or raise `OverBudgetError`.

    Belongs into the transaction that stores the call: the error has to undo it as a whole.
    """
    budgets = list(applying(call, timezone.localdate()))
    if not budgets:
        return
    windows = windows_of(budgets, timezone.localdate())
    amount = worst_case(str(call.request["model"]), call.request, timezone.now().date())
    known = NOTHING if amount is None else amount
    Reservation.objects.bulk_create(
        [Reservation(call=call, window=window, amount=known, held=known) for window in windows]
    )
    for window in windows:
        if not _take(window, amount):
            raise _refusal(window, amount)


def hold_another(call: Call) -> bool:
    """Reserve for one attempt more, after one whose cost is not known; False, and nothing changed, without room.

    To be asked before the attempt that was lost is booked. Asking twice reserves once.
    """
    with transaction.atomic():
        # First the call and then its reservations, as every settlement does.
        Call.objects.select_for_update().filter(pk=call.pk).values_list("pk").first()
        held = list(_locked(call.pk).select_related("window__budget"))
        if not held:
            return True
        attempts = CostRecord.objects.unknown().filter(call=call).count() + 2
        for reservation in held:
            more = reservation.amount * attempts - reservation.held
            if more > 0 and not _take(reservation.window, more):
                transaction.set_rollback(True)
                return False
            Reservation.objects.filter(pk=reservation.pk).update(held=max(reservation.held, reservation.held + more))
    return True


def settle(call_id: uuid.UUID) -> None:
    """Bring the reservations of a call to what the ledger says of it, in the transaction that changed the ledger.

    Known amounts are spent. While the call is not finished it holds one worst case, and one more for each exchange
    whose cost is not known, until somebody puts that right: it may have been billed.
    """
    with transaction.atomic(savepoint=False):
        reservations = list(_locked(call_id))
        if not reservations:
            return
        attempts, known = _stand(call_id)
        grown = [_bring(reservation, attempts, known) for reservation in reservations]
        notices.notice({window: more for window, more in grown if more > 0})


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


def _locked(call_id: uuid.UUID) -> QuerySet[Reservation]:
    return Reservation.objects.select_for_update(of=("self",)).filter(call_id=call_id).order_by("window_id")


def _stand(call_id: uuid.UUID) -> tuple[int, Decimal]:
    """For how many attempts a call has to hold its worst case, and what its others cost."""
    finished = Call.objects.filter(pk=call_id, status__in=Call.FINISHED).exists()
    records = list(CostRecord.objects.filter(call_id=call_id).order_by().values_list("pk", "amount", "corrects_id"))
    # A correction carries the difference, so that all amounts are summed.
    known = sum((amount for _, amount, _ in records if amount is not None), NOTHING)
    corrected = {corrects for _, _, corrects in records}
    unknown = sum(amount is None and pk not in corrected for pk, amount, _ in records)
    return unknown + (not finished), known


def _bring(reservation: Reservation, attempts: int, known: Decimal) -> tuple[int, Decimal]:
    """Write what a reservation holds and spent; answers its window and how much more was spent."""
    held = min(reservation.held, reservation.amount * attempts)
    spent, released = known - reservation.spent, held - reservation.held
    ended = attempts == 0
    if spent or released or ended != bool(reservation.released_at):
        Reservation.objects.filter(pk=reservation.pk).update(
            held=held, spent=known, released_at=timezone.now() if ended else None
        )
    if spent or released:
        BudgetWindow.objects.filter(pk=reservation.window_id).update(
            spent=F("spent") + _money(spent), reserved=F("reserved") + _money(released)
        )
    return reservation.window_id, spent


def _take(window: BudgetWindow, amount: Decimal | None) -> bool:
    """Reserve in one window, by one UPDATE; False where a hard limit has no room, or the amount is not known."""
    rows = BudgetWindow.objects.filter(pk=window.pk)
    if window.budget.hard:
        if amount is None:
            return False
        rows = rows.filter(limit__gte=F("spent") + F("reserved") + _money(amount))
    return rows.update(reserved=F("reserved") + _money(amount or NOTHING)) == 1


def _money(amount: Decimal) -> Value:
    return Value(amount, output_field=MoneyField())


def _refusal(window: BudgetWindow, needed: Decimal | None) -> OverBudgetError:
    window.refresh_from_db(fields=["limit", "spent", "reserved"])
    left = max(NOTHING, window.limit - window.spent - window.reserved)
    return OverBudgetError(window.budget, window.limit, left, needed, renews_on(window))
