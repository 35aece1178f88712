"""What was spent in a period: in all, per day, and by whom and what?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice

from core.reports import sums as reading
from core.reports.corrections import amount_and_number, unknown_put_right
from core.reports.forecast import forecast
from core.reports.labels import name_values
from core.reports.periods import ONE_DAY, Period, add_months
from core.reports.sums import DIMENSIONS, Dearest, Only, Sums, one_moment

# More days than these are shown as months, for bars thinner than a hair say nothing.
MOST_DAYS = 92
# As many values have a colour of their own in the chart; the others share one.
MOST_SERIES = 7
MOST_LINES = 10
# So many values a download holds, which is all of them.
ALL = 1_000_000
# A person's own report: one's own name, team and cost centre say nothing.
OWN_DIMENSIONS = ("prompt", "model", "key", "lane")
# Most days have nothing of most values; making an empty sum for each of them took a seventh of a page's time.
NOTHING = Sums()


@dataclass(frozen=True)
class Line:
    """One value of a dimension; `share` is a part of one. `value` is empty where the records name none."""

    value: str
    label: str
    sums: Sums
    share: float


@dataclass(frozen=True)
class Table:
    """The dearest values of a dimension; `others` sums up the rest, where there are more."""

    dimension: str
    lines: list[Line]
    others: Line | None
    number_of_others: int = 0


@dataclass(frozen=True)
class Step:
    """A day, or the part of a month that lies in the period, with one sum for each series."""

    period: Period
    sums: Sums
    parts: list[Decimal]


@dataclass(frozen=True)
class Chart:
    """`series` are lines without shares, the dearest first; the last may be all others, whose `value` is None."""

    dimension: str
    monthly: bool
    series: list[tuple[str | None, str]]
    steps: list[Step]


@dataclass(frozen=True)
class Report:
    """All figures of one page, of one moment."""

    period: Period
    total: Sums
    # What it is compared with: a period of the same length, or as many months.
    before: Period
    before_total: Sums
    forecast: Decimal | None
    corrections: Decimal
    chart: Chart
    tables: list[Table]

    @property
    def change(self) -> float | None:
        """By which part of the amount before it grew; None where nothing was spent before."""
        earlier = self.before_total.amount
        return float((self.total.amount - earlier) / earlier) if earlier > 0 else None


def report(period: Period, by: str, today: dt.date, user_id: int | None = None) -> Report:
    """The page's figures; of one person's spend alone where `user_id` is given."""
    only = _only(user_id)
    before = compared_with(period, today)
    with one_moment():
        corrected, put_right = amount_and_number(period, user_id)
        total = _plus(reading.total(period, only), put_right)
        dearest, parts = _broken_down(period, by, user_id)
        if put_right:
            dearest = {name: _each_plus(found, name, period, user_id) for name, found in dearest.items()}
        return Report(
            period=period,
            total=total,
            before=before,
            before_total=reading.total(before, only),
            forecast=forecast(period, today, total.amount, only),
            corrections=corrected,
            chart=_chart(period, by, user_id, dearest[by], parts),
            tables=[_table(name, found, total) for name, found in dearest.items()],
        )


# The sums of each step and value.
Parts = dict[tuple[dt.date, str], Sums]


def _broken_down(period: Period, by: str, user_id: int | None) -> tuple[dict[str, Dearest], Parts | None]:
    """The dearest values of every dimension; for one person, whose records are read once, the chart's parts too."""
    if user_id is None:
        return reading.per_values(DIMENSIONS, period, MOST_LINES), None
    found = reading.own(OWN_DIMENSIONS, by, period, user_id, monthly=period.length > MOST_DAYS)
    dearest = {name: (dict(islice(values.items(), MOST_LINES)), len(values)) for name, values in found.values.items()}
    return dearest, found.steps


def dimensions(user_id: int | None = None) -> tuple[str, ...]:
    return DIMENSIONS if user_id is None else OWN_DIMENSIONS


def compared_with(period: Period, today: dt.date) -> Period:
    """The period before; of one that is not over, as many of its first days as have begun."""
    if period.first <= today < period.last:
        return period.before().first_days((today - period.first).days + 1)
    return period.before()


def total(period: Period, user_id: int | None = None) -> Sums:
    return _plus(reading.total(period, _only(user_id)), amount_and_number(period, user_id)[1])


def _plus(sums: Sums, put_right: int) -> Sums:
    """What was unknown before the period and put right in it lowers its count, and must not hide one of its own."""
    return replace(sums, unknown=sums.unknown + put_right) if put_right else sums


def _each_plus(found: Dearest, by: str, period: Period, user_id: int | None) -> Dearest:
    values, number = found
    put_right = unknown_put_right(period, by, user_id)
    return {value: _plus(sums, put_right.get(value, 0)) for value, sums in values.items()}, number


def table(period: Period, by: str, whole: Sums, user_id: int | None = None, most: int = MOST_LINES) -> Table:
    """The dearest values, and what is left of `whole` for all others."""
    return _table(by, _each_plus(_values(period, by, most, user_id), by, period, user_id), whole)


def _table(by: str, dearest: Dearest, whole: Sums) -> Table:
    found, number = dearest
    names = name_values(by, found)
    lines = [Line(value, names[value], sums, _share(sums, whole)) for value, sums in found.items()]
    rest = whole - sum((line.sums for line in lines), NOTHING)
    more = number - len(lines)
    return Table(by, lines, Line("", "All others", rest, _share(rest, whole)) if more > 0 else None, more)


def chart(period: Period, by: str, user_id: int | None = None) -> Chart:
    """The sums per day, or per month where there are many days, with the dearest values apart."""
    return _chart(period, by, user_id, _values(period, by, MOST_SERIES, user_id))


def _chart(period: Period, by: str, user_id: int | None, dearest: Dearest, parts: Parts | None = None) -> Chart:
    """`parts` are read here where nobody has read them yet."""
    monthly = period.length > MOST_DAYS
    found, number = dearest
    top = dict(islice(found.items(), MOST_SERIES))
    names = name_values(by, top)
    series: list[tuple[str | None, str]] = [(value, names[value]) for value in top]
    if number > len(top):
        series.append((None, "All others"))
    totals = _steps(period, monthly, user_id)
    parts = _parts(period, by, list(top), monthly, user_id) if parts is None else parts
    steps = [_step(part, list(top), number > len(top), monthly, totals, parts) for part in _cut(period, monthly)]
    return Chart(by, monthly, series, steps)


def every_step(period: Period, by: str, user_id: int | None = None) -> Iterator[tuple[Period, str, str, Sums]]:
    """All values of each day or month with their names, in order; none is summed up with others."""
    monthly = period.length > MOST_DAYS
    if user_id is None:
        found = reading.per_step(by, period, monthly=monthly)
    else:
        found = reading.own_steps(by, period, user_id, monthly=monthly)
    names = name_values(by, {value for _, value in found})
    parts = {part.first.replace(day=1) if monthly else part.first: part for part in _cut(period, monthly)}
    for (day, value), sums in sorted(found.items(), key=lambda item: item[0]):
        yield parts[day], names[value], value, sums


def _only(user_id: int | None) -> Only:
    return reading.EVERYTHING if user_id is None else Only("user", str(user_id))


def _values(period: Period, by: str, most: int, user_id: int | None) -> Dearest:
    if user_id is None:
        return reading.per_value(by, period, most)
    return reading.own_values(by, period, user_id, most)


def _steps(period: Period, monthly: bool, user_id: int | None) -> dict[dt.date, Sums]:
    only = _only(user_id)
    values = None if user_id is None else [only.value]
    found = reading.per_step(only.dimension, period, monthly=monthly, values=values)
    return {day: sums for (day, _), sums in found.items()}


def _parts(
    period: Period, by: str, values: Sequence[str], monthly: bool, user_id: int | None
) -> dict[tuple[dt.date, str], Sums]:
    if not values:
        return {}
    if user_id is None:
        return reading.per_step(by, period, monthly=monthly, values=values)
    return reading.own_steps(by, period, user_id, monthly=monthly, values=values)


def _step(
    part: Period,
    values: Sequence[str],
    more: bool,
    monthly: bool,
    totals: dict[dt.date, Sums],
    parts: dict[tuple[dt.date, str], Sums],
) -> Step:
    # A month is known by its first day, wherever in it the period begins.
    day = part.first.replace(day=1) if monthly else part.first
    whole = totals.get(day, NOTHING)
    amounts = [parts.get((day, value), NOTHING).amount for value in values]
    rest = [whole.amount - sum(amounts, Decimal(0))] if more else []
    return Step(part, whole, amounts + rest)


def _cut(period: Period, monthly: bool) -> Iterable[Period]:
    """The period's days, or its months, the first and the last of them as far as they lie in it."""
    if not monthly:
        return [Period(day, day) for day in period.days()]
    months = [(first, add_months(first, 1) - ONE_DAY) for first in period.months()]
    return [Period(max(first, period.first), min(last, period.last)) for first, last in months]


def _share(sums: Sums, whole: Sums) -> float:
    return float(sums.amount / whole.amount) if whole.amount > 0 else 0.0
