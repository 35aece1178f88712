"""What was spent in a period, on what and by whom?"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from core.models.ledger import CostRecord
from core.pages.charts import draw
from core.pages.errors import needs
from core.pages.forms import PeriodForm
from core.reports import spend as report

PRESETS = {
    "today": "Today",
    "7-days": "7 days",
    "30-days": "30 days",
    "this-month": "This month",
    "last-month": "Last month",
}
USUAL = "30-days"
# Which filter of the history a line leads to, and what its table is called.
TABLES = {"prompt": "By prompt", "model": "By model", "user": "By person"}
MOST_ROWS = 50
_PERMISSION = needs("core.view_spend", "You are not allowed to see what was spent.")
# How many lines travel together.
CSV_CHUNK = 500


@_PERMISSION
@require_safe
def spend(request: HttpRequest) -> HttpResponseBase:
    """The report of a period: sum, chart, and who and what it went to."""
    form, period, preset = _period(request)
    total = report.total(period)
    days = report.per_day(period)
    tables = [_table(period, by, title) for by, title in TABLES.items()]
    context = {
        "form": form,
        "period": period,
        "preset": preset,
        "time_zone": timezone.get_current_timezone_name(),
        "presets": PRESETS,
        "total": total,
        "chart": draw(days),
        "days": [day for day in reversed(days) if day.calls or day.amount],
        "tables": tables,
        "dates": urlencode({"from": period.first, "to": period.last}),
        "ever": bool(total.calls) or CostRecord.objects.exists(),
    }
    return render(request, "pages/spend.html", context)


@_PERMISSION
@require_safe
def spend_csv(request: HttpRequest) -> HttpResponseBase:
    """Each exchange of the same period as a line of CSV."""
    _, period, _ = _period(request)
    lines = _lines([report.CSV_COLUMNS], report.csv_rows(period))
    # An event loop wants to be asked for each piece; a thread reads a plain iterator.
    body: Any = _from_thread(lines) if isinstance(request, ASGIRequest) else lines
    response = StreamingHttpResponse(body, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="spend-{period.first}-{period.last}.csv"'
    return response


def _period(request: HttpRequest) -> tuple[PeriodForm, report.Period, str]:
    """The period that was asked for, or the usual one where the dates make none; the form says why."""
    preset = request.GET.get("period", USUAL)
    preset = preset if preset in PRESETS else USUAL
    period = _preset(preset, timezone.localdate())
    if not (request.GET.get("from") or request.GET.get("to")):
        return PeriodForm(initial={"from": period.first, "to": period.last}), period, preset
    form = PeriodForm(request.GET)
    if form.is_valid():
        return form, report.Period(form.cleaned_data["from"], form.cleaned_data["to"]), ""
    return form, period, preset


def _preset(name: str, today: dt.date) -> report.Period:
    this_month = today.replace(day=1)
    last_of_before = this_month - dt.timedelta(days=1)
    return {
        "today": report.Period(today, today),
        "7-days": report.Period.days_until(today, 7),
        "30-days": report.Period.days_until(today, 30),
        "this-month": report.Period(this_month, today),
        "last-month": report.Period(last_of_before.replace(day=1), last_of_before),
    }[name]


def _table(period: report.Period, by: str, title: str) -> dict[str, Any]:
    rows = report.breakdown(period, by)
    return {
        "title": title,
        "thing": title.removeprefix("By ").capitalize(),
        "rows": [(row, _history_of(period, by, row)) for row in rows[:MOST_ROWS]],
        "left_out": max(0, len(rows) - MOST_ROWS),
    }


def _history_of(period: report.Period, by: str, row: report.Row) -> str:
    """The address of the calls behind a line; empty where they cannot be told apart by a filter."""
    if not row.key:
        return ""
    wanted = {"person": row.label} if by == "user" else {by: row.key}
    return f"{reverse('calls')}?{urlencode({**wanted, 'from': period.first, 'to': period.last})}"


class _Line:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _lines(*parts: Iterable[list[Any]]) -> Iterator[str]:
    """CSV in pieces of many lines each."""
    writer = csv.writer(_Line())
    for rows in parts:
        remaining = iter(rows)
        while chunk := list(islice(remaining, CSV_CHUNK)):
            yield "".join(writer.writerow([_harmless(value) for value in row]) for row in chunk)


def _harmless(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula is marked as text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


async def _from_thread(pieces: Iterator[str]) -> AsyncIterator[str]:
    while piece := await sync_to_async(_next)(pieces):
        yield piece


def _next(pieces: Iterator[str]) -> str:
    """The next piece, or an empty text at the end."""
    return next(pieces, "")
