"""How are past calls classified whose class nobody knows, and what does that cost?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import transaction

from core.costs import budgets
from core.costs.ledger import settle
from core.models import Call, User
from core.routing.asking import question
from core.routing.book import Questions, book
from core.routing.classify import Classifying
from core.routing.facts import asked_text
from core.routing.past import Tokens
from core.routing.trying import LONGEST

Missing = Sequence[tuple[Call, Questions]]
# So many are asked about in one go, and no new one after so many seconds: whoever asked waits for it.
AT_ONCE = 50
SECONDS = 25.0
ENDED = "Past calls were classified for a what-if; no model answered."


@dataclass(frozen=True)
class Price:
    """What asking about so many would cost, in USD; None where the price book does not say."""

    questions: int
    likely: Decimal | None


def price_of(missing: Missing) -> Price:
    tokens, known = Tokens(), book()
    each = [
        tokens.price_of_question(asked, known.model_of(asked.content["model"]), asked_text(past.request))
        for past, asked in missing
    ]
    amounts = [amount for amount in each if amount is not None]
    return Price(len(missing), sum(amounts, Decimal(0)) if len(amounts) == len(each) else None)


def classify(missing: Missing, by: User, unavailable: Callable[[str], bool]) -> tuple[int, Call | None]:
    """Ask about the first of these; answers how many got a class, and the call under which it is all booked.

    Raises `OverBudgetError` where the budgets of `by`, who asks, have no room for it.
    """
    known = book()
    some = [each for each in missing if known.model_of(each[1].content["model"])][:AT_ONCE]
    if not some:
        return 0, None
    call = _call([_question(past, asked) for past, asked in some], by)
    deadline, classified = time.monotonic() + SECONDS, 0
    try:
        for past, asked in some:
            if time.monotonic() > deadline:
                break
            classified += _classified(call, past, asked, unavailable)
    finally:
        answer: dict[str, Any] = {"content": [], "envelope": None, "stop_reason": "", "request_id": "", "model": ""}
        settle(call, None, partial(call.succeed, {**answer, "text": ENDED}))
    return classified, call


def _question(past: Call, asked: Questions) -> dict[str, Any]:
    model = str(book().model_of(asked.content["model"]))
    most = max(asked.content["characters"], asked.content["more_characters"])
    return question(asked.content, model, asked_text(past.request), most)


def _classified(call: Call, past: Call, asked: Questions, unavailable: Callable[[str], bool]) -> bool:
    text, known = asked_text(past.request), book()
    classifying = Classifying(call, text, {asked.slug: asked}.get, known.model_of, unavailable)
    classifying.class_of(asked.slug)
    return not classifying.known[asked.slug].why


def _call(questions: list[dict[str, Any]], by: User) -> Call:
    with transaction.atomic():
        call = Call.objects.create(user=by, door=Call.Door.TRY, lane=Call.Lane.SYNC, request=questions[0])
        # Each may be asked a second time, with more of the text.
        budgets.reserve(call, besides=[*questions[1:], *questions])
        taken = Call.objects.claim(call.pk, LONGEST)
    if taken is None:
        raise RuntimeError(f"call {call.pk} was taken by another process")
    return taken
