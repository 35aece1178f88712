"""Which model does a name lead to, and does a call say why?"""

from __future__ import annotations

from typing import Any

import pytest

from core.execution.run import run_call
from core.models import (
    Call,
    ClassifiedInput,
    Classifier,
    ClaudeModel,
    CostRecord,
    ModelAlias,
    User,
)
from core.routing import names
from core.routing.choose import UnknownModelError, plan
from core.routing.reserving import reserve
from core.simulator.server import Simulator
from tests.routing.bill import billed

HAIKU, SONNET, OPUS = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"


def stored(asked: str, text: str, user: User | None = None, **more: Any) -> Call:
    planned = plan(asked)
    request = {"model": asked, "max_tokens": 200, "messages": [{"role": "user", "content": text}]}
    call = Call.objects.create(user=user, request=request, routing=planned.as_json(), lane=Call.Lane.SYNC, **more)
    reserve(call, planned)
    return call


def run(asked: str, text: str, **more: Any) -> Call:
    call = stored(asked, text, **more)
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
