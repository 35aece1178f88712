from __future__ import annotations

import argparse
import datetime as dt
import sys
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from core.costs.reconciliation import bounds_of, differences, reconcile
from core.models import Reconciliation, ReconciliationLine

DIFFERENT, NOT_DONE = 1, 2
ROW = "{:<32} {:>16} {:>16} {:>16} {:>8}  {}"


def _day(text: str) -> dt.date:
    today = timezone.now().date()
    named = {"today": today, "yesterday": today - dt.timedelta(days=1)}
    try:
        return named.get(text) or dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day such as 2026-11-20, nor today or yesterday") from None


def _usd(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except ArithmeticError:
        amount = Decimal("NaN")
    exponent = amount.as_tuple().exponent
    if not (amount.is_finite() and 0 <= amount < 1_000_000 and isinstance(exponent, int) and exponent >= -10):
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of USD such as 0.01")
    return amount


class Command(BaseCommand):
    help = (
        "Compare the ledger with the provider's cost report of one day in UTC, and keep what was found. "
        "Exit status: 0 all matched, 1 there are differences, 2 it could not be done."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("day", type=_day, metavar="DAY", help="such as 2026-11-20; or today, yesterday")
        parser.add_argument("--tolerance", type=_usd, metavar="USD", help="instead of RECONCILE_TOLERANCE_USD")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        day = options["day"]
        if bounds_of(day)[0] > timezone.now():
            raise CommandError(f"{day} has not begun yet.", returncode=NOT_DONE)
        made = reconcile(day, options["tolerance"])
        if made.error:
            raise CommandError(f"{day} could not be compared: {made.error}", returncode=NOT_DONE)
        self._show(made)
        found = differences(made)
        if found:
            sys.exit(DIFFERENT)

    def _show(self, made: Reconciliation) -> None:
        self.stdout.write(ROW.format(f"{made.day} (UTC), USD", "ours", "theirs", "theirs - ours", "unknown", ""))
        lines = list(made.lines.all())
        for line in lines:
            self.stdout.write(_row(line))
        if not lines:
            self.stdout.write("Neither side knows of any cost on this day.")
        if bounds_of(made.day)[1] > timezone.now():
            self.stdout.write("This day is not over yet, and the provider's report comes hours late.")


def _row(line: ReconciliationLine) -> str:
    amounts = (_shown(line.ours), _shown(line.theirs), _shown((line.theirs or Decimal(0)) - (line.ours or Decimal(0))))
    return ROW.format(line.model, *amounts, line.unknown or "", line.get_verdict_display().lower())


def _shown(amount: Decimal | None) -> str:
    return "-" if amount is None else f"{amount.normalize():f}"
