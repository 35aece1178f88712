"""Which address leads where?"""

from __future__ import annotations

from django.urls import URLResolver, include, path
from django.urls.resolvers import RoutePattern


def _when_asked_for(route: str, module: str, namespace: str | None = None) -> URLResolver:
    """As `include`, which would read the module at once: programs, and a function from cold, need neither page."""
    return URLResolver(RoutePattern(route), module, app_name=namespace, namespace=namespace)


urlpatterns = [
    path("", include("core.gateway.urls")),
    path("", include("core.gateway.plain.urls")),
    path("", include("core.sockets.urls")),
    _when_asked_for("admin/", "claudeapp.admin_urls", "admin"),
    _when_asked_for("", "core.pages.urls"),
]

handler400 = "core.pages.errors.bad_request"
handler403 = "core.pages.errors.forbidden"
handler404 = "core.pages.errors.not_found"
