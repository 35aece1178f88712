"""How does a draft price come into force, and how is one in force put right?"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse

from core.admin.base import page, require, signed_in
from core.costs.approvals import (
    RefusedPriceError,
    approve,
    corrected_copy,
    effect_of,
    entry_of,
    may_approve,
    problems_of_all,
    said_by,
)
from core.costs.price_checks import FACTORS, RATES
from core.models import Price

if TYPE_CHECKING:
    from core.admin.prices import PriceAdmin


@dataclass(frozen=True)
class Line:
    """One figure of a draft beside the one that counts today."""

    label: str
    before: str
    after: str

    @property
    def changes(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True)
class Compared:
    """A draft beside what it replaces, or what would count on its first day without it."""

    draft: Price
    current: Price | None
    replaces: bool
    lines: list[Line]


def approval(request: HttpRequest, pk: int, model_admin: PriceAdmin) -> HttpResponse:
    """What the drafts of one entry would change; a POST approves exactly what was shown."""
    require(model_admin.has_view_permission(request))
    draft = get_object_or_404(Price, pk=pk)
    if draft.approved_at:
        messages.info(request, f"«{draft}» is approved already.")
        return _page_of(draft)
    if draft.declined_at:
        messages.info(request, f"«{draft}» was declined.")
        return _page_of(draft)
    drafts = list(entry_of(draft).select_related("model", "created_by"))
    shown = _digest(drafts)
    if request.method == "POST":
        require(may_approve(signed_in(request), drafts))
        if request.POST.get("shown") == shown:
            return _approved(request, model_admin, drafts)
        messages.warning(request, "Somebody changed this in the meantime. This is what it says now.")
    found = problems_of_all(drafts)
    return page(
        model_admin,
        request,
        "admin/core/price/approve.html",
        draft,
        title="Approve",
        compared=[_compared(row) for row in drafts],
        refused=[problem for problem in found if not problem.may_be_meant],
        doubtful=[problem for problem in found if problem.may_be_meant],
        effect=effect_of(drafts),
        may_approve=may_approve(signed_in(request), drafts),
        shown=shown,
    )


def correct(request: HttpRequest, pk: int, model_admin: PriceAdmin) -> HttpResponse:
    """Make a draft of the same figures, by POST, to be put right and approved."""
    require(model_admin.has_add_permission(request))
    price = get_object_or_404(Price.objects.in_force(), pk=pk)
    if request.method != "POST":
        return _page_of(price)
    draft = next((row for row in entry_of(price) if row.above_input_tokens == price.above_input_tokens), None)
    if draft is None:
        draft = corrected_copy(price, signed_in(request))
        model_admin.log_addition(request, draft, f"A corrected copy of the price of {price.approved_at:%Y-%m-%d}.")
    messages.info(request, "This is a draft. Put it right and save it; once approved, it replaces the price in force.")
    return _page_of(draft)


def _approved(request: HttpRequest, model_admin: PriceAdmin, drafts: Sequence[Price]) -> HttpResponse:
    try:
        approve(drafts, signed_in(request), meant="meant" in request.POST)
    except RefusedPriceError as error:
        messages.error(request, f"Nothing was approved. {error}")
        return HttpResponseRedirect(reverse("admin:core_price_approve", args=[drafts[0].pk]))
    for draft in drafts:
        model_admin.log_change(request, draft, "Approved.")
    messages.success(request, f"«{drafts[0]}» is approved and counts from its first day on.")
    return _page_of(drafts[0])


def _page_of(price: Price) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:core_price_change", args=[price.pk]))


def _compared(draft: Price) -> Compared:
    place = {
        name: getattr(draft, name) for name in ("model_id", "contract", "speed", "valid_from", "above_input_tokens")
    }
    replaced = Price.objects.in_force().filter(**place).first()
    # A band begins with the first token above its length.
    in_force = Price.objects.of(draft.model_id, draft.valid_from, draft.above_input_tokens + 1, draft.speed)
    current = replaced or in_force
    names = ("valid_until", *RATES, *FACTORS)
    lines = [
        Line(str(Price._meta.get_field(name).verbose_name), _said(current, name), _said(draft, name))  # type: ignore[union-attr]
        for name in names
    ]
    return Compared(draft, current, replaced is not None, lines)


def _said(price: Price | None, name: str) -> str:
    value = getattr(price, name) if price else None
    if value is None:
        return "–"
    return f"{value.normalize():,f}" if name != "valid_until" else f"{value.day} {value:%B %Y}"


def _digest(drafts: Sequence[Price]) -> str:
    """Changes whenever anything that is shown does."""
    return hashlib.sha256(repr(said_by(drafts)).encode()).hexdigest()
