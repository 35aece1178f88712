"""Where do staff write what is asked about a request before a model answers it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from unfold.widgets import UnfoldAdminTextareaWidget

from core.admin import classifier_measuring
from core.admin.base import ModelAdmin, ModelForm, StackedInline, display
from core.admin.deletion import Explained
from core.admin.model_names import ModelNameField
from core.models import Classifier, ClassifierLabel
from core.routing.leaving import leaving

# Fewer labels are no choice.
FEWEST_LABELS = 2


class ClassifierForm(ModelForm[Classifier]):
    model = ModelNameField(label="Model", help_text="A small, quick one: it is asked before each request's own model.")

    class Meta:
        model = Classifier
        fields = (
            "name", "slug", "description", "model", "instructions", "default_label", "characters", "more_characters",
            "seconds",
        )  # fmt: skip


if TYPE_CHECKING:
    _FormSet = BaseInlineFormSet[ClassifierLabel, Classifier, forms.ModelForm[ClassifierLabel]]
else:
    _FormSet = BaseInlineFormSet


class LabelsFormSet(_FormSet):
    """The labels together with the default one, which has to be among them."""

    def clean(self) -> None:
        super().clean()
        kept = [form for form in self.forms if form not in self.deleted_forms]
        names = [name for form in kept if (name := getattr(form, "cleaned_data", {}).get("name"))]
        if len(names) < FEWEST_LABELS:
            raise forms.ValidationError("A classifier needs at least two labels to choose from.")
        default = self.data.get("default_label", "")
        if default not in names:
            raise forms.ValidationError(
                f"The label when it cannot say is «{default}», but there is no such label below."
            )


class LabelInline(StackedInline[ClassifierLabel, Classifier]):
    model = ClassifierLabel
    formset = LabelsFormSet
    extra = 0
    min_num = FEWEST_LABELS
    ordering_field = "position"
    verbose_name_plural = "Labels"
    fieldsets = ((None, {"fields": (("name", "position"), "description", "examples")}),)

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name == "examples":
            kwargs["widget"] = UnfoldAdminTextareaWidget(attrs={"rows": 3})
        return super().formfield_for_dbfield(db_field, request, **kwargs)


@admin.register(Classifier)
class ClassifierAdmin(Explained, ModelAdmin[Classifier]):
    """What is changed here counts from the next request on."""

    form = ClassifierForm
    inlines = [LabelInline]
    list_display = ("name", "model", "labels_shown", "default_label", "updated_at")
    search_fields = ("name", "description")
    list_before_template = "admin/core/classifier/intro.html"
    change_form_outer_before_template = "admin/core/classifier/status.html"
    warn_unsaved_form = True
    keep_instead = "Take it out of the rules first."
    fieldsets = (
        ("What it is", {"fields": (("name", "slug"), "description")}),
        ("What it is asked", {"fields": ("instructions", ("model", "default_label"))}),
        ("How long it takes", {"fields": (("characters", "more_characters", "seconds"),)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Classifier]:
        return super().get_queryset(request).prefetch_related("labels")

    @display(description="Labels")
    def labels_shown(self, classifier: Classifier) -> str:
        return ", ".join(label.name for label in classifier.labels.all())

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        classifier = self.get_object(request, object_id)
        extra = {"warnings": leaving([classifier.model]) if classifier else []}
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        pages: dict[str, tuple[str, Any]] = {
            "measuring": ("<int:pk>/measure/", classifier_measuring.measuring),
            "add_call": ("<int:pk>/add/<uuid:call_id>/", classifier_measuring.add_call),
        }
        own = [
            path(where, self.admin_site.admin_view(view), {"model_admin": self}, name=f"core_classifier_{name}")
            for name, (where, view) in pages.items()
        ]
        return [*own, *super().get_urls()]

    def get_prepopulated_fields(self, request: HttpRequest, obj: Classifier | None = None) -> Any:  # noqa: ARG002
        return {"slug": ("name",)} if obj is None else {}

    def get_readonly_fields(self, request: HttpRequest, obj: Classifier | None = None) -> Any:  # noqa: ARG002
        # Rules name it so.
        return () if obj is None else ("slug",)
