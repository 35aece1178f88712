"""Who answers when a model cannot: which chain counts for a call, and which of its models may be asked?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from core.costs.estimate import worst_case
from core.execution.cleaning import lacks
from core.hints.remembered import Remembered
from core.models import Call, ClaudeModel, FallbackChain, Key, Price, Prompt, Reservation
from core.routing.choose import Plan, UnknownModelError, plan

# Seconds. Chains change seldom, and every call has to know its own before it is accepted.
FRESH = 5.0


@dataclass(frozen=True)
class Chain:
    """The ids of the models to ask, in order, and after the last of them a written answer, where there is one."""

    models: tuple[str, ...] = ()
    answer: str = ""


NO_CHAIN = Chain()


def chain_of(key: Key | None, prompt: Prompt | None) -> Chain:
    """The key's own chain, else the prompt's, else the usual one."""
    chosen = (key and key.fallback_id) or (prompt and prompt.fallback_id)
    return chains.get().get(chosen or None, NO_CHAIN)


def with_fallbacks(planned: Plan, chain: Chain) -> tuple[str, ...]:
    """Every model that can come to answer a request: what it may cost at most is that of the dearest."""
    return tuple(dict.fromkeys((*planned.models, *chain.models)))


def usable(call: Call, model: str, request: Mapping[str, Any]) -> bool:
    """Whether this model of the chain can take the request, may answer this key, and is within what was reserved."""
    found = ClaudeModel.objects.usable().filter(pk=model).first()
    return found is not None and not lacks(found, request) and _allowed(call, model) and _reserved(call, model, request)


def _allowed(call: Call, model: str) -> bool:
    allowed = call.key.models_bound_to() if call.key else frozenset()
    return not allowed or model in allowed


def _reserved(call: Call, model: str, request: Mapping[str, Any]) -> bool:
    """A chain may have become dearer since the call was accepted; its budgets' limits hold all the same."""
    hard = Reservation.objects.filter(call=call, window__budget__hard=True)
    amounts = list(hard.values_list("amount", flat=True))
    if not amounts:
        return True
    most = worst_case(model, {**request, "model": model}, timezone.now().date())
    return most is not None and most <= min(amounts)


def _read_chains() -> dict[int | None, Chain]:
    """All chains by their id; under None the usual one."""
    stored = list(FallbackChain.objects.prefetch_related("steps"))
    priced = set(Price.objects.in_force().values_list("model_id", flat=True)) if stored else set()
    read: dict[int | None, Chain] = {}
    for each in stored:
        read[each.pk] = Chain(_ids(each.model_names(), priced), each.answer)
        if each.is_default:
            read[None] = read[each.pk]
    return read


def _ids(names: Iterable[str], priced: set[str]) -> tuple[str, ...]:
    """The models that these names lead to. One without a price is none: no budget could hold its limit with it."""
    return tuple(dict.fromkeys(model for name in names for model in _led_to(name) if model in priced))


def _led_to(name: str) -> tuple[str, ...]:
    try:
        return plan(name).models
    except UnknownModelError:
        return ()


chains = Remembered(_read_chains, FRESH)
