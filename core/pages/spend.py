"""What was spent in a period, on what and by whom?"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from core.models.ledger import CostRecord
from core.pages.charts import draw, name_step
from core.pages.downloads import download
from core.pages.drill import KINDS, Drill
from core.pages.errors import needs
from core.pages.formats import usd
from core.pages.forms import PeriodForm
from core.reports import spend as report
from core.reports.labels import TITLES
from core.reports.periods import PRESETS, USUAL, Period, preset

_PERMISSION = needs("core.view_spend", "You are not allowed to see what was spent.")


@dataclass(frozen=True)
class Wanted:
    """What a report was asked for: the period, by its name or its days, and what it is broken down by."""

    form: PeriodForm
    period: Period
    preset: str
    by: str

    def address(self, **changed: Any) -> str:
        """The same report again, as a part of an address, with something changed."""
        days = {"period": self.preset} if self.preset else {"from": self.period.first, "to": self.period.last}
        return urlencode({**days, "by": self.by, **changed})


@_PERMISSION
@require_safe
def spend(request: HttpRequest) -> HttpResponseBase:
    """The report of a period: sum, chart, and who and what it went to."""
    context = page_of(request)
    period = context["period"]
    unknown = {"known": "no", "booked_on__gte": period.first, "booked_on__lte": period.last}
    context["unknown_page"] = (
        f"{reverse('admin:core_costrecord_changelist')}?{urlencode(unknown)}"
        if request.user.is_staff and request.user.has_perm("core.view_costrecord")
        else ""
    )
    return render(request, "pages/spend.html", context)


@_PERMISSION
@require_safe
def spend_file(request: HttpRequest, kind: str) -> HttpResponseBase:
    """The same period as a CSV or an Excel file: each record, or the sums in all or per day."""
    return download(request, kind, wanted_of(request))


def page_of(request: HttpRequest, user_id: int | None = None) -> dict[str, Any]:
    """What the templates of a report show; of one person's spend alone where `user_id` is given."""
    wanted = wanted_of(request, user_id)
    today = timezone.localdate()
    found = report.report(wanted.period, wanted.by, today, user_id)
    drill = Drill(found.period, user_id=user_id)
    return {
        "form": wanted.form,
        "period": wanted.period,
        "preset": wanted.preset,
        "presets": PRESETS,
        "time_zone": timezone.get_current_timezone_name(),
        "report": found,
        "drawing": draw(found.chart),
        "steps": _steps(found.chart, user_id),
        "drills": {name: replace(drill, by=name).address for name in KINDS} | {"all": drill.address},
        "drill_before": replace(drill, period=found.before).address,
        "by": wanted.by,
        "by_title": TITLES[wanted.by],
        "switch": [(name, TITLES[name], wanted.address(by=name)) for name in report.dimensions(user_id)],
        "tables": [_table(drill, table, wanted) for table in found.tables],
        "address": wanted.address(),
        "ever": bool(found.total.records) or _ever(user_id),
    }


def wanted_of(request: HttpRequest, user_id: int | None = None) -> Wanted:
    """What was asked for, or the usual where it makes no sense; the form says why."""
    by = request.GET.get("by", "")
    by = by if by in report.dimensions(user_id) else "prompt"
    name = request.GET.get("period", USUAL)
    name = name if name in PRESETS else USUAL
    period = preset(name, timezone.localdate())
    if not (request.GET.get("from") or request.GET.get("to")):
        return Wanted(PeriodForm(initial={"from": period.first, "to": period.last}), period, name, by)
    form = PeriodForm(request.GET)
    if form.is_valid():
        return Wanted(form, Period(form.cleaned_data["from"], form.cleaned_data["to"]), "", by)
    return Wanted(form, period, name, by)


def _ever(user_id: int | None) -> bool:
    records = CostRecord.objects.all() if user_id is None else CostRecord.objects.filter(user_id=user_id)
    return records.exists()


def _steps(chart: report.Chart, user_id: int | None) -> SafeString:
    """The chart's figures as the rows of a table, the newest first, without the days that nothing was booked on.

    Written here, for a template takes several times as long for so many; addresses are escaped, and all else is numbers
    and days.
    """
    # The end of an address that says which series; all others together have no one value.
    ends = [None if value is None else _end(chart.dimension, value) for value, _ in chart.series]
    return SafeString(
        "\n".join(_row(chart, step, ends, user_id) for step in reversed(chart.steps) if step.sums.records)
    )


def _row(chart: report.Chart, step: report.Step, ends: list[str | None], user_id: int | None) -> str:
    start = escape(Drill(step.period, user_id=user_id).address)
    label = name_step(step.period, True) if chart.monthly else _day(step.period.first)
    cells = [
        f'<a href="{start}{end}">{usd(amount)}</a>' if end is not None and amount else usd(amount)
        for end, amount in zip(ends, step.parts, strict=True)
    ]
    numbers = [f"{step.sums.records:,}", usd(step.sums.amount), *cells]
    columns = "".join(f'<td class="number">{number}</td>' for number in numbers)
    return f'<tr><th scope="row"><a href="{start}">{label}</a></th>{columns}</tr>'


def _end(by: str, value: str) -> str:
    return escape("&" + urlencode({"counted_by": by, "counted_as": value} if value else {"counted_by": by}))


def _day(day: dt.date) -> str:
    return f"{day:%a}, {day.day} {day:%b %Y}"


def _table(drill: Drill, table: report.Table, wanted: Wanted) -> dict[str, Any]:
    title = TITLES[table.dimension]
    return {
        "title": f"By {title.lower()}",
        "thing": title,
        "rows": [(line, replace(drill, by=table.dimension, value=line.value).address) for line in table.lines],
        "others": table.others,
        "number_of_others": table.number_of_others,
        "all": wanted.address(by=table.dimension, what="sums"),
    }
