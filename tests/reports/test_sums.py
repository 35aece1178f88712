"""Do the figures of a report come to what the ledger comes to, whatever the period and however much is pending?"""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group

from core.models import CostRecord
from core.reports import sums
from core.reports.periods import Period
from core.reports.rollups import roll_up, roll_up_all
from tests.reports.conftest import MakeRecord

FIRST, DAYS, RECORDS = dt.date(2025, 12, 20), 150, 60
PERIODS = [
    Period(dt.date(2025, 12, 31), dt.date(2026, 1, 1)),
    Period(dt.date(2026, 1, 15), dt.date(2026, 4, 14)),
    Period(dt.date(2026, 2, 1), dt.date(2026, 3, 31)),
    Period(dt.date(2026, 2, 2), dt.date(2026, 2, 27)),
    Period(dt.date(2025, 1, 1), dt.date(2026, 12, 31)),
]
Amounts = dict[str, Decimal]
BY = {"model": "model", "team": "team_id", "lane": "lane"}


@pytest.fixture
def ledger(spent: MakeRecord) -> list[CostRecord]:
    """Records of several values and many days, some rolled up and some pending; a third of them of no group."""
    luck = random.Random(11)
    teams = [None, *(Group.objects.create(name=name) for name in ("Bridge", "Tower"))]
    made = []
    for number in range(RECORDS):
        day = FIRST + dt.timedelta(days=luck.randrange(DAYS))
        values = {"model": f"m{luck.randrange(4)}", "team": luck.choice(teams), "lane": luck.choice(["queue", "batch"])}
        made.append(spent(f"{luck.randrange(1000)}.{luck.randrange(10**10):010}", day, **values))
        if number == RECORDS // 2:
            roll_up(RECORDS // 3)
    return made


def _value(record: CostRecord, by: str) -> str:
    value = getattr(record, BY[by])
    return "" if value is None else str(value)


def _expected(
    records: list[CostRecord], by: str, period: Period, *, monthly: bool
) -> dict[tuple[dt.date, str], Decimal]:
    found: dict[tuple[dt.date, str], Decimal] = defaultdict(Decimal)
    for record in records:
        if period.first <= record.booked_on <= period.last:
            step = record.booked_on.replace(day=1) if monthly else record.booked_on
            found[(step, _value(record, by))] += record.amount or 0
    return found


def _in_all(records: list[CostRecord], by: str, period: Period) -> Amounts:
    found: Amounts = defaultdict(Decimal)
    for (_, value), amount in _expected(records, by, period, monthly=False).items():
        found[value] += amount
    return found


@pytest.mark.parametrize("rolled", ["partly", "wholly"])
def test_values_and_steps_come_to_what_the_ledger_comes_to(ledger: list[CostRecord], rolled: str) -> None:
    if rolled == "wholly":
        roll_up_all()
    for period in PERIODS:
        found = sums.per_values(list(BY), period, 100)
        for by in BY:
            amounts = _in_all(ledger, by, period)
            assert {value: each.amount for value, each in found[by][0].items()} == amounts
            assert list(found[by][0]) == sorted(amounts, key=lambda value: -amounts[value]), "the dearest first"
            for monthly in (False, True):
                steps = _expected(ledger, by, period, monthly=monthly)
                assert _amounts(sums.per_step(by, period, monthly=monthly)) == steps
                few = sorted(amounts)[:2]
                of_few = {key: amount for key, amount in steps.items() if key[1] in few}
                assert not few or _amounts(sums.per_step(by, period, monthly=monthly, values=few)) == of_few
        assert sums.total(period).amount == sum(_in_all(ledger, "lane", period).values())


def _amounts(found: dict[tuple[dt.date, str], sums.Sums]) -> dict[tuple[dt.date, str], Decimal]:
    return {key: each.amount for key, each in found.items()}


def test_only_the_dearest_are_named_and_all_are_counted(ledger: list[CostRecord]) -> None:
    period = PERIODS[-1]
    found = sums.per_values(["model", "team"], period, 2)
    for by, number in (("model", 4), ("team", 3)):
        amounts = _in_all(ledger, by, period)
        dearest = sorted(amounts, key=lambda value: -amounts[value])[:2]
        assert (list(found[by][0]), found[by][1]) == (dearest, number)
