"""Can calls be found, read, run again and canceled, by those who may, without counting a table of millions?"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from core.execution.run import run_call
from core.intake.accept import accept
from core.models import Call, CostRecord, Handling, Key, Prompt, User
from core.simulator.server import Simulator
from tests.letters import given_up

SignIn = Callable[[User], Client]
LIST = reverse("admin:core_call_changelist")


@pytest.fixture
def ask(prompt: Prompt) -> Callable[..., Call]:
    """Makes a call; with `run`, the simulator has answered it."""

    def make(user: User | None = None, *, document: str = "Tea.", run: bool = False) -> Call:
        assert prompt.published is not None
        call = accept(prompt.published, {"document": document, "length": "short"}, user=user)
        if run:
            run_call(call.pk)
            call.refresh_from_db()
        return call

    return make


def page_of(call: Call) -> str:
    return reverse("admin:core_call_change", args=[call.pk])


@pytest.mark.parametrize("table", ["core_call", "core_costrecord"])
def test_a_list_never_counts_and_asks_the_same_however_long_it_is(
    table: str, as_: SignIn, operator: User, ask: Callable[..., Call], simulator: Simulator
) -> None:
    client = as_(operator)
    address = reverse(f"admin:{table}_changelist") + "?_facets=True"
    ask(operator, run=True)
    client.get(address)
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get(address)
    for _ in range(8):
        ask(operator, run=True)
    with CaptureQueriesContext(connection) as more:
        assert client.get(address).status_code == 200
    assert len(more) == len(few)
    sql = [query["sql"].upper() for query in more.captured_queries if table.upper() in query["sql"].upper()]
    assert sql
    # The few that a spend limit holds are counted, by an index of their own.
    assert not [query for query in sql if "COUNT(" in query and '"CORE_CALL"."PARKED")' not in query]


def test_a_list_does_not_read_the_answers(as_: SignIn, operator: User, ask: Callable[..., Call]) -> None:
    ask(operator)
    client = as_(operator)
    with CaptureQueriesContext(connection) as queries:
        client.get(LIST)
    assert not [query for query in queries.captured_queries if '"core_call"."text"' in query["sql"]]


def test_a_call_is_found_by_its_id_its_request_id_and_its_person(
    as_: SignIn, operator: User, editor: User, ask: Callable[..., Call], simulator: Simulator
) -> None:
    call, other = ask(editor, run=True), ask(operator)
    client = as_(operator)
    for term in (str(call.pk), call.request_id, f" {call.request_id} ", "editor"):
        found = list(client.get(LIST, {"q": term}).context["cl"].result_list)
        assert found == [call], term
    assert list(client.get(LIST, {"q": "Tea"}).context["cl"].result_list) == []
    assert other.pk


@pytest.mark.parametrize("query", ["status=trouble", "model=claude-haiku-5-5", "door__exact=form", "lane__exact=queue"])
def test_each_filter_opens(query: str, as_: SignIn, operator: User, ask: Callable[..., Call]) -> None:
    ask(operator)
    assert as_(operator).get(f"{LIST}?{query}").status_code == 200


def test_a_call_shows_request_answer_and_cost_records_as_text(
    as_: SignIn, operator: User, ask: Callable[..., Call], simulator: Simulator
) -> None:
    call = ask(operator, document="<script>alert(1)</script> {{ x|safe }}", run=True)
    text = as_(operator).get(page_of(call)).content.decode()
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert reverse("admin:core_costrecord_change", args=[CostRecord.objects.get().pk]) in text
    assert call.request_id in text
    assert call.get_absolute_url() in text


def test_a_failed_call_shows_its_error_in_full(as_: SignIn, operator: User, ask: Callable[..., Call]) -> None:
    call = ask(operator)
    Call.objects.filter(pk=call.pk).update(
        status="failed", error_type="invalid_request_error", error_status=400, error_message="max_tokens: " + "x" * 900
    )
    text = as_(operator).get(page_of(call)).content.decode()
    assert "max_tokens: " + "x" * 900 in text
    assert "Claude could not accept this request as it is." in text


@pytest.mark.parametrize("role", ["administrator", "operator", "finance"])
@pytest.mark.parametrize("address", ["admin:core_call_change", "admin:core_call_delete"])
def test_nobody_writes_or_deletes_a_call(
    address: str, role: str, request: pytest.FixtureRequest, client: Client, ask: Callable[..., Call]
) -> None:
    call = ask()
    client.force_login(request.getfixturevalue(role))
    assert client.post(reverse(address, args=[call.pk]), {"text": "changed", "post": "yes"}).status_code == 403
    assert client.get(reverse("admin:core_call_add")).status_code == 403
    call.refresh_from_db()
    assert call.text == ""


def test_without_the_permission_for_all_a_person_sees_only_their_own(
    as_: SignIn, editor: User, operator: User, ask: Callable[..., Call]
) -> None:
    editor.user_permissions.add(Permission.objects.get(codename="view_call"))
    own, other = ask(editor), ask(operator)
    client = as_(editor)
    assert list(client.get(LIST).context["cl"].result_list) == [own]
    assert client.get(page_of(own)).status_code == 200
    assert client.get(page_of(other)).status_code == 302  # to the start, with «does not exist»
    assert list(client.get(LIST, {"q": str(other.pk)}).context["cl"].result_list) == []


def test_running_again_asks_first_and_makes_a_call_of_its_own(
    as_: SignIn, operator: User, editor: User, ask: Callable[..., Call]
) -> None:
    call = ask(editor)
    client, page = as_(operator), reverse("admin:core_call_again", args=[call.pk])
    assert "likely cost" in client.get(page).content.decode()
    assert Call.objects.count() == 1
    client.post(page)
    again = Call.objects.get(again_of=call)
    assert (again.user, again.request) == (editor, call.request)


def test_run_again_it_is_for_whoever_asked_under_their_key(
    as_: SignIn, operator: User, editor: User, prompt: Prompt
) -> None:
    """So that they get the answer, and their budgets and the key's pay it, from the list as from the call's page."""
    key = Key.objects.create(name="Nightly", user=editor)
    assert prompt.published is not None
    inputs = {"document": "Tea.", "length": "short"}
    failed = accept(prompt.published, inputs, user=editor, key=key, door=Call.Door.API)
    Call.objects.filter(pk=failed.pk).update(status=Call.Status.FAILED)
    letter = given_up(prompt, editor, key)
    client = as_(operator)
    client.post(reverse("admin:core_call_again", args=[failed.pk]))
    client.post(LIST, {"action": "run_again", "confirmed": "1", ACTION_CHECKBOX_NAME: [str(letter.pk)], "index": "0"})
    for call in (failed, letter):
        fresh = Call.objects.get(again_of=call)
        assert (fresh.user, fresh.key, fresh.door) == (editor, key, call.door)
    assert Handling.objects.get().by == operator


def test_for_whom_nothing_may_be_asked_any_more_nothing_runs_again(
    as_: SignIn, operator: User, editor: User, prompt: Prompt
) -> None:
    key = Key.objects.create(name="Nightly", user=editor)
    assert prompt.published is not None
    call = accept(prompt.published, {"document": "Tea.", "length": "short"}, user=editor, key=key)
    letter = given_up(prompt, editor, key)
    client = as_(operator)

    def said(of: Call) -> str:
        return client.post(reverse("admin:core_call_again", args=[of.pk]), follow=True).content.decode()

    key.revoke()
    assert "Its key opens nothing any more." in said(call)
    assert "Its key opens nothing any more." in said(letter)
    User.objects.filter(pk=editor.pk).update(is_active=False)
    assert "Whoever asked may not sign in any more." in said(call)
    assert not Call.objects.filter(again_of__isnull=False).exists()
    assert Call.objects.letters().count() == 1


def test_many_are_run_again_after_one_question(as_: SignIn, operator: User, ask: Callable[..., Call]) -> None:
    calls = [ask(operator) for _ in range(3)]
    orphan = Call.objects.create(request=calls[0].request)
    chosen = {"action": "run_again", ACTION_CHECKBOX_NAME: [str(call.pk) for call in [*calls, orphan]], "index": "0"}
    client = as_(operator)
    assert "Run 4 calls again?" in client.post(LIST, chosen).content.decode()
    assert Call.objects.count() == 4
    done = client.post(LIST, {**chosen, "confirmed": "1"}, follow=True).content.decode()
    assert "3 calls run again." in done
    assert "1 call not run again. It was not made from a prompt." in done
    assert Call.objects.count() == 7


def test_canceling_says_how_many_and_why_not_the_others(
    as_: SignIn, operator: User, ask: Callable[..., Call], simulator: Simulator
) -> None:
    waiting, done = ask(operator), ask(operator, run=True)
    chosen = {"action": "cancel", ACTION_CHECKBOX_NAME: [str(waiting.pk), str(done.pk)], "index": "0"}
    text = as_(operator).post(LIST, chosen, follow=True).content.decode()
    assert "1 call canceled." in text
    assert "1 call not canceled: at work already, or ended." in text
    waiting.refresh_from_db()
    assert waiting.status == Call.Status.CANCELED


def test_canceling_one_takes_a_post(as_: SignIn, operator: User, ask: Callable[..., Call]) -> None:
    call = ask(operator)
    client, page = as_(operator), reverse("admin:core_call_cancel", args=[call.pk])
    client.get(page)
    call.refresh_from_db()
    assert call.status == Call.Status.QUEUED
    client.post(page)
    call.refresh_from_db()
    assert call.status == Call.Status.CANCELED


@pytest.mark.parametrize("role", ["editor", "publisher", "finance"])
def test_who_may_not_act_is_refused(
    role: str, request: pytest.FixtureRequest, client: Client, ask: Callable[..., Call]
) -> None:
    call = ask()
    client.force_login(request.getfixturevalue(role))
    for name in ("admin:core_call_again", "admin:core_call_cancel"):
        assert client.post(reverse(name, args=[call.pk])).status_code == 403
    for action in ("run_again", "cancel"):
        client.post(LIST, {"action": action, "confirmed": "1", ACTION_CHECKBOX_NAME: [str(call.pk)], "index": "0"})
    call.refresh_from_db()
    assert call.status == Call.Status.QUEUED
    assert Call.objects.count() == 1


def test_no_more_than_a_hundred_are_run_again_at_once(as_: SignIn, operator: User, ask: Callable[..., Call]) -> None:
    first = ask(operator)
    Call.objects.bulk_create(
        Call(request=first.request, version=first.version, prompt=first.prompt, inputs=first.inputs) for _ in range(100)
    )
    everything = {"action": "run_again", "confirmed": "1", "select_across": "1", "index": "0"}
    chosen = {**everything, ACTION_CHECKBOX_NAME: [str(first.pk)]}
    assert "at most 100 calls" in as_(operator).post(LIST, chosen, follow=True).content.decode()
    assert Call.objects.count() == 101
