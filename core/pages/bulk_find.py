"""Which run does an address of the pages of tables mean, and what may this visitor do with it?"""

from __future__ import annotations

import uuid

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from core.models import Batch, BulkRun


def find_run(request: HttpRequest, pk: uuid.UUID) -> BulkRun:
    """One visible run. Raises Http404, for others' runs too."""
    run = BulkRun.objects.visible_to(request.user).with_its_prompt().filter(pk=pk).first()
    if run is None:
        raise Http404("no such run, or not yours")
    return run


def own_run(request: HttpRequest, pk: uuid.UUID) -> BulkRun:
    """One's own run. Raises Http404, and PermissionDenied for one that may be seen only."""
    run = find_run(request, pk)
    if run.user_id != request.user.pk:
        raise PermissionDenied("A run can be changed and started by whoever uploaded it.")
    return run


def find_programs_run(request: HttpRequest, public_id: str) -> Batch:
    """One that a program of the visitor's, or of somebody whose calls they may read, has started. Raises Http404."""
    found = Batch.objects.visible_to(request.user).of_scripts().filter(public_id=public_id)
    batch = found.select_related("user", "key", "prompt", "version").first()
    if batch is None:
        raise Http404("no such run, or not yours")
    return batch


def may_cancel(request: HttpRequest, user_id: int | None) -> bool:
    """Whether the visitor may stop a run of this person."""
    return user_id == request.user.pk or request.user.has_perm("core.cancel_call")
