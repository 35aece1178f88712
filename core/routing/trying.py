"""What would a route do with a request, and what would each model cost? The answering model is not asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import transaction

from core.costs import budgets
from core.costs.estimate import Estimate, estimate
from core.costs.ledger import settle
from core.models import Call, ClaudeModel, Prompt, User
from core.routing.book import Questions, book
from core.routing.choose import Plan, goes_in_a_batch, usable, waits_not
from core.routing.classify import Classified, Classifying
from core.routing.facts import asked_text, facts_of
from core.routing.reasons import reason_of
from core.routing.rules import Compiled, Decision, compile_route, decide

NOT_ASKED = "nobody asked it for this trial"
# A trial that takes longer is lost.
LONGEST = dt.timedelta(minutes=5)
ENDED = "Only the rules of a route were tried; no model answered."


@dataclass(frozen=True)
class Priced:
    """What one model would cost for the request."""

    model: ClaudeModel
    estimate: Estimate
    chosen: bool


@dataclass(frozen=True)
class Trial:
    """What came of it. `call` holds what asking classifiers cost, where any was asked."""

    route: Compiled
    decision: Decision
    classes: Mapping[str, Classified]
    model: str | None
    reason: str
    prices: list[Priced]
    call: Call | None
    # It would go to Claude in a batch, and the prices are those of one.
    batch: bool = False


def try_route(
    content: Mapping[str, Any], sample: Call, by: User, *, ask: bool, unavailable: Callable[[str], bool]
) -> Trial:
    """Run a route's content over `sample`, a call that need not be stored; with `ask`, classifiers are really asked.

    Raises `OverBudgetError` where no budget of `by`, who asks, has room for a classifier's question.
    """
    route = compile_route(content)
    known = book()
    questions = {slug: known.classifiers[slug] for slug in route.classifiers if slug in known.classifiers}
    call = _trial_call(sample, by, _plan_of(questions, known.model_of)) if ask else None
    classifying = Classifying(
        call or sample,
        asked_text(sample.request),
        questions=questions.get,
        model_of=known.model_of,
        unavailable=unavailable,
        forbidden="" if call else NOT_ASKED,
    )
    try:
        decision = decide(route, facts_of(sample, sample.request, route.slug, classifying.class_of))
    finally:
        if call is not None:
            _end(call)
    names = {each.model for each in route.outcomes() if known.model_of(each.model)}
    outcome, gone = usable(decision.outcome, route, names)
    model, batch = known.model_of(outcome.model), goes_in_a_batch(outcome, sample)
    return Trial(
        route=route,
        decision=decision,
        classes=classifying.known,
        model=model,
        reason=reason_of(route, decision, classifying.known, gone=gone, more=waits_not(outcome, sample)),
        prices=prices_of(outcome.limited(sample.request), sample.prompt, model, batch=batch),
        call=call,
        batch=batch,
    )


def _plan_of(questions: Mapping[str, Questions], model_of: Callable[[str], str | None]) -> Plan:
    named = {each.content["model"] for each in questions.values()}
    names = {name: model for name in named if (model := model_of(name)) is not None}
    return Plan("", (), names=names, classifiers=tuple(questions.values()))


def prices_of(
    request: Mapping[str, Any], prompt: Prompt | None, chosen: str | None, *, batch: bool = False
) -> list[Priced]:
    """What each model that answers today would cost for the request, the chosen one first, then the cheapest."""
    found = [
        Priced(model, estimate({**request, "model": model.pk}, prompt, batch=batch), model.pk == chosen)
        for model in ClaudeModel.objects.usable()
    ]
    unknown = max((each.estimate.likely or 0 for each in found), default=0) + 1
    return sorted(found, key=lambda each: (not each.chosen, each.estimate.likely or unknown))


def _trial_call(sample: Call, by: User, plan: Plan) -> Call | None:
    """A call of whoever tries, running, with the classifiers' questions reserved: what they cost is booked under it.

    None where no classifier's model answers any more.
    """
    questions = plan.besides(sample.request)
    if not questions:
        return None
    with transaction.atomic():
        call = Call.objects.create(user=by, door=Call.Door.TRY, lane=Call.Lane.SYNC, request=questions[0])
        budgets.reserve(call, besides=questions[1:])
        return Call.objects.claim(call.pk, LONGEST)


def _end(call: Call) -> None:
    """The trial is over: what it cost is booked already."""
    answer: dict[str, Any] = {
        "text": ENDED,
        "content": [],
        "envelope": None,
        "stop_reason": "",
        "request_id": "",
        "model": "",
    }
    settle(call, None, partial(call.succeed, answer))
