"""What was given up in the queue, and what became of it?"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from core.admin.base import page, require, signed_in
from core.models import Call, CostRecord, FailedAttempt
from core.operations.dealing import MOST_AT_ONCE, why_not
from core.operations.letters import Kind, group_of, groups, handled, letters_of
from core.prompts.conversation import Turn, turns_of

if TYPE_CHECKING:
    from core.admin.calls import CallAdmin

ON_A_PAGE = 20


@dataclass(frozen=True)
class Letter:
    """A call that was given up, with all that was tried and what each try cost."""

    call: Call
    turns: list[Turn]
    attempts: list[FailedAttempt]
    records: list[CostRecord]
    cost: Decimal | None
    obstacle: str


def kinds(request: HttpRequest, model_admin: CallAdmin) -> HttpResponse:
    """All dead letters, by error and model."""
    require(model_admin.has_view_permission(request))
    found = groups(signed_in(request))
    return page(
        model_admin,
        request,
        "admin/core/letter/kinds.html",
        None,
        title="Given up",
        groups=[(group, address_of(group.kind)) for group in found],
        number=sum(group.number for group in found),
    )


def kind(request: HttpRequest, model_admin: CallAdmin) -> HttpResponse:
    """The dead letters of one kind, with what can be done about them."""
    require(model_admin.has_view_permission(request))
    user, asked = signed_in(request), kind_of(request.GET)
    group = group_of(user, asked)
    if group is None:
        return HttpResponseRedirect(reverse("admin:core_letters"))
    rows = letters_of(user, asked).select_related("user", "key__user", "prompt", "version")
    shown = Paginator(rows.prefetch_related("failed_attempts", "cost_records"), ON_A_PAGE).get_page(
        request.GET.get("p")
    )
    return page(
        model_admin,
        request,
        "admin/core/letter/kind.html",
        None,
        title="Given up",
        group=group,
        letters=[_letter(call) for call in shown],
        shown=shown,
        query=urlencode({"error": asked.error, "model": asked.model}),
        now=timezone.now().isoformat(),
        most=MOST_AT_ONCE,
        may_act=model_admin.has_rerun_permission(request),
    )


def dealt_with(request: HttpRequest, model_admin: CallAdmin) -> HttpResponse:
    """What was done about dead letters, by whom and when."""
    require(model_admin.has_view_permission(request))
    shown = Paginator(handled(signed_in(request)), 2 * ON_A_PAGE).get_page(request.GET.get("p"))
    return page(model_admin, request, "admin/core/letter/handled.html", None, title="Dealt with", shown=shown)


def kind_of(values: Any) -> Kind:
    """The kind that a form or an address names."""
    return Kind(values.get("error", "")[:60], values.get("model", "")[:120])


def address_of(asked: Kind) -> str:
    return f"{reverse('admin:core_letters_kind')}?{urlencode({'error': asked.error, 'model': asked.model})}"


def _letter(call: Call) -> Letter:
    records = list(call.cost_records.all())
    return Letter(
        call,
        turns_of(call.request),
        list(call.failed_attempts.all()),
        records,
        Call.cost_of(records) if records else Decimal(0),
        why_not(call),
    )
