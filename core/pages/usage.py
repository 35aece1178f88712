"""What did I spend myself?"""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from core.pages.downloads import download
from core.pages.spend import page_of, wanted_of


@login_required
@require_safe
def usage(request: HttpRequest) -> HttpResponseBase:
    """The report of one's own spend: everybody who is signed in may see it."""
    return render(request, "pages/usage.html", page_of(request, request.user.pk))


@login_required
@require_safe
def usage_file(request: HttpRequest, kind: str) -> HttpResponseBase:
    return download(request, kind, wanted_of(request, request.user.pk), request.user.pk)
