"""Which days does a name stand for, what are they compared with, and what is expected of those to come?"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from core.reports.forecast import expected
from core.reports.periods import PRESETS, Period, preset
from core.reports.spend import compared_with

TODAY = dt.date(2026, 11, 21)  # a Saturday


def days(first: str, last: str) -> Period:
    return Period(dt.date.fromisoformat(first), dt.date.fromisoformat(last))


@pytest.mark.parametrize(
    ("name", "period", "before"),
    [
        ("today", days("2026-11-21", "2026-11-21"), days("2026-11-20", "2026-11-20")),
        ("yesterday", days("2026-11-20", "2026-11-20"), days("2026-11-19", "2026-11-19")),
        ("7-days", days("2026-11-15", "2026-11-21"), days("2026-11-08", "2026-11-14")),
        ("30-days", days("2026-10-23", "2026-11-21"), days("2026-09-23", "2026-10-22")),
        # What is not over is compared with as many days from the beginning of the period before.
        ("this-month", days("2026-11-01", "2026-11-30"), days("2026-10-01", "2026-10-21")),
        ("last-month", days("2026-10-01", "2026-10-31"), days("2026-09-01", "2026-09-30")),
        ("this-quarter", days("2026-10-01", "2026-12-31"), days("2026-07-01", "2026-08-21")),
        ("this-year", days("2026-01-01", "2026-12-31"), days("2025-01-01", "2025-11-21")),
        ("12-months", days("2025-12-01", "2026-11-21"), days("2024-12-10", "2025-11-30")),
    ],
)
def test_each_name_stands_for_its_days(name: str, period: Period, before: Period) -> None:
    assert name in PRESETS
    assert preset(name, TODAY) == period
    assert compared_with(period, TODAY) == before


def test_a_short_month_before_is_compared_as_a_whole() -> None:
    march = days("2026-03-01", "2026-03-31")
    assert compared_with(march, dt.date(2026, 3, 30)) == days("2026-02-01", "2026-02-28")


@pytest.mark.parametrize(
    ("period", "months", "edges"),
    [
        (days("2026-03-01", "2026-04-30"), days("2026-03-01", "2026-04-30"), []),
        (
            days("2026-02-28", "2026-04-01"),
            days("2026-03-01", "2026-03-31"),
            [("2026-02-28",) * 2, ("2026-04-01",) * 2],
        ),
        (days("2026-03-02", "2026-03-31"), None, [("2026-03-02", "2026-03-31")]),
        (days("2025-12-15", "2026-01-15"), None, [("2025-12-15", "2026-01-15")]),
    ],
)
def test_whole_months_and_edges_make_the_period(
    period: Period, months: Period | None, edges: list[tuple[str, str]]
) -> None:
    assert period.whole_months() == months
    assert period.edges() == [days(*edge) for edge in edges]


def test_each_weekday_is_expected_to_cost_what_it_did_in_the_last_four_weeks() -> None:
    window = Period.days_until(dt.date(2026, 11, 20), 28)
    # Ten on working days, nothing at the weekend.
    daily = {day: Decimal(10) for day in window.days() if day.weekday() < 5}
    # From Sunday 22 to Monday 30 November there are six working days; today is a Saturday, on which nothing is due.
    month = days("2026-11-01", "2026-11-30")
    assert expected(month, TODAY, Decimal(150), window, daily) == 150 + 6 * 10


def test_today_counts_as_spent_or_as_its_average_where_that_is_more() -> None:
    today = dt.date(2026, 11, 20)
    window = Period.days_until(dt.date(2026, 11, 19), 28)
    period = days("2026-11-20", "2026-11-21")
    base = {day: Decimal(10) for day in window.days()}
    # 10 today, of which 4 are spent, and 10 tomorrow.
    assert expected(period, today, Decimal(4), window, {**base, today: Decimal(4)}) == 20
    # 25 are spent already, and 10 tomorrow.
    assert expected(period, today, Decimal(25), window, {**base, today: Decimal(25)}) == 35


def test_with_less_than_four_weeks_every_day_counts_the_same() -> None:
    window = days("2026-11-18", "2026-11-20")
    daily = {dt.date(2026, 11, 18): Decimal(9)}
    # Nine in three days are three a day: for today and nine days to come.
    assert expected(days("2026-11-18", "2026-11-30"), TODAY, Decimal(9), window, daily) == 9 + 30
