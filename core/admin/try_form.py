"""Which fields does a draft's form have, so that it can be tried in the admin?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from core.prompts.variables import UnusableError, VariableSpec


class SpecField(forms.Field):
    """A field that accepts exactly what the variable's specification accepts."""

    def __init__(self, spec: VariableSpec) -> None:
        self.spec = spec
        initial: object = spec.clean(spec.default) == "yes" if spec.kind == "yes_no" else spec.default
        super().__init__(
            required=spec.required and spec.kind != "yes_no",
            label=spec.label,
            help_text=spec.help,
            initial=initial,
            widget=_widget(spec),
        )

    def validate(self, value: object) -> None:
        """Nothing here: the specification's own sentences are shown instead of Django's."""

    def to_python(self, value: object) -> str:
        try:
            return self.spec.clean(value)
        except UnusableError as error:
            raise forms.ValidationError(str(error)) from error


class TryForm(forms.Form):
    """One field for each variable of a draft; `cleaned_data` is what `render` takes."""

    def __init__(self, specs: list[VariableSpec], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prefix = "input"
        self._specs = specs
        for spec in specs:
            self.fields[spec.name] = SpecField(spec)

    def typed(self) -> Mapping[str, str]:
        """What has been typed so far, as far as it is usable, for a preview."""
        return {spec.name: _usable(spec, self[spec.name].value()) for spec in self._specs}


def _usable(spec: VariableSpec, value: object) -> str:
    try:
        return spec.clean(value)
    except UnusableError:
        return str(value or "")


def _widget(spec: VariableSpec) -> forms.Widget:
    widget: forms.Widget
    if spec.kind == "long_text":
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 6})
    elif spec.kind == "choice":
        empty = [] if spec.required and spec.default else [("", "Please choose")]
        widget = UnfoldAdminSelectWidget(choices=[*empty, *((choice, choice) for choice in spec.choices)])
    elif spec.kind == "yes_no":
        widget = UnfoldBooleanWidget()
    else:
        # A number field in the browser would drop what it does not understand without a word.
        shape = {"type": "date"} if spec.kind == "date" else {"inputmode": "decimal"} if spec.kind == "number" else {}
        widget = UnfoldAdminTextInputWidget(attrs=shape)
    return widget
