"""What would a draft have done with past calls?"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from core.admin.base import page, signed_in
from core.admin.route_publishing import route_for
from core.costs.budgets import OverBudgetError
from core.execution import breaker
from core.models import Call, Prompt, Route
from core.routing.classifying_past import AT_ONCE, classify, price_of
from core.routing.whatif import WhatIf, past_calls, sample_of, what_if

if TYPE_CHECKING:
    from core.admin.routes import RouteAdmin

MOST = 10_000


def _day(label: str) -> forms.DateField:
    return forms.DateField(label=label, widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}))


class WhatIfForm(forms.Form):
    """Which past calls."""

    first = _day("From")
    last = _day("Until")
    prompt: forms.ModelChoiceField[Prompt] = forms.ModelChoiceField(
        label="Prompt", queryset=Prompt.objects.none(), required=False, empty_label="any, or none",
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    asked = forms.ChoiceField(
        label="Which calls", widget=UnfoldAdminSelectWidget, required=False,
        choices=[("", "all of them"), ("route", "those that followed this route")],
    )  # fmt: skip
    most = forms.IntegerField(
        label="At most", min_value=1, max_value=MOST, widget=UnfoldAdminIntegerFieldWidget,
        help_text=f"A sample of so many calls; {MOST:,} is the most.",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["prompt"].queryset = Prompt.objects.all()  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if {"first", "last"} <= values.keys() and values["last"] < values["first"]:
            self.add_error("last", "This is before the first day.")
        return values

    def calls(self, route: Route) -> list[Call]:
        values = self.cleaned_data
        since, until = _midnight(values["first"]), _midnight(values["last"] + dt.timedelta(days=1))
        asked = (route.slug,) if values["asked"] == "route" else ()
        return sample_of(past_calls(since, until, values["prompt"], asked), values["most"])


def _midnight(day: dt.date) -> dt.datetime:
    return timezone.make_aware(dt.datetime.combine(day, dt.time()))


def run(request: HttpRequest, pk: int, model_admin: RouteAdmin) -> HttpResponse:
    """The form, and the result for what was chosen; a POST first asks classifiers about what nobody knows."""
    route = route_for(model_admin, request, pk, "core.try_route")
    today = timezone.localdate()
    initial = {"first": today - dt.timedelta(days=7), "last": today, "most": 1000}
    given = request.POST if request.method == "POST" else request.GET
    form = WhatIfForm(given) if given else WhatIfForm(initial=initial)
    found: WhatIf | None = None
    if given and form.is_valid():
        content, calls = route.content(), form.calls(route)
        found = what_if(content, calls)
        if request.method == "POST" and found.missing:
            _ask(request, found)
            found = what_if(content, calls)
    return page(
        model_admin,
        request,
        "admin/core/route/whatif.html",
        route,
        title="What if",
        form=form,
        found=found,
        **_difference(found),
        moves=[(before, after, number) for (before, after), number in found.moves.most_common()] if found else [],
        missing=price_of(found.missing) if found and found.missing else None,
        next_ones=price_of(found.missing[:AT_ONCE]) if found and found.missing else None,
        readable=_readable(request, found),
    )


def _difference(found: WhatIf | None) -> dict[str, Decimal]:
    """By how much the cost would change, in millionths of a dollar."""
    if found is None:
        return {}
    low, likely, high = (amount.quantize(Decimal("0.000001")) for amount in found.difference)
    return {"low": low, "likely": likely, "high": high}


def _ask(request: HttpRequest, found: WhatIf) -> None:
    try:
        classified, call = classify(found.missing, signed_in(request), breaker.is_open)
    except OverBudgetError as error:
        messages.error(request, f"Nothing was asked. {error}")
        return
    booked = f" What it cost is in the ledger of call {call.pk}." if call else ""
    messages.info(request, f"{classified} of {len(found.missing)} were classified.{booked}")


def _readable(request: HttpRequest, found: WhatIf | None) -> set[Any]:
    """Those of the most changed calls whose content this person may read."""
    shown = [change.call.pk for change in found.most] if found else []
    return set(Call.objects.visible_to(signed_in(request)).filter(pk__in=shown).values_list("pk", flat=True))
