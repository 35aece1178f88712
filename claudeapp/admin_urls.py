"""What the administration's addresses are, read when somebody first asks for one."""

from __future__ import annotations

from django.contrib import admin

# Does nothing where the start has done it: in every process but a function, whose start would wait for it.
admin.autodiscover()

urlpatterns = admin.site.get_urls()
