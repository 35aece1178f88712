"""Which short names stand for which model?"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from core.admin.base import ModelAdmin, ModelForm, display, without_links
from core.admin.deletion import Explained
from core.models import ClaudeModel, ModelAlias, Route


class AliasForm(ModelForm[ModelAlias]):
    class Meta:
        model = ModelAlias
        fields = ("name", "model", "description", "is_usual")

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if Route.objects.filter(slug=name).exists() or ClaudeModel.objects.filter(pk=name).exists():
            raise forms.ValidationError("A route or a model has this name already.")
        return name

    def clean_model(self) -> ClaudeModel:
        model: ClaudeModel = self.cleaned_data["model"]
        if model.retired:
            raise forms.ValidationError(f"{model.display_name} no longer answers. Choose another model.")
        return model


@admin.register(ModelAlias)
class AliasAdmin(Explained, ModelAdmin[ModelAlias]):
    """What is changed here counts from the next request on, for everything that names the alias."""

    form = AliasForm
    list_display = ("name", "model", "state", "description", "usual")
    list_select_related = ("model",)
    search_fields = ("name", "description")
    list_before_template = "admin/core/modelalias/intro.html"
    keep_instead = "Let it stand for another model instead."

    @display(description="State", label={"Active": "success", "Deprecated": "warning", "Retired": "danger"})
    def state(self, alias: ModelAlias) -> str:
        return alias.model.get_lifecycle_display()

    @display(description="The usual one", boolean=True)
    def usual(self, alias: ModelAlias) -> bool:
        return alias.is_usual

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "model":
            kwargs["queryset"] = ClaudeModel.objects.order_by("line", "-released_at")
        return without_links(super().formfield_for_foreignkey(db_field, request, **kwargs))

    def get_readonly_fields(self, request: HttpRequest, obj: ModelAlias | None = None) -> Any:  # noqa: ARG002
        # Rules, chains and programs write this name.
        return () if obj is None else ("name",)
