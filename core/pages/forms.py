"""How does a prompt's list of variables become a form, and which filters do history and spend have?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import QuerySet
from django.utils import timezone

from core.models import Call, ClaudeModel, Key, Prompt, PromptVersion
from core.prompts.rendering import specs
from core.prompts.variables import VariableSpec

# Characters shown of a text field before it scrolls.
ROWS = 6
LONGEST_PERIOD = 1100  # days
EARLIEST, LATEST = dt.date(2000, 1, 1), dt.date(2100, 1, 1)


class InputField(forms.Field):
    """A field without any rule of its own, so that there is one validation and not two."""

    def __init__(self, spec: VariableSpec) -> None:
        super().__init__(
            required=False,
            label=spec.label or spec.name,
            help_text=" ".join(part for part in (spec.help, _limits(spec)) if part),
            initial=_initial(spec, spec.default),
            widget=_WIDGETS[spec.kind](spec),
        )
        self.optional = not spec.required
        self.needed = spec.required and spec.kind != "yes_no"
        if self.needed:
            self.widget.attrs["aria-required"] = "true"


class InputsForm(forms.Form):
    """The blanks of one version. It only shows and carries: what is usable, `core.intake.accept` alone decides."""

    def __init__(
        self, version: PromptVersion, typed: Mapping[str, Any] | None = None, earlier: Mapping[str, str] | None = None
    ) -> None:
        """`typed` is what was sent; `earlier` maps names to the text that an earlier call had there."""
        super().__init__(typed)
        for spec in specs(version.content()):
            self.fields[spec.name] = InputField(spec)
            if earlier and spec.name in earlier:
                self.initial[spec.name] = _initial(spec, earlier[spec.name])

    def show_problems(self, problems: Mapping[str, str]) -> None:
        """Put each problem that intake found beside its field."""
        for name, problem in problems.items():
            self.add_error(name, problem)

    def typed(self) -> dict[str, object]:
        """What each field holds now: what was typed, or what it starts with."""
        return {bound.name: bound.value() for bound in self}


def _initial(spec: VariableSpec, text: str) -> str | bool:
    return text in {"yes", "on", "true", "True", "1"} if spec.kind == "yes_no" else text


def _limits(spec: VariableSpec) -> str:
    """The limits in a sentence, so that nobody learns of them by breaking them."""
    if spec.minimum is None and spec.maximum is None:
        return ""
    low = "" if spec.minimum is None else f"at least {_plain(spec.minimum)}"
    high = "" if spec.maximum is None else f"at most {_plain(spec.maximum)}"
    unit = " characters" if spec.kind in {"text", "long_text"} else ""
    words = " and ".join(part for part in (low, high) if part)
    return f"{words[0].upper()}{words[1:]}{unit}." if spec.kind in {"text", "long_text", "number"} else ""


def _plain(number: Any) -> str:
    return f"{number.normalize():,f}"


def _text(spec: VariableSpec) -> forms.Widget:
    # A limit in the browser would silently cut what somebody pastes, so it is only counted there.
    return forms.TextInput(attrs={"autocomplete": "off", **_counter(spec)})


def _long_text(spec: VariableSpec) -> forms.Widget:
    return forms.Textarea(attrs={"rows": ROWS, "data-grows": "", **_counter(spec)})


def _counter(spec: VariableSpec) -> dict[str, str]:
    return {} if spec.maximum is None else {"data-most": f"{int(spec.maximum)}"}


def _choice(spec: VariableSpec) -> forms.Widget:
    choices = [(choice, choice) for choice in spec.choices]
    if spec.default not in spec.choices or not spec.required:
        choices.insert(0, ("", "Please choose" if spec.required else "No choice"))
    return forms.Select(choices=choices)


def _number(spec: VariableSpec) -> forms.Widget:  # noqa: ARG001 - one signature for all kinds
    return forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "class": "short"})


def _date(spec: VariableSpec) -> forms.Widget:  # noqa: ARG001 - one signature for all kinds
    return forms.DateInput(attrs={"type": "date", "class": "short"})


def _yes_no(spec: VariableSpec) -> forms.Widget:  # noqa: ARG001 - one signature for all kinds
    return forms.CheckboxInput()


_WIDGETS: dict[str, Callable[[VariableSpec], forms.Widget]] = {
    "text": _text,
    "long_text": _long_text,
    "choice": _choice,
    "number": _number,
    "date": _date,
    "yes_no": _yes_no,
}


def _day(label: str) -> forms.DateField:
    return forms.DateField(
        label=label,
        required=False,
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(attrs={"type": "date"}),
        error_messages={"invalid": "Please enter a date as year-month-day, such as 2026-11-21."},
        validators=[
            MinValueValidator(EARLIEST, f"Please enter a date after {EARLIEST.year}."),
            MaxValueValidator(LATEST, f"Please enter a date before {LATEST.year}."),
        ],
    )


class HistoryForm(forms.Form):
    """The search and filters of the history. `cleaned_data` holds the usable ones even where others are not."""

    q = forms.CharField(
        label="Search",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Words of the answer, a prompt, an id"}),
    )
    status = forms.ChoiceField(label="State", required=False)
    prompt: forms.ModelChoiceField[Prompt] = forms.ModelChoiceField(
        label="Prompt", required=False, queryset=Prompt.objects.none(), empty_label="All prompts"
    )
    model = forms.CharField(label="Model", required=False, max_length=120)
    person = forms.CharField(label="Person", required=False, max_length=150)
    # The spend page leads here with these; they are shown where they are used.
    lane = forms.ChoiceField(label="Lane", required=False, choices=[("", "All lanes"), *Call.Lane.choices])
    cost_centre = forms.CharField(label="Cost centre", required=False, max_length=40)
    team: forms.ModelChoiceField[Group] = forms.ModelChoiceField(
        label="Group", required=False, queryset=Group.objects.order_by("name"), empty_label="All groups"
    )
    key: forms.ModelChoiceField[Key] = forms.ModelChoiceField(
        label="Key", required=False, queryset=Key.objects.all(), empty_label="All keys"
    )

    def __init__(self, data: Any, *, prompts: QuerySet[Prompt], everybody: bool, user: int | None = None) -> None:
        super().__init__(data)
        self.fields["status"] = forms.ChoiceField(
            label="State", required=False, choices=[("", "All states"), *Call.Status.choices]
        )
        self.fields["prompt"].queryset = prompts  # type: ignore[attr-defined]
        models = [(model.pk, model.display_name) for model in ClaudeModel.objects.order_by("display_name")]
        self.fields["model"].widget = forms.Select(choices=[("", "All models"), *_with_current(models, data)])
        # Names that are words of Python, which is why they are not attributes above.
        self.fields["from"] = _day("From")
        self.fields["to"] = _day("To")
        if not everybody:
            for name in ("person", "team", "cost_centre"):
                del self.fields[name]
            self.fields["key"].queryset = Key.objects.filter(user=user)  # type: ignore[attr-defined]


def _with_current(choices: list[tuple[str, str]], data: Any) -> list[tuple[str, str]]:
    """Also what is asked for now, for a call may have gone to a model that the catalogue does not list."""
    current = str(data.get("model") or "")[:120]
    return choices if not current or current in dict(choices) else [*choices, (current, current)]


class PeriodForm(forms.Form):
    """The first and the last day of a report; without `data` it shows those of `initial`."""

    def __init__(self, data: Any = None, initial: Mapping[str, dt.date] | None = None) -> None:
        super().__init__(data, initial=dict(initial or {}))
        self.fields["from"] = _day("From")
        self.fields["to"] = _day("To")

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        first, last = cleaned.get("from"), cleaned.get("to")
        if first and not last:
            last = cleaned["to"] = max(first, timezone.localdate())
        if last and not first:
            self.add_error("from", "Please enter the first day too.")
        elif first and last and first > last:
            self.add_error("to", "Please enter a last day that is not before the first.")
        elif first and last and (last - first).days >= LONGEST_PERIOD:
            self.add_error("from", f"Please choose at most {LONGEST_PERIOD:,} days.")
        return cleaned
