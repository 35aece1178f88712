"""Which of these names leads to a model that is phased out, and what could take its place?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.utils import timezone

from core.models import ClaudeModel, ModelAlias
from core.routing.problems import named, phasing_out
from core.routing.uses import successor_of


def leaving(names: Iterable[str], today: dt.date | None = None) -> list[str]:
    """A sentence for each model's id or alias that leads to a model that is deprecated, retires soon or is gone.

    What is neither, a route's short name for example, is left to whoever knows what it means.
    """
    wanted = list(dict.fromkeys(names))
    aliases = {alias.name: alias.model for alias in ModelAlias.objects.filter(name__in=wanted).select_related("model")}
    models = {**ClaudeModel.objects.in_bulk(wanted), **aliases}
    told = [_said(name, models[name], today or timezone.localdate()) for name in wanted if name in models]
    return [sentence for sentence in told if sentence]


def _said(name: str, model: ClaudeModel, today: dt.date) -> str:
    said = phasing_out(model, today)
    if not said:
        return ""
    newer = successor_of(model)
    return f"{named(name, model)} {said}." + (f" {newer.model.display_name} could take its place." if newer else "")
