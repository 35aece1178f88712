"""How are amounts, times and states said in the admin, in Python and in its templates?"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

from django import template
from django.utils import timezone

from core.execution.patience import PARKED
from core.models import Call, FailedAttempt

register = template.Library()

# A state's colour: the theme's names for labels.
TONES: dict[str, str] = {
    Call.Status.QUEUED: "info",
    Call.Status.RUNNING: "info",
    Call.Status.WAITING: "warning",
    Call.Status.SUCCEEDED: "success",
    Call.Status.FAILED: "danger",
    Call.Status.DEAD: "danger",
    Call.Status.CANCELED: "default",
}
# What happened, for each of Claude's kinds of error and our own.
TROUBLES: dict[str, str] = {
    "authentication_error": "Claude did not accept this installation's key.",
    "permission_error": "This installation's key may not do this.",
    "not_found_error": "Claude does not know this model, or not any more.",
    "invalid_request_error": "Claude could not accept this request as it is.",
    "request_too_large": "This was more text than Claude takes at once.",
    "billing_error": "Claude's account of this organisation cannot pay for this now.",
    "rate_limit_error": "More was asked of Claude than the account allows at once.",
    "overloaded_error": "Claude was overloaded.",
    "api_error": "Something went wrong at Claude's side.",
    "timeout_error": "Claude did not finish in time.",
    "connection_error": "Claude could not be reached, or the connection broke.",
    "incomplete_stream": "The answer broke off before its end.",
    "worker_lost": "The program that worked on this was stopped.",
}


def usd(amount: Decimal | None) -> str:
    """`$12.30`, or small amounts with two digits that matter, `$0.0012`; «unknown» for None, which is not zero."""
    if amount is None:
        return "unknown"
    if amount == 0:
        return "$0"
    places = 2 if amount >= 1 else max(2, 1 - amount.adjusted())
    return f"${amount.quantize(Decimal(1).scaleb(-places)):,f}"


def exact_usd(amount: Decimal | None) -> str:
    """All ten places, without the zeros at the end that say nothing."""
    return "unknown" if amount is None else f"${amount.normalize():,f}"


def signed_usd(amount: Decimal) -> str:
    """A difference, all places of it: `+$0.0012`, `−$3`, `$0`."""
    sign = "+" if amount > 0 else "−" if amount < 0 else ""
    return f"{sign}{exact_usd(abs(amount))}"


def whole(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"


def seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f} s"


def moment(when: dt.datetime) -> str:
    """`21 Nov 2026, 16:31:05`, in the installation's time zone."""
    local = timezone.localtime(when)
    return f"{local.day} {local:%b %Y, %H:%M:%S}"


def age(when: dt.datetime | None) -> str:
    """How long ago it was, in the unit that matters."""
    if when is None:
        return "–"
    passed = max(0, int((timezone.now() - when).total_seconds()))
    for unit, size, beyond in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if passed < beyond:
            return f"{passed // size} {unit}"
    return f"{passed // 86_400} days"


def tone(call: Call) -> str:
    return TONES.get(call.status, "default")


def trouble(call: Call | FailedAttempt) -> str:
    """What went wrong, in a sentence; empty for a call without an error."""
    if getattr(call, "parked", False) or getattr(call, "then", "") == PARKED:
        return "Claude's spend limit is reached."
    return trouble_of(call.error_type) if call.error_type else ""


def trouble_of(error_type: str) -> str:
    """The same for a kind of error."""
    return TROUBLES.get(error_type, "Something went wrong.")


def cost_of(call: Call) -> str:
    """What a call cost so far; a dash for one that nothing was sent for."""
    return usd(call.cost) if call.cost_records.all() else "–"


def pretty(value: object) -> str:
    """JSON as a person reads it."""
    return json.dumps(value, indent=2, ensure_ascii=False)


for _word in (pretty, age, usd, exact_usd, signed_usd, whole, seconds, tone, trouble, trouble_of, cost_of):
    register.filter(_word.__name__, _word)
