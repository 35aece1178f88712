from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django import Settings

from core.claude.replies import Reply, storable
from core.execution import pacing
from core.execution.lease import lease_time
from core.execution.patience import FIRST_WAIT
from core.execution.run import run_call
from core.execution.settling import settle_reply
from core.execution.watching import NobodyWatches
from core.intake.accept import accept
from core.models import Call, CostRecord, FallbackChain, Prompt, PromptVersion, User
from core.simulator.server import Simulator

Ask = Callable[..., Call]


class Witness(NobodyWatches):
    """Writes down what a watcher hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def started(self, attempt: int) -> None:
        self.heard.append(("started", attempt))

    def text(self, piece: str) -> None:
        self.heard.append(("text", piece))

    def ended(self, status: str) -> None:
        self.heard.append(("ended", status))


@pytest.fixture
def ask(prompt: Prompt, member: User) -> Ask:
    def make(document: str = "The invoice is due on Friday. Please pay it.") -> Call:
        assert prompt.published is not None
        return accept(prompt.published, {"document": document, "length": "short"}, user=member)

    return make


def bill_of(simulator: Simulator) -> Decimal:
    import httpx2

    return Decimal(httpx2.get(f"{simulator.url}/_simulator/bill").json()["total_usd"])


@pytest.fixture
def empty_bill(simulator: Simulator) -> Simulator:
    import httpx2

    httpx2.delete(f"{simulator.url}/_simulator/bill")
    return simulator


def test_a_call_is_answered_costed_and_told_to_whoever_watches(ask: Ask, empty_bill: Simulator) -> None:
    call, witness = ask(), Witness()

    outcome = run_call(call.pk, witness)

    call.refresh_from_db()
    record = CostRecord.objects.get(call=call)
    assert outcome.status == call.status == Call.Status.SUCCEEDED
    assert "invoice" in call.text
    assert call.model == "claude-haiku-5-5"
    assert call.reason
    assert call.stop_reason == "end_turn"
    assert call.request_id == record.request_id
    assert call.first_text_at is not None
    assert call.seconds is not None
    assert record.amount == call.cost == bill_of(empty_bill)
    assert witness.heard[0] == ("started", 1)
    assert witness.heard[-1] == ("ended", "succeeded")
    assert "".join(piece for kind, piece in witness.heard if kind == "text") == call.text


def test_a_call_runs_once_however_often_it_is_started(ask: Ask, empty_bill: Simulator) -> None:
    call = ask()

    first, second = run_call(call.pk), run_call(call.pk)

    assert (first.status, second.status) == ("succeeded", "")
    assert CostRecord.objects.count() == 1


def test_an_unknown_call_is_nobodys(db: None) -> None:
    assert run_call(uuid.uuid4()).status == ""


def test_a_canceled_call_is_not_sent(ask: Ask, empty_bill: Simulator) -> None:
    call = ask()
    assert call.cancel()

    assert run_call(call.pk).status == ""
    assert bill_of(empty_bill) == 0


@pytest.mark.parametrize(
    ("directive", "error_type", "status"),
    [
        ("status=400", "invalid_request_error", 400),
        ("status=401", "authentication_error", 401),
        ("status=403", "permission_error", 403),
        ("status=404", "not_found_error", 404),
        ("status=413", "request_too_large", 413),
    ],
)
def test_a_refused_request_fails_at_once_in_claudes_words_at_no_cost(
    ask: Ask, empty_bill: Simulator, directive: str, error_type: str, status: int
) -> None:
    call = ask(f"[[simulate: {directive}]] text")

    outcome = run_call(call.pk)

    call.refresh_from_db()
    assert outcome.retry_at is None
    assert (call.status, call.error_type, call.error_status) == (Call.Status.FAILED, error_type, status)
    assert call.error_message
    assert call.request_id
    assert not CostRecord.objects.exists()
    assert bill_of(empty_bill) == 0


@pytest.mark.parametrize("directive", ["status=429 error_code=enforced_spend_limit_reached", "spend-limit"])
def test_a_call_that_a_spend_limit_refuses_is_parked(ask: Ask, simulator: Simulator, directive: str) -> None:
    call = ask(f"[[simulate: {directive}]] text")

    outcome = run_call(call.pk)

    call.refresh_from_db()
    assert (outcome.status, call.status, call.parked) == ("waiting", "waiting", True)
    assert call.not_before is not None
    assert call.not_before.day == 1
    assert call.failed_attempts.get().then == "waits until the spend limit ends"
    assert call.release()


@pytest.mark.parametrize(("column", "ended"), [("tried_since", "dead"), ("created_at", "waiting")])
def test_a_call_tried_for_longer_than_its_prompt_allows_is_given_up_and_one_that_waited_in_the_queue_is_not(
    ask: Ask, prompt: Prompt, simulator: Simulator, column: str, ended: str
) -> None:
    prompt.give_up_after = 5
    prompt.save()
    call = ask("[[simulate: status=529]] text")
    Call.objects.update(**{column: timezone.now() - dt.timedelta(minutes=6)})

    assert run_call(call.pk).status == ended


def test_what_waited_in_a_paused_queue_is_not_given_up_where_claude_cannot_be_asked_just_then(
    ask: Ask, prompt: Prompt, simulator: Simulator
) -> None:
    prompt.give_up_after = 5
    prompt.save()
    call = ask()
    Call.objects.update(created_at=timezone.now() - dt.timedelta(hours=2))
    pacing.slow_down("claude-haiku-5-5", 30)

    assert run_call(call.pk).status == Call.Status.WAITING
    Call.objects.update(
        tried_since=timezone.now() - dt.timedelta(minutes=6), not_before=timezone.now() - dt.timedelta(seconds=1)
    )
    assert run_call(call.pk).status == Call.Status.DEAD, "but not for ever"


def test_the_days_that_a_spend_limit_held_a_call_do_not_count(ask: Ask, prompt: Prompt, simulator: Simulator) -> None:
    prompt.give_up_after = 5
    prompt.save()
    call = ask("[[simulate: spend-limit]] text")
    assert run_call(call.pk).status == Call.Status.WAITING
    call.refresh_from_db()
    overloaded = json.loads(json.dumps(call.request).replace("spend-limit", "status=529"))
    Call.objects.update(created_at=timezone.now() - dt.timedelta(days=20), request=overloaded)
    assert call.release()

    ended = run_call(call.pk).status

    call.refresh_from_db()
    assert ended == Call.Status.WAITING, "it is tried again, and not given up for its age"
    assert call.attempt == 2
    past = timezone.now() - dt.timedelta(seconds=1)
    Call.objects.update(tried_since=timezone.now() - dt.timedelta(minutes=6), not_before=past)
    assert run_call(call.pk).status == Call.Status.DEAD, "from the end of the limit on its age counts"


def test_what_a_spend_limit_refuses_is_no_try_of_the_call_nor_of_its_model(
    ask: Ask, prompt: Prompt, simulator: Simulator
) -> None:
    prompt.most_attempts = 2
    prompt.fallback = FallbackChain.objects.create(name="Other")
    prompt.fallback.steps.create(model="claude-sonnet-5-5")
    prompt.save()
    call = ask("[[simulate: spend-limit]] text")
    for _ in range(3):
        assert run_call(call.pk).status == Call.Status.WAITING
        call.refresh_from_db()
        assert (call.parked, call.model) == (True, "claude-haiku-5-5")
        assert call.release()
    overloaded = json.loads(json.dumps(call.request).replace("spend-limit", "status=529 retry-after=0 times=1"))
    Call.objects.update(request=overloaded)

    assert run_call(call.pk).status == Call.Status.WAITING
    Call.objects.update(not_before=timezone.now())
    assert run_call(call.pk).status == Call.Status.SUCCEEDED
    call.refresh_from_db()
    assert call.model == "claude-haiku-5-5"


def test_what_a_spend_limit_held_does_not_come_back_in_one_moment(ask: Ask, simulator: Simulator) -> None:
    calls = [ask("[[simulate: spend-limit]] text") for _ in range(4)]
    for call in calls:
        run_call(call.pk)
    assert len(set(Call.objects.values_list("not_before", flat=True))) == 4


def test_a_refusal_that_names_no_time_holds_the_others_too(ask: Ask, simulator: Simulator) -> None:
    run_call(ask("[[simulate: status=429 retry-after=none]] text").pk)

    assert pacing.wait_for("claude-haiku-5-5", 10) == pytest.approx(FIRST_WAIT, abs=0.5)


def test_tries_that_cost_nothing_do_not_use_up_the_one_for_a_lost_answer(ask: Ask, simulator: Simulator) -> None:
    call = ask("[[simulate: status=529 retry-after=0 times=2]] text")
    for _ in range(2):
        assert run_call(call.pk).status == Call.Status.WAITING
        Call.objects.update(not_before=timezone.now())
    call.refresh_from_db()
    broken = json.loads(json.dumps(call.request).replace("status=529 retry-after=0 times=2", "cut after=3"))
    Call.objects.update(request=broken)

    assert run_call(call.pk).status == Call.Status.WAITING
    Call.objects.update(not_before=timezone.now())
    assert run_call(call.pk).status == Call.Status.DEAD, "and that one is the only one"
    assert CostRecord.objects.unknown().count() == 2


def test_a_prompt_has_a_number_of_attempts_of_its_own(ask: Ask, prompt: Prompt, simulator: Simulator) -> None:
    prompt.most_attempts = 1
    prompt.save()

    assert run_call(ask("[[simulate: status=529]] text").pk).status == Call.Status.DEAD


def test_a_wrong_key_fails_at_once(ask: Ask, simulator: Simulator, settings: Settings) -> None:
    settings.ANTHROPIC_API_KEY = "sk-invalid-key"
    call = ask()

    assert run_call(call.pk).status == Call.Status.FAILED

    call.refresh_from_db()
    assert call.error_type == "authentication_error"
    assert "sk-invalid" not in call.error_message


def test_a_retired_model_fails_at_once(ask: Ask, simulator: Simulator) -> None:
    call = ask()
    Call.objects.filter(pk=call.pk).update(request={**call.request, "model": "claude-sonnet-4-20250514"})

    assert run_call(call.pk).status == Call.Status.FAILED

    call.refresh_from_db()
    assert (call.error_type, call.error_status) == ("not_found_error", 404)


@pytest.mark.parametrize(
    "directive", ["status=429 retry-after=7", "status=529 retry-after=7", "status=500 retry-after=7"]
)
def test_a_passing_fault_waits_as_long_as_claude_says(ask: Ask, empty_bill: Simulator, directive: str) -> None:
    call = ask(f"[[simulate: {directive}]] text")
    before = timezone.now()

    outcome = run_call(call.pk)

    call.refresh_from_db()
    assert call.status == Call.Status.WAITING
    assert outcome.retry_at == call.not_before
    assert call.not_before is not None
    assert 7 <= (call.not_before - before).total_seconds() < 9
    assert not CostRecord.objects.exists()
    assert run_call(call.pk).status == "", "it must not run before its time"


def test_a_waiting_call_runs_when_its_time_has_come(ask: Ask, empty_bill: Simulator) -> None:
    call = ask("[[simulate: status=529 retry-after=0 times=1]] text")
    run_call(call.pk)
    Call.objects.filter(pk=call.pk).update(not_before=timezone.now())

    outcome = run_call(call.pk)

    call.refresh_from_db()
    assert outcome.status == Call.Status.SUCCEEDED
    assert call.attempt == 2
    assert (call.error_type, call.error_message) == ("", "")


def test_after_its_last_attempt_a_call_is_given_up(ask: Ask, simulator: Simulator, settings: Settings) -> None:
    call = ask("[[simulate: status=529 retry-after=0]] text")
    for _ in range(settings.CALL_ATTEMPTS - 1):
        assert run_call(call.pk).status == Call.Status.WAITING
        Call.objects.update(not_before=timezone.now())

    assert run_call(call.pk).status == Call.Status.DEAD


@pytest.mark.parametrize(
    ("directive", "error_type"),
    [
        ("cut after=3", "incomplete_stream"),
        ("drop after=3", "connection_error"),
        ("error-event=overloaded_error after=3", "overloaded_error"),
    ],
)
def test_an_answer_that_breaks_off_has_an_unknown_cost(
    ask: Ask, empty_bill: Simulator, directive: str, error_type: str
) -> None:
    call = ask(f"[[simulate: {directive}]] One sentence. Another sentence. A third one.")

    run_call(call.pk)

    call.refresh_from_db()
    record = CostRecord.objects.get(call=call)
    assert call.status == Call.Status.WAITING
    assert call.error_type == error_type
    assert record.amount is None
    assert record.unknown_reason
    assert record.request_id
    assert record.raw_usage
    assert call.cost is None


def test_a_lost_answer_is_asked_for_once_more_and_no_more(ask: Ask, simulator: Simulator) -> None:
    call = ask("[[simulate: cut after=3]] One sentence. Another sentence. A third one.")
    run_call(call.pk)
    Call.objects.filter(pk=call.pk).update(not_before=timezone.now())

    outcome = run_call(call.pk)

    call.refresh_from_db()
    assert outcome.status == Call.Status.DEAD
    assert call.text, "what had been written is kept"
    assert CostRecord.objects.unknown().count() == 2


def test_a_prompt_can_forbid_to_pay_twice(ask: Ask, prompt: Prompt, simulator: Simulator) -> None:
    prompt.run_again_if_lost = False
    prompt.save()
    prompt.publish(None)
    call = ask("[[simulate: cut after=3]] One sentence. Another sentence. A third one.")

    assert run_call(call.pk).status == Call.Status.DEAD


def test_an_answer_that_never_comes_ends_after_the_time_limit(
    ask: Ask, simulator: Simulator, settings: Settings
) -> None:
    settings.CALL_TIMEOUT = 1
    call = ask("[[simulate: hang seconds=5]] text")

    run_call(call.pk)

    call.refresh_from_db()
    assert call.status == Call.Status.WAITING
    assert call.error_type == "timeout_error"
    assert CostRecord.objects.unknown().count() == 1


def test_without_a_connection_nothing_was_spent(ask: Ask, settings: Settings) -> None:
    settings.ANTHROPIC_BASE_URL = "http://127.0.0.1:9"
    call = ask()

    run_call(call.pk)

    call.refresh_from_db()
    assert (call.status, call.error_type) == (Call.Status.WAITING, "connection_error")
    assert not CostRecord.objects.exists()


def test_a_late_settlement_changes_no_call_and_loses_no_cost(ask: Ask, empty_bill: Simulator) -> None:
    """A process so slow that its call was given to another one: its answer comes late, and was paid for."""
    call = ask()

    class TakenAway(Witness):
        def text(self, piece: str) -> None:
            Call.objects.filter(pk=call.pk).update(lease_token="somebody else")

    outcome = run_call(call.pk, TakenAway())

    call.refresh_from_db()
    assert outcome.status == ""
    assert call.status == Call.Status.RUNNING
    assert CostRecord.objects.get().amount == bill_of(empty_bill)


def test_hostile_text_reaches_claude_as_text(ask: Ask, simulator: Simulator) -> None:
    hostile = "{{ length|safe }} {% include 'x' %} {0.__class__} {{length}} <script>alert(1)</script>"

    call = ask(hostile)

    assert call.request["messages"][0]["content"] == f"Summarise this text in a short form:\n\n{hostile}"


def test_a_version_keeps_what_it_was_taken_from(prompt: Prompt, ask: Ask) -> None:
    version: PromptVersion | None = prompt.published
    prompt.template = "Something else: {{document}} {{length}}"
    prompt.save()

    assert ask().request["messages"][0]["content"].startswith("Summarise")
    assert prompt.changed_since_published
    assert prompt.snapshot(None) != version
    prompt.publish(None, version)
    assert prompt.published == version


@pytest.mark.parametrize(("header", "least", "most"), [("inf", 2, 4), ("172800", 172_800, 172_802), ("-5", 0, 1)])
def test_a_long_wait_is_kept_to_and_a_senseless_one_does_not_break_the_call(
    ask: Ask, simulator: Simulator, settings: Settings, header: str, least: float, most: float
) -> None:
    settings.CALL_GIVE_UP_AFTER = 3 * 1440
    call = ask(f"[[simulate: status=429 retry-after={header}]] text")
    before = timezone.now()

    run_call(call.pk)

    call.refresh_from_db()
    assert call.status == Call.Status.WAITING
    assert call.not_before is not None
    assert least <= (call.not_before - before).total_seconds() <= most
    assert not CostRecord.objects.exists()


def test_a_wait_for_years_is_told_at_once_instead_of_hiding_the_call(
    ask: Ask, simulator: Simulator, settings: Settings
) -> None:
    settings.CALL_GIVE_UP_AFTER = 30 * 1440
    call = ask("[[simulate: status=429 retry-after=99999999999]] text")

    run_call(call.pk)

    call.refresh_from_db()
    assert (call.status, call.attempt) == (Call.Status.DEAD, 1)
    assert not CostRecord.objects.exists()


@pytest.mark.parametrize("form", ["%a, %d %b %Y %H:%M:%S GMT", "%a, %d %b %Y %H:%M:%S -0000", "%a %b %d %H:%M:%S %Y"])
def test_a_wait_until_a_date_is_kept_in_each_form_that_http_has(ask: Ask, simulator: Simulator, form: str) -> None:
    until = timezone.now().replace(microsecond=0) + dt.timedelta(seconds=20)
    call = ask(f'[[simulate: status=429 retry-after="{until.strftime(form)}"]] text')

    assert run_call(call.pk).status == Call.Status.WAITING

    call.refresh_from_db()
    assert call.not_before is not None
    assert 0 <= (call.not_before - until).total_seconds() < 1


def test_a_429_holds_the_others_whoever_says_it(ask: Ask, simulator: Simulator) -> None:
    """Something before Claude has other names for it."""
    run_call(ask("[[simulate: status=429 type=api_error retry-after=30]] text").pk)

    assert pacing.wait_for("claude-haiku-5-5", 10) == pytest.approx(30, abs=1)


def test_an_error_whose_name_is_longer_than_any_of_claudes_fails_the_call_at_once(
    ask: Ask, simulator: Simulator
) -> None:
    call = ask(f"[[simulate: status=400 type={'long_' * 20}]] text")

    assert run_call(call.pk).status == Call.Status.FAILED

    call.refresh_from_db()
    assert call.error_type == ("long_" * 20)[:60]


def test_what_a_database_cannot_keep_is_kept_as_a_sign_for_it() -> None:
    assert storable({"a\x00": ["b\x00", {"c": 1}]}) == {"a\ufffd": ["b\ufffd", {"c": 1}]}
    assert storable("half \ud83d, whole \U0001f600") == "half \ufffd, whole \U0001f600"


def test_an_answer_with_half_a_character_is_kept_and_booked(ask: Ask, simulator: Simulator) -> None:
    """A model that writes a tool's input as JSON may name such a half, and PostgreSQL refuses it."""
    call = Call.objects.claim(ask().pk, lease_time())
    assert call is not None
    call.mark_sent("claude-haiku-5-5", "as the prompt says")
    reply = Reply(request_id="req_half", model=call.model, usage={"input_tokens": 1, "output_tokens": 1})
    reply.usage_complete = True
    tool = {"type": "tool_use", "id": "toolu_1", "name": "write", "input": {}}
    reply.take({"type": "content_block_start", "index": 0, "content_block": tool})
    half = {"type": "input_json_delta", "partial_json": '{"text": "\\ud83d"}'}
    reply.take({"type": "content_block_delta", "index": 0, "delta": half})
    reply.take({"type": "content_block_stop", "index": 0})

    assert settle_reply(call, reply)

    call.refresh_from_db()
    assert call.content[0]["input"] == {"text": "\ufffd"}
    assert CostRecord.objects.get().amount is not None


@pytest.mark.django_db(transaction=True)
def test_an_answer_waits_for_a_database_that_is_away(ask: Ask, empty_bill: Simulator) -> None:
    """The first statement of the settlement finds the database gone; the answer is booked when it is back."""
    call = ask()
    failures = iter([OperationalError("terminating connection due to administrator command")])

    class Outage(Witness):
        def text(self, piece: str) -> None:
            connection.execute_wrappers[:] = [fail_once]

    def fail_once(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        for failure in failures:
            raise failure
        return execute(sql, params, many, context)

    try:
        outcome = run_call(call.pk, Outage())
    finally:
        connection.execute_wrappers.clear()

    assert outcome.status == Call.Status.SUCCEEDED
    assert CostRecord.objects.get().amount == bill_of(empty_bill)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("directive", ["status=529 retry-after=40", "spend-limit"])
def test_a_refusal_waits_as_long_as_it_says_where_the_database_is_away_or_goes_in_the_middle_of_noting_it(
    ask: Ask, simulator: Simulator, directive: str
) -> None:
    """What the broken transaction had written is undone, so the second one finds the call under its lease."""
    call = ask(f"[[simulate: {directive}]] text")
    gone = {"first": False, "in the middle": False}
    witness = Witness()

    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        now = "in the middle" if sql.startswith("INSERT") and "core_failedattempt" in sql else "first"
        if witness.heard and not gone[now]:
            gone[now] = True
            raise OperationalError("terminating connection due to administrator command")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail):
        outcome = run_call(call.pk, witness)

    assert all(gone.values())

    call.refresh_from_db()
    assert outcome.status == call.status == Call.Status.WAITING
    assert call.not_before is not None
    assert (call.not_before - timezone.now()).total_seconds() > 30
    assert call.failed_attempts.count() == 1
    assert not CostRecord.objects.exists()
