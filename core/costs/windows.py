"""Which period of a budget does a day fall into?"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterable

from core.models import Budget, BudgetWindow

# One period: its first day, and its last or None for no end.
Period = tuple[dt.date, dt.date | None]


def period_of(budget: Budget, day: dt.date) -> Period:
    """The period of `budget` that holds `day`; weeks begin on Monday."""
    if budget.period == Budget.Period.ONCE:
        return budget.starts_on, budget.ends_on
    if budget.period == Budget.Period.DAY:
        return day, day
    if budget.period == Budget.Period.WEEK:
        monday = day - dt.timedelta(days=day.weekday())
        return monday, monday + dt.timedelta(days=6)
    return day.replace(day=1), day.replace(day=calendar.monthrange(day.year, day.month)[1])


def windows_of(budgets: Iterable[Budget], day: dt.date) -> list[BudgetWindow]:
    """The window of each budget on `day`, in the order of primary keys; made where it is missing."""
    wanted = {budget.pk: (budget, period_of(budget, day)) for budget in budgets}
    found = _stored(wanted)
    missing = sorted(wanted.keys() - {window.budget_id for window in found})
    if not missing:
        return found
    # In one order, and with whatever another process makes at this moment.
    fresh = [_fresh(*wanted[pk]) for pk in missing]
    BudgetWindow.objects.bulk_create(fresh, ignore_conflicts=True)
    return _stored(wanted)


def untouched(budgets: Iterable[Budget], day: dt.date) -> list[BudgetWindow]:
    """The window that each budget will have on `day`, which has none yet; for showing, not stored."""
    return [_fresh(budget, period_of(budget, day)) for budget in budgets]


def window_of(budget: Budget, day: dt.date) -> BudgetWindow:
    return windows_of([budget], day)[0]


def renews_on(window: BudgetWindow) -> dt.date | None:
    """The day on which the budget of `window` starts anew, or None where it does not."""
    budget = window.budget
    if window.last_day is None or budget.period == Budget.Period.ONCE:
        return None
    following = window.last_day + dt.timedelta(days=1)
    return None if budget.ends_on and budget.ends_on < following else following


def _stored(wanted: dict[int, tuple[Budget, Period]]) -> list[BudgetWindow]:
    days = {first for _, (first, _) in wanted.values()}
    near = BudgetWindow.objects.filter(budget__in=wanted.keys(), first_day__in=days).order_by("pk")
    found = [window for window in near if window.first_day == wanted[window.budget_id][1][0]]
    for window in found:
        window.budget = wanted[window.budget_id][0]
    return found


def _fresh(budget: Budget, period: Period) -> BudgetWindow:
    return BudgetWindow(budget=budget, first_day=period[0], last_day=period[1], limit=budget.amount)
