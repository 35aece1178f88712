"""What was spent, for scripts?"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from core.reports import spend as report
from core.reports.periods import Period
from core.reports.sums import DIMENSIONS, Sums, one_moment


class Command(BaseCommand):
    """`manage.py spend --json --from 2026-11-01 --to 2026-11-30 --by model`: exits with 2 on days that make no period.

    Amounts are texts with all their digits, in USD. `unknown` counts the costs that are not in them.
    """

    help = "Prints what was spent from one day to another, both included; this month's first day and today if not said."

    def add_arguments(self, parser: CommandParser) -> None:
        today = timezone.localdate()
        parser.add_argument("--from", dest="first", default=str(today.replace(day=1)), metavar="DAY")
        parser.add_argument("--to", dest="last", default=str(today), metavar="DAY")
        parser.add_argument("--by", choices=DIMENSIONS, help="also each value of this dimension, the dearest first")
        parser.add_argument("--json", action="store_true", help="for scripts")

    def handle(self, *_args: Any, **options: Any) -> None:
        period = _period(options["first"], options["last"])
        with one_moment():
            total = report.total(period)
            lines = report.table(period, options["by"], total, most=report.ALL).lines if options["by"] else []
        answer = {"from": str(period.first), "to": str(period.last), **_told(total)}
        if options["by"]:
            answer["by"] = options["by"]
            answer["values"] = [{"id": line.value, "name": line.label, **_told(line.sums)} for line in lines]
        if options["json"]:
            self.stdout.write(json.dumps(answer, ensure_ascii=False))
            return
        self.stdout.write(f"{_exact(total.amount)} USD for {total.records:,} exchanges, {total.unknown:,} unknown")
        for line in lines:
            self.stdout.write(f"{_exact(line.sums.amount)} USD  {line.label}")


def _period(first: str, last: str) -> Period:
    try:
        period = Period(dt.date.fromisoformat(first), dt.date.fromisoformat(last))
    except ValueError:
        raise CommandError("Days are written as year-month-day, such as 2026-11-21.", returncode=2) from None
    if period.first > period.last:
        raise CommandError("The last day is before the first.", returncode=2)
    return period


def _told(sums: Sums) -> dict[str, Any]:
    return {
        "amount": _exact(sums.amount),
        "exchanges": sums.records,
        "unknown": sums.unknown,
        "input_tokens": sums.input_tokens,
        "output_tokens": sums.output_tokens,
        "saved_by_cache": _exact(sums.saved_by_cache),
        "saved_by_batch": _exact(sums.saved_by_batch),
    }


def _exact(amount: Decimal) -> str:
    return f"{amount:f}"
