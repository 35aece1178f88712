"""What will a request probably cost that asks for an alias or a route?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from core.costs.estimate import Estimate, estimate
from core.models import Prompt
from core.routing.choose import UnknownModelError, plan

Count = Callable[[Mapping[str, Any]], int | None]


def estimate_asked(
    request: Mapping[str, Any], prompt: Prompt | None, count: Count | None = None, *, batch: bool = False
) -> Estimate:
    """The price of a Messages request, whatever its model's name stands for; `count` asks Claude for its tokens.

    For a route, from the cheapest that its models may come to, to the dearest, and likely that of the middle one.
    """
    named = str(request["model"])
    try:
        models = plan(named).models
    except UnknownModelError:
        models = (named,)
    tokens = count({**request, "model": models[0]}) if count else None
    each = [estimate({**request, "model": model}, prompt, tokens, batch=batch) for model in models]
    each.sort(key=lambda one: one.likely or Decimal(0))
    middle = each[len(each) // 2]
    lows, highs, mosts = ([getattr(one, name) for one in each] for name in ("low", "high", "at_most"))
    if any(amount is None for amount in (*lows, *highs, *mosts)):
        return middle if len(each) == 1 else replace(middle, low=None, likely=None, high=None, at_most=None)
    return replace(middle, low=min(lows), high=max(highs), at_most=max(mosts))
