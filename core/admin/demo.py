"""How does an installation that was tried out become one that is used?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from core.admin.base import page, require
from core.demo.remove import remove_demo

if TYPE_CHECKING:
    from core.admin.calls import CallAdmin


def remove(request: HttpRequest, model_admin: CallAdmin) -> HttpResponse:
    """Ask, and then remove all that the demo brought."""
    require(request.user.has_perm("core.remove_demo"))
    if request.method != "POST":
        return page(model_admin, request, "admin/core/demo.html", None, title="Remove the demo data")
    removed = remove_demo()
    found = [f"{number:,} {kind}" for kind, number in removed.items() if number]
    said = f"Removed: {', '.join(found)}." if found else "There was no demo data."
    messages.success(request, said)
    for sentence in removed.kept:
        messages.info(request, sentence)
    return HttpResponseRedirect(reverse("admin:index"))
