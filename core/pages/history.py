"""What was asked before, by me or by everybody?"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from core.models import Call, CostRecord, Prompt
from core.models.calls import CallQuerySet
from core.pages.access import by_person, may_read_all, visible_calls
from core.pages.drill import drill_of
from core.pages.forms import HistoryForm

PAGE_SIZE = 25
EXCERPT = 240  # characters, of which some are Markdown's signs
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class Page:
    """A stretch of the history; `older` and `newer` are where the next ones begin, empty where there is none."""

    calls: list[Call]
    older: str = ""
    newer: str = ""


@require_safe
def calls(request: HttpRequest) -> HttpResponse:
    """The history, newest first, with search and filters."""
    everybody = may_read_all(request)
    form = HistoryForm(request.GET, prompts=_prompts(request, everybody), everybody=everybody, user=request.user.pk)
    # What is not usable is told beside its field; the rest filters all the same.
    form.is_valid()
    found = _filtered(visible_calls(request), form.cleaned_data)
    figure = drill_of(request.GET, request.user.pk)
    if figure:
        found = figure.of(found)
    context = {
        "form": form,
        "page": _page(found, request.GET.get("before", ""), request.GET.get("after", "")),
        "everybody": everybody,
        "figure": figure,
        "no_figure": figure is None and "counted_from" in request.GET,
        "filtered": bool(figure) or any(form.cleaned_data.values()) or bool(form.errors),
        "narrowed": any(value for name, value in form.cleaned_data.items() if name != "q"),
    }
    return render(request, "pages/calls.html", context)


def _prompts(request: HttpRequest, everybody: bool) -> Any:
    return Prompt.objects.all() if everybody else Prompt.objects.usable_by(request.user)


def _filtered(found: CallQuerySet, wanted: dict[str, Any]) -> CallQuerySet:
    for name in ("status", "prompt", "model", "key", "lane"):
        if wanted.get(name):
            found = found.filter(**{name: wanted[name]})
    for name in ("team", "cost_centre"):
        # A call is charged to whom its cost records name.
        if wanted.get(name):
            found = found.filter(Exists(CostRecord.objects.filter(call=OuterRef("pk"), **{name: wanted[name]})))
    if wanted.get("from"):
        found = found.filter(created_at__gte=_midnight(wanted["from"]))
    if wanted.get("to"):
        found = found.filter(created_at__lt=_midnight(wanted["to"] + dt.timedelta(days=1)))
    if wanted.get("person"):
        found = by_person(found, wanted["person"])
    return found.filter(_matching(wanted["q"])) if wanted.get("q") else found


def _matching(words: str) -> Q:
    try:
        return Q(pk=uuid.UUID(words))
    except ValueError:
        return Q(request_id=words) | Q(text__icontains=words) | Q(prompt__name__icontains=words)


def _page(found: CallQuerySet, before: str, after: str) -> Page:
    """One page and whether there is more: one row too many is fetched, and nothing is counted."""
    rows = found.select_related("prompt", "user").prefetch_related("cost_records")
    rows = rows.defer("text", "content", "inputs", "request").annotate(excerpt=Left("text", EXCERPT))
    if (place := _place(after)) is not None:
        when, call_id = place
        later = rows.filter(Q(created_at__gt=when) | Q(created_at=when, pk__gt=call_id))
        newest = list(later.order_by("created_at", "pk")[: PAGE_SIZE + 1])
        shown = newest[:PAGE_SIZE][::-1]
        more = len(newest) > PAGE_SIZE
        return Page(shown, _name(shown[-1]) if shown else "", _name(shown[0]) if more else "")
    place = _place(before)
    if place is not None:
        when, call_id = place
        rows = rows.filter(Q(created_at__lt=when) | Q(created_at=when, pk__lt=call_id))
    oldest = list(rows[: PAGE_SIZE + 1])
    shown = oldest[:PAGE_SIZE]
    more = len(oldest) > PAGE_SIZE
    return Page(shown, _name(shown[-1]) if more else "", _name(shown[0]) if place and shown else "")


def _name(call: Call) -> str:
    """A call's place in the history, as a part of an address."""
    return f"{(call.created_at - EPOCH) // MICROSECOND}.{call.pk.hex}"


def _place(name: str) -> tuple[dt.datetime, uuid.UUID] | None:
    """The place that `_name` named; None for anything else."""
    moment, _, call_id = name.partition(".")
    try:
        return EPOCH + int(moment) * MICROSECOND, uuid.UUID(call_id)
    except (ValueError, OverflowError):
        return None


def _midnight(day: dt.date) -> dt.datetime:
    return timezone.make_aware(dt.datetime.combine(day, dt.time.min))
