"""How does a script put a call into the queue, come back for it, and take it back?"""

from __future__ import annotations

import uuid
from functools import partial
from typing import Annotated, Any

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from ninja import Query, Router, Status

from core.costs import budgets
from core.gateway.errors import Refusal
from core.gateway.plain import answers
from core.gateway.plain.asking import ask_prompt, ask_text, asked, sender
from core.gateway.plain.events import event_stream
from core.gateway.plain.faults import responses
from core.gateway.plain.shapes import EVENT, Accepted, CallAnswer, CallList, NewCall
from core.models import Call, Key
from core.models.calls import CallQuerySet

router = Router(tags=["Calls"])


@router.post("/calls", response=responses(202, Accepted), summary="Put a call into the queue")
def start(request: HttpRequest, body: NewCall, response: HttpResponse) -> Status[dict[str, Any]]:
    """A prompt with its inputs, or a text. A worker answers it; ask at `url` how far it is, or follow its events."""
    mine = asked(request, partial(_made, sender(request), body))
    url = answers.address_of(request, mine.call)
    mine.tell(response)
    response["Location"] = url
    return Status(202, {"id": mine.call.pk, "status": mine.call.status, "url": url})


@router.get("/calls", response=responses(200, CallList), summary="The calls of this key")
def listed(
    request: HttpRequest,
    limit: Annotated[int, Query(20, ge=1, le=100)],
    after_id: Annotated[uuid.UUID | None, Query(None, description="The last call of the page before this one.")],
) -> dict[str, Any]:
    """The newest first, without their answers."""
    calls = _own(request).select_related("prompt")
    if after_id is not None:
        calls = _behind(calls, after_id)
    page = list(calls[: limit + 1])
    shown = page[:limit]
    return {
        "data": [answers.summary(request, call) for call in shown],
        "has_more": len(page) > limit,
        "last_id": shown[-1].pk if shown else None,
    }


@router.get(
    "/calls/{uuid:call_id}",
    response=responses(200, CallAnswer),
    summary="One call, and its answer",
    url_name="call",
)
def one(request: HttpRequest, call_id: uuid.UUID) -> dict[str, Any]:
    """How far it is, and once it has ended, its answer or why there is none."""
    return answers.whole(request, _found(request, call_id))


@router.delete("/calls/{uuid:call_id}", response=responses(200, CallAnswer), summary="Take a call back")
def cancel(request: HttpRequest, call_id: uuid.UUID) -> dict[str, Any]:
    """Cancels what has not been sent to Claude; what has been is written to its end and paid for, and is a 409."""
    call = _found(request, call_id)
    if not budgets.cancel(call):
        call = _found(request, call_id)
        if call.status != Call.Status.CANCELED:
            raise Refusal(409, f"This call is {call.status}: only what has not been sent can be taken back.")
    return answers.whole(request, call)


@router.get(
    "/calls/{uuid:call_id}/events",
    response=responses(200, str),
    summary="Follow a call",
    url_name="call_events",
    openapi_extra={"responses": {200: {"content": {"text/event-stream": {"schema": EVENT}}}}},
)
def events(request: HttpRequest, call_id: uuid.UUID) -> HttpResponseBase:
    """Server-sent events while the answer is written: `started`, `text`, `status` and at last `ended`, data as JSON.

    A connection that was lost goes on where it was with `Last-Event-ID`.
    """
    if not sender(request).asked(call_id):
        raise Http404(_NOT_YOURS)
    return event_stream(request, call_id)


_NOT_YOURS = "There is no such call of this key."


def _made(key: Key, body: NewCall) -> Call:
    if body.prompt is not None:
        return ask_prompt(key, body.prompt, body.inputs, Call.Lane.QUEUE)
    return ask_text(key, body.text or "", body, Call.Lane.QUEUE)


def _own(request: HttpRequest) -> CallQuerySet:
    return Call.objects.filter(key=sender(request)).prefetch_related("cost_records")


def _behind(calls: CallQuerySet, last: uuid.UUID) -> CallQuerySet:
    """Those that come after the call `last` in the list."""
    found = calls.filter(pk=last).values_list("created_at", "pk").first()
    if found is None:
        raise Http404(_NOT_YOURS)
    return calls.filter(Q(created_at__lt=found[0]) | Q(created_at=found[0], pk__lt=found[1]))


def _found(request: HttpRequest, call_id: uuid.UUID) -> Call:
    call = _own(request).select_related("prompt").filter(pk=call_id).first()
    if call is None:
        raise Http404(_NOT_YOURS)
    return call
