"""Which lines does a download of the spend page have? One at a time, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from core.models import CostRecord
from core.reports import spend
from core.reports.labels import TITLES
from core.reports.periods import Period
from core.reports.sums import Sums

RECORD_COLUMNS = [
    "when", "counts for", "call", "prompt", "person", "group", "key", "lane", "cost centre", "model", "input tokens",
    "output tokens", "cache write 5 min tokens", "cache write 1 h tokens", "cache read tokens", "web searches",
    "amount USD", "saved by caching USD", "saved by batches USD", "why unknown", "corrects", "request id",
]  # fmt: skip
_RECORD_FIELDS = [
    "at", "booked_on", "call_id", "prompt__name", "user__username", "team__name", "key__name", "lane", "cost_centre",
    "model", "input_tokens", "output_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens",
    "web_searches", "amount", "saved_by_cache", "saved_by_batch", "unknown_reason", "corrects_id", "request_id",
]  # fmt: skip
_SUM_COLUMNS = [
    "exchanges", "of unknown cost", "input tokens", "output tokens", "amount USD", "saved by caching USD",
    "saved by batches USD",
]  # fmt: skip
CHUNK = 2000


def record_rows(period: Period, user_id: int | None = None) -> Iterator[list[Any]]:
    """The ledger's records that count for the period, a heading first.

    Day by day, so that the database sorts a day's records and never all of them, and holds no cursor for long.
    """
    yield RECORD_COLUMNS
    records: QuerySet[CostRecord] = CostRecord.objects.order_by("pk")
    if user_id is not None:
        records = records.filter(user_id=user_id)
    zone = timezone.get_current_timezone()
    for day in period.days():
        rows = records.filter(booked_on=day).values_list(*_RECORD_FIELDS)
        for when, *rest in rows.iterator(chunk_size=CHUNK):
            yield [
                when.astimezone(zone).isoformat(timespec="seconds"),
                *("" if value is None else value for value in rest),
            ]


def breakdown_rows(period: Period, by: str, user_id: int | None = None) -> Iterator[list[Any]]:
    """Every value of a dimension with its sums, a heading first."""
    yield [TITLES[by].lower(), "id", *_SUM_COLUMNS]
    found = spend.table(period, by, Sums(), user_id, most=spend.ALL)
    for line in found.lines:
        yield [line.label, line.value, *_columns(line.sums)]


def step_rows(period: Period, by: str, user_id: int | None = None) -> Iterator[list[Any]]:
    """Every value of a dimension on each day, or in each month where the page shows months, a heading first."""
    yield ["from", "to", TITLES[by].lower(), "id", *_SUM_COLUMNS]
    for part, label, value, sums in spend.every_step(period, by, user_id):
        yield [part.first, part.last, label, value, *_columns(sums)]


def _columns(sums: Sums) -> list[Any]:
    return [
        sums.records, sums.unknown, sums.input_tokens, sums.output_tokens, sums.amount, sums.saved_by_cache,
        sums.saved_by_batch,
    ]  # fmt: skip
