"""What may a page of the admin load and run?"""

from __future__ import annotations

from typing import Any

from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse


class PolicyMiddleware(CSPMiddleware):
    """The content security policy of the settings, eased for the admin's theme under the admin's address only."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if not report_only and request.path_info.startswith(reverse("admin:index")):
            eased: dict[str, Any] = settings.ADMIN_CONTENT_SECURITY_POLICY
            parts.update = {**eased, **(parts.update or {})}
        return parts
