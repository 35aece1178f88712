"""How do people sign in and out and change their password?"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import views
from django.contrib.auth.forms import PasswordChangeForm
from django.http import HttpRequest, HttpResponse
from django.urls import reverse_lazy

from core.models import User

MOST_DEMO_LOGINS = 12


class Login(views.LoginView):
    template_name = "account/login.html"
    redirect_authenticated_user = True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The form; but a page that draws a part of itself anew after somebody signed out is loaded as a whole."""
        if request.headers.get("HX-Request"):
            return HttpResponse(headers={"HX-Refresh": "true"})
        return super().get(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs, demo_logins=_demo_logins())


class PasswordChange(views.PasswordChangeView):
    template_name = "account/password_change.html"
    success_url = reverse_lazy("catalogue")

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        messages.success(self.request, "Your password is changed.")
        return super().form_valid(form)


def _demo_logins() -> list[tuple[str, str]]:
    """The demo's people and their roles, on a developer's machine only; everybody's password there is «demo»."""
    if not settings.DEBUG:
        return []
    people = User.objects.filter(demo=True, is_active=True).prefetch_related("groups").order_by("pk")
    return [
        (person.username, ", ".join(group.name for group in person.groups.all()))
        for person in people[:MOST_DEMO_LOGINS]
    ]
