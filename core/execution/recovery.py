"""What becomes of a running call whose process is gone?"""

from __future__ import annotations

from functools import partial

from django.db import transaction

from core.costs import budgets
from core.costs.ledger import Exchange, book
from core.execution.run import lost_error, may_try_again
from core.models import Call, CostRecord


def recover(call: Call) -> str:
    """Queue a lost call again or give it up; answers its new status, empty where its process came back in time.

    A request that had been sent may be billed although its answer is gone, so its unknown cost is booked; so may the
    question to a classifier.
    """
    sent, asking = call.sent_at is not None, bool(call.classifying)
    with transaction.atomic():
        again = may_try_again(call, billed=sent) and (not (sent or asking) or budgets.hold_another(call))
        end = call.give_back if again else partial(call.give_up, lost_error())
        # Booked only if the call really was ours to take: otherwise its process will book what it knows.
        if not end():
            return ""
        if sent:
            book(call, Exchange(model=call.model))
        if asking:
            book(call, Exchange(model=call.classifying, purpose=CostRecord.Purpose.CLASSIFICATION))
        budgets.settle(call.pk)
    return call.status
