"""How does a person change a table, start it, stop it, run rows of it again, or remove it?"""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from core.batches.live import MOST_ROWS
from core.bulk import runs
from core.models import BulkRun, Prompt
from core.pages.bulk_find import find_run, own_run
from core.pages.bulk_forms import ColumnsForm, FileForm, StartForm, cells_of
from core.pages.bulk_run import show
from core.pages.bulk_watch import cancel_asked
from core.pages.errors import helpful_404
from core.pages.formats import counted, usd

TOO_LATE = "This run has been started or changed meanwhile, so nothing was done."


@helpful_404
@login_required
@require_POST
def bulk_file(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Another file in the place of this one."""
    run = own_run(request, pk)
    form = FileForm(request.POST, request.FILES)
    if not form.is_valid():
        return show(request, run, file_form=form)
    file = form.cleaned_data["file"]
    return _back(request, run, runs.upload_again(run, file, file.name))


@helpful_404
@login_required
@require_POST
def bulk_columns(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Which column each variable is in."""
    run = own_run(request, pk)
    form = ColumnsForm(run, request.POST)
    if not form.is_valid():
        return show(request, run, columns_form=form)
    run.file_token = _file_seen(request)
    return _back(request, run, runs.match_columns(run, form.places()))


@helpful_404
@login_required
@require_POST
def bulk_row(request: HttpRequest, pk: uuid.UUID, line: int) -> HttpResponseBase:
    """Put one faulty line right."""
    run = own_run(request, pk)
    cells = cells_of(run, line, request.POST)
    run.file_token = _file_seen(request)
    return _back(request, run, cells is not None and runs.put_right(run, line, cells))


@helpful_404
@login_required
@require_POST
def bulk_start(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The person has seen the price and says yes."""
    run = own_run(request, pk)
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
    rows = counted(run.usable, "row")
    return f"Something has changed since you looked, so nothing was started. It is now {rows}, {price}."


@helpful_404
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def bulk_cancel(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Stop what has not been worked on."""
    run = find_run(request, pk)
    if run.batch is None:
        # There is nothing to stop yet; whoever may not change it may not try either.
        return _back(request, own_run(request, pk), False)
    return cancel_asked(request, run.batch, run.name, run.get_absolute_url())


@helpful_404
@login_required
@require_POST
def bulk_again(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Those rows once more that have no answer, as a run of its own, with its price first."""
    run = own_run(request, pk)
    fresh = runs.again(run) if run.batch else None
    if fresh is None:
        messages.warning(request, "There is no row without an answer to run again.")
    return redirect(fresh or run)


@helpful_404
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def bulk_discard(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Ask, and then remove a table that was not started."""
    run = own_run(request, pk)
    if run.fixed:
        return _back(request, run, False)
    if request.method != "POST":
        return render(request, "pages/bulk_discard.html", {"run": run})
    if not runs.discard(run):
        return _back(request, run, False)
    messages.success(request, f"«{run.name}» was removed.")
    return redirect("bulk")


def _back(request: HttpRequest, run: BulkRun, done: bool) -> HttpResponse:
    if not done:
        messages.warning(request, TOO_LATE)
    return redirect(run)


def _file_seen(request: HttpRequest) -> str:
    """The file that was looked at: what was said of it must not change another one that has taken its place."""
    # PostgreSQL cannot be asked for a NUL, and no token has one.
    return request.POST.get("file", "").replace("\x00", "")
