"""What was spent in a period: in all, per day, per prompt, model and person?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from core.models import CostRecord
from core.models.ledger import CostRecordQuerySet


@dataclass(frozen=True)
class Period:
    """Whole days in the installation's time zone, both ends included."""

    first: dt.date
    last: dt.date

    @classmethod
    def days_until(cls, last: dt.date, days: int) -> Period:
        return cls(last - dt.timedelta(days=days - 1), last)

    def days(self) -> list[dt.date]:
        return [self.first + dt.timedelta(days=number) for number in range((self.last - self.first).days + 1)]

    def records(self) -> CostRecordQuerySet:
        """The ledger's records of this period."""
        return CostRecord.objects.filter(
            at__gte=_midnight(self.first), at__lt=_midnight(self.last + dt.timedelta(days=1))
        )


@dataclass(frozen=True)
class Total:
    """A sum in USD over the known amounts, and how many records it covers and misses."""

    amount: Decimal
    calls: int
    unknown: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class Row:
    """One line of a breakdown; `key` leads to its calls, `share` is a part of one."""

    key: str
    label: str
    amount: Decimal
    calls: int
    unknown: int
    share: float


@dataclass(frozen=True)
class Day:
    date: dt.date
    amount: Decimal
    calls: int


_UNKNOWN = Q(amount__isnull=True, correction=None)
_MEASURES: dict[str, Any] = {
    "spent": Sum("amount"),
    "calls": Count("call", distinct=True),
    "unknown": Count("pk", filter=_UNKNOWN),
}
# Which columns name a group: its key, its label, and what it is called where there is none.
BREAKDOWNS: dict[str, tuple[str, str, str]] = {
    "prompt": ("prompt_id", "prompt__name", "No prompt"),
    "model": ("model", "model", "Unknown model"),
    "user": ("user_id", "user__username", "Not signed in"),
}


def total(period: Period) -> Total:
    values = period.records().aggregate(
        **_MEASURES,
        inputs=Sum(
            F("input_tokens") + F("cache_write_5m_tokens") + F("cache_write_1h_tokens") + F("cache_read_tokens")
        ),
        outputs=Sum("output_tokens"),
    )
    return Total(
        amount=values["spent"] or Decimal(0),
        calls=values["calls"],
        unknown=values["unknown"],
        input_tokens=values["inputs"] or 0,
        output_tokens=values["outputs"] or 0,
    )


def per_day(period: Period) -> list[Day]:
    """One entry for each day of the period, the empty ones too."""
    rows = period.records().annotate(day=TruncDate("at")).order_by().values("day").annotate(**_MEASURES)
    found: dict[dt.date, dict[str, Any]] = {row["day"]: dict(row) for row in rows}
    nothing: dict[str, Any] = {"spent": None, "calls": 0}
    days = [(day, found.get(day, nothing)) for day in period.days()]
    return [Day(day, row["spent"] or Decimal(0), row["calls"]) for day, row in days]


def breakdown(period: Period, by: str) -> list[Row]:
    """What each prompt, model or person spent, the dearest first."""
    key, label, nothing = BREAKDOWNS[by]
    groups = period.records().order_by().values(group_key=F(key), group_label=F(label)).annotate(**_MEASURES)
    rows: list[dict[str, Any]] = [dict(group) for group in groups]
    whole = sum((row["spent"] or Decimal(0) for row in rows), Decimal(0))
    result = [
        Row(
            key="" if row["group_key"] is None else str(row["group_key"]),
            label=row["group_label"] or nothing,
            amount=row["spent"] or Decimal(0),
            calls=row["calls"],
            unknown=row["unknown"],
            share=float((row["spent"] or Decimal(0)) / whole) if whole else 0.0,
        )
        for row in rows
    ]
    return sorted(result, key=lambda row: (-row.amount, row.label))


CSV_COLUMNS = [
    "when", "call", "prompt", "person", "model", "input tokens", "output tokens", "cache write 5 min tokens",
    "cache write 1 h tokens", "cache read tokens", "web searches", "amount USD", "why unknown", "request id",
]  # fmt: skip


def csv_rows(period: Period) -> Iterator[list[Any]]:
    """The records of the period, oldest first, one at a time."""
    fields = [
        "at", "call_id", "prompt__name", "user__username", "model", "input_tokens", "output_tokens",
        "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens", "web_searches", "amount",
        "unknown_reason", "request_id",
    ]  # fmt: skip
    for record in period.records().order_by("at", "id").values_list(*fields).iterator(chunk_size=2000):
        when, *rest = record
        yield [
            timezone.localtime(when).isoformat(timespec="seconds"),
            *("" if value is None else value for value in rest),
        ]


def _midnight(day: dt.date) -> dt.datetime:
    return timezone.make_aware(dt.datetime.combine(day, dt.time.min))
