"""Whatever a classifier fails with: does each door answer, say so, and book what was billed?"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from core.batches.start import Row, start
from core.chat.say import Message, begin
from core.execution import breaker
from core.execution.run import run_call
from core.intake.accept import accept
from core.intake.keys import make_key
from core.models import Batch, Budget, Call, Classifier, Prompt, Route, User
from core.simulator.server import Simulator
from tests.batches.conftest import tended
from tests.batches.rows import request
from tests.routing.bill import billed

LONGEST_WAIT = 30.0
HAIKU, SONNET = "claude-haiku-5-5", "claude-sonnet-5-5"
# What the simulated classifier does, how many exchanges are billed then, the answer's among them, and what is said.
FAILURES = {
    "an unknown label": (
        'answer="{\\"label\\": \\"odd\\", \\"sure\\": true}" model=haiku', 2, "«Complexity» named none of its labels",
    ),
    "no data": ('answer="Sure!" model=haiku', 2, "«Complexity» named none of its labels"),
    "a refusal": ("refusal model=haiku", 2, "«Complexity» refused to answer"),
    "an overload": ("status=529 model=haiku", 1, "«Complexity» could not be asked (overloaded_error)"),
    "a time-out": ("hang seconds=4 model=haiku", 1, "«Complexity» did not answer within 0.2 s"),
    "a cut": ("cut after=1 model=haiku", 2, "«Complexity» could not be asked (incomplete_stream)"),
    "a drop": ("drop model=haiku", 1, "«Complexity» could not be asked (connection_error)"),
    "an open breaker": ("", 1, f"{HAIKU} is not asked at the moment, because it failed too often"),
    "no budget left for it": ("", 1, "a budget has no room for a classifier"),
}  # fmt: skip


def _post(user: User, path: str, body: dict[str, Any], status: int = 200) -> None:
    _, secret = make_key("Script", user, by=None)
    response = Client().post(path, json.dumps(body), content_type="application/json", headers={"x-api-key": secret})
    assert response.status_code == status, response.content
    # A stream is read to its end.
    b"".join(response) if response.streaming else response.content


def messages(user: User, text: str, _prompt: Prompt) -> None:
    _post(user, "/v1/messages", {"model": "auto", "max_tokens": 200, "messages": [{"role": "user", "content": text}]})


def stream(user: User, text: str, _prompt: Prompt) -> None:
    asked = {"model": "auto", "max_tokens": 200, "stream": True, "messages": [{"role": "user", "content": text}]}
    _post(user, "/v1/messages", asked)
    # Its call runs in a thread of its own, which settles after the last event.
    for thread in threading.enumerate():
        if thread.name.startswith("call-"):
            thread.join(LONGEST_WAIT)


def plain_chat(user: User, text: str, _prompt: Prompt) -> None:
    _post(user, "/api/chat", {"prompt": text, "model": "auto", "max_tokens": 200})


def conversation(user: User, text: str, _prompt: Prompt) -> None:
    run_call(begin(user, None, Message(text), asked="auto").call_id)


def form(user: User, text: str, prompt: Prompt) -> None:
    prompt.route = Route.objects.get(slug="auto")
    prompt.save()
    run_call(accept(prompt.publish(None), {"document": text, "length": "short"}, user=user).pk)


def calls(user: User, text: str, _prompt: Prompt) -> None:
    _post(user, "/api/calls", {"text": text, "model": "auto", "max_tokens": 200}, 202)
    run_call(Call.objects.get().pk)


def row_of_a_batch(user: User, text: str, _prompt: Prompt) -> None:
    key, _ = make_key("Script", user, by=None)
    row = Row("one", {**request(text), "model": "auto", "max_tokens": 200})
    assert tended(start(Batch(user=user, key=key), [row])).succeeded == 1


DOORS = {
    "/v1/messages": messages,
    "/api/chat": plain_chat,
    "a chat": conversation,
    "/api/calls": calls,
    "a form": form,
    "a row of a batch": row_of_a_batch,
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("failure", FAILURES)
def test_the_default_model_answers_and_the_ledger_equals_the_bill(
    ready_made: None, simulator: Simulator, member: User, prompt: Prompt, door: str, failure: str
) -> None:
    answered_by_default(simulator, member, prompt, DOORS[door], failure)


# The thread of a stream has a database connection of its own, so that what the test wrote must be committed.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("failure", FAILURES)
def test_a_stream_is_answered_by_the_default_model_too(
    ready_made: None, simulator: Simulator, member: User, prompt: Prompt, failure: str
) -> None:
    answered_by_default(simulator, member, prompt, stream, failure)


def answered_by_default(
    simulator: Simulator, member: User, prompt: Prompt, door: Callable[[User, str, Prompt], None], failure: str
) -> None:
    directive, exchanges, why = FAILURES[failure]
    Classifier.objects.update(seconds=0.2 if failure == "a time-out" else 20)
    if failure == "an open breaker":
        breaker.board.change(HAIKU, state=breaker.OPEN, failures=5, opened_at=time.time())
    if failure == "no budget left for it":
        leave_room_for_the_answer_only(member)
    with billed(simulator) as bill:
        door(member, f"What is it? [[simulate: {directive}]]" if directive else "What is it?", prompt)
    call = Call.objects.get()
    assert (call.status, call.model) == (Call.Status.SUCCEEDED, SONNET)
    assert f"class moderate, the default, because {why}" in call.reason
    assert bill.count == exchanges
    records = call.cost_records.all()
    if None in [record.amount for record in records]:
        # It may have been billed: then its record says that nobody knows, and is no amount.
        assert failure in {"a time-out", "a cut", "a drop"}
        assert len(records) == 2
        assert call.cost is None
    else:
        assert sum((record.amount or Decimal(0) for record in records), Decimal(0)) == bill.total
        assert len(records) == exchanges


def leave_room_for_the_answer_only(member: User) -> None:
    """What the classifier is told is so long that its question could cost more than any answer, and than the budget."""
    Classifier.objects.update(instructions="Sort it. " * 100_000)
    Budget.objects.create(
        name="tight", scope=Budget.Scope.ORGANISATION, period=Budget.Period.MONTH, owner=member, amount=Decimal("0.20")
    )
