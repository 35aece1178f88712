"""Does the ledger agree with the provider's cost report, day by day, and what can be put right from it?"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_POST

from core.admin.base import ModelAdmin, ReadOnly, display, require, signed_in
from core.costs.corrections import CorrectionError
from core.costs.reconciliation import Proposal, bounds_of, fill_in, newest, proposal, reconcile
from core.models import Reconciliation, ReconciliationLine
from core.templatetags.admin_words import exact_usd, moment

Verdict = ReconciliationLine.Verdict
LIST = "admin:core_reconciliation_changelist"
# How a day stands, and the theme's colour for it.
TONES = {"All matched": "success", "Unknown costs": "warning", "Differs": "danger", "Not compared": "danger"}
_LINE_TONES = {Verdict.MATCHED: "success", Verdict.UNKNOWN_HERE: "warning"}
_EARLIER = 10


@dataclass(frozen=True)
class Row:
    """One model on the page of a day."""

    line: ReconciliationLine
    difference: Decimal
    tone: str
    records: str
    unknown: str
    proposal: Proposal | None


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnly, ModelAdmin[Reconciliation]):
    """The newest comparison of each day. Nobody writes one; who may put costs right can have one made."""

    list_display = ("day_shown", "state", "counts", "compared")
    list_before_template = "admin/core/reconciliation/intro.html"
    change_form_template = "admin/core/reconciliation/detail.html"
    date_hierarchy = None
    ordering = ("-day", "-id")
    sortable_by = ()
    list_per_page = 50
    actions = None

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("core.view_spend")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's
        return request.user.has_perm("core.view_spend")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Reconciliation]:
        match = request.resolver_match
        listed = match is not None and match.view_name == LIST
        return counted(newest() if listed else Reconciliation.objects.all())

    def get_urls(self) -> list[URLPattern]:
        run = self.admin_site.admin_view(require_POST(self.run))
        fill = self.admin_site.admin_view(require_POST(self.fill))
        return [
            path("run/", run, name="core_reconciliation_run"),
            path("fill/<int:pk>/", fill, name="core_reconciliation_fill"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        extra = {
            "title": "Reconciliation",
            "may_run": may_put_right(request),
            "yesterday": timezone.now().date() - dt.timedelta(days=1),
            "today": timezone.now().date(),
            "never": not Reconciliation.objects.exists(),
            "simulated": settings.SIMULATED,
            "no_key": not (settings.ANTHROPIC_ADMIN_KEY or settings.SIMULATED),
        }
        return super().changelist_view(request, {**extra, **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        made = self.get_object(request, object_id)
        extra = self._detail(request, made) if made else {}
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def _detail(self, request: HttpRequest, made: Reconciliation) -> dict[str, Any]:
        others = counted(Reconciliation.objects.filter(day=made.day).exclude(pk=made.pk)).order_by("-pk")
        return {
            "title": "Reconciliation",
            "made": made,
            "state": state_of(made),
            "tone": TONES[state_of(made)],
            "rows": [_row(line) for line in made.lines.select_related("reconciliation")],
            "others": [(each, state_of(each)) for each in others[:_EARLIER]],
            "superseded": not newest().filter(pk=made.pk).exists(),
            "unfinished": bounds_of(made.day)[1] > timezone.now(),
            "may_run": may_put_right(request),
            "may_see_records": request.user.has_perm("core.view_costrecord"),
            "simulated": settings.SIMULATED,
        }

    # --- What people do ---

    def run(self, request: HttpRequest) -> HttpResponse:
        """Compare one day now."""
        require(may_put_right(request))
        day = _day(request.POST.get("day", ""))
        if day is None or bounds_of(day)[0] > timezone.now():
            messages.error(request, "Please choose a day that has begun.")
            return HttpResponseRedirect(reverse(LIST))
        return _shown(request, reconcile(day))

    def fill(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Book what the report says the one unknown cost of a model was, and compare that day anew."""
        require(may_put_right(request))
        line = get_object_or_404(ReconciliationLine.objects.select_related("reconciliation"), pk=pk)
        try:
            record = fill_in(line, signed_in(request))
        except CorrectionError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(_page_of(line.reconciliation))
        messages.success(request, f"Filled in: {exact_usd(record.amount)}, as a record of its own.")
        return _shown(request, reconcile(line.reconciliation.day))

    # --- Columns ---

    @display(description="Day in UTC")
    def day_shown(self, made: Reconciliation) -> str:
        return f"{made.day.day} {made.day:%b %Y}"

    @display(description="How it stands", label=TONES)
    def state(self, made: Reconciliation) -> str:
        return state_of(made)

    @display(description="Models")
    def counts(self, made: Any) -> str:
        models = sum(getattr(made, f"count_{verdict}") for verdict in Verdict.values)
        if made.error or not models:
            return "–" if made.error else "No cost on either side"
        return f"{made.count_matched} of {models} matched"

    @display(description="Compared")
    def compared(self, made: Reconciliation) -> str:
        return moment(made.at)


def counted(rows: QuerySet[Reconciliation]) -> QuerySet[Reconciliation]:
    """With the number of models of each verdict, as `count_matched` and so on."""
    return rows.annotate(
        **{f"count_{verdict}": Count("lines", filter=Q(lines__verdict=verdict)) for verdict in Verdict.values}
    )


def state_of(made: Any) -> str:
    """How a counted comparison stands, in the words of `TONES`."""
    if made.error:
        return "Not compared"
    if made.count_ours_only or made.count_theirs_only or made.count_price_differs:
        return "Differs"
    return "Unknown costs" if made.count_unknown_here else "All matched"


def may_put_right(request: HttpRequest) -> bool:
    return request.user.has_perm("core.correct_cost") and request.user.has_perm("core.view_spend")


def _row(line: ReconciliationLine) -> Row:
    return Row(
        line=line,
        difference=(line.theirs or Decimal(0)) - (line.ours or Decimal(0)),
        tone=_LINE_TONES.get(Verdict(line.verdict), "danger"),
        records=_records(line),
        unknown=_records(line, known="no"),
        proposal=proposal(line),
    )


def _records(line: ReconciliationLine, **more: str) -> str:
    """The page of the records of this model and day in UTC."""
    start, end = bounds_of(line.reconciliation.day)
    query = {"model": line.model, "at__gte": start.isoformat(" "), "at__lt": end.isoformat(" "), **more}
    return f"{reverse('admin:core_costrecord_changelist')}?{urlencode(query)}"


def _day(text: str) -> dt.date | None:
    try:
        return parse_date(text)
    except ValueError:
        return None


def _shown(request: HttpRequest, made: Reconciliation) -> HttpResponse:
    if made.error:
        messages.error(request, "The day could not be compared.")
    return HttpResponseRedirect(_page_of(made))


def _page_of(made: Reconciliation) -> str:
    return reverse("admin:core_reconciliation_change", args=[made.pk])
