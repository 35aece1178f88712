"""Which budgets count what somebody does, how much is left, and how do they ask for more?"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from core.costs.budgets import OverBudgetError
from core.costs.explain import explain
from core.costs.raises import AskedAlreadyError, ask
from core.costs.windows import window_of, windows_of
from core.models import Budget, BudgetRequest, Prompt, User
from core.pages.access import signed_in, visitor
from core.pages.errors import helpful_404

CENT = Decimal("0.01")
MOST = Decimal(1_000_000)


class AskForm(forms.Form):
    """How much more, and why."""

    amount = forms.DecimalField(
        label="How much more, in USD",
        min_value=CENT,
        max_value=MOST,
        decimal_places=2,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "class": "short", "autocomplete": "off"}),
        error_messages={
            "required": "Please say how much more you need.",
            "invalid": "Please enter an amount such as 12.50.",
            "min_value": "Please enter an amount of at least 0.01.",
            "max_value": "Please enter an amount of at most 1,000,000.",
        },
    )
    reason = forms.CharField(
        label="What for",
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "Please say what you need it for."},
    )


@dataclass(frozen=True)
class Refusal:
    """Why a call was not accepted, and the form that asks for more; without a form where nobody is signed in."""

    error: OverBudgetError
    form: AskForm | None

    @property
    def budget(self) -> Budget:
        return self.error.budget


def refusal(request: HttpRequest, error: OverBudgetError) -> Refusal:
    """What a page shows that was refused."""
    if signed_in(request) is None:
        return Refusal(error, None)
    missing = max(CENT, (error.needed or Decimal(0)) - error.left).quantize(CENT, ROUND_CEILING)
    return Refusal(error, AskForm(initial={"amount": missing}))


def refused(request: HttpRequest, error: OverBudgetError) -> HttpResponse:
    """A page of its own, for what has no form to keep."""
    return render(request, "pages/over_budget.html", {"refusal": refusal(request, error)}, status=402)


def visible_budgets(user: User) -> QuerySet[Budget]:
    """The active budgets that count what `user` does, those they own, and all with leave to see them."""
    budgets = Budget.objects.filter(active=True).select_related("group", "user", "key", "prompt", "owner")
    if user.has_perm("core.view_budget"):
        return budgets
    theirs = Q(scope=Budget.Scope.ORGANISATION) | Q(user=user) | Q(owner=user) | Q(key__user=user)
    groups = Q(group__in=user.groups.values("pk"))
    return budgets.filter(theirs | groups | Q(prompt__in=Prompt.objects.usable_by(user).values("pk")))


def running_budgets(user: User, day: dt.date) -> QuerySet[Budget]:
    """Those of them that count on `day`."""
    running = Q(ends_on__isnull=True) | Q(ends_on__gte=day)
    return visible_budgets(user).filter(running, starts_on__lte=day)


@login_required
@require_safe
def budgets(request: HttpRequest) -> HttpResponse:
    """All budgets that the visitor may see, with what is left of each."""
    user = visitor(request)
    today = timezone.localdate()
    running = list(running_budgets(user, today))
    shown = [explain(window, with_people=False) for window in windows_of(running, today)]
    asked = user.budget_requests.select_related("window__budget", "decided_by")[:20]
    return render(request, "pages/budgets.html", {"budgets": shown, "asked": asked})


@helpful_404
@login_required
@require_safe
def budget(request: HttpRequest, pk: int) -> HttpResponse:
    """One budget: what its sum is made of, and the form that asks for more."""
    return _show(request, _find(request, pk), AskForm())


@helpful_404
@login_required
@require_POST
def budget_ask(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for more; answers a piece of a page where a script asks, so that a form beside it keeps what was typed."""
    found = _find(request, pk)
    form = AskForm(request.POST)
    user = visitor(request)
    if not form.is_valid():
        return _again(request, found, form)
    try:
        ask(found, user, form.cleaned_data["amount"], form.cleaned_data["reason"])
    except AskedAlreadyError as error:
        form.add_error(None, str(error))
        return _again(request, found, form)
    if request.headers.get("HX-Request"):
        return render(request, "pages/_asked.html", {"budget": found})
    messages.success(request, f"You have asked for more. {found.owner} decides, and you get an e-mail.")
    return redirect("budget", found.pk)


def _again(request: HttpRequest, found: Budget, form: AskForm) -> HttpResponse:
    if request.headers.get("HX-Request"):
        return render(request, "pages/_ask.html", {"budget": found, "form": form})
    return _show(request, found, form)


def _show(request: HttpRequest, found: Budget, form: AskForm) -> HttpResponse:
    user = visitor(request)
    window = window_of(found, timezone.localdate())
    everything = found.owner_id == user.pk or user.has_perm("core.view_spend")
    asked = BudgetRequest.objects.filter(window=window, user=user)
    context = {
        "budget": found,
        "explained": explain(window, with_people=everything),
        "asked": asked.select_related("decided_by"),
        "waits": any(request.status == BudgetRequest.Status.OPEN for request in asked),
        "form": form,
    }
    return render(request, "pages/budget.html", context)


def _find(request: HttpRequest, pk: int) -> Budget:
    found = running_budgets(visitor(request), timezone.localdate()).filter(pk=pk).first()
    if found is None:
        raise Http404("no such budget, or not for you, or not now")
    return found
