"""Which models are left alone because they kept failing, and who lets them be asked again?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from core.admin.base import page, require
from core.execution.breaker import reset, states

if TYPE_CHECKING:
    from core.admin.fallbacks import FallbackChainAdmin


def breakers(request: HttpRequest, model_admin: FallbackChainAdmin) -> HttpResponse:
    """Each model that failed lately, and by POST one of them closed again."""
    require(model_admin.has_view_permission(request))
    may_reset = request.user.has_perm("core.reset_breaker")
    if request.method == "POST":
        require(may_reset)
        return _reset(request, request.POST.get("model", ""))
    return page(
        model_admin,
        request,
        "admin/core/breaker/list.html",
        None,
        title="Breakers",
        breakers=states(),
        may_reset=may_reset,
        failures=settings.BREAKER_FAILURES,
        seconds=settings.BREAKER_SECONDS,
    )


def _reset(request: HttpRequest, model: str) -> HttpResponse:
    if model in {state.model for state in states()}:
        reset(model)
        messages.success(request, f"{model} is asked again from now on.")
    else:
        messages.info(request, "That model has not failed lately, so there was nothing to do.")
    return HttpResponseRedirect(reverse("admin:core_breakers"))
