"""How is a key shown once, rotated and revoked?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.views.decorators.debug import sensitive_variables

from core.admin.base import page, require, signed_in
from core.intake.keys import RevokedError, revoke, rotate
from core.models import Budget, Key, KeySecret
from core.routing.choose import UnknownModelError, plan
from core.routing.leaving import leaving

if TYPE_CHECKING:
    from core.admin.keys import KeyAdmin

# Seconds, and how they are said.
OVERLAPS = [
    (0, "Stop the old one now"),
    (3600, "An hour"),
    (86400, "A day"),
    (7 * 86400, "A week"),
    (30 * 86400, "30 days"),
]


class RotateForm(forms.Form):
    """How long the old text goes on opening the door."""

    overlap = forms.TypedChoiceField(choices=OVERLAPS, coerce=int, initial=86400, widget=forms.RadioSelect)


@dataclass(frozen=True)
class Status:
    """How a key stands, and what may be done with it."""

    state: str
    secrets: list[KeySecret]
    budgets: list[Budget]
    now: dt.datetime
    may_change: bool
    new_budget: str
    warnings: list[str]


def state_of(key: Key) -> str:
    now = timezone.now()
    if key.revoked_at:
        return "Revoked"
    if key.expires_at and key.expires_at <= now:
        return "Expired"
    if not key.user.is_active:
        return "Owner left"
    rotated = [secret for secret in key.secrets.all() if secret.expires_at and secret.expires_at > now]
    return "Being rotated" if rotated else "Open"


def status_of(request: HttpRequest, model_admin: KeyAdmin, key: Key) -> Status:
    may_budget = request.user.has_perm("core.add_budget") and key.revoked_at is None
    values = urlencode({"scope": "key", "key": key.pk, "name": f"Key {key.name}"})
    return Status(
        state=state_of(key),
        secrets=list(key.secrets.all()),
        budgets=list(key.budgets.filter(active=True)),
        now=timezone.now(),
        may_change=model_admin.has_change_permission(request, key),
        new_budget=f"{reverse('admin:core_budget_add')}?{values}" if may_budget else "",
        warnings=[] if key.revoked_at else warnings(key),
    )


def warnings(key: Key) -> list[str]:
    """What its owner should know of the models that it may use, a sentence each."""
    allowed = list(key.models_allowed.order_by("pk").values_list("pk", flat=True))
    return [*_of_its_own(key, frozenset(allowed)), *leaving(filter(None, [key.model, *allowed]))]


def _of_its_own(key: Key, allowed: frozenset[str]) -> Iterator[str]:
    """Whether its own route or model can be followed."""
    if key.route is None and not key.model:
        return
    own = f"route «{key.route}»" if key.route else f"model «{key.model}»"
    try:
        models = plan(key.route.slug if key.route else key.model).models
    except UnknownModelError:
        why = "is not published" if key.route else "does not answer any more"
        yield f"Its {own} {why}, so a request that names no model, or «auto», is refused."
        return
    others = [model for model in models if model not in allowed] if allowed else []
    if others:
        yield f"Its {own} can lead to {', '.join(others)}, which this key may not use, so such a request is refused."


@sensitive_variables("text")
def shown_once(request: HttpRequest, model_admin: KeyAdmin, key: Key, text: str, *, title: str) -> HttpResponse:
    """The page with a new key's text: it is in this answer and nowhere else, so that a reload cannot show it again."""
    address = request.build_absolute_uri("/").rstrip("/")
    answer = page(
        model_admin, request, "admin/core/key/made.html", key, title=title, key=key, text=text, server=address
    )
    add_never_cache_headers(answer)
    return answer


@sensitive_variables("text")
def rotate_page(request: HttpRequest, pk: int, model_admin: KeyAdmin) -> HttpResponse:
    """Ask how long the old text is to work, then show the new one."""
    key = _to_change(request, pk, model_admin)
    form = RotateForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return page(model_admin, request, "admin/core/key/rotate.html", key, title="Rotate", key=key, form=form)
    overlap = dt.timedelta(seconds=form.cleaned_data["overlap"])
    try:
        text = rotate(key, overlap, by=signed_in(request))
    except RevokedError as error:
        messages.error(request, str(error))
        return _page_of(key)
    until = timezone.localtime(timezone.now() + overlap)
    model_admin.log_change(request, key, f"Rotated; what it had before works until {until:%Y-%m-%d %H:%M}.")
    return shown_once(request, model_admin, key, text, title="The new key")


def revoke_page(request: HttpRequest, pk: int, model_admin: KeyAdmin) -> HttpResponse:
    """Ask, and then take the key back for good."""
    key = _to_change(request, pk, model_admin)
    if request.method != "POST":
        return page(model_admin, request, "admin/core/key/revoke.html", key, title="Revoke", key=key)
    if revoke(key):
        model_admin.log_change(request, key, "Revoked.")
    messages.success(request, f"«{key}» is revoked: no request with it is answered any more.")
    return HttpResponseRedirect(reverse("admin:core_key_changelist"))


def _to_change(request: HttpRequest, pk: int, model_admin: KeyAdmin) -> Key:
    require(model_admin.has_change_permission(request))
    key = get_object_or_404(model_admin.get_queryset(request), pk=pk)
    require(model_admin.has_change_permission(request, key))
    return key


def _page_of(key: Key) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:core_key_change", args=[key.pk]))
