"""What names a model, and how is it replaced everywhere at once?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone

from core.admin.base import address, page, require, signed_in
from core.models import ClaudeModel
from core.routing.problems import phasing_out
from core.routing.uses import Use, replace_in_drafts, successor_of, uses_of

if TYPE_CHECKING:
    from core.admin.catalogue import ClaudeModelAdmin

_MAY_REPLACE = ["core.change_prompt", "core.change_route"]


def context_of(model: ClaudeModel, request: HttpRequest) -> dict[str, Any]:
    """What a model's page says beside its fields."""
    return {
        "uses": [(use, _address(use)) for use in uses_of(model)],
        "phasing_out": phasing_out(model, timezone.localdate()),
        "successor": successor_of(model),
        "may_replace": request.user.has_perms(_MAY_REPLACE),
    }


def replace(request: HttpRequest, pk: str, model_admin: ClaudeModelAdmin) -> HttpResponse:
    """Ask, and then name the successor in every draft; nothing that people use changes by that."""
    require(signed_in(request).has_perms(_MAY_REPLACE))
    model = get_object_or_404(ClaudeModel, pk=pk)
    successor = successor_of(model)
    back = reverse("admin:core_claudemodel_change", args=[pk])
    if successor is None:
        messages.info(request, f"There is no newer model of the line of {model.display_name}.")
        return HttpResponseRedirect(back)
    uses = uses_of(model)
    if request.method == "POST":
        changed = replace_in_drafts(model, successor.model)
        for row in changed:
            model_admin.log_change(request, model, f"Replaced by {successor.model.pk} in the draft of «{row}».")
        drafts = "1 draft names" if len(changed) == 1 else f"{len(changed)} drafts name"
        messages.success(request, f"{drafts} {successor.model.display_name} now. Publish next what should count.")
        return HttpResponseRedirect(back)
    return page(
        model_admin,
        request,
        "admin/core/claudemodel/replace.html",
        model,
        title="Replace everywhere",
        successor=successor,
        drafts=[(use, _address(use)) for use in uses if use.drafted],
        others=[(use, _address(use)) for use in uses if not use.drafted],
    )


def _address(use: Use) -> str:
    return address(f"admin:core_{use.row._meta.model_name}_change", use.row.pk)
