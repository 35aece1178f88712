"""How are a prompt's variables edited beside it?"""

from __future__ import annotations

from typing import Any

from unfold.widgets import UnfoldAdminTextareaWidget

from core.admin.base import ModelForm, StackedInline
from core.models import Prompt, Variable
from core.prompts.variables import UnusableError, VariableSpec


class VariableForm(ModelForm[Variable]):
    """One typed blank; refuses what nobody could fill in."""

    class Meta:
        model = Variable
        fields = ("name", "label", "kind", "help", "default", "required", "choices", "minimum", "maximum", "position")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("minimum", "maximum"):
            if (limit := self.initial.get(name)) is not None:
                # «40» and not «40.000000».
                self.initial[name] = f"{limit.normalize():f}"

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not self.errors:
            # The instance is only filled after cleaning, so this looks at one of its own.
            self._check(Variable(**{name: values[name] for name in values if name in self.Meta.fields}))
        return values

    def _check(self, variable: Variable) -> None:
        if variable.kind == Variable.Kind.CHOICE and not variable.as_dict()["choices"]:
            self.add_error("choices", "A choice needs something to choose from: write one option per line.")
            return
        if None not in (low := variable.minimum, high := variable.maximum) and low > high:  # type: ignore[operator]
            self.add_error("minimum", "This is more than «at most»: no value could be right.")
            return
        if variable.default:
            try:
                VariableSpec.from_dict(variable.as_dict()).clean(variable.default)
            except UnusableError as error:
                self.add_error("default", f"This default could not be sent: {error}")


class VariableInline(StackedInline[Variable, Prompt]):
    """All variables of a prompt, in the order in which its form asks for them."""

    model = Variable
    form = VariableForm
    extra = 0
    ordering_field = "position"
    verbose_name_plural = "What the form asks for"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("name", "label", "kind"),
                    ("help", "default", "choices"),
                    ("minimum", "maximum", "position", "required"),
                )
            },
        ),
    )

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name in {"choices", "default"}:
            kwargs["widget"] = UnfoldAdminTextareaWidget(attrs={"rows": 2})
        return super().formfield_for_dbfield(db_field, request, **kwargs)
