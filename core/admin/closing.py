"""Which months are closed, and who closes the next one?"""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from core.admin.base import ModelAdmin, ReadOnly, display, page, require, signed_in
from core.models import ClosedMonth
from core.reports.closing import Closable, ClosingError, closable, close
from core.templatetags.admin_words import exact_usd, moment

LIST = "admin:core_closedmonth_changelist"


@admin.register(ClosedMonth)
class ClosedMonthAdmin(ReadOnly, ModelAdmin[ClosedMonth]):
    """Closed months are read; one is closed on a page of its own and never opened again."""

    list_display = ("month", "total", "closed", "closed_by")
    list_before_template = "admin/core/closedmonth/intro.html"
    fields = readonly_fields = ("month", "total", "closed", "closed_by")
    list_select_related = ("closed_by",)
    sortable_by = ()
    ordering = ("-first_day",)
    actions = None

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("core.view_spend")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's
        return request.user.has_perm("core.view_spend")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ClosedMonth]:
        return super().get_queryset(request).select_related("closed_by")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.close_view)
        return [path("close/", view, name="core_closedmonth_close"), *super().get_urls()]

    def close_view(self, request: HttpRequest) -> HttpResponse:
        """The months that can be closed; for the chosen one its sum, what is still unknown, and the button."""
        require(request.user.has_perm("core.close_month"))
        if request.method == "POST":
            return self._close(request, request.POST.get("month", ""))
        months = closable()
        chosen = next((item for item in months if str(item.first_day) == request.GET.get("month")), None)
        context = {"months": months, "chosen": chosen, "unknown_page": _unknown_page(chosen), "title": "Close a month"}
        return page(self, request, "admin/core/closedmonth/close.html", None, **context)

    def _close(self, request: HttpRequest, month: str) -> HttpResponse:
        try:
            closed = close(dt.date.fromisoformat(month), signed_in(request))
        except ClosingError as error:
            messages.error(request, str(error))
        except ValueError:
            messages.error(request, "That is no month.")
        else:
            messages.success(request, f"{closed} is closed with {exact_usd(closed.amount)}.")
        return HttpResponseRedirect(reverse(LIST))

    @display(description="Month")
    def month(self, closed: ClosedMonth) -> str:
        return str(closed)

    @display(description="Total when it was closed")
    def total(self, closed: ClosedMonth) -> str:
        return exact_usd(closed.amount)

    @display(description="Closed")
    def closed(self, closed: ClosedMonth) -> str:
        return moment(closed.closed_at)


def _unknown_page(chosen: Closable | None) -> str:
    if chosen is None:
        return ""
    last = (chosen.first_day + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1)
    wanted = {"known": "no", "booked_on__gte": chosen.first_day, "booked_on__lte": last}
    return f"{reverse('admin:core_costrecord_changelist')}?{urlencode(wanted)}"
