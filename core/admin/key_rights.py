"""Whose keys may somebody see and change?"""

from __future__ import annotations

from django.http import HttpRequest

from core.models import Key


def may_manage_any(request: HttpRequest) -> bool:
    return request.user.has_perm("core.manage_any_key")


def may_see(request: HttpRequest, key: Key | None) -> bool:
    """Their own, or anybody's with the permission for it; without a key, whether there may be any."""
    return key is None or key.user_id == request.user.pk or may_manage_any(request)


def may_view(request: HttpRequest, key: Key) -> bool:
    """Whether the key's page opens for them."""
    return request.user.has_perm("core.view_key") and may_see(request, key)
