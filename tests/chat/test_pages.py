"""Does a person chat by the pages, with and without JavaScript, and see only what is theirs?"""

from __future__ import annotations

import datetime as dt
import re
import uuid

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from core.chat import ending, window
from core.chat.say import Message, begin
from core.chat.window import Room
from core.live.channel import Publisher, text_so_far
from core.models import Budget, Call, Conversation, CostRecord, SystemPrompt, Turn, User
from tests.chat.conftest import Say, answer
from tests.gateway.conftest import until


@pytest.fixture
def me(client: Client, member: User) -> Client:
    client.force_login(member)
    return client


def said(client: Client, address: str, **values: str) -> Turn:
    """Send a form as a browser does, and have the new exchange answered."""
    sent = client.post(address, {"token": uuid.uuid4().hex, **values})
    assert sent.status_code == 302, sent.content.decode()
    return answer(Turn.objects.latest("pk"))


def text_of(client: Client, address: str) -> str:
    shown = client.get(address)
    assert shown.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", shown.content.decode()))


def at(name: str, turn: Turn, *more: object) -> str:
    return reverse(name, args=[turn.conversation_id, *more])


def test_a_chat_begins_goes_on_and_shows_what_it_cost(me: Client, ready_made: None) -> None:
    SystemPrompt.objects.create(name="Brief", text="Be brief.", in_chat=True)
    assert "Brief" in text_of(me, reverse("chat"))
    first = said(
        me, reverse("chat"), text="One?", asked="fast", system=str(SystemPrompt.objects.get().pk)
    )  # fmt: skip
    second = said(me, at("chat_say", first), text="Two?", parent=str(first.pk))

    page = text_of(me, at("chat_conversation", first))
    assert "One?" in page
    assert "Two?" in page
    assert "2 requests to Claude in this chat" in page
    # A form that names no exchange goes on from the newest: Claude is to know what was said.
    third = me.post(at("chat_say", first), {"text": "Three?", "token": uuid.uuid4().hex})
    assert third.status_code == 302
    assert Turn.objects.latest("pk").parent == second
    total = sum(record.amount or 0 for record in CostRecord.objects.all())
    assert total > 0
    assert first.conversation.asked == "fast"
    assert first.call.request["system"][0]["text"] == "Be brief."
    assert "This chat is set to «fast»" in first.call.reason


def test_the_same_form_sent_twice_says_it_once(me: Client, ready_made: None) -> None:
    for _ in range(2):
        me.post(reverse("chat"), {"text": "One?", "token": "t"})
    assert Call.objects.count() == 1


def test_an_answer_being_written_is_on_the_page_and_can_be_stopped(me: Client, ready_made: None, member: User) -> None:
    turn = begin(member, None, Message("One?"))
    address = at("chat_conversation", turn)
    page = me.get(address).content.decode()
    assert f'data-events="/calls/{turn.call_id}/events"' in page
    assert '<noscript><meta http-equiv="refresh"' in page
    publisher = Publisher(turn.call_id)
    publisher.started(1)
    publisher.text("So far.")
    until(lambda: text_so_far(turn.call_id) == "So far.", "the words")
    assert "So far." in me.get(address).content.decode()

    refused = me.post(at("chat_say", turn), {"text": "Two?", "parent": turn.pk, "token": "b"})
    assert refused.status_code == 422
    assert "still answering" in refused.content.decode()
    assert ">Two?</textarea>" in refused.content.decode()

    me.post(at("chat_stop", turn, turn.pk))
    assert Call.objects.get().status == Call.Status.CANCELED
    assert "Stopped before there was an answer." in text_of(me, address)


def test_an_answer_that_a_spend_limit_holds_says_until_when(me: Client, chatting: Say) -> None:
    turn = chatting("[[simulate: spend-limit=2099-12-01]] How tall is it?")
    html = me.get(turn.conversation.get_absolute_url()).content.decode()
    assert "Held by Claude&#x27;s spend limit" in html
    assert "when that ends, on " in html
    assert "1 December at " in html


def test_a_script_is_told_why_and_keeps_its_form(me: Client, ready_made: None) -> None:
    answered = me.post(reverse("chat"), {"text": " ", "token": "t"}, headers={"HX-Request": "true"})
    assert answered.status_code == 200
    assert answered["HX-Retarget"] == "#problem"
    assert "Please write something." in answered.content.decode()
    assert "<form" not in answered.content.decode()


def test_who_was_signed_out_meanwhile_keeps_the_form(client: Client, ready_made: None) -> None:
    answered = client.post(reverse("chat"), {"text": "One?", "token": "t"}, headers={"HX-Request": "true"})
    assert answered["HX-Retarget"] == "#problem"
    assert "You are not signed in any more" in answered.content.decode()
    assert client.post(reverse("chat"), {"text": "One?"})["Location"] == f"/login/?next={reverse('chat')}"
    assert not Call.objects.exists()


def test_answers_anew_and_changed_words_are_branches(me: Client, ready_made: None) -> None:
    first = said(me, reverse("chat"), text='[[simulate: answer="Red."]] One?', asked="claude-haiku-5-5")
    again = said(me, at("chat_again", first, first.pk))
    edited = said(me, at("chat_edit", first, first.pk), text='[[simulate: answer="Blue."]] Two?')

    newest = me.get(at("chat_conversation", first)).content.decode()
    assert "3 of 3" in newest
    assert "<p>Blue.</p>" in newest
    assert "<p>Red.</p>" not in newest
    older = text_of(me, f"{at('chat_conversation', first)}?turn={again.pk}")
    assert "2 of 3" in older
    assert "earlier branch" in older
    assert "Change your message" in text_of(me, f"{at('chat_conversation', first)}?turn={edited.pk}&edit={edited.pk}")


def test_title_and_model_can_be_changed(me: Client, ready_made: None) -> None:
    turn = said(me, reverse("chat"), text="One?")
    me.post(at("chat_settings", turn), {"title": " A  new\x00 name ", "asked": "claude-haiku-5-5", "system": ""})
    kept = Conversation.objects.get()
    assert (kept.title, kept.asked) == ("A new name", "claude-haiku-5-5")
    me.post(at("chat_settings", turn), {"title": "", "asked": "no-such-model"})
    kept.refresh_from_db()
    assert (kept.title, kept.asked) == ("A new name", "claude-haiku-5-5")


def test_over_a_budget_nothing_is_sent_and_the_page_says_how_to_ask_for_more(
    me: Client, ready_made: None, member: User
) -> None:
    Budget.objects.create(name="Small", scope="user", user=member, amount="0.0001", owner=member)
    refused = me.post(reverse("chat"), {"text": "One?", "token": "t"})
    assert refused.status_code == 402
    assert "no room in the budget «Small»" in refused.content.decode()
    assert ">One?</textarea>" in refused.content.decode()
    assert not Call.objects.exists()


def test_a_chat_that_is_nearly_full_asks_how_to_go_on(
    me: Client, chatting: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = chatting("word " * 100)
    assert "of what the model can hold" not in text_of(me, at("chat_conversation", turn)).partition("How this")[0]
    monkeypatch.setattr(window, "room_of", lambda *_: Room(150, 100))
    page = text_of(me, at("chat_conversation", turn))
    assert "Leave out the oldest messages" in page
    assert "Go on with a summary" in page

    summary = said(me, at("chat_summary", turn), parent=str(turn.pk))
    assert summary.kind == Turn.Kind.SUMMARY
    assert "From here on Claude reads this summary" in text_of(me, at("chat_conversation", turn))


@pytest.mark.parametrize("who", ["outsider", "operator", "administrator"])
def test_nobody_else_sees_or_changes_a_chat(
    client: Client, who: str, conversation: Conversation, request: pytest.FixtureRequest
) -> None:
    turn = conversation.turns.get()
    other: User = request.getfixturevalue(who)
    client.force_login(other)
    expected = 403 if who == "outsider" else 404
    assert client.get(conversation.get_absolute_url()).status_code == expected
    for name, more in (("say", ()), ("summary", ()), ("settings", ()), ("delete", ()), ("again", (turn.pk,)),
                       ("edit", (turn.pk,)), ("stop", (turn.pk,))):  # fmt: skip
        posted = client.post(reverse(f"chat_{name}", args=[conversation.pk, *more]), {"text": "x", "parent": turn.pk})
        assert posted.status_code == expected, name
    assert Conversation.objects.kept().count() == 1
    assert Turn.objects.count() == 1


def test_an_exchange_of_another_chat_cannot_be_taken_over(me: Client, chatting: Say) -> None:
    mine, other = chatting("Mine."), chatting("Another.")
    posted = me.post(at("chat_say", mine), {"text": "x", "parent": str(other.pk), "token": "t"})
    assert posted.status_code == 404
    assert me.post(at("chat_again", mine, other.pk), {"token": "u"}).status_code == 404


def test_who_is_not_signed_in_is_asked_to_be(client: Client, db: None) -> None:
    assert client.get(reverse("chat")).status_code == 302


def test_the_call_page_leads_back_to_the_chat_for_its_person_only(
    me: Client, conversation: Conversation, operator: User
) -> None:
    call = Call.objects.get()
    assert "a chat of yours" in text_of(me, call.get_absolute_url())
    me.force_login(operator)
    page = text_of(me, call.get_absolute_url())
    assert "How tall is the tower?" in page
    assert "a chat of yours" not in page


class TestForgetting:
    def test_what_was_said_goes_and_what_it_cost_stays(self, me: Client, conversation: Conversation) -> None:
        call = Call.objects.get()
        spent = call.cost
        me.post(reverse("chat_delete", args=[conversation.pk]))

        assert not Conversation.objects.exists()
        assert not Turn.objects.exists()
        call.refresh_from_db()
        assert (call.text, call.content, call.request, call.envelope) == ("", [], {}, None)
        assert call.cost == spent is not None
        assert me.get(call.get_absolute_url()).status_code == 200
        assert text_so_far(call.pk) == ""

    def test_what_is_under_way_is_stopped_and_forgotten_once_it_has_ended(
        self, me: Client, ready_made: None, member: User
    ) -> None:
        turn = begin(member, None, Message("One?"))
        Call.objects.update(status=Call.Status.RUNNING, started_at=timezone.now())
        me.post(at("chat_delete", turn))
        assert me.get(at("chat_conversation", turn)).status_code == 404
        assert Turn.objects.exists()

        Call.objects.update(status=Call.Status.CANCELED, text="What had come.")
        assert "1 forgotten" in ending.tidy()
        assert Call.objects.get().text == ""

    def test_old_chats_go_by_themselves_where_contents_do(
        self, chatting: Say, settings: Settings, conversation: Conversation
    ) -> None:
        long_ago = timezone.now() - dt.timedelta(days=40)
        Conversation.objects.update(touched_at=long_ago)
        newer = chatting("Newer.")
        assert "0 old" in ending.tidy()
        settings.RESULT_RETENTION_DAYS = 30
        assert "1 old chats deleted, 1 forgotten" in ending.tidy()
        assert Conversation.objects.get() == newer.conversation

    def test_in_a_chat_that_goes_on_the_oldest_words_go_with_their_calls(
        self, me: Client, chatting: Say, settings: Settings
    ) -> None:
        settings.RESULT_RETENTION_DAYS = 30
        first = chatting("Old words.")
        second = chatting("New words.", after=first)
        Call.objects.filter(pk=first.call_id).empty()
        ending.tidy()
        page = text_of(me, at("chat_conversation", second))
        assert "New words." in page
        assert "older than contents are kept" in page
        assert me.post(at("chat_again", first, first.pk), {"token": "t"}).status_code == 422
        assert Turn.objects.get(pk=first.pk).text == ""
        third = chatting("And now?", after=second)
        assert len(third.call.request["messages"]) == 3
