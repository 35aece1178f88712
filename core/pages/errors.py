"""What does somebody see where a page is missing, forbidden or broken?"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from core.models import User
from core.models.roles import ROLES

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]

# How many administrators a page names to whoever lacks a permission.
MOST_NAMED = 3


def helpful_404(view: View[P]) -> View[P]:
    """Answer with our own page where `view` raises Http404, in development too."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except Http404 as missing:
            return not_found(request, missing)

    return wrapped


def needs(permission: str, what: str) -> Callable[[View[P]], View[P]]:
    """Let only those in who have `permission`; others sign in, or read what `what` takes and whom to ask."""

    def decorate(view: View[P]) -> View[P]:
        @functools.wraps(view)
        def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if not request.user.has_perm(permission):
                raise PermissionDenied(f"{what} {_roles_with(permission)}")
            return view(request, *args, **kwargs)

        return wrapped

    return decorate


def _roles_with(permission: str) -> str:
    names = [name for name, codenames in ROLES.items() if permission.removeprefix("core.") in codenames]
    return f"This takes one of the roles {', '.join(names[:-1])} or {names[-1]}."


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's signature
    return render(request, "404.html", status=404)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    context = {"missing": str(exception), "administrators": _administrators(request)}
    return render(request, "403.html", context, status=403)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    too_big = isinstance(exception, RequestDataTooBig)
    return render(
        request,
        "400.html",
        {"too_big": too_big, "most": settings.DATA_UPLOAD_MAX_MEMORY_SIZE},
        status=413 if too_big else 400,
    )


def wrong_dates(request: HttpRequest, form: Form) -> HttpResponse:
    """For a file whose dates, in `form`, make no period."""
    wrong = [(field.label, field.errors[0]) for field in form if field.errors]
    return render(request, "400.html", {"wrong_dates": wrong}, status=400)


def _administrators(request: HttpRequest) -> list[str]:
    """Whom a colleague can ask; strangers learn no names."""
    if not request.user.is_authenticated:
        return []
    people = User.objects.filter(groups__name="Administrator", is_active=True).order_by("pk")
    return [str(person) for person in people[:MOST_NAMED]]
