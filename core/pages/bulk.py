"""Which tables and rows of programs has this person run through prompts, and how do they upload another table?"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from core.bulk import runs
from core.bulk.listing import listed, shown
from core.models import Batch, BulkRun, Prompt
from core.pages.access import may_read_all, visitor
from core.pages.bulk_forms import UploadForm
from core.pages.bulk_programs import name_of

PAGE_SIZE = 25


@dataclass(frozen=True)
class Line:
    """One run of the list: a person's table, or without `run` what a program has started."""

    name: str
    address: str
    at: dt.datetime
    batch: Batch | None
    run: BulkRun | None = None


@login_required
@require_safe
@never_cache
def bulk(request: HttpRequest) -> HttpResponse:
    """The runs, the newest first."""
    page = Paginator(listed(request.user), PAGE_SIZE).get_page(request.GET.get("page"))
    lines = [_line(each) for each in shown(page)]
    everybody = may_read_all(request)
    context = {"page": page, "lines": lines, "everybody": everybody, "prompts": _prompts(request).exists()}
    return render(request, "pages/bulk.html", context)


def _line(each: BulkRun | Batch) -> Line:
    if isinstance(each, BulkRun):
        return Line(each.name, each.get_absolute_url(), each.created_at, each.batch, each)
    return Line(name_of(each), reverse("bulk_program", args=[each.public_id]), each.created_at, each)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def bulk_new(request: HttpRequest) -> HttpResponseBase:
    """Choose a prompt and upload a table."""
    prompts = _prompts(request)
    if request.method != "POST":
        form = UploadForm(prompts=prompts, initial={"prompt": request.GET.get("prompt")})
        return render(request, "pages/bulk_new.html", {"form": form})
    form = UploadForm(request.POST, request.FILES, prompts=prompts)
    if not form.is_valid():
        return render(request, "pages/bulk_new.html", {"form": form})
    prompt, file = form.cleaned_data["prompt"], form.cleaned_data["file"]
    return redirect(runs.upload(visitor(request), prompt, prompt.published, file, file.name))


def _prompts(request: HttpRequest) -> QuerySet[Prompt]:
    return Prompt.objects.usable_by(request.user).select_related("published__prompt")
