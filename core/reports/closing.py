"""How does a month's sum become final?"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection, transaction
from django.utils import timezone

from core.models import ClosedMonth, CostRecord, User
from core.reports import sums
from core.reports.periods import Period, add_months


class ClosingError(Exception):
    """Why this month cannot be closed, in words for whoever wanted to."""


@dataclass(frozen=True)
class Closable:
    """A month that is over and open; `unknown` costs that are filled in later count for a later month."""

    first_day: dt.date
    amount: Decimal
    records: int
    unknown: int


def closable(today: dt.date | None = None) -> list[Closable]:
    """The months before this one, since the first record, that are not closed; the newest first."""
    first = CostRecord.objects.order_by("booked_on").values_list("booked_on", flat=True).first()
    this_month = (today or timezone.localdate()).replace(day=1)
    if first is None or first >= this_month:
        return []
    closed = set(ClosedMonth.objects.values_list("first_day", flat=True))
    months = Period(first, add_months(this_month, -1)).months()
    return [_stand(month) for month in reversed(months) if month not in closed]


def close(month: dt.date, user: User, today: dt.date | None = None) -> ClosedMonth:
    """Close the month that begins with `month`, for good: from now on nothing is booked into it.

    Raises ClosingError for a month that is not over, is closed already, or does not begin with that day.
    """
    if month.day != 1 or month >= (today or timezone.localdate()).replace(day=1):
        raise ClosingError("A month can be closed when it is over.")
    with transaction.atomic():
        if connection.vendor == "postgresql":
            # Waits for the bookings that have read which months are open, and lets no new one read it meanwhile.
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE core_closedmonth IN ACCESS EXCLUSIVE MODE")
        if ClosedMonth.objects.filter(first_day=month).exists():
            raise ClosingError(f"{month:%B %Y} is closed already.")
        return ClosedMonth.objects.create(first_day=month, amount=_stand(month).amount, closed_by=user)


def _stand(month: dt.date) -> Closable:
    found = sums.total(Period.months_from(month, 1))
    return Closable(month, found.amount, found.records, max(0, found.unknown))
