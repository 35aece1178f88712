"""Does a script hear a call's events from both kinds of process, as they come, and only its own calls'?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from core.live import relay
from core.live.channel import Publisher
from core.live.outbox import outbox
from core.models import Call
from tests.plain.conftest import Script

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "PATIENCE", 0.2)


@pytest.fixture
def call(script: Script) -> Call:
    """At work, with its first words told."""
    made = Call.objects.create(key=script.key, user=script.key.user, status=Call.Status.RUNNING)
    publisher = Publisher(made.pk)
    publisher.started(1)
    publisher.text("Hello, ")
    outbox().flush()
    return made


def end(call: Call) -> None:
    publisher = Publisher(call.pk)
    publisher.text("world.")
    Call.objects.filter(pk=call.pk).update(status=Call.Status.SUCCEEDED)
    publisher.ended(Call.Status.SUCCEEDED)


def said(blocks: list[str]) -> list[str]:
    """The data of each event but of states that only repeat themselves."""
    lines = [line for block in blocks for line in block.splitlines()]
    return [line.removeprefix("data: ") for line in lines if line.startswith("data: ") and "running" not in line]


WHOLE = ['"1"', '"Hello, "', '"world."', '"succeeded"']


def test_threads_pass_events_on_while_the_call_is_at_work(script: Script, call: Call) -> None:
    response: Any = Client().get(f"/api/calls/{call.pk}/events", headers={"x-api-key": script.secret})
    assert response["Content-Type"] == "text/event-stream"
    stream = cast("Iterator[bytes]", iter(response.streaming_content))
    blocks = [next(stream).decode() for _ in range(3)]
    # It is not over yet, and yet this was heard: nothing was collected first.
    assert said(blocks) == WHOLE[:2]

    end(call)
    assert said([*blocks, *(block.decode() for block in stream)]) == WHOLE


def test_the_event_loop_passes_events_on_while_the_call_is_at_work(script: Script, call: Call) -> None:
    async def follow() -> list[str]:
        key = {"x-api-key": script.secret}
        response: Any = await AsyncClient().get(f"/api/calls/{call.pk}/events", headers=key)
        assert response.is_async
        stream = cast("AsyncIterator[bytes]", response.streaming_content)
        return [block.decode() async for block in stream]

    end(call)
    assert said(async_to_sync(follow)()) == WHOLE


def test_the_last_event_id_resumes(script: Script, call: Call) -> None:
    end(call)
    headers = {"x-api-key": script.secret}
    whole: Any = Client().get(f"/api/calls/{call.pk}/events", headers=headers)
    text = b"".join(whole.streaming_content).decode()
    ids = [line.removeprefix("id: ") for line in text.splitlines() if line.startswith("id: ")]

    rest: Any = Client().get(f"/api/calls/{call.pk}/events", headers={**headers, "Last-Event-ID": ids[1]})
    assert said([b"".join(rest.streaming_content).decode()]) == WHOLE[2:]


def test_a_script_that_leaves_leaves_nothing_behind(script: Script, call: Call) -> None:
    response: Any = Client().get(f"/api/calls/{call.pk}/events", headers={"x-api-key": script.secret})
    next(iter(response.streaming_content))
    # Warnings are errors here: a loop or a connection that stays open would be one.
    response.close()
