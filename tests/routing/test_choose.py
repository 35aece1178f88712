"""Which model does a name lead to, and does a call say why?"""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from core.costs.estimate import worst_case
from core.execution.lease import lease_time
from core.execution.recovery import recover
from core.execution.run import run_call
from core.intake.accept import accept
from core.models import (
    Budget,
    Call,
    ClassifiedInput,
    Classifier,
    ClaudeModel,
    CostRecord,
    Key,
    ModelAlias,
    Prompt,
    Route,
    User,
)
from core.routing import names
from core.routing.book import version_of
from core.routing.choose import UnknownModelError, choose, plan
from core.routing.estimating import estimate_asked
from core.routing.reserving import reserve
from core.routing.traces import trace_of
from core.simulator.server import Simulator
from tests.routing.bill import billed

HAIKU, SONNET, OPUS = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"


def stored(asked: str, text: str, user: User | None = None) -> Call:
    planned = plan(asked)
    request = {"model": asked, "max_tokens": 200, "messages": [{"role": "user", "content": text}]}
    call = Call.objects.create(user=user, request=request, routing=planned.as_json(), lane=Call.Lane.SYNC)
    reserve(call, planned)
    return call


def run(asked: str, text: str, user: User | None = None) -> Call:
    call = stored(asked, text, user)
    run_call(call.pk)
    call.refresh_from_db()
    return call


def says(label: str, *, sure: bool = True) -> str:
    """A directive by which the simulated classifier gives this label, and only it."""
    answer = f'{{\\"label\\": \\"{label}\\", \\"sure\\": {str(sure).lower()}}}'
    return f'[[simulate: answer="{answer}" model=haiku]]'


def test_an_alias_stands_for_its_model_and_the_reason_says_so(ready_made: None) -> None:
    call = run("best", "Hello")
    assert (call.status, call.model) == (Call.Status.SUCCEEDED, OPUS)
    assert call.reason == f"This prompt is set to «best», which stands for {OPUS}."


def test_a_name_that_stands_for_nothing_is_unknown(ready_made: None) -> None:
    ClaudeModel.objects.filter(pk=OPUS).update(lifecycle=ClaudeModel.Lifecycle.RETIRED)
    for name in ("nothing", OPUS, "best"):
        with pytest.raises(UnknownModelError):
            plan(name)


def test_the_usual_name_is_the_alias_marked_so(ready_made: None) -> None:
    assert names.usual() == "standard"
    ModelAlias.objects.filter(name="standard").update(is_usual=False)
    ModelAlias.objects.get(name="fast").save()
    fast = ModelAlias.objects.get(name="fast")
    fast.is_usual = True
    fast.save()
    assert names.usual() == "fast"


def test_a_plan_names_every_model_that_can_answer(ready_made: None) -> None:
    planned = plan("auto")
    assert set(planned.models) == {HAIKU, SONNET, OPUS}
    assert [each.slug for each in planned.classifiers] == ["complexity"]
    asked_besides = planned.besides({"messages": [{"role": "user", "content": "Hello"}]})
    assert [request["model"] for request in asked_besides] == [HAIKU, HAIKU]


def test_a_class_leads_to_its_model_and_the_ledger_has_both_exchanges(ready_made: None, simulator: Simulator) -> None:
    with billed(simulator) as bill:
        call = run("auto", f"Compare these contracts. {says('complex')}")
    assert call.model == OPUS
    assert call.reason.startswith("matched «complex → best»: class complex, ")
    assert "$0.0" in call.reason
    records = {record.purpose: record for record in call.cost_records.all()}
    assert records[CostRecord.Purpose.CLASSIFICATION].model == HAIKU
    assert records[CostRecord.Purpose.ANSWER].model == OPUS
    assert call.cost == bill.total
    assert bill.count == 2
    assert call.routing is not None
    assert call.routing["rule"] == 1
    assert call.routing["failed"] == [[0, 0]]
    assert call.classifying == ""


def test_the_same_input_is_not_classified_twice_within_a_day(ready_made: None, simulator: Simulator) -> None:
    text = f"Say hello. {says('simple')}"
    first = run("auto", text)
    with billed(simulator) as bill:
        second = run("auto", text)
    assert (first.model, second.model) == (HAIKU, HAIKU)
    assert bill.count == 1
    assert "known from the same input before" in second.reason
    Classifier.objects.get(slug="complexity").save()
    run("auto", text)
    assert ClassifiedInput.objects.count() == 1


@pytest.mark.parametrize(
    ("directive", "why", "exchanges"),
    [
        ('answer="{\\"label\\": \\"odd\\", \\"sure\\": true}" model=haiku', "named none of its labels", 2),
        ('answer="not even data" model=haiku', "named none of its labels", 2),
        ("refusal model=haiku", "refused to answer", 2),
        ("status=529 model=haiku", "could not be asked (overloaded_error)", 1),
        ("status=500 model=haiku", "could not be asked (api_error)", 1),
        ("hang seconds=5 model=haiku", "did not answer within 0.3 s", 1),
        ("cut after=1 model=haiku", "could not be asked (incomplete_stream)", 2),
        ("drop model=haiku", "could not be asked (connection_error)", 1),
    ],
)
def test_whatever_a_classifier_fails_with_the_default_model_answers(
    ready_made: None, simulator: Simulator, directive: str, why: str, exchanges: int
) -> None:
    Classifier.objects.filter(slug="complexity").update(seconds=0.3 if "hang" in directive else 10)
    with billed(simulator) as bill:
        call = run("auto", f"A question. [[simulate: {directive}]]")
    assert (call.status, call.model) == (Call.Status.SUCCEEDED, SONNET)
    assert "class moderate, the default, because «Complexity» " in call.reason
    assert why in call.reason
    assert bill.count == exchanges
    known = sum(record.amount or 0 for record in call.cost_records.all())
    unknown = call.cost_records.filter(amount=None)
    assert unknown or known == bill.total
    assert ClassifiedInput.objects.count() == 0
    assert call.classifying == ""


def test_a_withdrawn_or_changed_route_leads_only_new_calls_elsewhere(ready_made: None) -> None:
    before = stored("auto", f"One. {says('complex')}")
    route = Route.objects.get(slug="auto")
    route.rules.all().delete()
    route.publish(None)
    run_call(before.pk)
    before.refresh_from_db()
    assert before.model == OPUS
    assert run("auto", "Two.").model == SONNET
    route.withdraw(None)
    with pytest.raises(UnknownModelError):
        plan("auto")


def test_reading_what_is_published_takes_one_query(
    ready_made: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    plan("auto")
    with django_assert_num_queries(1):
        plan("auto")
    call = stored("auto", "Three.")
    route = Route.objects.get(slug="auto")
    with django_assert_num_queries(0):
        # Rules that need no classifier need no query either.
        assert version_of(call.routing["version"], call.routing["digest"]) is not None  # type: ignore[index]
    publish(route)
    with django_assert_num_queries(6):
        plan("auto")
    with django_assert_num_queries(1):
        plan("auto")


def publish(route: Route) -> None:
    route.max_tokens = (route.max_tokens or 1000) + 1
    route.save()
    route.publish(None)


def test_a_model_that_is_left_alone_is_not_asked_to_classify(ready_made: None, simulator: Simulator) -> None:
    call = stored("auto", "Four.")
    taken = Call.objects.claim(call.pk, lease_time())
    assert taken is not None
    with billed(simulator) as bill:
        choice = choose(taken, taken.request, unavailable=lambda model: model == HAIKU)
    assert choice.model == SONNET
    assert "is not asked at the moment, because it failed too often" in choice.reason
    assert bill.count == 0


def test_without_room_for_the_classifier_its_default_label_counts(ready_made: None, member: User) -> None:
    planned = plan("auto")
    text = f"Five. {says('complex')}"
    request = {"model": "auto", "max_tokens": 200, "messages": [{"role": "user", "content": text}]}
    dearest = worst_case(OPUS, request, timezone.now().date())
    Budget.objects.create(
        name="tight", scope=Budget.Scope.ORGANISATION, period=Budget.Period.MONTH, owner=member, amount=dearest or 0
    )
    call = run("auto", text, user=member)
    assert (call.status, call.model) == (Call.Status.SUCCEEDED, SONNET)
    assert "the default, because a budget has no room for a classifier" in call.reason
    assert planned.besides(request)
    assert call.cost_records.count() == 1


def test_a_reservation_holds_the_dearest_model_and_every_question(ready_made: None, member: User) -> None:
    Budget.objects.create(
        name="wide", scope=Budget.Scope.ORGANISATION, period=Budget.Period.MONTH, owner=member, amount=100
    )
    call = stored("auto", "Six.", user=member)
    today = timezone.now().date()
    questions = plan("auto").besides(call.request)
    expected = [worst_case(OPUS, call.request, today), *(worst_case(HAIKU, each, today) for each in questions)]
    assert call.reservations.get().held == sum(amount for amount in expected if amount is not None)
    run_call(call.pk)
    reservation = call.reservations.get()
    assert reservation.held == 0
    assert reservation.spent == call.cost


def test_a_process_that_dies_while_it_classifies_leaves_an_exchange_of_unknown_cost(ready_made: None) -> None:
    call = stored("auto", "Seven.")
    taken = Call.objects.claim(call.pk, lease_time())
    assert taken is not None
    assert taken.mark_classifying(HAIKU)
    Call.objects.filter(pk=call.pk).update(lease_until=timezone.now() - dt.timedelta(minutes=1))
    recover(Call.objects.get(pk=call.pk))
    record = CostRecord.objects.get(call=call)
    assert (record.purpose, record.amount, record.model) == (CostRecord.Purpose.CLASSIFICATION, None, HAIKU)


def test_an_unsure_classifier_sees_more_once(ready_made: None, simulator: Simulator) -> None:
    long = "word " * 100
    with billed(simulator) as bill:
        call = run("auto", f"{says('complex', sure=False)} {long}")
    assert bill.count == 3
    assert call.model == OPUS
    assert call.cost == bill.total


def test_a_prompt_follows_its_route(prompt: Prompt, ready_made: None, member: User) -> None:
    unchanged = prompt.published
    prompt.route = Route.objects.get(slug="auto")
    prompt.save()
    assert prompt.changed_since_published
    version = prompt.publish(None)
    assert unchanged is not None
    assert "asked" not in unchanged.content()
    call = accept(version, {"document": f"Text. {says('complex')}", "length": "short"}, user=member)
    run_call(call.pk)
    call.refresh_from_db()
    assert (call.model, call.request["model"]) == (OPUS, "auto")
    prompt.route.withdraw(None)
    call = accept(version, {"document": "Text.", "length": "short"}, user=member)
    assert call.request["model"] == HAIKU


@pytest.mark.parametrize("named", ["", "auto"])
def test_a_key_has_a_route_of_its_own(ready_made: None, member: User, named: str) -> None:
    key = Key.objects.create(name="program", user=member)
    assert names.for_key(key, named) == (named or "standard")
    key.route = Route.objects.get(slug="intent")
    assert names.for_key(key, named) == "intent"
    assert names.for_key(key, OPUS) == OPUS


def test_after_one_lost_question_no_other_classifier_is_asked(ready_made: None, simulator: Simulator) -> None:
    Classifier.objects.update(seconds=0.3)
    route = Route.objects.get(slug="intent")
    by_complexity = [{"kind": "class", "classifier": "complexity", "labels": ["simple"]}]
    route.rules.create(position=9, conditions=by_complexity, model="fast")
    route.publish(None)
    with billed(simulator) as bill:
        call = run("intent", "Eight. [[simulate: hang seconds=5 model=haiku]]")
    assert call.model == SONNET
    assert "class moderate, the default, because a classifier was asked before and did not answer" in call.reason
    assert call.cost_records.filter(amount=None).count() == 1
    assert bill.count == 1, "the answer's"


def test_a_worker_that_ends_while_it_classifies_does_not_forget_the_question(ready_made: None) -> None:
    call = stored("auto", "Nine.")
    taken = Call.objects.claim(call.pk, lease_time())
    assert taken is not None
    assert taken.mark_classifying(HAIKU)
    assert not taken.hand_back()
    assert taken.mark_classifying("")
    assert taken.hand_back()


def test_a_call_says_which_rules_were_looked_at(ready_made: None, outsider: User, client: Client) -> None:
    call = run("auto", f"Ten. {says('complex')}", user=outsider)
    trace = trace_of(call)
    assert trace is not None
    assert [(rule.title, rule.matched) for rule in trace.rules] == [("simple → fast", False), ("complex → best", True)]
    assert trace.rules[0].why == "the class by Complexity is «simple»"
    client.force_login(outsider)
    page = client.get(call.get_absolute_url()).content.decode()
    assert "2 of «Auto», version 1" in page
    assert "did not match, for it is not so that the class by Complexity is «simple»" in page
    assert trace_of(run("fast", "Eleven.")) is None


def test_a_routes_price_lies_between_its_models(ready_made: None) -> None:
    request = {"model": "auto", "max_tokens": 500, "messages": [{"role": "user", "content": "Hello"}]}
    ranged = estimate_asked(request, None)
    each = {model: estimate_asked({**request, "model": model}, None) for model in (HAIKU, SONNET, OPUS)}
    assert (ranged.low, ranged.high, ranged.at_most) == (each[HAIKU].low, each[OPUS].high, each[OPUS].at_most)
    assert ranged.likely == each[SONNET].likely == estimate_asked({**request, "model": "standard"}, None).likely
