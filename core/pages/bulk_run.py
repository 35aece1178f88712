"""How does a person see what is in a table, start it, watch it, stop it, and get the file that comes back?"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from core.batches import cancel
from core.batches.live import MOST_ROWS
from core.bulk import runs
from core.bulk.names import line_of
from core.bulk.pricing import drawn_on, live_wait, usual_wait
from core.bulk.progress import asks_a_person, progress_of
from core.bulk.results import result_rows
from core.bulk.sources import unanswered_rows
from core.costs import budgets
from core.models import Batch, BulkRun, Call, Prompt
from core.pages.budgets import Refusal, refusal
from core.pages.bulk_forms import ColumnsForm, FileForm, StartForm, cells_of, faults_of
from core.pages.downloads import file_of
from core.pages.errors import helpful_404
from core.pages.formats import usd

# How many rows without an answer are named on the page; all of them are in the file.
MOST_NAMED = 10
TOO_LATE = "This run has been started or changed meanwhile, so nothing was done."


@dataclass(frozen=True)
class Unanswered:
    """A row without an answer."""

    line: int
    call: Call


@helpful_404
@login_required
@require_safe
@never_cache
def bulk_run(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The page of one run, or with `?part=run` only what changes on it."""
    return _show(request, _find(request, pk))


@helpful_404
@login_required
@require_POST
def bulk_file(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Another file in the place of this one."""
    run = _own(request, pk)
    form = FileForm(request.POST, request.FILES)
    if not form.is_valid():
        return _show(request, run, file_form=form)
    file = form.cleaned_data["file"]
    return _back(request, run, runs.upload_again(run, file, file.name))


@helpful_404
@login_required
@require_POST
def bulk_columns(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Which column each variable is in."""
    run = _own(request, pk)
    form = ColumnsForm(run, request.POST)
    if not form.is_valid():
        return _show(request, run, columns_form=form)
    run.file_token = _file_seen(request)
    return _back(request, run, runs.match_columns(run, form.places()))


@helpful_404
@login_required
@require_POST
def bulk_row(request: HttpRequest, pk: uuid.UUID, line: int) -> HttpResponseBase:
    """Put one faulty line right."""
    run = _own(request, pk)
    cells = cells_of(run, line, request.POST)
    run.file_token = _file_seen(request)
    return _back(request, run, cells is not None and runs.put_right(run, line, cells))


@helpful_404
@login_required
@require_POST
def bulk_start(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The person has seen the price and says yes."""
    run = _own(request, pk)
    form = StartForm(request.POST)
    if run.fixed or not form.is_valid():
        return _back(request, run, False)
    if not Prompt.objects.usable_by(request.user).filter(pk=run.prompt_id).exists():
        raise PermissionDenied("This prompt is not open to you any more.")
    refused = _why_not(run, form) or _start(request, run, form)
    if refused:
        messages.error(request, refused)
    return redirect(run)


def _why_not(run: BulkRun, form: StartForm) -> str:
    """Why a run is not started as it was asked for; empty where nothing speaks against it."""
    if run.state != BulkRun.State.CHECKED or form.cleaned_data["seen"] != run.revision:
        return _changed(run)
    if form.cleaned_data["lane"] == "live" and run.usable > MOST_ROWS:
        return f"At most {MOST_ROWS:,} rows can be answered at once. Nothing was started."
    if run.faulty and not form.cleaned_data["skip"]:
        return "Put the rows with faults right, or say that they are to be skipped."
    return ""


def _start(request: HttpRequest, run: BulkRun, form: StartForm) -> str:
    """Start it, or answer why not: whoever was quicker may have changed it since it was looked at above."""
    said = form.cleaned_data
    address = request.build_absolute_uri(run.get_absolute_url())
    if runs.start_run(run, said["seen"], live=said["lane"] == "live", skip_faulty=said["skip"], address=address):
        return ""
    run.refresh_from_db()
    return _changed(run)


def _changed(run: BulkRun) -> str:
    if run.state != BulkRun.State.CHECKED:
        return TOO_LATE
    price = "at a price that is not known"
    if run.likely_batch is not None:
        price = f"about {usd(run.likely_batch)} as a batch, never more than {usd(run.most_batch)}"
    return f"Something has changed since you looked, so nothing was started. It is now {run.usable:,} rows, {price}."


@helpful_404
@login_required
@require_POST
def bulk_cancel(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Stop what has not been worked on."""
    run = _find(request, pk)
    if not _may_cancel(request, run):
        raise PermissionDenied("A run can be canceled by whoever started it.")
    if run.batch is not None and cancel.cancel(run.batch):
        messages.success(request, "It is being canceled. What Claude has worked on by now is billed, nothing more.")
    else:
        messages.warning(request, "It was too late to cancel: it has ended, or is being canceled already.")
    return redirect(run)


@helpful_404
@login_required
@require_POST
def bulk_again(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Those rows once more that have no answer, as a run of its own, with its price first."""
    run = _own(request, pk)
    fresh = runs.again(run) if run.batch else None
    if fresh is None:
        messages.warning(request, "There is no row without an answer to run again.")
    return redirect(fresh or run)


@helpful_404
@login_required
@require_POST
def bulk_discard(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Remove a table that was not started."""
    run = _own(request, pk)
    if not runs.discard(run):
        return _back(request, run, False)
    messages.success(request, f"«{run.name}» was removed.")
    return redirect("bulk")


@helpful_404
@login_required
@require_safe
def bulk_results(request: HttpRequest, pk: uuid.UUID, kind: str) -> HttpResponseBase:
    """The table as it was with what Claude made of each row, as far as it is."""
    run = _find(request, pk)
    if run.batch is None:
        raise Http404("there are no results yet")
    return file_of(request, kind, f"{PurePath(run.name).stem}-answers", result_rows(run.batch))


def _find(request: HttpRequest, pk: uuid.UUID) -> BulkRun:
    """One visible run. Raises Http404, for others' runs too."""
    run = BulkRun.objects.visible_to(request.user).with_its_prompt().filter(pk=pk).first()
    if run is None:
        raise Http404("no such run, or not yours")
    return run


def _own(request: HttpRequest, pk: uuid.UUID) -> BulkRun:
    """One's own run. Raises Http404, and PermissionDenied for one that may be seen only."""
    run = _find(request, pk)
    if run.user_id != request.user.pk:
        raise PermissionDenied("A run can be changed and started by whoever uploaded it.")
    return run


def _file_seen(request: HttpRequest) -> str:
    """The file that was looked at: what was said of it must not change another one that has taken its place."""
    # PostgreSQL cannot be asked for a NUL, and no token has one.
    return request.POST.get("file", "").replace("\x00", "")


def _may_cancel(request: HttpRequest, run: BulkRun) -> bool:
    return run.user_id == request.user.pk or request.user.has_perm("core.cancel_call")


def _back(request: HttpRequest, run: BulkRun, done: bool) -> HttpResponse:
    if not done:
        messages.warning(request, TOO_LATE)
    return redirect(run)


def _show(request: HttpRequest, run: BulkRun, **forms: Any) -> HttpResponse:
    template = "pages/_bulk_run.html" if request.GET.get("part") == "run" else "pages/bulk_run.html"
    own = run.user_id == request.user.pk
    context = {"run": run, "own": own, "file_form": FileForm(), **(_started if run.batch else _drafted)(request, run)}
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


def _started(request: HttpRequest, run: BulkRun) -> dict[str, Any]:
    batch = run.batch
    assert batch is not None  # noqa: S101 - for the type checker
    unanswered = runs.unanswered(batch)
    repeats = _repeats(request, run)
    return {
        "batch": batch,
        "progress": progress_of(batch),
        "asks": not batch.over and asks_a_person(batch),
        "unanswered": unanswered,
        "named": _named(batch) if unanswered else [],
        "skipped": batch.skipped_lines.count() if run.faulty else 0,
        "repeats": repeats,
        "open_repeat": next((repeat for repeat in repeats if not repeat.over), None),
        "may_cancel": batch.status in {Batch.Status.SUBMITTING, Batch.Status.IN_PROGRESS} and _may_cancel(request, run),
    }


def _repeats(request: HttpRequest, run: BulkRun) -> list[BulkRun]:
    """The other runs of those rows of the same table that had no answer."""
    first = run.again_of or run.batch
    others = BulkRun.objects.visible_to(request.user).filter(again_of=first).exclude(pk=run.pk)
    return list(others.select_related("batch").order_by("turn"))


def _named(batch: Batch) -> list[Unanswered]:
    found = islice(unanswered_rows(batch), MOST_NAMED)
    return [Unanswered(line_of(row.custom_id), call) for row, call in found]
