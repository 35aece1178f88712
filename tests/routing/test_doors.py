"""Whatever a classifier fails with: does each door answer, say so, and book what was billed?"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from core.execution.run import run_call
from core.intake.accept import accept
from core.intake.keys import make_key
from core.models import Call, Classifier, Prompt, Route, User
from core.simulator.server import Simulator
from tests.routing.bill import billed

LONGEST_WAIT = 30.0
SONNET = "claude-sonnet-5-5"
# What the simulated classifier does, and how many exchanges are billed then, the answer's among them.
FAILURES = {
    "an unknown label": ('answer="{\\"label\\": \\"odd\\", \\"sure\\": true}" model=haiku', 2),
    "no data": ('answer="Sure!" model=haiku', 2),
    "a refusal": ("refusal model=haiku", 2),
    "an overload": ("status=529 model=haiku", 1),
    "a time-out": ("hang seconds=4 model=haiku", 1),
    "a cut": ("cut after=1 model=haiku", 2),
    "a drop": ("drop model=haiku", 1),
}


def _post(user: User, path: str, body: dict[str, Any]) -> None:
    _, secret = make_key("Script", user, by=None)
    response = Client().post(path, json.dumps(body), content_type="application/json", headers={"x-api-key": secret})
    assert response.status_code == 200, response.content
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


def chat(user: User, text: str, _prompt: Prompt) -> None:
    _post(user, "/api/chat", {"prompt": text, "model": "auto", "max_tokens": 200})


def form(user: User, text: str, prompt: Prompt) -> None:
    prompt.route = Route.objects.get(slug="auto")
    prompt.save()
    run_call(accept(prompt.publish(None), {"document": text, "length": "short"}, user=user).pk)


@pytest.mark.parametrize("door", [messages, chat, form], ids=["/v1/messages", "/api/chat", "form"])
@pytest.mark.parametrize("failure", FAILURES)
def test_the_default_model_answers_and_the_ledger_equals_the_bill(
    ready_made: None,
    simulator: Simulator,
    member: User,
    prompt: Prompt,
    door: Callable[[User, str, Prompt], None],
    failure: str,
) -> None:
    answered_by_default(simulator, member, prompt, door, failure)


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
    directive, exchanges = FAILURES[failure]
    Classifier.objects.update(seconds=0.2 if failure == "a time-out" else 20)
    with billed(simulator) as bill:
        door(member, f"What is it? [[simulate: {directive}]]", prompt)
    call = Call.objects.get()
    assert (call.status, call.model) == (Call.Status.SUCCEEDED, SONNET)
    assert "class moderate, the default, because «Complexity»" in call.reason
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
