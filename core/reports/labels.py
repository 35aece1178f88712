"""What are the values of a dimension called?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from django.contrib.auth.models import Group
from django.db.models import Model

from core.models import Call, Key, Prompt, User

# What the records without a value are called.
NOTHING = {
    "prompt": "No prompt",
    "model": "Unknown model",
    "user": "Not signed in",
    "team": "No group",
    "key": "No key",
    "lane": "No lane",
    "cost_centre": "No cost centre",
}
TITLES = {
    "prompt": "Prompt",
    "model": "Model",
    "user": "Person",
    "team": "Group",
    "key": "Key",
    "lane": "Lane",
    "cost_centre": "Cost centre",
}
_ROWS: Mapping[str, tuple[type[Model], Callable[[object], str]]] = {
    "prompt": (Prompt, str),
    "user": (User, lambda user: str(getattr(user, "username", user))),
    "team": (Group, str),
    "key": (Key, str),
}
_LANES = {str(value): str(label) for value, label in Call.Lane.choices}


def name_values(dimension: str, values: Iterable[str]) -> dict[str, str]:
    """A name for each value; one query at most."""
    wanted = list(values)
    names = {value: value or NOTHING[dimension] for value in wanted}
    if dimension == "lane":
        names.update({value: _LANES[value] for value in wanted if value in _LANES})
    elif dimension in _ROWS:
        model, name = _ROWS[dimension]
        rows = model._default_manager.in_bulk([int(value) for value in wanted if value])
        names.update({str(key): name(row) for key, row in rows.items()})
    return names
