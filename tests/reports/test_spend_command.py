"""Can a script read what was spent?"""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from core.models import PendingRollup, SpendRollup
from tests.reports.conftest import MakeRecord

DAY = dt.date(2026, 5, 20)


def answer(*arguments: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("spend", "--json", *arguments, stdout=out)
    return dict(json.loads(out.getvalue()))


def test_amounts_are_exact_texts(spent: MakeRecord) -> None:
    spent("0.0000000001", DAY)
    spent("12.5", DAY, lane="batch")
    spent(None, DAY)
    spent("7", DAY + dt.timedelta(days=1))
    found = answer("--from", "2026-05-20", "--to", "2026-05-20", "--by", "lane")
    assert (found["from"], found["to"], found["by"]) == ("2026-05-20", "2026-05-20", "lane")
    assert (found["amount"], found["exchanges"], found["unknown"]) == ("12.5000000001", 3, 1)
    values = [(value["id"], value["name"], value["amount"]) for value in found["values"]]
    assert values == [("batch", "Batch", "12.5000000000"), ("queue", "Queue", "0.0000000001")]


def test_what_was_unknown_before_and_put_right_lowers_no_count(spent: MakeRecord) -> None:
    lost = spent(None, DAY)
    spent("2", DAY + dt.timedelta(days=20), corrects=lost, source="repriced")
    found = answer("--from", "2026-06-01", "--to", "2026-06-30", "--by", "lane")
    assert (found["unknown"], [value["unknown"] for value in found["values"]]) == (0, [0])


@pytest.mark.parametrize(
    "days", [("--from", "banana"), ("--from", "2026-02-30"), ("--from", "2026-02-02", "--to", "2026-02-01")]
)
def test_bad_days_end_with_two(db: None, days: tuple[str, ...]) -> None:
    with pytest.raises(CommandError) as problem:
        answer(*days)
    assert problem.value.returncode == 2


def test_rollups_can_be_made_checked_and_mended(spent: MakeRecord) -> None:
    spent("1", DAY)
    out = io.StringIO()
    call_command("rollups", stdout=out)
    assert "1 records rolled up" in out.getvalue()
    assert not PendingRollup.objects.exists()
    call_command("rollups", "--check", stdout=out)
    SpendRollup.objects.filter(dimension="lane").delete()
    with pytest.raises(CommandError, match="lane «queue», day of 2026-05-20"):
        call_command("rollups", "--check", stdout=out)
    call_command("rollups", "--rebuild", "--check", stdout=out)
