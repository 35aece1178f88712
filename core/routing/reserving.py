"""What does a call with a plan reserve of its budgets?"""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction

from core.costs import budgets
from core.costs.budgets import OverBudgetError
from core.models import Call
from core.routing.choose import Plan

NO_ROOM = "a budget has no room for a classifier"


def reserve(call: Call, plan: Plan, models: Collection[str] = ()) -> None:
    """Reserve the dearest way the plan can go, classifiers included, or raise `OverBudgetError`.

    `models` are those of the plan, which count where none are named, and of the chain that answers where they do not.
    Where there is room for the answer but not for a classifier as well, none is asked and its default label counts.
    Belongs into the transaction that stores the call.
    """
    models = models or plan.models
    besides = plan.besides(call.request)
    if besides and not _fits(call, models, besides):
        call.routing = {**plan.as_json(), "forbidden": NO_ROOM}
        call.save(update_fields=["routing"])
        besides = []
    if not besides:
        budgets.reserve(call, models)


def _fits(call: Call, models: Collection[str], besides: list[dict[str, object]]) -> bool:
    try:
        with transaction.atomic():
            budgets.reserve(call, models, besides)
    except OverBudgetError:
        return False
    return True
