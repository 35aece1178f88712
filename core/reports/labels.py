"""What are the values of a dimension called?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
# Which table and which of its columns; the rows are long, and a page names many.
_ROWS: Mapping[str, tuple[type[Model], str]] = {
    "prompt": (Prompt, "name"),
    "user": (User, "username"),
    "team": (Group, "name"),
    "key": (Key, "name"),
}
_LANES = {str(value): str(label) for value, label in Call.Lane.choices}


def name_values(dimension: str, values: Iterable[str]) -> dict[str, str]:
    """A name for each value; one query at most."""
    wanted = list(values)
    names = {value: value or NOTHING[dimension] for value in wanted}
    if dimension == "lane":
        names.update({value: _LANES[value] for value in wanted if value in _LANES})
    elif dimension in _ROWS:
        model, column = _ROWS[dimension]
        rows = model._default_manager.filter(pk__in=[int(value) for value in wanted if value])
        names.update({str(key): str(name) for key, name in rows.values_list("pk", column)})
    return names
