"""What do names stand for today, also those that no request can use any more?"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.contrib.auth.models import Group
from django.utils import timezone

from core.models import Classifier, ClaudeModel, Key, ModelAlias, Prompt, User
from core.routing.conditions import CONDITIONS, Parameter
from core.routing.problems import Known

# Where the choices of a parameter come from: a table, and its column that a condition names a row by.
TABLES: dict[str, tuple[Any, str]] = {
    "prompts": (Prompt, "pk"),
    "users": (User, "pk"),
    "groups": (Group, "pk"),
    "keys": (Key, "pk"),
    "classifiers": (Classifier, "slug"),
}

# What a rule without conditions says for them.
ALWAYS = "always"


def known_now(content: Mapping[str, Any] | None = None) -> Known:
    """What there is today; of what the conditions of a route's content name, that which is still there."""
    return Known(
        models={model.pk: model for model in ClaudeModel.objects.all()},
        aliases=dict(ModelAlias.objects.values_list("name", "model_id")),
        labels={
            row.slug: [label.name for label in row.labels.all()]
            for row in Classifier.objects.prefetch_related("labels")
        },
        today=timezone.localdate(),
        there=_there([condition for rule in content["rules"] for condition in rule["conditions"]]) if content else {},
    )


def _there(conditions: Collection[Mapping[str, Any]]) -> dict[str, set[Any]]:
    wanted = {source: keys for source, keys in _wanted(conditions).items() if source != "classifiers"}
    return {source: set(_names(source, keys)) for source, keys in wanted.items()}


def _wanted(conditions: Collection[Mapping[str, Any]]) -> dict[str, set[Any]]:
    """The rows that conditions name, by the table that they are in."""
    wanted: dict[str, set[Any]] = {}
    for stored in conditions:
        for parameter in _parameters(stored):
            if parameter.source in TABLES:
                wanted.setdefault(parameter.source, set()).update(_listed(stored.get(parameter.name)))
    return wanted


class Names:
    """What the rows that conditions name are called; looked up once for all conditions together."""

    def __init__(self, conditions: Collection[Mapping[str, Any]]) -> None:
        self._names = {source: _names(source, keys) for source, keys in _wanted(conditions).items()}

    def sentence(self, stored: Mapping[str, Any]) -> str:
        """A condition as people read it: «the group is Support»."""
        condition = CONDITIONS.get(stored.get("kind", ""))
        if condition is None:
            return f"a condition of the unknown kind «{stored.get('kind')}»"
        values = {p.name: self._words(p, stored.get(p.name)) for p in condition.parameters}
        said = _SHORTER.get(stored["kind"], lambda _values, text: text)(stored, condition.sentence.format(**values))
        return f"it is not so that {said}" if stored.get("not") else said

    def rule(self, conditions: Collection[Mapping[str, Any]]) -> str:
        """All conditions of a rule: «the group is Support and it has the words «translate»»."""
        return " and ".join(self.sentence(stored) for stored in conditions) or ALWAYS

    def _words(self, parameter: Parameter, value: Any) -> str:
        choices = dict(parameter.choices) | self._names.get(parameter.source, {})
        texts = [str(choices.get(each, _missing(parameter, each))) for each in _listed(value)]
        return " or ".join(texts) if texts else "any"


def _missing(parameter: Parameter, value: Any) -> str:
    if parameter.source in TABLES:
        return f"{parameter.source.removesuffix('s')} {value}, which is gone"
    return f"«{value}»" if parameter.kind is str else f"{value}"


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def _parameters(stored: Mapping[str, Any]) -> tuple[Parameter, ...]:
    condition = CONDITIONS.get(stored.get("kind", ""))
    return condition.parameters if condition else ()


def _names(source: str, keys: set[Any]) -> dict[Any, str]:
    model, column = TABLES[source]
    return {getattr(row, column): str(row) for row in model.objects.filter(**{f"{column}__in": keys})}


def _length(stored: Mapping[str, Any], text: str) -> str:
    least, most = stored.get("at_least") or 0, stored.get("at_most")
    if most is None:
        return f"the input has {least:,} tokens or more"
    return text if least else f"the input has at most {most:,} tokens"


def _time(stored: Mapping[str, Any], text: str) -> str:
    return text if stored.get("days") else text.removesuffix(" on any")


# Sentences that are shorter without what was left empty.
_SHORTER = {"length": _length, "time": _time}
