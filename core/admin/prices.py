"""The price book: what is entered by hand, and who put it in force?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from core.admin import price_approval
from core.admin.base import ModelAdmin, display, signed_in, without_links
from core.admin.deletion import Explained
from core.admin.price_form import PriceForm
from core.costs.prices import decline
from core.models import Price

_STATES = {"Draft": "warning", "Approved": "success", "Replaced": "default", "Declined": "default"}


class PriceStateFilter(admin.SimpleListFilter):
    """What was replaced or declined is only there for those who look for it."""

    title = "state"
    parameter_name = "state"

    def lookups(self, *_args: Any) -> list[tuple[str, str]]:
        return [("draft", "Draft"), ("approved", "Approved"), ("replaced", "Replaced"), ("declined", "Declined")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Price]) -> QuerySet[Price]:  # noqa: ARG002 - Django's
        wanted = {
            "draft": Q(approved_at=None, declined_at=None),
            "approved": Q(approved_at__isnull=False, replaced_by=None),
            "replaced": Q(replaced_by__isnull=False),
            "declined": Q(declined_at__isnull=False),
        }
        return queryset.filter(wanted.get(self.value() or "", Q(replaced_by=None, declined_at=None)))


@admin.register(Price)
class PriceAdmin(Explained, ModelAdmin[Price]):
    """What was spent keeps the rates it was spent at, whatever is written here later."""

    form = PriceForm
    list_display = ("model", "state", "kind", "days", "band", "rate_in", "rate_out", "source")
    list_filter = (PriceStateFilter, "contract", "speed", "model__line", "source")
    list_select_related = ("model",)
    search_fields = ("model__id", "model__display_name")
    search_help_text = "Search by model"
    list_before_template = "admin/core/price/intro.html"
    change_form_outer_before_template = "admin/core/price/status.html"
    sortable_by = ()
    keep_instead = "Enter a newer price instead, or replace it with a corrected copy."
    fieldsets = (
        (
            "Which model, from when",
            {
                "fields": (
                    "model",
                    ("contract", "speed"),
                    ("valid_from", "valid_until"),
                    "above_input_tokens",
                )
            },
        ),
        (
            "USD per million tokens",
            {
                "fields": (("input", "output"), ("cache_write_5m", "cache_write_1h"), "cache_read"),
                "description": "Leave a rate empty where you do not know it: the cost is then listed as unknown.",
            },
        ),
        ("USD per thousand", {"fields": ("web_search",)}),
        ("Factors", {"fields": (("batch_factor", "us_factor", "priority_factor"),)}),
        ("Where it comes from", {"fields": ("source", "note", "meant")}),
    )

    @display(description="State", label=_STATES)
    def state(self, price: Price) -> str:
        if price.approved_at is None:
            return "Declined" if price.declined_at else "Draft"
        return "Replaced" if price.replaced_by_id else "Approved"

    @display(description="Kind")
    def kind(self, price: Price) -> str:
        fast = ", fast mode" if price.speed == Price.Speed.FAST else ""
        return f"{'Contract' if price.contract else 'List price'}{fast}"

    @display(description="Days", ordering="valid_from")
    def days(self, price: Price) -> str:
        until = f" until {price.valid_until}" if price.valid_until else ""
        return f"from {price.valid_from}{until}"

    @display(description="For")
    def band(self, price: Price) -> str:
        above = price.above_input_tokens
        return f"inputs above {above:,} tokens" if above else "all inputs"

    @display(description="Input", ordering="input")
    def rate_in(self, price: Price) -> str:
        return _rate(price.input)

    @display(description="Output", ordering="output")
    def rate_out(self, price: Price) -> str:
        return _rate(price.output)

    # --- Drafts are written, what is approved is only replaced ---

    def has_change_permission(self, request: HttpRequest, obj: Price | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or _is_draft(obj))

    def has_delete_permission(self, request: HttpRequest, obj: Price | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or _is_draft(obj))

    def _kept(self, row: Model) -> Iterable[str]:
        if isinstance(row, Price) and row.approved_at:
            return [f"«{row}» is approved, and approved prices are kept. {self.keep_instead}"]
        return super()._kept(row)

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        return without_links(super().formfield_for_dbfield(db_field, request, **kwargs))

    def get_fieldsets(self, request: HttpRequest, obj: Price | None = None) -> Any:
        """What is confirmed is confirmed while writing: there is nothing to show of it later."""
        sets = super().get_fieldsets(request, obj)
        writing = self.has_change_permission(request, obj) if obj else True
        last, values = sets[-1]
        return sets if writing else [*sets[:-1], (last, {**values, "fields": ("source", "note")})]

    def save_model(self, request: HttpRequest, obj: Price, form: Any, change: bool) -> None:
        # Whoever wrote the figures last must not be the second person who approves them.
        obj.created_by = signed_in(request)
        super().save_model(request, obj, form, change)

    def delete_model(self, request: HttpRequest, obj: Price) -> None:  # noqa: ARG002 - Django's
        decline(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Price]) -> None:  # noqa: ARG002 - Django's
        for draft in queryset:
            decline(draft)

    def response_add(self, request: HttpRequest, obj: Price, post_url_continue: str | None = None) -> HttpResponse:
        return self._to_approval(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Price) -> HttpResponse:
        return self._to_approval(request, obj) or super().response_change(request, obj)

    def _to_approval(self, request: HttpRequest, price: Price) -> HttpResponse | None:
        """After writing comes approving; None where another way was asked for."""
        if {"_continue", "_addanother", "_popup"} & request.POST.keys():
            return None
        messages.success(request, f"«{price}» is saved as a draft. It counts once it is approved.")
        return HttpResponseRedirect(reverse("admin:core_price_approve", args=[price.pk]))

    def get_urls(self) -> list[URLPattern]:
        pages = {"approve": price_approval.approval, "correct": price_approval.correct}
        own = [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(view),
                {"model_admin": self},
                name=f"core_price_{name}",
            )
            for name, view in pages.items()
        ]
        return [*own, *super().get_urls()]


def _is_draft(price: Price) -> bool:
    return price.approved_at is None and price.declined_at is None


def _rate(rate: Any) -> str:
    """A rate without the zeros at its end: 1.25."""
    return "unknown" if rate is None else f"{rate.normalize():,f}"
