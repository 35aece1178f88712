"""Does a call's page tell what happened, and may only those act who are allowed to?"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from core.execution.patience import PARKED
from core.execution.run import run_call
from core.intake.accept import accept
from core.live.channel import Publisher
from core.live.outbox import outbox
from core.models import Call, CostRecord, PausedQueue, Prompt, User
from core.operations.dealing import run_one_again
from core.pages import call_events
from tests.letters import given_up

MakeCall = Callable[..., Call]
MakeRecord = Callable[..., CostRecord]


def text_of(client: Client, call: Call) -> str:
    """The page's words without its tags."""
    html = client.get(call.get_absolute_url()).content.decode()
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


@pytest.fixture
def page(client: Client, member: User) -> Client:
    client.force_login(member)
    return client


def test_a_call_that_ran_shows_answer_model_reason_tokens_seconds_and_cost(
    page: Client, member: User, prompt: Prompt
) -> None:
    assert prompt.published
    call = accept(prompt.published, {"document": "The council met on Monday.", "length": "short"}, user=member)
    run_call(call.pk)
    call.refresh_from_db()
    words = text_of(page, call)
    assert "Done" in words
    assert "council" in words
    assert "Claude Haiku 5.5" in words
    assert call.reason
    assert call.reason in words
    record = call.cost_records.get()
    assert f"{record.input_tokens:,} in, {record.output_tokens:,} out" in words
    assert re.search(r"Took \d", words)
    html = page.get(call.get_absolute_url()).content.decode()
    shown = re.search(r'<data value="([\d.]+)"', html)
    assert shown
    assert Decimal(shown[1]) == call.cost
    assert call.request_id in words


def test_others_get_404_everywhere(client: Client, member: User, outsider: User, answered: MakeCall) -> None:
    call = answered(member)
    for who in (None, outsider):
        if who:
            client.force_login(who)
        else:
            client.logout()
        for path in ("", "answer.md"):
            response = client.get(f"/calls/{call.pk}/{path}")
            assert response.status_code == 404
            assert call.text not in response.content.decode()
        for path in ("again/", "cancel/"):
            assert client.post(f"/calls/{call.pk}/{path}").status_code == 404
    assert Call.objects.count() == 1


def test_who_may_read_all_calls_reads_them(
    client: Client, member: User, finance: User, operator: User, answered: MakeCall
) -> None:
    call = answered(member)
    for who in (finance, operator):
        client.force_login(who)
        assert call.text in text_of(client, call)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Call.Status.QUEUED, "Your request waits for a free worker"),
        (Call.Status.RUNNING, "Claude is at work"),
        (Call.Status.CANCELED, "It was canceled"),
    ],
)
def test_each_state_is_said_in_words(page: Client, member: User, answered: MakeCall, status: str, words: str) -> None:
    assert words in text_of(page, answered(member, status=status, text=""))


def test_a_running_call_shows_its_text_so_far_and_refreshes_itself(
    page: Client, member: User, answered: MakeCall
) -> None:
    call = answered(member, status=Call.Status.RUNNING, text="")
    publisher = Publisher(call.pk)
    publisher.started(1)
    publisher.text("Once upon <b>a time")
    outbox().flush()
    html = page.get(call.get_absolute_url()).content.decode()
    assert "Once upon &lt;b&gt;a time" in html
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in html
    assert f'data-events="/calls/{call.pk}/events"' in html


def test_a_finished_call_neither_refreshes_nor_streams(page: Client, member: User, answered: MakeCall) -> None:
    html = page.get(answered(member).get_absolute_url()).content.decode()
    assert "http-equiv" not in html
    assert "data-events" not in html


def test_a_waiting_call_says_when_it_is_tried_again_and_why(page: Client, member: User, answered: MakeCall) -> None:
    moment = dt.datetime(2026, 11, 21, 13, 3, 5, tzinfo=dt.UTC)
    call = answered(
        member,
        status=Call.Status.WAITING,
        text="",
        attempt=3,
        not_before=moment,
        error_type="overloaded_error",
        error_message="Overloaded",
    )
    # What a spend limit refused is shown, and does not count.
    for number, then in enumerate(("tried again", PARKED, "tried again"), start=1):
        call.failed_attempts.create(number=number, model=call.model, error_type="overloaded_error", then=then)
    assert call.prompt is not None
    call.prompt.most_attempts = 7
    call.prompt.save()
    words = text_of(page, call)
    assert "tried again by itself at 14:03:05" in words
    assert "2 tries of 7 so far" in words
    assert "Claude said: Overloaded" in words


def test_who_waits_for_room_at_claude_is_not_told_of_others(page: Client, member: User, answered: MakeCall) -> None:
    """Nothing was sent yet, so Claude said nothing either."""
    call = answered(
        user=member,
        status=Call.Status.WAITING,
        text="",
        attempt=0,
        not_before=timezone.now(),
        error_type="rate_limit_error",
        error_message="The rate limits of a model are used up for a while.",
    )
    words = text_of(page, call)
    assert "So much is asked of Claude at this moment that this waits. It begins in its turn at" in words
    assert "run again together" not in words
    assert "Claude said" not in words


def test_who_waits_is_told_that_the_queue_is_paused(page: Client, member: User, answered: MakeCall) -> None:
    call = answered(user=member, status=Call.Status.QUEUED)
    assert "waits for a free worker" in text_of(page, call)
    PausedQueue.objects.create(name="calls")
    assert "An administrator has paused this kind of work." in text_of(page, call)


def test_who_was_given_up_finds_the_call_that_ran_in_its_place(
    page: Client, member: User, operator: User, prompt: Prompt
) -> None:
    letter = given_up(prompt, member)
    fresh = run_one_again(letter, by=operator, at=timezone.now() + dt.timedelta(minutes=5))
    assert fresh.get_absolute_url() in page.get(letter.get_absolute_url()).content.decode()
    assert "begins in its turn at" in text_of(page, fresh)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("authentication_error", "did not accept this installation&#x27;s API key"),
        ("not_found_error", "model of this prompt does not exist"),
        ("invalid_request_error", "could not accept this request"),
        ("worker_lost", "was stopped before it could save"),
        ("something_new", "Something went wrong"),
    ],
)
def test_a_failed_call_says_what_what_claude_said_and_what_now(
    page: Client, member: User, answered: MakeCall, kind: str, what: str
) -> None:
    call = answered(
        member, status=Call.Status.FAILED, text="", error_type=kind, error_message="model: <i>gone</i> {{ x|safe }}"
    )
    html = page.get(call.get_absolute_url()).content.decode()
    assert what in html
    assert "model: &lt;i&gt;gone&lt;/i&gt; {{ x|safe }}" in html
    assert "What now?" in html
    assert "nothing was billed" in html


def test_a_partial_answer_is_kept_and_marked(page: Client, member: User, answered: MakeCall) -> None:
    call = answered(
        member,
        status=Call.Status.DEAD,
        attempt=5,
        text="Only the beg",
        error_type="incomplete_stream",
        error_message="x",
    )
    words = text_of(page, call)
    assert "It was tried 5 times without success" in words
    assert "Only the beg" in words
    assert "This is only a part" in words


@pytest.mark.parametrize(("stop", "words"), [("max_tokens", "The answer was cut off"), ("refusal", "Claude declined")])
def test_an_early_end_is_told(page: Client, member: User, answered: MakeCall, stop: str, words: str) -> None:
    assert words in text_of(page, answered(member, stop_reason=stop))


def test_an_unknown_cost_is_unknown_with_its_reason_and_never_zero(
    page: Client, member: User, answered: MakeCall, billed: MakeRecord
) -> None:
    call = answered(member, attempt=2)
    billed(member, None, call=call, attempt=1)
    billed(member, "0.5", call=call, attempt=2, request_id="req_2")
    words = text_of(page, call)
    assert "Cost at least $0.50 unknown for 1 of 2 exchanges that may have been billed: the price book has no" in words

    billed(member, None, call=(lost := answered(member)))
    words = text_of(page, lost)
    assert "Cost unknown the price book has no price for this model" in words
    assert "$0 " not in words


def test_a_draft_leads_back_to_the_admin_for_those_who_may(
    client: Client, editor: User, member: User, answered: MakeCall
) -> None:
    for who, leads in ((editor, True), (member, False)):
        call = answered(who, door=Call.Door.TRY)
        client.force_login(who)
        html = client.get(call.get_absolute_url()).content.decode()
        assert "trial of a draft" in html
        assert (f"/admin/core/prompt/{call.prompt_id}/change/" in html) is leads


def test_an_answer_that_is_data_is_a_table_with_its_json(page: Client, member: User, answered: MakeCall) -> None:
    data = {"invoice_number": "A-1", "lines": [{"sum": 3}], "tags": ["<b>x</b>", "y"], "paid": True}
    html = page.get(answered(member, text=json.dumps(data)).get_absolute_url()).content.decode()
    assert '<th scope="row">Invoice number</th><td>A-1</td>' in html
    assert "<li>&lt;b&gt;x&lt;/b&gt;</li>" in html
    assert "<td>yes</td>" in html
    assert "The same as JSON" in html


def test_what_was_entered_is_shown_as_text(page: Client, member: User, answered: MakeCall) -> None:
    call = answered(member, inputs={"document": "<img src=x onerror=alert(1)> {% include %}", "length": "short"})
    html = page.get(call.get_absolute_url()).content.decode()
    assert "<img src=x" not in html
    assert "&lt;img src=x onerror=alert(1)&gt; {% include %}" in html


def test_the_answer_downloads_as_it_was_written(page: Client, member: User, answered: MakeCall) -> None:
    text = "# Title\n\n<script>x</script>"
    call = answered(member, text=text)
    response = page.get(f"/calls/{call.pk}/answer.md")
    assert response.content.decode() == text
    assert response["Content-Type"].startswith("text/markdown")
    assert response["Content-Disposition"] == f'attachment; filename="summarise-{str(call.pk)[:8]}.md"'
    assert response["X-Content-Type-Options"] == "nosniff"

    data = page.get(f"/calls/{answered(member, text='{}').pk}/answer.md")
    assert data["Content-Type"] == "application/json"
    assert data["Content-Disposition"].endswith('.json"')
    assert page.get(f"/calls/{answered(member, text='').pk}/answer.md").status_code == 404


def test_run_again_makes_a_call_of_its_own(page: Client, member: User, answered: MakeCall) -> None:
    call = answered(member)
    response = page.post(f"/calls/{call.pk}/again/")
    fresh = Call.objects.exclude(pk=call.pk).get()
    assert response["Location"] == fresh.get_absolute_url()
    assert (fresh.again_of, fresh.inputs, fresh.user) == (call, call.inputs, member)
    assert page.get(f"/calls/{call.pk}/again/").status_code == 405


def test_run_again_takes_a_prompt_that_is_still_open_to_me(
    page: Client, member: User, operator: User, prompt: Prompt, answered: MakeCall
) -> None:
    call = answered(member)
    prompt.withdraw()
    assert page.post(f"/calls/{call.pk}/again/").status_code == 403
    assert "Run again" not in text_of(page, call)
    page.force_login(operator)
    assert page.post(f"/calls/{call.pk}/again/").status_code == 302


def test_run_again_by_an_operator_it_is_still_for_whoever_asked(
    page: Client, member: User, operator: User, prompt: Prompt, answered: MakeCall
) -> None:
    page.force_login(operator)
    for call in (answered(member), given_up(prompt, member)):
        page.post(f"/calls/{call.pk}/again/")
        assert Call.objects.get(again_of=call).user == member
    User.objects.filter(pk=member.pk).update(is_active=False)
    said = page.post(f"/calls/{call.pk}/again/", follow=True).content.decode()
    assert "Not run again. Whoever asked may not sign in any more." in said


def test_who_only_reads_calls_neither_runs_nor_cancels_them(
    client: Client, member: User, finance: User, answered: MakeCall
) -> None:
    queued = answered(member, status=Call.Status.QUEUED, text="")
    client.force_login(finance)
    assert client.post(f"/calls/{queued.pk}/again/").status_code == 403
    assert client.post(f"/calls/{queued.pk}/cancel/").status_code == 403
    queued.refresh_from_db()
    assert queued.status == Call.Status.QUEUED


def test_a_trial_runs_again_only_for_who_may_try(
    client: Client, member: User, editor: User, answered: MakeCall
) -> None:
    for who, allowed in ((member, 403), (editor, 302)):
        client.force_login(who)
        assert client.post(f"/calls/{answered(who, door=Call.Door.TRY).pk}/again/").status_code == allowed


def test_what_was_not_sent_can_be_canceled(page: Client, member: User, operator: User, answered: MakeCall) -> None:
    call = answered(member, status=Call.Status.QUEUED, text="")
    assert "Canceled" in page.post(f"/calls/{call.pk}/cancel/", follow=True).content.decode()
    call.refresh_from_db()
    assert call.status == Call.Status.CANCELED

    working = answered(member, status=Call.Status.RUNNING, text="")
    assert "too late to cancel" in page.post(f"/calls/{working.pk}/cancel/", follow=True).content.decode()

    page.force_login(operator)
    other = answered(member, status=Call.Status.WAITING, text="", not_before=timezone.now())
    page.post(f"/calls/{other.pk}/cancel/")
    other.refresh_from_db()
    assert other.status == Call.Status.CANCELED


def test_the_part_that_changes_can_be_had_alone(page: Client, member: User, answered: MakeCall) -> None:
    html = page.get(f"{answered(member).get_absolute_url()}?part=result").content.decode()
    assert "A short summary." in html
    assert "<html" not in html


def test_the_page_takes_few_queries(
    page: Client, member: User, billed: MakeRecord, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    record = billed(member, "0.1")
    with django_assert_max_num_queries(12):
        page.get(record.call.get_absolute_url())


# --- Following a call ---


def follow(who: User | None, call: Call, last_event_id: str = "") -> tuple[int, str]:
    """The status and the whole stream of a call's events, as this person's browser gets it."""

    async def get() -> tuple[int, str]:
        client = AsyncClient()
        if who:
            await client.aforce_login(who)
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        response: Any = await client.get(f"/calls/{call.pk}/events", headers=headers)
        if not response.streaming:
            return response.status_code, response.content.decode()
        assert response["Content-Type"] == "text/event-stream"
        assert response["Cache-Control"] == "no-cache"
        assert response["X-Accel-Buffering"] == "no"
        return response.status_code, b"".join([chunk async for chunk in response.streaming_content]).decode()

    return async_to_sync(get)()


def test_the_events_reach_the_owner_and_resume_where_they_left_off(member: User, answered: MakeCall) -> None:
    call = answered(member)
    publisher = Publisher(call.pk)
    publisher.started(1)
    publisher.text("One\n")
    outbox().flush()
    publisher.text("two")
    publisher.ended(Call.Status.SUCCEEDED)
    outbox().flush()
    status, stream = follow(member, call)
    assert status == 200
    assert [line for line in stream.splitlines() if line.startswith("data")] == [
        'data: "1"',
        'data: "One\\n"',
        'data: "two"',
        'data: "succeeded"',
    ]
    first_text = stream.split("id: ")[2].split("\n")[0]
    assert '"two"' in (rest := follow(member, call, first_text)[1])
    assert "One" not in rest


def test_who_follows_for_long_is_asked_anew_who_it_is(
    member: User, answered: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = answered(member, status=Call.Status.RUNNING, text="")
    publisher = Publisher(call.pk)
    publisher.started(1)
    outbox().flush()
    monkeypatch.setattr(call_events, "ASKED_ANEW", 0.0)
    status, stream = follow(member, call)
    assert status == 200
    assert stream.endswith('retry: 200\nevent: again\ndata: ""\n\n')
    # A browser keeps what it was told last, and would ask a server that is down five times a second.
    assert stream.startswith("retry: 3000\n: open\n\n")
    Call.objects.filter(pk=call.pk).update(user=None)
    assert follow(member, call)[0] == 404


def test_nobody_follows_somebody_elses_call(member: User, outsider: User, answered: MakeCall) -> None:
    call = answered(member)
    for who in (None, outsider):
        status, body = follow(who, call)
        assert status == 404
        assert "summary" not in body
