"""Which address leads where?"""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("core.gateway.urls")),
    path("", include("core.gateway.plain.urls")),
    path("admin/", admin.site.urls),
    path("", include("core.pages.urls")),
]

handler400 = "core.pages.errors.bad_request"
handler403 = "core.pages.errors.forbidden"
handler404 = "core.pages.errors.not_found"
