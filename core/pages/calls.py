"""What became of a call, and what can be done with it?"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from core.batches.held import row_held_until
from core.costs import budgets
from core.execution.patience import PARKED, attempts_in_the_queue
from core.intake import accept
from core.intake.again import NotAgainError
from core.jobs.dispatch import dispatch_again, queue_of
from core.jobs.pausing import is_paused
from core.live.channel import text_so_far
from core.models import Call, ClaudeModel, Conversation, CostRecord, FailedAttempt, Turn
from core.operations.dealing import run_for_whoever_asked
from core.pages import access, answers, words
from core.pages.budgets import refused
from core.pages.errors import helpful_404
from core.prompts.conversation import readable, turns_of
from core.prompts.rendering import specs
from core.routing.traces import trace_of


@dataclass(frozen=True)
class Bill:
    """What a call's exchanges with Claude came to; None where any of them is unknown. `least` is what is known."""

    amount: Decimal | None
    least: Decimal
    exchanges: int
    unknown: int
    input_tokens: int | None
    output_tokens: int | None
    unknown_because: list[str]


@dataclass(frozen=True)
class Try:
    """One request to Claude that brought no whole answer."""

    attempt: FailedAttempt
    what: str
    heard: str


@helpful_404
@require_safe
@never_cache
def call(request: HttpRequest, call_id: uuid.UUID) -> HttpResponseBase:
    """The page of one call, or with `?part=result` only what changes on it."""
    found = access.find_call(request, call_id)
    template = "pages/_call.html" if request.GET.get("part") == "result" else "pages/call.html"
    return render(request, template, _context(request, found))


@helpful_404
@require_safe
def call_download(request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
    """The answer as a file: Markdown, or JSON where it is that."""
    found = access.find_call(request, call_id)
    if not found.text:
        raise Http404("there is no answer to download")
    data = answers.as_data(found.text) is not None
    name = f"{found.prompt.slug if found.prompt else 'answer'}-{str(found.pk)[:8]}"
    response = HttpResponse(found.text, content_type="application/json" if data else "text/markdown; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.{"json" if data else "md"}"'
    return response


@helpful_404
@require_POST
def call_again(request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
    """The same request once more: for oneself, or, where it was somebody else's, for them."""
    found = access.find_call(request, call_id)
    if not access.may_run_again(request, found):
        raise PermissionDenied("This call can be run again by its owner, while the prompt is open to them.")
    try:
        fresh = _again(request, found)
    except accept.InvalidInputsError as error:
        messages.error(request, f"This cannot be run again as it is: {error}")
        return redirect(found)
    except NotAgainError as error:
        messages.error(request, f"Not run again. {error}")
        return redirect(found)
    except budgets.OverBudgetError as error:
        return refused(request, error)
    access.remember(request, fresh)
    return redirect(fresh)


@helpful_404
@require_POST
def call_cancel(request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
    """Take a call back that has not been sent."""
    found = access.find_call(request, call_id)
    if not access.is_own(request, found) and not request.user.has_perm("core.cancel_call"):
        raise PermissionDenied("This call can be canceled by its owner.")
    if budgets.cancel(found):
        messages.success(request, "Canceled. It costs nothing more.")
    else:
        messages.warning(request, "It was too late to cancel: it is at work or has ended.")
    return redirect(found)


@helpful_404
@require_POST
def call_now(request: HttpRequest, call_id: uuid.UUID) -> HttpResponse:
    """Send a call by itself, at the usual price, instead of with a batch."""
    found = access.find_call(request, call_id)
    if not access.is_own(request, found) and not request.user.has_perm("core.rerun_call"):
        raise PermissionDenied("This call can be sent by its owner.")
    if found.go_alone():
        dispatch_again(found)
        messages.success(request, "It is sent now, at the usual price.")
    else:
        messages.warning(request, "It was too late for that: it is in a batch already, or has ended.")
    return redirect(found)


def _context(request: HttpRequest, found: Call) -> dict[str, Any]:
    states = words.states_of(found)
    state, explained = states[found.status]
    held_until = _held_until(found)
    text = found.text if found.finished else text_so_far(found.pk)
    records, failed = list(found.cost_records.all()), list(found.failed_attempts.all())
    return {
        "call": found,
        "state": Call.HELD if held_until else state,
        "explained": explained,
        "paused": found.status == Call.Status.QUEUED and is_paused(queue_of(found)),
        "text": text,
        "answer": answers.shown(text) if found.finished else None,
        "data": answers.as_data(text) is not None if found.finished else False,
        "partial": found.finished and found.status != Call.Status.SUCCEEDED and bool(text),
        "fault": words.fault_of(found),
        "heard": words.heard(found.error_type),
        "stop": words.stop_of(found),
        "tries": [_try(attempt) for attempt in failed],
        "tried": sum(attempt.then != PARKED for attempt in failed),
        "attempts": attempts_in_the_queue(found),
        "bill": _bill(found, records),
        "model_name": _model_name(found),
        "trace": trace_of(found),
        "entered": _entered(found),
        # What came from a program has no form that it was entered in.
        "turns": turns_of(found.request, "Program" if found.key_id else "Person") if found.version_id is None else [],
        "wordless": readable(found.content) if found.finished and found.content and not text else "",
        "held_until": held_until,
        "state_words": {status: glance for status, (glance, _) in states.items()},
        "may_go_alone": access.may_go_alone(request, found),
        "may_cancel": access.may_cancel(request, found),
        "may_run_again": found.finished and access.may_run_again(request, found),
        "again": _run_again_as(request, found),
        "may_edit": found.door == Call.Door.FORM and found.pruned_at is None and access.may_use_prompt(request, found),
        "own": access.is_own(request, found),
        "chat": _turn_of(request, found),
    }


def _held_until(found: Call) -> dt.datetime | None:
    """When Claude's spend limit lets go of it; None where that does not hold it."""
    if found.parked:
        return found.not_before
    return row_held_until(found) if found.lane == Call.Lane.BATCH and not found.finished else None


def _again(request: HttpRequest, found: Call) -> Call:
    visitor = access.signed_in(request)
    if visitor is None or access.is_own(request, found):
        return accept.run_again(found, user=visitor)
    return run_for_whoever_asked(found, by=visitor)


def _run_again_as(request: HttpRequest, found: Call) -> Call | None:
    """The call that somebody started in the place of one that was given up."""
    if found.status != Call.Status.DEAD:
        return None
    return access.visible_calls(request).filter(started_by__call=found).order_by("-created_at").first()


def _turn_of(request: HttpRequest, found: Call) -> Turn | None:
    """Where it stands in the visitor's own chat."""
    if found.door != Call.Door.CHAT:
        return None
    own = Conversation.objects.of_person(request.user)
    return Turn.objects.filter(call=found, conversation__in=own).select_related("conversation").first()


def _try(attempt: FailedAttempt) -> Try:
    fault = words.FAULTS.get(attempt.error_type, words.UNKNOWN_FAULT)
    if attempt.then == PARKED:
        fault = words.SPEND_LIMIT
    return Try(attempt, fault.what, words.heard(attempt.error_type))


def _bill(found: Call, records: list[CostRecord]) -> Bill:
    corrected = {record.corrects_id for record in records}
    unknown = [record for record in records if record.amount is None and record.pk not in corrected]
    exchanges = sum(record.corrects_id is None for record in records)
    # Tokens are counted once in a chain of corrections, by the record that first knew them.
    counted = [record for record in records if record.input_tokens is not None]
    complete = len(counted) == exchanges
    return Bill(
        amount=found.cost,
        least=sum((record.amount for record in records if record.amount is not None), Decimal(0)),
        exchanges=exchanges,
        unknown=len(unknown),
        input_tokens=_sum([_whole_input(record) for record in counted]) if complete else None,
        output_tokens=_sum([record.output_tokens for record in counted]) if complete else None,
        unknown_because=list(dict.fromkeys(record.unknown_reason for record in unknown)),
    )


def _whole_input(record: CostRecord) -> int | None:
    return _sum(
        [record.input_tokens, record.cache_write_5m_tokens, record.cache_write_1h_tokens, record.cache_read_tokens]
    )


def _sum(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _model_name(found: Call) -> str:
    known = ClaudeModel.objects.filter(pk=found.model).values_list("display_name", flat=True).first()
    return known or found.model


def _entered(found: Call) -> list[tuple[str, str]]:
    """What was typed, under the labels that the form had then."""
    if found.version is None:
        return []
    return [(spec.label or spec.name, found.inputs.get(spec.name, "")) for spec in specs(found.version.content())]
