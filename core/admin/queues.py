"""Who may look into the queues, and stop or repeat what is in them?"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django_rq.admin import QueueAdmin
from django_rq.models import Dashboard
from redis.exceptions import RedisError
from rq.exceptions import NoSuchJobError

# Who may only look empties no queue, and stops or repeats nothing in it.
_LOOK = ["core.view_queues"]
_ACT = [*_LOOK, "core.pause_queue"]
# How the dashboard says that a job, worker or queue is not there (any more).
_GONE = (NoSuchJobError, LookupError, ValueError, AssertionError)


def guarded(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The dashboard asks for staff status only, and for its figures takes a token; here each view asks for more."""

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not admin.site.has_permission(request):
            return redirect_to_login(request.get_full_path(), "admin:login")
        if not request.user.has_perms(_LOOK if request.method in {"GET", "HEAD"} else _ACT):
            raise PermissionDenied
        try:
            return view(request, *args, **kwargs)
        except _GONE as error:
            raise Http404("This job, worker or queue is not there, or not any more.") from error
        except RedisError:
            messages.error(
                request, "Redis does not answer, so its queues cannot be shown. What follows is the database's."
            )
            return redirect("admin:core_regulartask_changelist")

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
