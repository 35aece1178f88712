"""Which form does a rule have? The fields of its conditions are made from what `core.routing.conditions` says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from core.admin.model_names import ModelNameField
from core.models import Classifier, Prompt
from core.routing.conditions import CONDITIONS, Parameter
from core.routing.known import TABLES

# So many choices are shown as boxes to tick; more as a list to choose from.
MOST_BOXES = 30
KINDS = [("", "Choose what to ask for"), *((kind, condition.label) for kind, condition in CONDITIONS.items())]


class OutcomeForm(forms.Form):
    """What a rule is called, and what happens when it matches."""

    name = forms.CharField(
        label="Name",
        max_length=120,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="What the reason on each call says: «complex → best». Empty: made from the rule.",
    )
    model = ModelNameField(label="Then the model is")
    effort = forms.ChoiceField(
        label="With effort",
        required=False,
        choices=[("", "as it was asked for"), *Prompt.Effort.choices],
        widget=UnfoldAdminSelectWidget,
    )
    max_tokens = forms.IntegerField(
        label="Longest answer in tokens",
        required=False,
        min_value=1,
        max_value=1_000_000,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Empty: as it was asked for.",
    )
    batch = forms.BooleanField(
        label="Send as batch",
        required=False,
        widget=UnfoldBooleanWidget,
        help_text="At half the price within a day, where nobody waits; otherwise it is answered at once.",
    )


class ConditionForm(forms.Form):
    """One condition of a rule."""

    def __init__(self, kind: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        self.title = CONDITIONS[kind].label
        self.fields["kind"] = forms.CharField(widget=forms.HiddenInput, initial=kind)
        for parameter in CONDITIONS[kind].parameters:
            self.fields[parameter.name] = field_of(parameter)
        self.fields["not"] = forms.BooleanField(
            label="The other way round: it must not be so", required=False, widget=UnfoldBooleanWidget
        )
        self.fields["gone"] = forms.BooleanField(
            label="Remove this condition", required=False, widget=UnfoldBooleanWidget
        )

    @property
    def removed(self) -> bool:
        return bool(self["gone"].value())

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if self.kind == "class" and "labels" in values:
            self._check_labels(values)
        if self.kind == "length" and values.get("at_least") is None and values.get("at_most") is None:
            self.add_error(None, "Give at least one of the two lengths.")
        return values

    def _check_labels(self, values: dict[str, Any]) -> None:
        slug = values.get("classifier")
        known = dict(self.fields["labels"].choices)  # type: ignore[attr-defined]
        others = [str(known[label]) for label in values["labels"] if not label.startswith(f"{slug}:")]
        if others:
            self.add_error("labels", f"These are labels of another classifier: {', '.join(others)}.")

    def stored(self) -> dict[str, Any]:
        """The condition as a rule keeps it."""
        kept: dict[str, Any] = {"kind": self.kind}
        for parameter in CONDITIONS[self.kind].parameters:
            value = _plain(parameter, self.cleaned_data.get(parameter.name))
            if value not in (None, "", []):
                kept[parameter.name] = value
        return {**kept, "not": True} if self.cleaned_data.get("not") else kept


def initial_of(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored condition as its form shows it."""
    values = dict(stored)
    for parameter in CONDITIONS[stored["kind"]].parameters:
        if parameter.source == "labels":
            values[parameter.name] = [f"{stored['classifier']}:{label}" for label in stored.get(parameter.name, [])]
        elif _is_typed(parameter):
            values[parameter.name] = ", ".join(stored.get(parameter.name, []))
    return values


def _is_typed(parameter: Parameter) -> bool:
    """Whether its values are typed in, separated by commas."""
    return parameter.shape == "set" and not parameter.source and not parameter.choices


def _plain(parameter: Parameter, value: Any) -> Any:
    """What a field gives, as JSON."""
    if parameter.source == "labels":
        return [label.partition(":")[2] for label in value]
    if _is_typed(parameter):
        return [word for part in str(value).split(",") if (word := part.strip())]
    if isinstance(value, dt.time):
        return f"{value:%H:%M}"
    return value


def field_of(parameter: Parameter) -> forms.Field:
    """The field of a form for one value of a condition."""
    common: dict[str, Any] = {"label": parameter.label, "required": parameter.required, "help_text": parameter.help}
    if parameter.shape == "set" and not _is_typed(parameter):
        return _several(parameter, common)
    if parameter.source:
        return forms.ChoiceField(choices=choices_of(parameter), widget=UnfoldAdminSelectWidget, **common)
    return _FIELDS[parameter.kind](common)


def _several(parameter: Parameter, common: dict[str, Any]) -> forms.Field:
    choices = choices_of(parameter)
    few = len(choices) <= MOST_BOXES
    widget = UnfoldAdminCheckboxSelectMultipleWidget() if few else UnfoldAdminSelectMultipleWidget(attrs={"size": 10})
    coerce: Callable[[Any], Any] = parameter.kind
    return forms.TypedMultipleChoiceField(choices=choices, coerce=coerce, widget=widget, **common)


_FIELDS: dict[type, Callable[[dict[str, Any]], forms.Field]] = {
    str: lambda common: forms.CharField(max_length=1000, widget=UnfoldAdminTextInputWidget, **common),
    int: lambda common: forms.IntegerField(min_value=0, widget=UnfoldAdminIntegerFieldWidget, **common),
    float: lambda common: forms.FloatField(
        min_value=0, max_value=100, widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}), **common
    ),
    dt.time: lambda common: forms.TimeField(
        widget=UnfoldAdminTextInputWidget(attrs={"type": "time"}), input_formats=["%H:%M", "%H:%M:%S"], **common
    ),
}


def choices_of(parameter: Parameter) -> list[tuple[Any, str]]:
    if parameter.choices:
        return list(parameter.choices)
    if parameter.source == "labels":
        classifiers = Classifier.objects.prefetch_related("labels")
        return [(f"{c.slug}:{label.name}", f"{label.name} ({c.name})") for c in classifiers for label in c.labels.all()]
    model, column = TABLES[parameter.source]
    return [(getattr(row, column), str(row)) for row in model.objects.order_by(*_ORDERS.get(parameter.source, ["pk"]))]


_ORDERS = {"users": ["last_name", "username"], "groups": ["name"], "keys": ["name"], "prompts": ["name"]}
