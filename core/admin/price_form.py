"""How is a price entered, and what is refused at once?"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from unfold.widgets import UnfoldBooleanSwitchWidget

from core.admin.base import ModelForm
from core.costs.approvals import drafts_beside, problems_of
from core.costs.price_checks import Problem
from core.models import Price


class PriceForm(ModelForm[Price]):
    """A draft. What speaks against it is said beside its field; what may be meant can be confirmed."""

    meant = forms.BooleanField(
        label="Yes, this is meant",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Only where something unusual was refused above: a rate far off its neighbours, zero, days between.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Without the zeros at their end: 1.25, not 1.25000000.
        for name, value in self.initial.items():
            if isinstance(value, Decimal):
                self.initial[name] = f"{value.normalize():f}"

    def _post_clean(self) -> None:
        # The fields are on the instance only after this.
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            for problem in self._against():
                self.add_error(problem.field, problem.sentence)

    def _against(self) -> list[Problem]:
        draft = self.instance
        beside = drafts_beside(draft)
        found = problems_of(draft, beside)
        if any(_same_place(draft, other) for other in beside):
            found.append(Problem("valid_from", "There is a draft for this model, day and length of input already."))
        meant = self.cleaned_data["meant"]
        return [problem for problem in found if not (meant and problem.may_be_meant)]


def _same_place(draft: Price, other: Price) -> bool:
    names = ("contract", "speed", "valid_from", "above_input_tokens")
    return all(getattr(draft, name) == getattr(other, name) for name in names)
