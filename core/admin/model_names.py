"""How is a model or an alias chosen in a form?"""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget

from core.models import ClaudeModel, ModelAlias


class ModelNameField(forms.ChoiceField):
    """An alias or a model's id, by what people call it. What is stored already stays to be chosen."""

    def __init__(self, *, empty: str = "Please choose", **options: Any) -> None:
        super().__init__(widget=UnfoldAdminSelectWidget, **options)
        self._empty = empty
        self.choices = self._offered

    def valid_value(self, value: Any) -> bool:
        # Whether it answers is said by `core.routing.problems`, with the reason.
        return bool(value) and len(str(value)) <= 120

    def prepare_value(self, value: Any) -> Any:
        offered = self._offered()
        known = {name for _, group in offered[1:] for name, _ in group}
        if value and value not in known:
            self.choices = [*offered, (value, f"{value} (gone)")]
        return super().prepare_value(value)

    def _offered(self) -> list[Any]:
        return [("", self._empty), *model_names()]


def model_names() -> list[Any]:
    """The choices: aliases first, for what points at one follows a new model by itself."""
    aliases = [(a.name, f"{a.name} – now {a.model.display_name}") for a in ModelAlias.objects.select_related("model")]
    models = [(model.pk, str(model)) for model in ClaudeModel.objects.usable()]
    return [("Aliases", aliases), ("Models", models)]
