"""How does somebody who was refused get more of a budget?"""

from __future__ import annotations

from decimal import Decimal
from functools import partial

from django.db import IntegrityError, transaction
from django.db.models import F, Value
from django.utils import timezone

from core.costs.notices import Letter, mail_after_commit
from core.costs.windows import window_of
from core.models import Budget, BudgetRequest, BudgetWindow, User
from core.models.fields import MoneyField

Status = BudgetRequest.Status


class AskedAlreadyError(ValueError):
    """This person's request for the same period waits for a decision."""


def ask(budget: Budget, user: User, amount: Decimal, reason: str) -> BudgetRequest:
    """Ask for `amount` USD more in the budget's present period, and tell its owner. Raises `AskedAlreadyError`."""
    window = window_of(budget, timezone.localdate())
    try:
        with transaction.atomic():
            asked = BudgetRequest.objects.create(window=window, user=user, amount=amount, reason=reason)
    except IntegrityError as error:
        raise AskedAlreadyError("You have asked for more already; it waits for a decision.") from error
    text = (
        f"{user} asks for {amount:.2f} USD more of the budget «{budget}»:\n\n{reason}\n\nDecide in the administration."
    )
    mail_after_commit(partial(Letter, budget.owner, f"{user} asks for more of «{budget}»", text))
    return asked


def may_decide(asked: BudgetRequest, user: User) -> bool:
    """The budget's owner, and whoever may decide about any."""
    return asked.window.budget.owner_id == user.pk or user.has_perm("core.decide_any_budget")


def approve(asked: BudgetRequest, by: User, answer: str = "") -> bool:
    """Raise the limit of this one period by what was asked for; False where it has been decided already."""
    with transaction.atomic():
        if not _decide(asked, Status.APPROVED, by, answer):
            return False
        more = Value(asked.amount, output_field=MoneyField())
        BudgetWindow.objects.filter(pk=asked.window_id).update(limit=F("limit") + more)
    return True


def decline(asked: BudgetRequest, by: User, answer: str = "") -> bool:
    """Leave the limit as it is; False where it has been decided already."""
    with transaction.atomic():
        return _decide(asked, Status.DECLINED, by, answer)


def _decide(asked: BudgetRequest, status: str, by: User, answer: str) -> bool:
    decided = BudgetRequest.objects.filter(pk=asked.pk, status=Status.OPEN).update(
        status=status, decided_at=timezone.now(), decided_by=by, answer=answer
    )
    if decided:
        said = "You have" if status == Status.APPROVED else "You do not have"
        text = f"{said} {asked.amount:.2f} USD more of the budget «{asked.window.budget}». {answer}".strip()
        mail_after_commit(partial(Letter, asked.user, f"Your request was {status}: «{asked.window.budget}»", text))
    return bool(decided)
