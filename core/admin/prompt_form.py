"""Is a draft usable together with the variables that were submitted beside it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.forms import inlineformset_factory
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldBooleanWidget

from core.admin.base import ModelForm
from core.admin.prompt_checks import refusals
from core.admin.variables import VariableForm
from core.models import ClaudeModel, ModelAlias, Prompt, Route, Variable


class SchemaField(forms.JSONField):
    """JSON that may be left empty: shown as nothing and not as «null»."""

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None or value == "null" else super().prepare_value(value)


def _choosers() -> list[Any]:
    routes = [(f"route:{route.slug}", f"{route} (route)") for route in Route.objects.all()]
    aliases = [(f"alias:{a.name}", f"{a.name}, now {a.model}") for a in ModelAlias.objects.select_related("model")]
    return [("", "the model beside, always"), ("Routes", routes), ("Aliases", aliases)]


def _chooser(prompt: Prompt) -> str:
    if prompt.route is not None:
        return f"route:{prompt.route.slug}"
    return f"alias:{prompt.alias.name}" if prompt.alias is not None else ""


_VariableFormSet = inlineformset_factory(Prompt, Variable, form=VariableForm, extra=0)


if TYPE_CHECKING:
    from django.forms import ModelForm as _PlainForm

    _Base = _PlainForm[Prompt]
else:
    _Base = ModelForm


class PromptForm(_Base):
    """The draft. It is checked against the variables in the same submission, not against the stored ones."""

    # Shown where a published prompt is not open to everyone yet.
    open_to_everyone = forms.BooleanField(
        label="Open it to everyone, at once",
        required=False,
        widget=UnfoldBooleanWidget(),
        help_text="Tick this to change a published prompt to «Everyone, signed in or not»: whoever reaches this server "
        "can use it from then on, and you pay.",
    )

    # A route or an alias instead of the model: «route:auto», «alias:fast».
    answered_by = forms.ChoiceField(
        label="Chosen by",
        required=False,
        widget=UnfoldAdminSelectWidget(),
        help_text="A route chooses by its rules; an alias follows whatever model it stands for. The model beside then "
        "answers only where that cannot be followed.",
    )

    class Meta:
        model = Prompt
        fields = (
            "name",
            "slug",
            "description",
            "system_prompt",
            "template",
            "model",
            "max_tokens",
            "effort",
            "output_schema",
            "run_again_if_lost",
            "most_attempts",
            "give_up_after",
            "fallback",
            "cache_minutes",
            "cache_shared",
            "tags",
            "access",
            "groups",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "answered_by" in self.fields:
            self.fields["answered_by"].choices = _choosers()  # type: ignore[attr-defined]
            self.initial["answered_by"] = _chooser(self.instance)
        if "cache_minutes" in self.fields:
            self.fields["cache_minutes"].required = False

    def clean_cache_minutes(self) -> int:
        """Empty says the same as 0."""
        return int(self.cleaned_data.get("cache_minutes") or 0)

    def clean_answered_by(self) -> str:
        kind, _, name = self.cleaned_data["answered_by"].partition(":")
        self.instance.route = Route.objects.get(slug=name) if kind == "route" else None
        self.instance.alias = ModelAlias.objects.get(name=name) if kind == "alias" else None
        return str(self.cleaned_data["answered_by"])

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if values.get("access") == Prompt.Access.GROUPS and not values.get("groups"):
            self.add_error("groups", "Choose at least one group, or nobody could use this prompt.")
        if self._opens(values) and not values.get("open_to_everyone"):
            self.add_error(
                "access",
                "This opens a published prompt to everybody who reaches this server, without a login, as soon as you "
                "save. If you mean it, tick «Open it to everyone» below.",
            )
        if {"template", "model", "max_tokens"} <= values.keys():
            self._check(values, values["model"])
        return values

    def _opens(self, values: dict[str, Any]) -> bool:
        return (
            self.instance.published_id is not None
            and "access" in self.changed_data
            and values.get("access") == Prompt.Access.EVERYONE
        )

    def _check(self, values: dict[str, Any], model: ClaudeModel) -> None:
        content = {
            "template": values["template"],
            "system_text": values["system_prompt"].text if values.get("system_prompt") else "",
            "max_tokens": values["max_tokens"],
            "effort": values.get("effort", ""),
            "output_schema": values.get("output_schema"),
            "variables": [{"name": name} for name in self._variable_names()],
        }
        for refusal in refusals(content, model):
            self.add_error(refusal.field, refusal.message)

    def _variable_names(self) -> list[str]:
        """What the variables are called after this submission."""
        formset = _VariableFormSet(self.data, instance=self.instance, prefix="variables")
        if not formset.management_form.is_valid():
            return [variable.name for variable in self.instance.variables.all()] if self.instance.pk else []
        formset.is_valid()
        kept = [form for form in formset.forms if form not in formset.deleted_forms]
        return [name for form in kept if (name := getattr(form, "cleaned_data", {}).get("name"))]
