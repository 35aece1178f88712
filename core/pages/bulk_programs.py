"""How does a person watch and stop what a program of theirs has started with many rows, and get its file?"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from core.bulk.results import result_rows
from core.models import Batch
from core.pages.bulk_find import find_programs_run
from core.pages.bulk_watch import Links, cancel_asked, watched
from core.pages.downloads import file_of
from core.pages.errors import helpful_404


@helpful_404
@login_required
@require_safe
@never_cache
def bulk_program(request: HttpRequest, public_id: str) -> HttpResponse:
    """The page of one run, or with `?part=run` only what changes on it."""
    batch = find_programs_run(request, public_id)
    template = "pages/_bulk_program.html" if request.GET.get("part") == "run" else "pages/bulk_program.html"
    context: dict[str, Any] = {"name": name_of(batch), "own": batch.user_id == request.user.pk}
    context |= watched(request, batch, _links(batch))
    return render(request, template, context)


@helpful_404
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def bulk_program_cancel(request: HttpRequest, public_id: str) -> HttpResponse:
    """Stop what has not been worked on."""
    batch = find_programs_run(request, public_id)
    return cancel_asked(request, batch, name_of(batch), _links(batch).page)


@helpful_404
@login_required
@require_safe
@never_cache
def bulk_program_results(request: HttpRequest, public_id: str, kind: str) -> HttpResponseBase:
    """The values of each row with what Claude made of it, as far as it is."""
    batch = find_programs_run(request, public_id)
    return file_of(request, kind, f"{name_of(batch)}-answers", result_rows(batch))


def name_of(batch: Batch) -> str:
    """What a person knows it by: its program need not have given it a title."""
    return batch.title or (batch.prompt.name if batch.prompt else batch.public_id)


def _links(batch: Batch) -> Links:
    names = ("bulk_program", "bulk_program_cancel", "bulk_program_csv", "bulk_program_xlsx")
    return Links(*(reverse(name, args=[batch.public_id]) for name in names))
