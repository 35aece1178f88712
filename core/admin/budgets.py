"""What may be spent in each period, what was, and who asks for more?"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import F, QuerySet, Value
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.widgets import UnfoldAdminTextInputWidget

from core.admin.base import ModelAdmin, ModelForm, ReadOnly, display, link, require, signed_in
from core.costs.explain import explain, percent
from core.costs.raises import approve, decline, may_decide
from core.costs.windows import windows_of
from core.models import Budget, BudgetRequest, BudgetWindow, User
from core.models.budgets import DEFAULT_THRESHOLDS
from core.models.fields import MoneyField
from core.templatetags.admin_words import moment, usd

MOST_PERCENT = 500
# The field that says what exactly a budget is for, and how that is called.
_SCOPES = {"group": "group", "user": "person", "key": "key", "prompt": "prompt"}

if TYPE_CHECKING:
    from django.forms import ModelForm as _BudgetForm

    _Base = _BudgetForm[Budget]
else:
    _Base = ModelForm


class ThresholdsField(forms.CharField):
    """Percents between commas; a list of whole numbers inside."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(str(percent) for percent in value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        parts = [part.strip(" %") for part in str(value or "").replace(";", ",").split(",")]
        numbers = [part for part in parts if part]
        if not all(part.isascii() and part.isdigit() and 1 <= int(part) <= MOST_PERCENT for part in numbers):
            raise ValidationError(
                f"Please enter percents from 1 to {MOST_PERCENT} with commas between them: 50, 80, 100."
            )
        return sorted({int(part) for part in numbers})

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.prepare_value(initial) != data)


class BudgetForm(_Base):
    thresholds = ThresholdsField(
        label="Tell the owner at",
        required=False,
        initial=DEFAULT_THRESHOLDS,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Percent of the limit that is spent, such as 50, 80, 100. Each is told once in a period, by e-mail "
        "and by a banner. Empty: never.",
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        self._check_scope(cleaned)
        amount = cleaned.get("amount")
        if amount is not None and amount <= 0:
            self.add_error("amount", "Please enter an amount above 0. To allow nothing, take the permission instead.")
        first, last = cleaned.get("starts_on"), cleaned.get("ends_on")
        if first and last and last < first:
            self.add_error("ends_on", "Please enter a last day that is not before the first.")
        owner = cleaned.get("owner")
        if owner and not owner.is_staff:
            self.add_error("owner", "Please choose somebody who may open this administration, to decide here.")
        return cleaned

    def _check_scope(self, cleaned: dict[str, Any]) -> None:
        scope = cleaned.get("scope")
        # A budget that has counted something shows these without offering them.
        for name, words in _SCOPES.items() if "scope" in self.fields else ():
            if name == scope and not cleaned.get(name):
                self.add_error(name, f"Please choose the {words} that it is for.")
            if name != scope and cleaned.get(name):
                self.add_error(name, "Please leave this empty: the budget is for something else.")


@admin.register(Budget)
class BudgetAdmin(ModelAdmin[Budget]):
    """Budgets. What it is for and its period stay as they are: they say what was counted."""

    form = BudgetForm
    list_display = ("name", "what_for", "amount_shown", "this_period", "refuses", "owner", "active")
    list_filter = ("scope", "period", "hard", "active")
    list_select_related = ("group", "user", "key", "prompt", "owner")
    list_before_template = "admin/core/budget/intro.html"
    search_fields = ("name",)
    search_help_text = "Search by name"
    sortable_by = ("name",)
    fieldsets = (
        (
            "What it is for",
            {
                "fields": ("name", "scope", "group", "user", "key", "prompt"),
                "description": "Choose one kind, and below it the one that is meant; the others stay empty.",
            },
        ),
        (
            "How much, for how long",
            {
                "fields": ("amount", "period", ("starts_on", "ends_on")),
                "description": "Calls count from when the budget exists. A new amount changes the present period too.",
            },
        ),
        ("What happens", {"fields": ("hard", "thresholds", "owner", "active")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Budget | None = None) -> Any:  # noqa: ARG002 - Django's
        return ("scope", *_SCOPES, "period", "starts_on") if obj and obj.windows.exists() else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What was counted is kept: such a budget is switched off."""
        return super().has_delete_permission(request, obj) and not (obj and obj.windows.exists())

    def get_actions(self, request: HttpRequest) -> Any:  # noqa: ARG002 - Django's signature
        return {}

    def save_model(self, request: HttpRequest, obj: Budget, form: Any, change: bool) -> None:
        before = Budget.objects.get(pk=obj.pk).amount if change else obj.amount
        super().save_model(request, obj, form, change)
        if change and obj.amount != before:
            _move_limit(obj, obj.amount - before)

    @display(description="For")
    def what_for(self, budget: Budget) -> str:
        target = budget.group or budget.user or budget.key or budget.prompt
        return f"{budget.get_scope_display()}: {target}" if target else budget.get_scope_display()

    @display(description="Amount")
    def amount_shown(self, budget: Budget) -> str:
        return f"{usd(budget.amount)} {budget.get_period_display().lower()}"

    @display(description="This period")
    def this_period(self, budget: Budget) -> str:
        if not budget.active or not budget.starts_on <= timezone.localdate() <= (budget.ends_on or dt.date.max):
            return "–"
        window = windows_of([budget], timezone.localdate())[0]
        return bar(window, link(window, "explain"))

    @display(description="Refuses", boolean=True)
    def refuses(self, budget: Budget) -> bool:
        return budget.hard


@admin.register(BudgetWindow)
class BudgetWindowAdmin(ReadOnly, ModelAdmin[BudgetWindow]):
    """Each period of each budget, and what its sum is made of."""

    list_display = ("budget", "days", "progress", "spent_shown", "reserved_shown", "limit_shown")
    list_filter = (("budget", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("budget",)
    change_form_template = "admin/core/budgetwindow/explain.html"
    ordering = ("-first_day", "budget")
    sortable_by = ()
    actions = None

    def has_view_permission(self, request: HttpRequest, obj: BudgetWindow | None = None) -> bool:
        if super().has_view_permission(request, obj):
            return True
        return obj is not None and obj.budget.owner_id == request.user.pk

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        window = self.get_object(request, object_id)
        extra = {"title": "Budget explained", "explained": explain(window)} if window else {}
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    @display(description="Period")
    def days(self, window: BudgetWindow) -> str:
        return f"{window.first_day:%d %b %Y} – {window.last_day:%d %b %Y}" if window.last_day else "without end"

    @display(description="Spent")
    def progress(self, window: BudgetWindow) -> str:
        return bar(window)

    @display(description="USD spent")
    def spent_shown(self, window: BudgetWindow) -> str:
        return usd(window.spent)

    @display(description="Reserved")
    def reserved_shown(self, window: BudgetWindow) -> str:
        return usd(window.reserved)

    @display(description="Limit")
    def limit_shown(self, window: BudgetWindow) -> str:
        return usd(window.limit)


@admin.register(BudgetRequest)
class BudgetRequestAdmin(ReadOnly, ModelAdmin[BudgetRequest]):
    """Who asks for more. A budget's owner sees and decides its requests, whatever else their role allows."""

    list_display = ("asked", "user", "budget", "amount_shown", "status", "decided_by")
    list_filter = ("status",)
    list_select_related = ("window__budget", "user", "decided_by")
    change_form_template = "admin/core/budgetrequest/decide.html"
    sortable_by = ()
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[BudgetRequest]:
        found = super().get_queryset(request).select_related("window__budget__owner", "user", "decided_by")
        return (
            found
            if request.user.has_perm("core.view_budgetrequest")
            else found.filter(window__budget__owner_id=request.user.pk)
        )

    def has_module_permission(self, request: HttpRequest) -> bool:
        return super().has_module_permission(request) or self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: BudgetRequest | None = None) -> bool:
        if super().has_view_permission(request, obj):
            return True
        return Budget.objects.filter(owner_id=request.user.pk).exists()

    def get_urls(self) -> list[URLPattern]:
        decide = path("<int:pk>/decide/", self.admin_site.admin_view(self.decide), name="core_budgetrequest_decide")
        return [decide, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        asked = self.get_object(request, object_id)
        extra: dict[str, Any] = {}
        if asked:
            explained = explain(asked.window)
            may = asked.status == BudgetRequest.Status.OPEN and may_decide(asked, signed_in(request))
            extra = {"title": "Request for more", "asked": asked, "explained": explained, "may_decide": may}
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def decide(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Approve or decline, by POST; another method leads back to the request."""
        asked = get_object_or_404(self.get_queryset(request), pk=pk)
        user = signed_in(request)
        require(may_decide(asked, user))
        if request.method == "POST":
            self._decide(request, asked, user)
        return HttpResponseRedirect(reverse("admin:core_budgetrequest_change", args=[asked.pk]))

    def _decide(self, request: HttpRequest, asked: BudgetRequest, user: User) -> None:
        answer = request.POST.get("answer", "").strip()[:300]
        decided = (approve if "approve" in request.POST else decline)(asked, user, answer)
        if not decided:
            messages.warning(request, "Somebody has decided this already.")
        elif "approve" in request.POST:
            messages.success(request, f"This period's limit is {usd(asked.amount)} higher now. {asked.user} is told.")
        else:
            messages.success(request, f"Declined. {asked.user} is told.")

    @display(description="Asked")
    def asked(self, row: BudgetRequest) -> str:
        return moment(row.created_at)

    @display(description="Budget")
    def budget(self, row: BudgetRequest) -> str:
        return str(row.window.budget)

    @display(description="How much more")
    def amount_shown(self, row: BudgetRequest) -> str:
        return usd(row.amount)


def bar(window: BudgetWindow, after: str = "") -> str:
    """How much of a window is spent, as a bar and in words."""
    used = percent(window.spent, window.limit)
    return format_html(
        '<progress class="ca-progress" max="100" value="{}" aria-label="{} % spent"></progress> {} % {}',
        min(used, 100), used, used, after,
    )  # fmt: skip


def _move_limit(budget: Budget, more: Decimal) -> None:
    """A new amount counts for the present period too, on top of what was granted in it."""
    window = windows_of([budget], timezone.localdate())[0]
    change = Value(more, output_field=MoneyField())
    BudgetWindow.objects.filter(pk=window.pk).update(limit=F("limit") + change)


def sees_requests(request: HttpRequest) -> bool:
    """For the navigation."""
    return BudgetRequestAdmin(BudgetRequest, admin.site).has_view_permission(request)
