"""Who may look into the queues, and stop or repeat what is in them?"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django_rq.admin import QueueAdmin
from django_rq.models import Dashboard

# Who may only look empties no queue, and stops or repeats nothing in it.
_LOOK = ["core.view_queues"]
_ACT = [*_LOOK, "core.pause_queue"]


def guarded(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The dashboard asks for staff status only, and for its figures takes a token; here each view asks for more."""

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not admin.site.has_permission(request):
            return redirect_to_login(request.get_full_path(), "admin:login")
        if not request.user.has_perms(_LOOK if request.method in {"GET", "HEAD"} else _ACT):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return checked


def heading(request: HttpRequest) -> dict[str, str]:
    """The dashboard's pages have no title of their own; the theme would greet the reader instead."""
    match = request.resolver_match
    return {"title": "Queues"} if match and (match.url_name or "").startswith("django_rq") else {}


@admin.register(Dashboard)
class GuardedQueueAdmin(QueueAdmin):
    """django-rq's dashboard, each of whose addresses asks for `core.view_queues`, and for more where it acts."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("core.view_queues")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's
        return request.user.has_perm("core.view_queues")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's
        return request.user.has_perm("core.view_queues")

    def get_urls(self) -> list[URLPattern]:
        patterns: list[URLPattern] = super().get_urls()  # type: ignore[no-untyped-call]
        for pattern in patterns:
            pattern.callback = guarded(pattern.callback)
        return patterns
