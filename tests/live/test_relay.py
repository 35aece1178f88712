"""Do a running call's words reach a browser, from wherever it left off, with and without Redis?"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.utils import timezone
from pytest_django import Settings

from core.hints import logs
from core.hints.connection import quick_redis
from core.live import channel, hub, relay, tasks
from core.live import outbox as outbox_module
from core.live.channel import Publisher, text_so_far
from core.live.hub import CONNECTIONS
from core.live.outbox import MOST_PIECES, Told, outbox
from core.live.reading import Entries
from core.models import Call

Event = tuple[str, str, object]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "PATIENCE", 0.2)


@pytest.fixture
def call(db: None) -> Call:
    return Call.objects.create(status=Call.Status.RUNNING, started_at=timezone.now())


def finish(call: Call, status: str = Call.Status.SUCCEEDED) -> None:
    Call.objects.filter(pk=call.pk).update(status=status)


def follow(call_id: uuid.UUID, last_event_id: str = "", most: int = 50) -> list[Event]:
    """What a browser hears until the stream ends, or until it has heard `most` events: kind, id, data."""

    async def listen() -> list[Event]:
        heard: list[Event] = []
        stream = relay.events(call_id, last_event_id)
        async for block in stream:
            fields = dict(line.split(": ", 1) for line in block.strip().splitlines() if not line.startswith(":"))
            if fields:
                heard.append((fields["event"], fields.get("id", ""), json.loads(fields["data"])))
            if len(heard) >= most:
                break
        await stream.aclose()  # type: ignore[attr-defined]
        return heard

    return async_to_sync(listen)()


def said(heard: list[Event]) -> list[tuple[str, object]]:
    return [(kind, data) for kind, _, data in heard]


def test_a_late_watcher_hears_everything_from_the_start(call: Call) -> None:
    publisher = Publisher(call.pk)
    publisher.started(1)
    publisher.text("Grüße,\n\n")
    publisher.text("data: {{ x }} ✓")
    finish(call)
    publisher.ended(Call.Status.SUCCEEDED)
    heard = said(follow(call.pk))
    assert (heard[0], heard[-1]) == (("started", "1"), ("ended", "succeeded"))
    assert "".join(str(data) for kind, data in heard if kind == "text") == "Grüße,\n\ndata: {{ x }} ✓"


def test_the_last_event_id_resumes_behind_it_exactly(call: Call) -> None:
    publisher = Publisher(call.pk)
    publisher.started(1)
    for number in range(10):
        publisher.text(f"{number} ")
        outbox().flush()
    finish(call)
    publisher.ended(Call.Status.SUCCEEDED)
    whole = follow(call.pk)
    for index, (_, event_id, _) in enumerate(whole[:-1]):
        assert follow(call.pk, event_id)[:-1] == whole[index + 1 : -1]


@pytest.mark.parametrize("nonsense", ["", "x", "$", "1-1; FLUSHALL", "-1", "١-٢", f"{10**20}-0"])
def test_a_senseless_event_id_starts_from_the_beginning(call: Call, nonsense: str) -> None:
    Publisher(call.pk).text("a")
    finish(call)
    assert said(follow(call.pk, nonsense))[0] == ("text", "a")


def test_the_end_is_heard_although_the_stream_is_gone(call: Call) -> None:
    Publisher(call.pk).text("a")
    outbox().flush()
    finish(call, Call.Status.FAILED)
    quick_redis().delete(channel.key_of(call.pk))
    assert said(follow(call.pk)) == [("ended", "failed")]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_end_is_heard_without_redis(call: Call, settings: Settings) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    assert said(follow(call.pk, most=1)) == [("status", "running")]
    finish(call)
    assert said(follow(call.pk)) == [("ended", "succeeded")]
    assert text_so_far(call.pk) == ""


def test_an_attempt_that_failed_is_not_the_end(call: Call) -> None:
    publisher = Publisher(call.pk)
    publisher.started(1)
    publisher.text("half")
    publisher.ended(Call.Status.WAITING)
    outbox().flush()
    finish(call, Call.Status.WAITING)
    assert said(follow(call.pk, most=4)) == [
        ("started", "1"),
        ("text", "half"),
        ("status", "waiting"),
        ("status", "waiting"),
    ]


def test_a_call_that_was_deleted_ends_the_stream(db: None) -> None:
    assert said(follow(uuid.uuid4())) == [("ended", "gone")]


def test_the_text_so_far_is_the_latest_attempts(call: Call) -> None:
    publisher = Publisher(call.pk)
    publisher.started(1)
    publisher.text("first")
    publisher.started(2)
    publisher.text("sec")
    publisher.text("ond")
    outbox().flush()
    assert text_so_far(call.pk) == "second"


def test_many_watchers_share_few_connections(call: Call) -> None:
    """All of them hear each word at once, and the end."""
    watchers = 100

    async def listen(blocks: list[str]) -> None:
        blocks.extend([block async for block in relay.events(call.pk)])

    async def all_listen() -> tuple[list[list[str]], int]:
        before = len(await asyncio.to_thread(quick_redis().client_list))
        heard: list[list[str]] = [[] for _ in range(watchers)]
        watching = [asyncio.create_task(listen(blocks)) for blocks in heard]
        await asyncio.sleep(0.5)
        connections = len(await asyncio.to_thread(quick_redis().client_list)) - before
        publisher = Publisher(call.pk)
        await asyncio.to_thread(publisher.started, 1)
        await asyncio.to_thread(publisher.text, "word")
        await sync_to_async(finish)(call)
        await asyncio.to_thread(publisher.ended, Call.Status.SUCCEEDED)
        await asyncio.gather(*watching)
        return heard, connections

    heard, connections = async_to_sync(all_listen)()

    assert connections <= CONNECTIONS + 3
    for blocks in heard:
        text = "".join(blocks)
        assert 'event: text\ndata: "word"' in text
        assert 'event: ended\ndata: "succeeded"' in text


def test_watchers_that_are_woken_together_read_together(db: None) -> None:
    """Each its own words, and what is behind its own place in them."""
    calls = [Call.objects.create(status=Call.Status.RUNNING) for _ in range(40)]
    for number, each in enumerate(calls):
        Publisher(each.pk).text(f"{number} ")
    outbox().flush()

    async def read() -> tuple[list[Entries], int]:
        async with hub.watching(uuid.uuid4()) as (here, _):
            await here.read(channel.key_of(calls[0].pk), "0-0")
            before = await asyncio.to_thread(commands)
            found = await asyncio.gather(*(here.read(channel.key_of(each.pk), "0-0") for each in calls))
            asked = await asyncio.to_thread(commands) - before
            position = found[0][0][0]
            again = await asyncio.gather(
                *(here.read(channel.key_of(calls[0].pk), place) for place in (position, "0-0", position))
            )
            assert [len(each) for each in again] == [0, 1, 0]
            return list(found), asked

    found, asked = async_to_sync(read)()
    assert [entries[0][1]["data"] for entries in found] == [f"{number} " for number in range(40)]
    assert asked < 10


def test_who_asks_what_redis_cannot_answer_takes_nobody_along(call: Call) -> None:
    Publisher(call.pk).text("word")
    outbox().flush()
    quick_redis().set("claudeapp:live:no-stream", "x")

    async def read() -> list[Entries]:
        async with hub.watching(uuid.uuid4()) as (here, _):
            keys = ["claudeapp:live:no-stream", channel.key_of(call.pk)]
            return list(await asyncio.gather(*(here.read(key, "0-0") for key in keys)))

    assert [[fields["data"] for _, fields in entries] for entries in async_to_sync(read)()] == [[], ["word"]]


def test_a_watcher_is_woken_and_does_not_wait_for_the_next_look(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "PATIENCE", 30)

    async def first_words() -> float:
        stream = relay.events(call.pk)
        await anext(stream)
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.3)
        said = time.monotonic()
        await asyncio.to_thread(Publisher(call.pk).text, "word")
        assert "word" in str(await asyncio.wait_for(waiting, 10))
        await stream.aclose()  # type: ignore[attr-defined]
        return time.monotonic() - said

    assert async_to_sync(first_words)() < 2


def test_words_of_many_calls_travel_together_and_in_their_order(db: None) -> None:
    calls = [Call.objects.create(status=Call.Status.RUNNING) for _ in range(3)]
    publishers = [Publisher(each.pk) for each in calls]
    outbox().flush()
    before = commands()
    for number in range(200):
        for publisher in publishers:
            publisher.text(f"{number} ")
    outbox().flush()

    whole = "".join(f"{number} " for number in range(200))
    assert [text_so_far(each.pk) for each in calls] == [whole] * 3
    assert commands() - before < 300, "600 pieces, and each would take two commands by itself"


def test_half_a_character_in_one_answer_takes_no_words_of_others_with_it(db: None) -> None:
    """JSON can name one, and then nobody can send it."""
    odd, other = uuid.uuid4(), uuid.uuid4()
    told = {call: Publisher(call) for call in (odd, other)}
    for each in told.values():
        each.started(1)
    told[odd].text("half \ud83d")
    told[other].text("whole")

    outbox().flush()

    assert [text_so_far(call) for call in (odd, other)] == ["half ?", "whole"]


def test_words_with_a_hole_in_them_are_not_told(call: Call, settings: Settings) -> None:
    """Redis was away for a while: what the attempt says afterwards would mislead; the next attempt is told."""
    publisher = Publisher(call.pk)
    publisher.started(1)
    publisher.text("first")
    outbox().flush()
    there, settings.REDIS_URL = settings.REDIS_URL, "unix:///nowhere/redis.sock"
    publisher.text("lost")
    outbox().flush()
    settings.REDIS_URL = there
    publisher.text("last")
    outbox().flush()

    assert text_so_far(call.pk) == "first"
    publisher.started(2)
    publisher.text("anew")
    outbox().flush()
    assert text_so_far(call.pk) == "anew"


def test_words_whose_beginning_redis_lost_are_not_told(call: Call) -> None:
    """It came back without its data, and nothing was said meanwhile: whoever comes now would hear the end alone."""
    publisher = Publisher(call.pk)
    publisher.started(1)
    publisher.text("Do not ")
    outbox().flush()
    quick_redis().flushall()
    publisher.text("sign this.")
    outbox().flush()
    publisher.text(" Never.")
    outbox().flush()

    assert text_so_far(call.pk) == ""
    finish(call)
    publisher.ended(Call.Status.SUCCEEDED)
    assert said(follow(call.pk)) == [("ended", "succeeded")]
    publisher.started(2)
    publisher.text("anew")
    outbox().flush()
    assert text_so_far(call.pk) == "anew"


def test_a_stream_is_capped_and_does_not_outlive_its_hour(call: Call) -> None:
    publisher = Publisher(call.pk)
    publisher.text("a")
    outbox().flush()

    assert 3500 < int(str(quick_redis().ttl(channel.key_of(call.pk)))) <= 3600
    assert MOST_PIECES >= 20_000


def test_watchers_that_are_cut_off_all_at_once_leave_the_others_listening(call: Call) -> None:
    """A browser that goes cancels its stream wherever it is."""
    others = [Call.objects.create(status=Call.Status.RUNNING) for _ in range(60)]

    async def listen() -> list[object]:
        leaving = [asyncio.create_task(_collect(relay.events(each.pk))) for each in others]
        staying = asyncio.create_task(_collect(relay.events(call.pk)))
        await asyncio.sleep(0.3)
        for task in leaving:
            task.cancel()
        left = await asyncio.gather(*leaving, return_exceptions=True)
        publisher = Publisher(call.pk)
        publisher.text("word")
        await sync_to_async(finish)(call)
        publisher.ended(Call.Status.SUCCEEDED)
        assert 'data: "word"' in "".join(await staying)
        return list(left)

    left = async_to_sync(listen)()

    assert {type(each) for each in left} == {asyncio.CancelledError}


async def _collect(stream: AsyncIterator[str]) -> list[str]:
    return [block async for block in stream]


def commands() -> int:
    return int(quick_redis().info("stats")["total_commands_processed"])


def test_who_comes_and_goes_leaves_no_task_and_no_error_behind(call: Call) -> None:
    """The last one to leave ends the hub, in whatever it is doing just then; a server may cut off twice."""

    async def come_and_go() -> tuple[list[str], int]:
        loop, complaints = asyncio.get_running_loop(), []
        loop.set_exception_handler(lambda _loop, context: complaints.append(str(context)))
        there = asyncio.all_tasks()
        for number in range(20):
            stream = relay.events(call.pk)
            await anext(stream)
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(number / 2000)
            waiting.cancel()
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await stream.aclose()  # type: ignore[attr-defined]
        left = asyncio.all_tasks() - {asyncio.current_task()} - there
        # What is being ended may still say that it was cancelled.
        await asyncio.gather(*left, return_exceptions=True)
        gc.collect()
        return complaints, len(asyncio.all_tasks() - there)

    assert async_to_sync(come_and_go)() == ([], 0)


def test_a_task_that_loses_a_cancellation_ends_all_the_same() -> None:
    async def deaf() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(30)
        await asyncio.sleep(30)

    async def end() -> bool:
        task = asyncio.create_task(deaf())
        await asyncio.sleep(0)
        await asyncio.wait_for(tasks.end(task), 10)
        return task.cancelled()

    assert async_to_sync(end)()


def test_whatever_goes_wrong_with_the_question_how_calls_stand_nobody_waits_for_ever(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All who asked together hear that nobody knows, and ask again."""
    statuses = hub._statuses

    def once_wrong(call_ids: list[uuid.UUID]) -> dict[uuid.UUID, str] | None:
        monkeypatch.setattr(hub, "_statuses", statuses)
        raise MemoryError

    monkeypatch.setattr(hub, "_statuses", once_wrong)

    async def listen() -> list[list[str]]:
        watchers = [asyncio.create_task(_collect(relay.events(call.pk))) for _ in range(3)]
        await asyncio.sleep(1)
        await sync_to_async(finish)(call)
        return await asyncio.wait_for(asyncio.gather(*watchers), 20)

    for blocks in async_to_sync(listen)():
        assert blocks[1] == ": still here\n\n"
        assert 'event: ended\ndata: "succeeded"' in blocks[-1]


def test_what_is_asked_for_all_watchers_is_asked_in_the_name_of_none(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is a line of the log about the request of whoever came first."""
    names: list[str] = []

    def statuses(call_ids: list[uuid.UUID]) -> dict[uuid.UUID, str]:
        names.append(logs.call_id.get())
        return dict.fromkeys(call_ids, "succeeded")

    monkeypatch.setattr(hub, "_statuses", statuses)

    async def listen() -> None:
        with logs.about(logs.call_id, "somebody's"):
            await _collect(relay.events(call.pk))

    async_to_sync(listen)()

    assert names == [""]


def test_whatever_ends_the_listening_it_begins_anew(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "QUICKLY", 0.05)
    monkeypatch.setattr(relay, "PATIENCE", 30)
    hear, broken = hub.Hub._hear, threading.Event()

    async def once_broken(self: hub.Hub, *given: Any) -> None:
        monkeypatch.setattr(hub.Hub, "_hear", hear)
        broken.set()
        raise RuntimeError("a fault in a library")

    monkeypatch.setattr(hub.Hub, "_hear", once_broken)

    async def first_words() -> str:
        stream = relay.events(call.pk)
        await anext(stream)
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.to_thread(broken.wait, 10)
        await asyncio.sleep(0.2)
        Publisher(call.pk).text("word")
        heard = await asyncio.wait_for(waiting, 10)
        await stream.aclose()  # type: ignore[attr-defined]
        return str(heard)

    assert "word" in async_to_sync(first_words)()


def test_first_words_do_not_wait_for_what_others_say(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """While others are written, their words are gathered; whoever looks at an empty page does not wait for that."""
    monkeypatch.setattr(outbox_module, "GATHER", 30)
    mine = outbox_module.Outbox()
    other, first = Told("claudeapp:live:other", silent=False), Told("claudeapp:live:first")
    mine.tell(other, "text", "a")
    _until(lambda: bool(quick_redis().exists(other.key)))
    mine.tell(other, "text", "b")

    mine.tell(first, "text", "Hello")

    _until(lambda: bool(quick_redis().exists(first.key)))
    told: Any = quick_redis().xrange(other.key)
    assert [fields["data"] for _, fields in told] == ["a", "b"]


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)
