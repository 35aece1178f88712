"""How is a program's Messages request answered: whole, as a stream, or with an answer that is there already?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from core.claude.requests import Sending
from core.execution.run import Outcome, not_begun, run_call
from core.gateway import bodies, replays, streams
from core.gateway.entry import give_back_connection, opened, take
from core.gateway.errors import Refusal, answer_to
from core.gateway.headers import for_claude, for_program
from core.intake import kept, limits, same
from core.intake.requests import Asking, accept_request, kept_form
from core.models import Call, Key

# Seconds that a request waits for an earlier one that is the same and still at work.
WAIT_FOR_SAME = 60.0
LONGEST_TOKEN = 255
# Characters of a request for each token: a little low, so that limits rather count too much.
CHARACTERS_PER_TOKEN = 3.5


@dataclass(frozen=True)
class Wanted:
    """A Messages request as a program sent it."""

    key: Key
    body: dict[str, Any]
    # As it is kept with the call.
    stored: dict[str, Any]
    digest: str
    # What goes on to Claude.
    headers: Mapping[str, str]
    query: str
    # The name that the program gave it, and whether an SDK says that it tries again.
    token: str = ""
    retry: bool = False

    @property
    def streamed(self) -> bool:
        return bool(self.body.get("stream"))

    def sending(self) -> Sending:
        body = {name: value for name, value in self.body.items() if name != "stream"}
        return Sending(body, self.headers, self.streamed, self.query)


@opened("POST")
def messages(request: HttpRequest, key: Key) -> HttpResponseBase:
    """`POST /v1/messages`, as the Claude API answers it, with the id of the call and its cost as headers."""
    wanted = _wanted(request, key)
    standing = take(key, _about_tokens(wanted))
    try:
        call, earlier = _call_for(wanted)
    except Exception:
        limits.give(standing, 0)
        raise
    if earlier or call.kept_from_id:
        limits.give(standing, 0)
        return _told(_there_already(call, wanted, earlier=earlier), call, standing)
    if wanted.streamed:
        return _told(_stream(request, call, wanted, standing), call, standing)
    return _whole(call, wanted, standing)


def _wanted(request: HttpRequest, key: Key) -> Wanted:
    came = bodies.arrived(request)
    bodies.check_message_request(came.body)
    return Wanted(
        key=key,
        body=came.body,
        stored=kept_form(came.body),
        digest=came.digest(),
        headers=for_claude(request.META),
        query=request.META.get("QUERY_STRING", ""),
        token=name_of(request),
        retry=is_retry(request),
    )


def name_of(request: HttpRequest) -> str:
    """What the program calls its request, to be answered once however often it comes; empty without a name."""
    token: str = request.META.get("HTTP_IDEMPOTENCY_KEY", "")
    if len(token) > LONGEST_TOKEN or not (token.isascii() and token.isprintable()):
        raise Refusal(400, f"Idempotency-Key: at most {LONGEST_TOKEN} printable characters of ASCII")
    return token


def is_retry(request: HttpRequest) -> bool:
    """Whether an official SDK says that it has sent this request before."""
    return str(request.META.get("HTTP_X_STAINLESS_RETRY_COUNT", "0")).lstrip("0").isdecimal()


def _about_tokens(wanted: Wanted) -> int:
    return round(len(json.dumps(wanted.stored, ensure_ascii=False)) / CHARACTERS_PER_TOKEN)


def _call_for(wanted: Wanted) -> tuple[Call, bool]:
    """The call that answers this request; True says that an earlier request made it."""
    make = partial(_made, wanted)
    if wanted.token:
        return same.named(wanted.key, wanted.token, wanted.digest, make)
    earlier = same.retried(wanted.key, wanted.digest) if wanted.retry else None
    return (earlier, True) if earlier else (make(), False)


def _made(wanted: Wanted) -> Call:
    lane = Call.Lane.STREAM if wanted.streamed else Call.Lane.SYNC
    key = wanted.key
    keeping = kept.for_key(key, wanted.body, wanted.headers, wanted.query)
    asking = Asking(
        key.user, key, Call.Door.GATEWAY, lane, digest=wanted.digest, keeping=keeping, in_force=key.in_force
    )
    return accept_request(wanted.body, asking, wanted.stored)


def _whole(call: Call, wanted: Wanted, standing: limits.Standing) -> HttpResponseBase:
    outcome = run_call(call, None, wanted.sending())
    _count(call, standing)
    response = _answer(outcome)
    cost = Call.cost_of(call.records)
    if cost is not None:
        response.headers["x-claudeapp-cost-usd"] = replays.amount(cost)
    return _told(response, call, standing)


def _answer(outcome: Outcome) -> HttpResponse:
    if outcome.error is not None and outcome.status != Call.Status.SUCCEEDED:
        return answer_to(outcome.error)
    if not outcome.status:
        return answer_to(Refusal(500, "This call was taken over or taken back while it ran."))
    return HttpResponse(outcome.answer, content_type="application/json", headers=for_program(outcome.headers))


def _stream(request: HttpRequest, call: Call, wanted: Wanted, standing: limits.Standing) -> HttpResponseBase:
    feed = streams.Feed(cancel_when_left=wanted.key.cancel_when_left)
    # The thread of the stream has one of its own; were this one kept, they would wait for each other.
    give_back_connection()
    try:
        streams.start(call, wanted.sending(), feed, partial(_count, call, standing))
    except RuntimeError:
        # The system gives this process no more threads.
        limits.give(standing, 0)
        return _answer(not_begun(call))
    outcome = feed.wait_for_first()
    if outcome is not None:
        # It ended before anything could be shown, so that the program gets an error's own status.
        return _answer(outcome)
    return streams.response(feed, for_program(feed.headers), asynchronous=isinstance(request, ASGIRequest))


def _count(call: Call, standing: limits.Standing) -> None:
    """Bring the limits to what the answer really had, where there are any."""
    if standing.limits:
        limits.give(standing, tokens_of(call))


def _there_already(call: Call, wanted: Wanted, *, earlier: bool) -> HttpResponseBase:
    """The answer of another call, marked; 409 while that is still at work after a while."""
    ended = same.wait_for_end(call, WAIT_FOR_SAME)
    if not ended.finished:
        raise Refusal(409, "The same request is still at work. Ask again in a while.", {"retry-after": "5"})
    response = replays.replay(ended, streamed=wanted.streamed)
    if earlier:
        response.headers["x-claudeapp-replayed"] = "true"
    return response


def _told(response: HttpResponseBase, call: Call, standing: limits.Standing) -> HttpResponseBase:
    """What this server says beside Claude's answer."""
    response.headers["x-claudeapp-call"] = str(call.pk)
    if call.kept_from_id:
        response.headers["x-claudeapp-kept"] = str(call.kept_from_id)
    for name, value in standing.headers().items():
        response.headers[name] = value
    return response


def tokens_of(call: Call) -> int:
    """All tokens that the call's exchanges had, in and out, cache reads aside: they count for no limit."""
    return sum(
        (record.input_tokens or 0)
        + (record.cache_write_5m_tokens or 0)
        + (record.cache_write_1h_tokens or 0)
        + (record.output_tokens or 0)
        for record in call.records
    )
