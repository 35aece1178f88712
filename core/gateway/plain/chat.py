"""How is a text answered at once?"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from ninja import Router

from core.claude.errors import ClaudeError
from core.execution.run import run_call
from core.gateway.errors import Refusal
from core.gateway.messages import WAIT_FOR_SAME, tokens_of
from core.gateway.plain.answers import chat_answer
from core.gateway.plain.asking import Asked, ask_text, asked, sender
from core.gateway.plain.faults import responses
from core.gateway.plain.shapes import Chat, ChatAnswer
from core.intake import limits, same
from core.models import Call

router = Router(tags=["Answers at once"])


@router.post("/chat", response=responses(200, ChatAnswer), summary="Ask, and wait for the answer")
def chat(request: HttpRequest, body: Chat, response: HttpResponse) -> dict[str, Any]:
    """A text in, a text out. The answer comes when it is whole; for a long one, `POST /api/calls` need not wait."""
    mine = asked(request, partial(ask_text, sender(request), body.prompt, body, Call.Lane.SYNC))
    call = _run(mine) if mine.to_run else _wait(mine.call)
    if call.status != Call.Status.SUCCEEDED:
        raise error_of(call)
    mine.tell(response)
    answer = chat_answer(call)
    if answer["cost_usd"] is not None:
        response["x-claudeapp-cost-usd"] = answer["cost_usd"]
    return answer


def _run(mine: Asked) -> Call:
    outcome = run_call(mine.call)
    call = mine.call
    call.refresh_from_db()
    prefetch_related_objects([call], "cost_records")
    limits.give(mine.standing, tokens_of(call))
    if outcome.error is not None and outcome.status != Call.Status.SUCCEEDED:
        raise outcome.error
    return call


def _wait(call: Call) -> Call:
    """An earlier request's call, or a kept answer."""
    ended = same.wait_for_end(call, WAIT_FOR_SAME)
    if not ended.finished:
        raise Refusal(409, "The same request is still at work. Ask again in a while.", {"retry-after": "5"})
    prefetch_related_objects([ended], "cost_records")
    return ended


def error_of(call: Call) -> ClaudeError:
    """What a call that ended without an answer failed with."""
    message = call.error_message or f"This call is {call.status}."
    return ClaudeError(call.error_type or "api_error", message, status=call.error_status, request_id=call.request_id)
