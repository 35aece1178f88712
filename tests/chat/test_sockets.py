"""Does a program or a person chat over a WebSocket of the real server, and does a broken one lose nothing?"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from core.chat import ending
from core.execution.run import run_call
from core.hints.connection import quick_redis
from core.intake.keys import make_key, revoke
from core.live.channel import Publisher, forget, key_of
from core.models import Budget, Call, ClaudeModel, Conversation, CostRecord, Key, Prompt, SystemPrompt, Turn, User
from core.simulator.server import Simulator
from core.sockets import chat
from core.sockets.chat import BROKEN, MOST_WAITING, TOO_MANY
from core.sockets.talking import in_a_thread
from tests.chat.client import RefusedError, Socket
from tests.gateway.conftest import Server, served, until

pytestmark = pytest.mark.django_db(transaction=True)

Open = Callable[..., Socket]


@pytest.fixture(scope="module")
def server(simulator: Simulator, django_db_setup: None) -> Iterator[Server]:
    with served("web") as started:
        yield started


@pytest.fixture
def port(server: Server) -> int:
    return int(server.url.rsplit(":", 1)[1])


@pytest.fixture
def key(ready_made: None, member: User) -> tuple[Key, str]:
    return make_key("Script", member, by=None)


@pytest.fixture
def opened(port: int) -> Iterator[Open]:
    """Opens sockets that are gone after the test."""
    sockets: list[Socket] = []

    def open_one(path: str, headers: dict[str, str]) -> Socket:
        sockets.append(Socket(port, path, headers))
        return sockets[-1]

    yield open_one
    for each in sockets:
        each.drop()


@pytest.fixture
def program(opened: Open, key: tuple[Key, str]) -> Open:
    """Opens sockets with the key, to the small model."""

    def open_one(query: str = "", **headers: str) -> Socket:
        return opened(f"/ws/chat/?model=claude-haiku-5-5&{query}", {"x-api-key": key[1], **headers})

    return open_one


@pytest.fixture
def browser(ready_made: None, member: User, server: Server, opened: Open) -> Open:
    """Opens sockets as a page of this server does, with the member's session."""
    client = Client()
    client.force_login(member)
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"

    def open_one(query: str = "format=events", **headers: str) -> Socket:
        return opened(f"/ws/chat/?{query}", {"Cookie": cookie, "Origin": server.url, **headers})

    return open_one


def said_twice(open_one: Open) -> str:
    """Say something, lose the connection, and say it again by another one; answers how that ended."""
    socket = open_one("format=events")
    conversation = socket.event()["conversation"]
    socket.tell("message", text="Once.", id="a")
    socket.until("ended")
    socket.drop()
    again = open_one(f"format=events&conversation={conversation}")
    again.event()
    again.tell("message", text="Once.", id="a")
    status: str = again.until("ended")[-1]["status"]
    return status


class TestText:
    def test_text_goes_in_and_text_comes_out(self, program: Open, worker: None, key: tuple[Key, str]) -> None:
        socket = program()
        socket.send('[[simulate: answer="Blue and green."]] Which colours?')
        assert "".join(socket.answer()) == "Blue and green."
        socket.send("And?")
        assert "".join(socket.answer())

        calls = list(Call.objects.order_by("created_at"))
        assert [(call.door, call.key, call.user) for call in calls] == [(Call.Door.CHAT, key[0], key[0].user)] * 2
        assert [message["role"] for message in calls[1].request["messages"]] == ["user", "assistant", "user"]
        assert CostRecord.objects.filter(key=key[0]).count() == 2

    def test_what_is_sent_in_one_go_is_answered_one_after_another(self, program: Open, worker: None) -> None:
        socket = program()
        for number in range(3):
            socket.send(f'[[simulate: answer="{number}"]] {number}?')
        assert ["".join(socket.answer()) for _ in range(3)] == ["0", "1", "2"]

    def test_what_waits_for_an_answer_is_not_sent_once_its_client_has_gone(self, program: Open) -> None:
        socket = program()
        for number in range(3):
            socket.send(f"{number}?")
        until(Turn.objects.exists, "the first message")
        socket.drop()
        assert ending.stop(Call.objects.get())

        # Whoever comes after the first socket hears of the end after it, and who comes then long after.
        for _ in range(2):
            assert program(f"conversation={socket.headers['x-claudeapp-conversation']}&resume=1").answer()
        assert Turn.objects.get().text == "0?"

    def test_a_script_that_does_not_wait_is_cut_off(self, program: Open) -> None:
        socket = program()
        for number in range(2 + MOST_WAITING):
            socket.send(f"{number}?")
        while socket.read() is not None:
            pass
        assert socket.code == TOO_MANY
        assert Call.objects.count() == 1

    def test_an_answer_that_looks_like_the_end_is_none(self, program: Open, worker: None) -> None:
        socket = program()
        socket.send('[[simulate: answer="[DONE]"]] Say it.')
        assert "".join(socket.answer()) == "[DONE]"

    def test_a_fault_is_told_and_the_next_message_works(self, program: Open, worker: None) -> None:
        socket = program()
        socket.send("[[simulate: status=400]] No.")
        assert socket.answer() == ["[ERROR] Simulated status 400"]
        socket.send("Yes.")
        assert "".join(socket.answer())

    def test_a_dropped_socket_loses_nothing(self, program: Open) -> None:
        socket = program()
        conversation = socket.headers["x-claudeapp-conversation"]
        socket.send('[[simulate: answer="All of it."]] Go on.')
        until(Turn.objects.exists, "the message")
        socket.drop()

        again = program(f"conversation={conversation}&resume=1")
        call = Call.objects.get()
        run_call(call.pk, Publisher(call.pk))
        assert "".join(again.answer()) == "All of it."
        # And once more, long after.
        assert "".join(program(f"conversation={conversation}&resume=1").answer()) == "All of it."
        assert Call.objects.count() == 1

    def test_a_fault_of_our_own_ends_the_answer_and_not_the_socket(self, program: Open) -> None:
        socket = program()
        socket.send("Go on.")
        until(Turn.objects.exists, "the message")
        call = Call.objects.get()
        # Words of which nobody here knows what they mean.
        quick_redis().xadd(key_of(call.pk), {"strange": "words"})
        quick_redis().publish(key_of(call.pk), "")
        assert socket.answer() == [f"[ERROR] {BROKEN}"]
        forget(call.pk)
        run_call(call.pk, Publisher(call.pk))
        conversation = socket.headers["x-claudeapp-conversation"]
        assert "".join(program(f"conversation={conversation}&resume=1").answer())

    def test_bytes_are_not_understood(self, program: Open) -> None:
        socket = program()
        socket.send_bytes(b"\x00\x01")
        assert socket.read() is None
        assert socket.code == 1003

    def test_a_frame_that_is_too_large_ends_the_socket(self, program: Open) -> None:
        socket = program()
        socket.announce(2 * 1024 * 1024 + 1)
        assert socket.read() is None
        assert socket.code == 1009
        assert not Call.objects.exists()


class TestKeys:
    @pytest.mark.parametrize("headers", [{}, {"x-api-key": "ca-wrong"}, {"Authorization": "Bearer nonsense"}])
    def test_without_a_key_or_session_nobody_comes_in(self, port: int, db: None, headers: dict[str, str]) -> None:
        with pytest.raises(RefusedError) as refused:
            Socket(port, headers=headers)
        assert refused.value.status == 403

    def test_a_key_that_was_taken_back_says_nothing_more(self, program: Open, key: tuple[Key, str]) -> None:
        socket = program()
        revoke(key[0])
        socket.send("Still there?")
        assert socket.answer() == ["[ERROR] This key or session opens nothing any more."]
        assert socket.read() is None
        assert socket.code == 4401
        assert not Call.objects.exists()

    def test_a_key_whose_owner_may_not_chat_says_nothing_more(
        self, program: Open, member: User, key: tuple[Key, str]
    ) -> None:
        socket = program()
        conversation = socket.headers["x-claudeapp-conversation"]
        member.groups.clear()
        socket.send("Still there?")
        assert socket.answer() == ["[ERROR] This key or session opens nothing any more."]
        assert socket.read() is None
        assert socket.code == 4401
        with pytest.raises(RefusedError):
            program(f"conversation={conversation}&resume=1")
        assert not Call.objects.exists()

    def test_a_key_is_held_to_its_models(self, program: Open, key: tuple[Key, str]) -> None:
        key[0].models_allowed.set([ClaudeModel.objects.get(pk="claude-sonnet-5-5")])
        socket = program("format=events")
        socket.event()
        socket.tell("message", text="Hello")
        assert socket.event()["error"]["type"] == "permission_error"
        assert not Call.objects.exists()

    def test_a_key_that_is_bound_to_prompts_has_no_words_of_its_own(
        self, program: Open, key: tuple[Key, str], prompt_row: Prompt
    ) -> None:
        key[0].prompts_allowed.set([prompt_row])
        socket = program()
        socket.send("Hello")
        assert "certain prompts only" in socket.answer()[0]
        assert not Conversation.objects.exists()

    def test_a_keys_limit_and_budget_hold(self, program: Open, key: tuple[Key, str], worker: None) -> None:
        Key.objects.filter(pk=key[0].pk).update(requests_per_minute=1)
        socket = program("format=events")
        socket.event()
        socket.tell("message", text="One")
        socket.until("ended")
        socket.tell("message", text="Two", id="b")
        refused = socket.event()
        assert (refused["error"]["type"], refused["id"]) == ("rate_limit_error", "b")

        Key.objects.filter(pk=key[0].pk).update(requests_per_minute=None)
        Budget.objects.create(
            name="Tiny", scope="key", key=key[0], amount=Decimal("0.00001"), owner=key[0].user,
            starts_on=timezone.localdate(),
        )  # fmt: skip
        socket.tell("message", text="Three")
        assert socket.event()["error"]["type"] == "billing_error"
        assert Call.objects.count() == 1

    def test_what_was_said_before_is_heard_again_whatever_a_limit_says(
        self, program: Open, key: tuple[Key, str], worker: None
    ) -> None:
        Key.objects.filter(pk=key[0].pk).update(requests_per_minute=1)
        assert said_twice(program) == "succeeded"
        assert Call.objects.count() == 1

    def test_a_key_finds_its_own_conversations_only(self, program: Open, worker: None, port: int, member: User) -> None:
        socket = program()
        conversation = socket.headers["x-claudeapp-conversation"]
        socket.send("Mine.")
        socket.answer()
        _, other = make_key("Other", member, by=None)
        with pytest.raises(RefusedError):
            Socket(port, f"/ws/chat/?conversation={conversation}", {"x-api-key": other})


@pytest.fixture
def prompt_row(ready_made: None) -> Prompt:
    return Prompt.objects.create(name="P", slug="p", template="x", model_id="claude-haiku-5-5")


class TestSessions:
    def test_a_person_chats_in_events(self, browser: Open, worker: None, member: User) -> None:
        SystemPrompt.objects.create(name="Brief", text="Be brief.", in_chat=True)
        socket = browser("format=events&model=fast&system=Brief")
        ready = socket.event()
        socket.tell("message", text='[[simulate: answer="Two words."]] Hm?', id="first")
        events = socket.until("ended")

        assert uuid.UUID(ready["conversation"]) == Conversation.objects.get().pk
        assert events[0] | {"call": ""} == {"type": "turn", "turn": Turn.objects.get().pk, "call": "", "id": "first"}
        assert "".join(event["text"] for event in events if event["type"] == "text") == "Two words."
        ended = events[-1]
        assert ended["status"] == "succeeded"
        assert ended["text"] == "Two words."
        call = Call.objects.get()
        assert call.user == member
        assert Decimal(ended["cost_usd"]) == call.cost
        assert call.request["system"][0]["text"] == "Be brief."
        assert Conversation.objects.of_person(member).exists()

    def test_a_page_of_another_server_does_not_come_in(self, browser: Open) -> None:
        for origin in ("http://evil.example", "null", "https://127.0.0.1"):
            with pytest.raises(RefusedError) as refused:
                browser(Origin=origin)
            assert refused.value.status == 403

    def test_a_session_without_an_origin_or_for_another_host_does_not_come_in(self, browser: Open, port: int) -> None:
        cookie = settings.SESSION_COOKIE_NAME
        with pytest.raises(RefusedError):
            Socket(port, headers={"Cookie": f"{cookie}=nonsense", "Origin": f"http://127.0.0.1:{port}"})
        with pytest.raises(RefusedError):
            browser(Host="evil.example", Origin="http://evil.example")

    def test_who_may_not_chat_does_not_come_in(self, browser: Open, member: User) -> None:
        member.groups.clear()
        with pytest.raises(RefusedError):
            browser()

    def test_who_signs_out_says_nothing_more(self, browser: Open) -> None:
        socket = browser()
        socket.event()
        Session.objects.all().delete()
        socket.tell("message", text="Hello")
        assert socket.event()["error"]["type"] == "authentication_error"
        assert not Call.objects.exists()

    def test_saying_it_again_after_a_lost_connection_says_it_once(self, browser: Open, worker: None) -> None:
        assert said_twice(browser) == "succeeded"
        assert Call.objects.count() == 1

    def test_hearing_goes_on_behind_the_last_piece(self, browser: Open, worker: None) -> None:
        socket = browser()
        socket.event()
        socket.tell("message", text="[[simulate: hang seconds=0.3 after=3]] Tell me something about the sea.")
        events = socket.until("ended")
        pieces = [event for event in events if event["type"] == "text"]
        assert len(pieces) > 1
        socket.tell("resume", after=pieces[0]["position"])
        heard = [event for event in socket.until("ended") if event["type"] == "text"]
        assert heard == pieces[1:]

    def test_who_asks_for_what_there_is_not_goes_on_hearing_what_there_is(self, browser: Open, worker: None) -> None:
        socket = browser()
        socket.event()
        socket.tell("message", text="[[simulate: hang seconds=0.5 after=3]] Tell me something about the sea.")
        socket.until("text")
        socket.tell("resume", turn=99)
        kinds = [socket.event()["type"]]
        while kinds[-1] != "ended":
            kinds.append(socket.event()["type"])
        assert "error" in kinds

    def test_in_a_chat_that_is_being_deleted_nothing_is_said(self, browser: Open, worker: None) -> None:
        socket = browser()
        socket.event()
        socket.tell("message", text="Once.")
        socket.until("ended")
        # As it is until nothing is under way in it any more.
        Conversation.objects.get().mark_deleted()
        socket.tell("message", text="And again?")
        assert socket.event()["error"] == {"type": "not_found_error", "message": "This conversation was deleted."}

    def test_an_answer_is_stopped_and_answered_anew_and_changed(self, browser: Open, worker: None) -> None:
        socket = browser("format=events&model=claude-haiku-5-5")
        socket.event()
        socket.tell("message", text="[[simulate: hang seconds=1.5 after=3]] [[simulate: long tokens=300]] Go on.")
        socket.until("text")
        socket.tell("stop")
        stopped = socket.until("ended")[-1]
        assert stopped["status"] == "canceled"
        assert stopped["text"]
        assert stopped["cost_usd"] is None

        turn = stopped["turn"]
        socket.tell("edit", turn=turn, text='[[simulate: answer="Short."]] Go on.')
        assert socket.until("ended")[-1]["text"] == "Short."
        socket.tell("again", turn=Turn.objects.order_by("-pk")[0].pk)
        assert socket.until("ended")[-1]["text"] == "Short."
        assert set(Turn.objects.values_list("parent", flat=True)) == {None}

    @pytest.mark.parametrize(
        "frame",
        ["x", "[]", '{"type": "dance"}', '{"type": "message", "text": 5}', '{"type": "again", "turn": "1"}',
         '{"type": "message"}', '{"type": "again", "turn": 99}', "[" * 100_000],
    )  # fmt: skip
    def test_nonsense_is_answered_and_the_socket_stays(self, browser: Open, frame: str, worker: None) -> None:
        socket = browser()
        socket.event()
        socket.send(frame)
        assert socket.event()["type"] == "error"
        socket.tell("message", text="Sense.")
        assert socket.until("ended")[-1]["status"] == "succeeded"


def test_a_plain_request_learns_that_this_is_for_sockets(server: Server, db: None) -> None:
    answer = httpx2.get(f"{server.url}/ws/chat/")
    assert answer.status_code == 426
    assert "Upgrade" in answer.text


def test_no_other_address_takes_sockets(port: int, db: None) -> None:
    with pytest.raises(RefusedError) as refused:
        Socket(port, "/ws/elsewhere/")
    assert refused.value.status == 403


def test_many_open_sockets_leave_the_pages_quick(program: Open, server: Server) -> None:
    for _ in range(30):
        program("format=events").event()
    began = time.monotonic()
    assert httpx2.get(f"{server.url}/healthz", timeout=5).status_code == 200
    assert timedelta(seconds=time.monotonic() - began) < timedelta(seconds=2)


class TestStaying:
    """A socket on which nothing happens, with a server's patience of moments."""

    @pytest.fixture
    def staying(self, key: tuple[Key, str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
        """Asks for something that nobody answers, does something, and answers with which code the socket is closed."""
        monkeypatch.setattr(chat, "PING", 0.02)
        scope = {
            "type": "websocket",
            "path": "/ws/chat/",
            "query_string": b"model=claude-haiku-5-5",
            "headers": [(b"host", b"localhost"), (b"x-api-key", key[1].encode())],
        }

        async def closed(meanwhile: Callable[[], object]) -> int:
            socket: Any = ApplicationCommunicator(chat.ChatSocket.as_asgi(), scope)  # type: ignore[no-untyped-call]
            await socket.send_input({"type": "websocket.connect"})
            assert (await socket.receive_output(10))["type"] == "websocket.accept"
            await socket.send_input({"type": "websocket.receive", "text": "Hello"})
            # In a thread of its own, as all that asks the database here.
            await in_a_thread(until)(Turn.objects.exists, "the message")
            await in_a_thread(meanwhile)()
            said = await socket.receive_output(10)
            await socket.send_input({"type": "websocket.disconnect", "code": 1000})
            await socket.wait()
            assert said["type"] == "websocket.close"
            return int(said["code"])

        return async_to_sync(closed)

    def test_an_answer_that_waits_is_no_word(
        self, staying: Callable[..., int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Longer than it takes until somebody looks how the call stands.
        monkeypatch.setattr(chat, "IDLE", 2.5)
        assert staying(bool) == chat.AWAY

    def test_who_may_not_chat_any_more_hears_nothing_more(
        self, staying: Callable[..., int], key: tuple[Key, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(chat, "ASKED_ANEW", 0.1)
        assert staying(lambda: revoke(key[0])) == chat.STRANGER
