"""Who may sign in?"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser

from core.models.people import User


class SigningIn(ModelBackend):
    """Django's own rules, and: demo people, whose password everybody knows, only where `DEBUG` is on."""

    def user_can_authenticate(self, user: User | AnonymousUser | None) -> bool:
        return super().user_can_authenticate(user) and (settings.DEBUG or not getattr(user, "demo", False))
