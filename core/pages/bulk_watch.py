"""What does the page of rows that were started show: how far they are, what they cost, and which have no answer?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from core.batches import cancel
from core.batches.held import held_until
from core.bulk.names import line_of
from core.bulk.progress import asks_a_person, progress_of
from core.bulk.runs import unanswered
from core.bulk.sources import unanswered_rows
from core.models import Batch, Call
from core.pages.bulk_find import may_cancel

TOO_LATE_TO_CANCEL = "It was too late to cancel: it has ended, or is being canceled already."
# How many rows without an answer are named on the page; all of them are in the file.
MOST_NAMED = 10


@dataclass(frozen=True)
class Unanswered:
    """A row without an answer."""

    line: int
    call: Call


@dataclass(frozen=True)
class Links:
    """Where the parts of such a page are."""

    page: str
    cancel: str
    csv: str
    xlsx: str


def watched(request: HttpRequest, batch: Batch, links: Links) -> dict[str, Any]:
    """The context of `_bulk_progress.html`."""
    number = unanswered(batch)
    return {
        "batch": batch,
        "links": links,
        "progress": progress_of(batch),
        "asks": not batch.over and asks_a_person(batch),
        "held_until": None if batch.over else held_until(batch),
        "unanswered": number,
        "named": _named(batch) if number else [],
        "skipped": batch.skipped_lines.count(),
        "may_cancel": _cancelable(batch) and may_cancel(request, batch.user_id),
    }


def _cancelable(batch: Batch) -> bool:
    return batch.status in {Batch.Status.SUBMITTING, Batch.Status.IN_PROGRESS}


def _named(batch: Batch) -> list[Unanswered]:
    # That one was canceled its person knows.
    found = islice(unanswered_rows(batch, [Call.Status.FAILED, Call.Status.DEAD]), MOST_NAMED)
    return [Unanswered(line_of(row.custom_id), call) for row, call in found]


def cancel_asked(request: HttpRequest, batch: Batch, name: str, back: str) -> HttpResponse:
    """Ask whether a batch is to be stopped, and stop it where the answer is yes. Raises PermissionDenied."""
    if not may_cancel(request, batch.user_id):
        raise PermissionDenied("A run can be canceled by whoever started it.")
    if request.method != "POST" and _cancelable(batch):
        context = {"name": name, "progress": progress_of(batch), "back": back}
        return render(request, "pages/bulk_cancel.html", context)
    if request.method == "POST" and cancel.cancel(batch):
        messages.success(request, "It is being canceled. What Claude has worked on by now is billed, nothing more.")
    else:
        messages.warning(request, TOO_LATE_TO_CANCEL)
    return redirect(back)
