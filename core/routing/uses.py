"""What names a model, which of that is in danger because the model is phased out, and what could take its place?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import F, Model
from django.utils import timezone

from core.models import Classifier, ClaudeModel, FallbackStep, Key, Price, Prompt, Route
from core.routing.problems import phasing_out


@dataclass(frozen=True)
class Use:
    """One thing that names a model. `how` says in what way; `drafted` that a change of it waits to be published."""

    row: Model
    kind: str
    how: str
    drafted: bool = False


@dataclass(frozen=True)
class Successor:
    """A newer model of the same line, and how its list prices differ, in USD per million tokens; None for unknown."""

    model: ClaudeModel
    input: Decimal | None
    output: Decimal | None


def uses_of(model: ClaudeModel) -> list[Use]:
    """All that names this model: by its id, and by an alias that stands for it."""
    aliases = {alias.name: alias for alias in model.aliases.all()}
    return [
        *(Use(alias, "alias", "stands for it") for alias in aliases.values()),
        *_prompts(model),
        *_routes(model.pk, set(aliases)),
        *_others(model, {model.pk, *aliases}),
    ]


def _prompts(model: ClaudeModel) -> Iterator[Use]:
    for prompt in Prompt.objects.filter(model=model):
        yield Use(prompt, "prompt", "its draft", drafted=True)
    for prompt in Prompt.objects.filter(published__model=model).exclude(model=model):
        yield Use(prompt, "prompt", "what people use")


def _routes(model: str, aliases: set[str]) -> Iterator[Use]:
    for route in Route.objects.select_related("published").prefetch_related("rules"):
        draft = route.content()
        if said := _places(draft, {model}):
            yield Use(route, "route", f"its draft: {said}", drafted=True)
        # These change together with the alias, and not by replacing the model in drafts.
        if said := _places(draft, aliases):
            yield Use(route, "route", f"its draft, by an alias: {said}")
        if route.published and (said := _places(route.published.content, {model, *aliases})):
            yield Use(route, "route", f"what requests follow: {said}")


def _places(content: dict[str, Any], names: set[str]) -> str:
    """Where a route's content names one of these: «rule 2, the default»."""
    places = [f"rule {number}" for number, rule in enumerate(content["rules"], 1) if rule["model"] in names]
    return ", ".join([*places, "the default"] if content["default"]["model"] in names else places)


def _others(model: ClaudeModel, names: set[str]) -> Iterator[Use]:
    for classifier in Classifier.objects.filter(model__in=names):
        yield Use(classifier, "classifier", "is asked with it")
    for step in FallbackStep.objects.filter(model__in=names).select_related("chain"):
        yield Use(step.chain, "fallback chain", "may turn to it")
    for key in Key.objects.filter(models_allowed=model, revoked_at=None):
        yield Use(key, "key", "may use it")
    for key in Key.objects.filter(model__in=names, revoked_at=None):
        yield Use(key, "key", "has it as its own")


def endangered(today: dt.date | None = None) -> list[tuple[ClaudeModel, str, list[Use]]]:
    """The models that are phased out or gone and still named, each with that in words and what names it."""
    today = today or timezone.localdate()
    leaving = [(model, phasing_out(model, today)) for model in ClaudeModel.objects.all()]
    named = [(model, said, uses_of(model)) for model, said in leaving if said]
    return [(model, said, uses) for model, said, uses in named if uses]


def successor_of(model: ClaudeModel) -> Successor | None:
    """The newest model of the same line that stays, or None where this is it."""
    newer = ClaudeModel.objects.filter(line=model.line, lifecycle=ClaudeModel.Lifecycle.ACTIVE).exclude(pk=model.pk)
    if not model.line:
        return None
    if model.released_at is not None:
        newer = newer.filter(released_at__gt=model.released_at)
    found = newer.order_by(F("released_at").desc(nulls_last=True), "pk").first()
    if found is None:
        return None
    today = timezone.now().date()
    old, new = Price.objects.of(model.pk, today, 0), Price.objects.of(found.pk, today, 0)
    return Successor(found, _more(old, new, "input"), _more(old, new, "output"))


def _more(old: Price | None, new: Price | None, rate: str) -> Decimal | None:
    before, after = getattr(old, rate, None), getattr(new, rate, None)
    return None if before is None or after is None else after - before


@transaction.atomic
def replace_in_drafts(old: ClaudeModel, new: ClaudeModel) -> list[Model]:
    """Name `new` instead of `old` in every draft of a prompt or route; what people use changes when it is published.

    What names `old` at once (aliases, classifiers, chains, keys) is left for a person to change.
    """
    changed: list[Model] = list(Prompt.objects.filter(model=old))
    Prompt.objects.filter(model=old).update(model=new, updated_at=timezone.now())
    for route in Route.objects.prefetch_related("rules"):
        rules = route.rules.filter(model=old.pk).update(model=new.pk)
        default = Route.objects.filter(pk=route.pk, model=old.pk).update(model=new.pk)
        if rules or default:
            changed.append(route)
    return changed
