"""How does a person see what is in a table and what it costs, watch it once it was started, and get its file?"""

from __future__ import annotations

import uuid
from pathlib import PurePath
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from core.batches.live import MOST_ROWS
from core.bulk.pricing import drawn_on, live_wait, usual_wait
from core.bulk.results import result_rows
from core.costs import budgets
from core.models import Batch, BulkRun
from core.pages.budgets import Refusal, refusal
from core.pages.bulk_find import find_run
from core.pages.bulk_forms import ColumnsForm, FileForm, faults_of
from core.pages.bulk_watch import Links, watched
from core.pages.downloads import file_of
from core.pages.errors import helpful_404


@helpful_404
@login_required
@require_safe
@never_cache
def bulk_run(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The page of one run, or with `?part=run` only what changes on it."""
    return show(request, find_run(request, pk))


@helpful_404
@login_required
@require_safe
@never_cache
def bulk_results(request: HttpRequest, pk: uuid.UUID, kind: str) -> HttpResponseBase:
    """The table as it was with what Claude made of each row, as far as it is."""
    run = find_run(request, pk)
    if run.batch is None:
        raise Http404("there are no results yet")
    return file_of(request, kind, f"{PurePath(run.name).stem}-answers", result_rows(run.batch))


def show(request: HttpRequest, run: BulkRun, **forms: Any) -> HttpResponse:
    """The page of a run, with these forms as they were sent."""
    template = "pages/_bulk_run.html" if request.GET.get("part") == "run" else "pages/bulk_run.html"
    own = run.user_id == request.user.pk
    state = _started(request, run, run.batch) if run.batch else _drafted(request, run)
    context = {"run": run, "own": own, "file_form": FileForm(), **state}
    return render(request, template, {**context, **forms})


def _drafted(request: HttpRequest, run: BulkRun) -> dict[str, Any]:
    if run.state not in {BulkRun.State.COLUMNS, BulkRun.State.CHECKED}:
        return {}
    return {
        "columns_form": ColumnsForm(run),
        "faults": faults_of(run),
        "budgets": drawn_on(run),
        "usual_wait": usual_wait(),
        "live_wait": live_wait(run),
        "most_live": MOST_ROWS,
        "refusal": _refusal(request, run),
    }


def _refusal(request: HttpRequest, run: BulkRun) -> Refusal | None:
    if run.refused_by_id is None:
        return None
    return refusal(request, budgets.refusal(run.refused_by_id, run.refused_need))


def _started(request: HttpRequest, run: BulkRun, batch: Batch) -> dict[str, Any]:
    repeats = _repeats(request, run)
    return {
        **watched(request, batch, _links(run)),
        "repeats": repeats,
        "open_repeat": next((repeat for repeat in repeats if not repeat.over), None),
    }


def _links(run: BulkRun) -> Links:
    names = ("bulk_run", "bulk_cancel", "bulk_csv", "bulk_xlsx")
    return Links(*(reverse(name, args=[run.pk]) for name in names))


def _repeats(request: HttpRequest, run: BulkRun) -> list[BulkRun]:
    """The other runs of those rows of the same table that had no answer."""
    first = run.again_of or run.batch
    others = BulkRun.objects.visible_to(request.user).filter(again_of=first).exclude(pk=run.pk)
    return list(others.select_related("batch").order_by("turn"))
