"""How does an installation that was tried out become one that is used?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from core.admin.base import page, require, signed_in
from core.demo.remove import Removed, remove_demo
from core.models import User

if TYPE_CHECKING:
    from core.admin.calls import CallAdmin


ACKNOWLEDGED = "nobody_can_sign_in"


def remove(request: HttpRequest, model_admin: CallAdmin) -> HttpResponse:
    """Ask, and then remove all that the demo brought; the remover too, where that is a demo login."""
    require(request.user.has_perm("core.remove_demo"))
    locks_out = nobody_is_left()
    refused = request.method == "POST" and locks_out and ACKNOWLEDGED not in request.POST
    if request.method != "POST" or refused:
        context = {"locks_out": locks_out, "refused": refused, "own": signed_in(request).demo}
        return page(model_admin, request, "admin/core/demo.html", None, title="Remove the demo data", **context)
    own = signed_in(request).demo
    removed = remove_demo()
    if own:
        logout(request)
    _tell(request, removed)
    if not own:
        return HttpResponseRedirect(reverse("admin:index"))
    messages.warning(request, _what_now(locks_out))
    return HttpResponseRedirect(reverse("login"))


def nobody_is_left() -> bool:
    """Whether no login but the demo's can open the admin."""
    return (
        not User.objects.filter(demo=False, is_active=True, is_staff=True)
        .exclude(password__startswith=UNUSABLE_PASSWORD_PREFIX)
        .exists()
    )


def _tell(request: HttpRequest, removed: Removed) -> None:
    found = [f"{number:,} {kind}" for kind, number in removed.items() if number]
    messages.success(request, f"Removed: {', '.join(found)}." if found else "There was no demo data.")
    for sentence in removed.kept:
        messages.info(request, sentence)


def _what_now(locked_out: bool) -> str:
    gone = "The demo login that you used is gone with the demo."
    if locked_out:
        return (
            f"{gone} Nobody can open the admin now: make a login with «manage.py createsuperuser», then sign in here."
        )
    return f"{gone} Sign in with a login of your own."
