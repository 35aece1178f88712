"""What is filled in to make or change a key, and which of it by whom?"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from core.admin.base import ModelForm
from core.admin.model_names import ModelNameField
from core.models import ClaudeModel, Key
from core.models.fields import PLACES
from core.routing.known import known_now

MOST = Decimal(1_000_000)
# What widens what a key may do, or charges somebody else: for those who look after everybody's keys.
MANAGED = ("user", "cost_centre", "groups", "requests_per_minute", "tokens_per_minute")

if TYPE_CHECKING:
    from django.forms import ModelForm as _KeyForm

    _Base = _KeyForm[Key]
else:
    _Base = ModelForm


class KeyForm(_Base):
    """A key as it is; see `NewKeyForm` for what is asked once."""

    model = ModelNameField(
        label="Its own model",
        required=False,
        empty="the installation's usual, or the route's",
        help_text="In place of a route: what answers where the program names no model, or «auto».",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "models_allowed" in self.fields:
            chosen = self.instance.models_allowed.values("pk") if self.instance.pk else []
            models: Any = self.fields["models_allowed"]
            models.queryset = ClaudeModel.objects.usable() | ClaudeModel.objects.filter(pk__in=chosen)

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"]).strip()
        if not name:
            raise ValidationError("Please give it a name by which people will know the program.")
        return name

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at and "expires_at" in self.changed_data and expires_at <= timezone.now():
            raise ValidationError("Please choose a moment that is still to come, or leave it empty.")
        return expires_at

    def clean_model(self) -> str:
        name = str(self.cleaned_data["model"])
        if name and known_now().model(name) is None:
            raise ValidationError(f"«{name}» is neither a model nor an alias.")
        return name

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if values.get("route") and values.get("model"):
            self.add_error("model", "Choose a route or a model of its own, not both.")
        return values


class NewKeyForm(KeyForm):
    """A key that is being made, and what it may spend."""

    budget = forms.DecimalField(
        label="USD a month",
        required=False,
        min_value=Decimal("0.01"),
        max_value=MOST,
        decimal_places=PLACES,
        widget=UnfoldAdminDecimalFieldWidget(),
        help_text="Makes a budget for this key, which refuses what would exceed it. Empty: only the budgets of its "
        "groups, of its owner and of the organisation apply.",
    )
