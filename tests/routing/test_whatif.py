"""Does what-if say what really happens when the changed route runs?"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from core.models import Call, ClassifiedInput, CostRecord, Route, User
from core.routing.classifying_past import classify, price_of
from core.routing.whatif import past_calls, sample_of, what_if
from core.simulator.server import Simulator
from tests.routing.bill import billed
from tests.routing.test_choose import HAIKU, OPUS, SONNET, run, says


def past(asked: str = "") -> list[Call]:
    now = timezone.now()
    found = past_calls(now - dt.timedelta(days=1), now + dt.timedelta(days=1), asked=(asked,) if asked else ())
    return sample_of(found, 1000)


def changed_route() -> Route:
    """One that sends short questions to the fast model, data to the best, and all else to the standard one."""
    route = Route.objects.create(name="Mail", slug="mail", model="standard")
    route.rules.create(position=0, conditions=[{"kind": "words", "words": ["translate"]}], model="fast")
    route.rules.create(position=1, conditions=[{"kind": "length", "at_least": 100}], model="best")
    return route


TEXTS = ["translate this", "what is the time", "write a long letter " * 40, "translate that, please", "hello"]


def test_the_prediction_is_what_running_it_gives(ready_made: None) -> None:
    before = [run("standard", text) for text in TEXTS]
    route = changed_route()
    predicted = what_if(route.content(), past())
    assert (predicted.looked_at, predicted.changed, predicted.unpriced) == (5, 3, 0)
    assert predicted.moves == {(SONNET, HAIKU): 2, (SONNET, OPUS): 1}
    assert predicted.cost == sum(call.cost or 0 for call in before)

    route.publish(None)
    after = [run("mail", text) for text in TEXTS]
    models = {change.call.pk: change.after for change in predicted.changes}
    assert [models.get(call.pk, SONNET) for call in before] == [call.model for call in after]
    real = sum(call.cost or 0 for call in after)
    assert predicted.low <= real <= predicted.high


def test_the_prediction_is_what_running_a_route_with_a_classifier_gives(ready_made: None) -> None:
    """Each call by itself; what they cost before lies outside of what is predicted, so that no guess would do."""
    labels = ["simple", "complex", "moderate", "complex", "bulk", "complex"]
    texts = [f"question {number}: explain it. {says(label)}" for number, label in enumerate(labels)]
    before = [run("auto", text) for text in texts]
    assert [call.model for call in before] == [HAIKU, OPUS, SONNET, OPUS, SONNET, OPUS]
    route = Route.objects.get(slug="auto")
    route.rules.filter(name="complex → best").update(model="fast", max_tokens=60)
    route.rules.filter(name="bulk → batch").update(model="best", batch=False)
    route.rules.create(position=9, conditions=[{"kind": "words", "words": ["2"]}], model="fast")
    predicted = what_if(route.content(), past("auto"))
    assert (predicted.looked_at, predicted.unpriced, predicted.missing) == (6, 0, [])

    route.publish(None)
    # Really run, its classifiers are really asked.
    ClassifiedInput.objects.all().delete()
    after = {call.pk: run("auto", text) for call, text in zip(before, texts, strict=True)}
    changes = {change.call.pk: change for change in predicted.changes}
    assert {pk: after[pk].model for pk in changes} == {pk: change.after for pk, change in changes.items()}
    assert [after[call.pk].model for call in before if call.pk not in changes] == [HAIKU]
    for pk, change in changes.items():
        assert change.low is not None
        assert change.high is not None
        assert change.low <= (after[pk].cost or 0) <= change.high, change
        assert change.cost is not None
        assert not change.low <= change.cost <= change.high, "the price before would not have been a prediction"
    real = sum(call.cost or 0 for call in after.values())
    assert 0 < predicted.low <= real <= predicted.high < 5 * predicted.low
    assert not predicted.low <= predicted.cost <= predicted.high


def test_send_as_batch_halves_the_price_of_what_may_wait_only(ready_made: None) -> None:
    run("standard", "Somebody waits for this.")
    Call.objects.update(door=Call.Door.API)
    route = Route.objects.create(name="Night", slug="night", model="standard")
    route.rules.create(conditions=[], model="standard", batch=True)
    assert not any(what_if(route.content(), past()).difference)
    Call.objects.update(lane=Call.Lane.QUEUE)
    found = what_if(route.content(), past())
    assert found.likely * 2 == found.cost > 0
    # And back: what went in a batch by its rule comes to the queue, and is asked about as such.
    Call.objects.update(lane=Call.Lane.BATCH, routing={"chosen": {"batch": True}})
    route.rules.update(batch=False, conditions=[{"kind": "lane", "lanes": ["queue"]}], model="fast")
    assert what_if(route.content(), past()).moves == {(SONNET, HAIKU): 1}


def test_nothing_is_sent_and_classes_that_are_known_are_used(ready_made: None, simulator: Simulator) -> None:
    run("auto", f"one {says('complex')}")
    run("standard", "two")
    with billed(simulator) as bill:
        found = what_if(Route.objects.get(slug="auto").content(), past())
    assert bill.count == 0
    # The first had been classified; for the second the default label stands, which leads to the same model.
    assert found.changed == 0
    assert [call.model for call, _ in found.missing] == [SONNET]
    assert found.likely > found.cost


def test_missing_classes_are_asked_for_only_when_wanted_and_are_booked(
    ready_made: None, simulator: Simulator, member: User
) -> None:
    run("standard", f"three {says('simple')}")
    route = Route.objects.get(slug="auto")
    missing = what_if(route.content(), past()).missing
    priced = price_of(missing)
    with billed(simulator) as bill:
        classified, call = classify(missing, member, lambda _model: False)
    assert (classified, priced.questions, bill.count) == (1, 1, 1)
    assert call is not None
    record = CostRecord.objects.get(call=call)
    assert (record.purpose, record.user, record.amount) == (CostRecord.Purpose.CLASSIFICATION, member, bill.total)
    assert priced.likely is not None
    assert priced.likely / 3 < bill.total < priced.likely * 3
    again = what_if(route.content(), past())
    assert (again.missing, dict(again.moves)) == ([], {(SONNET, HAIKU): 1})
    call.refresh_from_db()
    assert call.status == Call.Status.SUCCEEDED


def test_many_calls_take_a_few_queries(
    ready_made: None, member: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    request: dict[str, Any] = {"model": "standard", "max_tokens": 100}
    Call.objects.bulk_create(
        Call(
            user=member,
            status=Call.Status.SUCCEEDED,
            model=SONNET,
            request={**request, "messages": [{"role": "user", "content": f"text {number}"}]},
        )
        for number in range(300)
    )
    ClassifiedInput.objects.all().delete()
    calls = past()
    with django_assert_max_num_queries(20):
        found = what_if(Route.objects.get(slug="auto").content(), calls)
    assert (found.looked_at, found.unpriced, len(found.missing)) == (300, 300, 300)
