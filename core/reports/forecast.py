"""What will a period that is not over have cost at its end?

Each weekday is expected to cost what it did on average in the last 28 whole days, four of each.
While less than that is known, every day is expected to cost the average of those since the first record. Today counts
as what is spent already, or as its weekday's average where that is more.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal

from django.db.models import Min

from core.models import PendingRollup, SpendRollup
from core.models.fields import SMALLEST
from core.reports import sums as reading
from core.reports.periods import ONE_DAY, Period
from core.reports.sums import Only

WINDOW = 28


def forecast(period: Period, today: dt.date, spent: Decimal, only: Only) -> Decimal | None:
    """The period's cost at its end; None for one that is over, or begins later, or where nothing was spent before."""
    if not period.first <= today < period.last:
        return None
    first = _first_day(only)
    if first is None or first >= today:
        return None
    window = Period(max(first, today - WINDOW * ONE_DAY), today - ONE_DAY)
    values = None if only == reading.EVERYTHING else [only.value]
    asked = Period(window.first, today)
    found = reading.per_step(only.dimension, asked, monthly=False, values=values)
    daily = {day: sums.amount for (day, _), sums in found.items()}
    return expected(period, today, spent, window, daily)


def expected(
    period: Period, today: dt.date, spent: Decimal, window: Period, daily: Mapping[dt.date, Decimal]
) -> Decimal:
    """Pure: `daily` holds what the days of `window` and today cost; days without cost may be missing."""
    average = _averages(window, daily)
    rest_of_today = max(Decimal(0), average[today.weekday()] - daily.get(today, Decimal(0)))
    coming = [day for day in period.days() if day > today]
    total = spent + rest_of_today + sum((average[day.weekday()] for day in coming), Decimal(0))
    return total.quantize(SMALLEST, ROUND_HALF_EVEN)


def _averages(window: Period, daily: Mapping[dt.date, Decimal]) -> dict[int, Decimal]:
    days = window.days()
    if len(days) < WINDOW:
        mean = sum((daily.get(day, Decimal(0)) for day in days), Decimal(0)) / len(days)
        return dict.fromkeys(range(7), mean)
    same = {weekday: [day for day in days if day.weekday() == weekday] for weekday in range(7)}
    return {
        weekday: sum((daily.get(day, Decimal(0)) for day in found), Decimal(0)) / len(found)
        for weekday, found in same.items()
    }


def _first_day(only: Only) -> dt.date | None:
    """The first day that anything was booked on."""
    rolled = SpendRollup.objects.filter(dimension=only.dimension, grain=SpendRollup.Grain.DAY)
    if only != reading.EVERYTHING:
        rolled = rolled.filter(value=only.value)
    pending = PendingRollup.objects.all()
    if only != reading.EVERYTHING:
        pending = pending.filter(record__user_id=int(only.value))
    first = rolled.aggregate(day=Min("starts_on"))["day"], pending.aggregate(day=Min("record__booked_on"))["day"]
    return min((day for day in first if day), default=None)
