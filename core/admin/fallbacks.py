"""What answers when a model cannot, in which order, and where is that used?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Prefetch, QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from core.admin import breakers
from core.admin.base import ModelAdmin, ModelForm, StackedInline, display
from core.admin.deletion import Explained
from core.models import ClaudeModel, FallbackChain, FallbackStep, Key, Prompt
from core.routing.choose import UnknownModelError, plan
from core.routing.leaving import leaving

# How many users of a chain are named before the rest is counted.
NAMED = 20
# The place of a model that was given none, until all are numbered anew.
LAST = 10_000

if TYPE_CHECKING:
    _StepForms = BaseInlineFormSet[FallbackStep, FallbackChain, ModelForm[FallbackStep]]
else:
    _StepForms = BaseInlineFormSet


@dataclass(frozen=True)
class Used:
    """Who names the chain; `more` of each kind are not listed."""

    prompts: list[Prompt]
    keys: list[Key]
    more_prompts: int
    more_keys: int


class StepForm(ModelForm[FallbackStep]):
    """One model, chosen from the catalogue or written."""

    class Meta:
        model = FallbackStep
        fields = ("model", "position")
        widgets = {"model": UnfoldAdminTextInputWidget(attrs={"list": "known-models", "autocomplete": "off"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["position"].required = False
        if self.instance._state.adding:
            self.initial["position"] = None

    def clean_position(self) -> int:
        """Whatever has no place comes last."""
        position = self.cleaned_data.get("position")
        return LAST if position is None else int(position)

    def clean_model(self) -> str:
        return str(self.cleaned_data["model"]).strip()


class StepForms(_StepForms):
    """All models of a chain."""

    def clean(self) -> None:
        kept = [form for form in self.forms if form.is_valid() and not form.cleaned_data.get("DELETE")]
        names = [form.cleaned_data.get("model") for form in kept]
        if twice := {name for name in names if name and names.count(name) > 1}:
            raise ValidationError(f"Each model answers once in a chain: {', '.join(sorted(twice))} is there twice.")
        super().clean()


class StepInline(StackedInline[FallbackStep, FallbackChain]):
    """The models of a chain, in the order in which they are asked."""

    model = FallbackStep
    form = StepForm
    formset = StepForms
    extra = 0
    ordering_field = "position"
    verbose_name = "model"
    verbose_name_plural = "Models to ask, in this order"
    fields = (("model", "position"),)


@admin.register(FallbackChain)
class FallbackChainAdmin(Explained, ModelAdmin[FallbackChain]):
    """Chains of other models. One may be the usual one, for all that name none."""

    inlines = [StepInline]
    list_display = ("name", "order", "written", "usual", "used")
    list_before_template = "admin/core/fallbackchain/intro.html"
    change_form_outer_before_template = "admin/core/fallbackchain/status.html"
    search_fields = ("name",)
    search_help_text = "Search by name"
    sortable_by = ("name",)
    keep_instead = "Choose another chain there first."
    actions = None
    fieldsets = (
        ("Which chain", {"fields": ("name", "is_default")}),
        (
            "When none of its models answers",
            {
                "fields": ("answer",),
                "description": "A request that is not right in itself is answered with its mistake, and no other model "
                "is asked.",
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[FallbackChain]:
        rows = (Prefetch("keys", Key.objects.only("pk", "fallback", "name")),
                Prefetch("prompts", Prompt.objects.only("pk", "fallback", "name")))  # fmt: skip
        return super().get_queryset(request).prefetch_related("steps", *rows)

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name == "answer":
            kwargs["widget"] = UnfoldAdminTextareaWidget(attrs={"rows": 4})
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        for position, step in enumerate(form.instance.steps.order_by("position", "pk")):
            FallbackStep.objects.filter(pk=step.pk).update(position=position)
        for warning in warnings(form.instance):
            messages.warning(request, warning)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        chain = self.get_object(request, object_id) if object_id else None
        extra = {"known_models": ClaudeModel.objects.usable(), "chain_used": used(chain) if chain else None}
        shown = {**extra, "chain_warnings": warnings(chain) if chain and request.method == "GET" else []}
        return super().changeform_view(request, object_id, form_url, {**shown, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(breakers.breakers)
        return [path("breakers/", view, {"model_admin": self}, name="core_breakers"), *super().get_urls()]

    @display(description="Asked in this order")
    def order(self, chain: FallbackChain) -> str:
        return " → ".join(chain.model_names()) or "no other model"

    @display(description="Written answer", boolean=True)
    def written(self, chain: FallbackChain) -> bool:
        return bool(chain.answer.strip())

    @display(description="The usual one", boolean=True)
    def usual(self, chain: FallbackChain) -> bool:
        return chain.is_default

    @display(description="Used by")
    def used(self, chain: FallbackChain) -> str:
        found = [_counted(len(chain.prompts.all()), "prompt"), _counted(len(chain.keys.all()), "key")]
        named = [words for words in found if words]
        return ", ".join([*(["all that name none"] if chain.is_default else []), *named]) or "–"


def warnings(chain: FallbackChain) -> list[str]:
    """What is probably not meant, a sentence each."""
    names = list(chain.steps.values_list("model", flat=True))
    found = [sentence for name in names for sentence in _doubts(name)]
    if not names and not chain.answer.strip():
        found.append("This chain names no model and has no written answer, so it changes nothing.")
    return found


def used(chain: FallbackChain) -> Used:
    """Who names `chain`."""
    prompts, keys = list(chain.prompts.all()), list(chain.keys.all())
    return Used(prompts[:NAMED], keys[:NAMED], len(prompts[NAMED:]), len(keys[NAMED:]))


def _doubts(name: str) -> Iterator[str]:
    row = ClaudeModel.objects.filter(pk=name).first()
    if row is None:
        try:
            plan(name)
        except UnknownModelError:
            yield f"«{name}» is no model, alias or route known here, so it is passed over."
    elif row.retired:
        yield f"{row.display_name} no longer answers, so it is passed over."
        return
    yield from leaving([name])


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}" if number else ""
