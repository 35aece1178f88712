"""Which days does a report cover, and which does it compare them with? Pure: days in, days out."""

from __future__ import annotations

import calendar
import datetime as dt
from dataclasses import dataclass

ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Period:
    """Whole days in the installation's time zone, both ends included."""

    first: dt.date
    last: dt.date

    @classmethod
    def days_until(cls, last: dt.date, days: int) -> Period:
        return cls(last - dt.timedelta(days=days - 1), last)

    @classmethod
    def months_from(cls, first: dt.date, months: int) -> Period:
        """So many whole months from that first of a month on."""
        return cls(first, add_months(first, months) - ONE_DAY)

    @property
    def length(self) -> int:
        return (self.last - self.first).days + 1

    def days(self) -> list[dt.date]:
        return [self.first + dt.timedelta(days=number) for number in range(self.length)]

    def months(self) -> list[dt.date]:
        """The first day of each month that this period touches."""
        first, last = self.first.replace(day=1), self.last.replace(day=1)
        number = (last.year - first.year) * 12 + last.month - first.month + 1
        return [add_months(first, index) for index in range(number)]

    def before(self) -> Period:
        """The time that this one is compared with: as many whole months before it, or else as many days."""
        if self.first.day == 1 and (self.last + ONE_DAY).day == 1:
            months = len(self.months())
            return Period.months_from(add_months(self.first, -months), months)
        return Period.days_until(self.first - ONE_DAY, self.length)

    def until(self, day: dt.date) -> Period:
        """The part of this period that ends with `day`, for one that is not over yet."""
        return Period(self.first, min(self.last, max(self.first, day)))

    def first_days(self, number: int) -> Period:
        """As many days from the beginning, but not beyond the end."""
        return self.until(self.first + dt.timedelta(days=number - 1))

    def whole_months(self) -> Period | None:
        """From the first to the last of the months that lie wholly inside; None where there is none."""
        first = self.first if self.first.day == 1 else add_months(self.first.replace(day=1), 1)
        last = (self.last + ONE_DAY).replace(day=1) - ONE_DAY
        return Period(first, last) if first <= last else None

    def edges(self) -> list[Period]:
        """The days outside the whole months."""
        inner = self.whole_months()
        if inner is None:
            return [self]
        parts = Period(self.first, inner.first - ONE_DAY), Period(inner.last + ONE_DAY, self.last)
        return [part for part in parts if part.first <= part.last]


PRESETS = {
    "today": "Today",
    "yesterday": "Yesterday",
    "7-days": "7 days",
    "30-days": "30 days",
    "this-month": "This month",
    "last-month": "Last month",
    "this-quarter": "This quarter",
    "this-year": "This year",
    "12-months": "Last 12 months",
}
USUAL = "30-days"


def preset(name: str, today: dt.date) -> Period:
    """The period of that name; the usual one for a name that is none. This month, quarter and year run to their end."""
    month = today.replace(day=1)
    yesterday = today - ONE_DAY
    periods = {
        "today": Period(today, today),
        "yesterday": Period(yesterday, yesterday),
        "7-days": Period.days_until(today, 7),
        "30-days": Period.days_until(today, 30),
        "this-month": Period.months_from(month, 1),
        "last-month": Period.months_from(add_months(month, -1), 1),
        "this-quarter": Period.months_from(add_months(month, -((month.month - 1) % 3)), 3),
        "this-year": Period.months_from(month.replace(month=1), 12),
        "12-months": Period.months_from(add_months(month, -11), 12).until(today),
    }
    return periods.get(name, periods[USUAL])


def add_months(day: dt.date, months: int) -> dt.date:
    """The same day so many months on, or the last of a shorter month."""
    number = day.year * 12 + day.month - 1 + months
    year, month = divmod(number, 12)
    return dt.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
