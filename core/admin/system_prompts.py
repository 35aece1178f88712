"""Where are reusable system prompts written, and who still sends an older text?"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.widgets import UnfoldAdminTextareaWidget

from core.admin.base import ModelAdmin, ModelForm, display, signed_in
from core.admin.deletion import Explained
from core.admin.prompt_checks import braced, refused_spelling
from core.models import Prompt, SystemPrompt
from core.prompts.templates import misspelt, names_in

SHOWN_VERSIONS = 20


class SystemPromptForm(ModelForm[SystemPrompt]):
    """Refuses a variable that a prompt which uses this text does not have."""

    class Meta:
        model = SystemPrompt
        fields = ("name", "description", "text", "in_chat")

    def clean_in_chat(self) -> bool:
        offered: bool = self.cleaned_data["in_chat"]
        if offered and (named := names_in(self.cleaned_data.get("text", self.instance.text))):
            raise forms.ValidationError(f"A chat has no variables, and this text uses {braced(named)}.")
        return offered

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"]
        if wrong := misspelt(text):
            raise forms.ValidationError(refused_spelling("This", wrong))
        named = names_in(text)
        if self.instance.pk and named:
            for prompt in self.instance.prompts.prefetch_related("variables"):
                defined = {variable.name for variable in prompt.variables.all()}
                if missing := [name for name in named if name not in defined]:
                    self.add_error(
                        "text",
                        forms.ValidationError(
                            f"This uses {braced(missing)}, but the prompt «{prompt}», which uses this system prompt, "
                            "has no variable of that name. Add it there first."
                        ),
                    )
        return text


@admin.register(SystemPrompt)
class SystemPromptAdmin(Explained, ModelAdmin[SystemPrompt]):
    """Each saved text is kept as a version; published prompts keep the text they were published with."""

    form = SystemPromptForm
    list_display = ("name", "description", "used", "updated_at")
    search_fields = ("name", "description")
    search_help_text = "Search by name or description"
    fields = ("name", "description", "text", "in_chat")
    warn_unsaved_form = True
    change_form_outer_before_template = "admin/core/systemprompt/used.html"
    change_form_outer_after_template = "admin/core/systemprompt/versions.html"
    keep_instead = "Choose another system prompt there first."

    def get_queryset(self, request: HttpRequest) -> QuerySet[SystemPrompt]:
        counted: QuerySet[SystemPrompt] = super().get_queryset(request).annotate(prompt_count=Count("prompts"))
        return counted

    @display(description="Used in", ordering="prompt_count")
    def used(self, system_prompt: Any) -> str:
        number = system_prompt.prompt_count
        return f"{number} prompt{'' if number == 1 else 's'}" if number else "no prompt yet"

    def get_readonly_fields(self, request: HttpRequest, obj: SystemPrompt | None = None) -> tuple[str, ...]:
        """What chats offer has no draft, so only those who may publish change it."""
        if request.user.has_perm("core.publish_prompt"):
            return ()
        return ("name", "description", "text", "in_chat") if obj is not None and obj.in_chat else ("in_chat",)

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name == "text":
            kwargs["widget"] = UnfoldAdminTextareaWidget(attrs={"rows": 12, "class": "claudeapp-template"})
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        found = self.get_object(request, object_id)
        extra = {"prompts": prompts_of(found), "versions": _versions_of(found)} if found else {}
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: SystemPrompt, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        obj.current_version(signed_in(request))
        if obj.in_chat and {"text", "in_chat"} & set(form.changed_data):
            messages.info(request, "Chats that choose it from now on get this text; those that did before keep theirs.")
        older = [str(prompt) for prompt, current in prompts_of(obj) if prompt.published and not current]
        if "text" in form.changed_data and older:
            names = ", ".join(f"«{name}»" for name in older)
            messages.warning(request, f"People still get the older text from {names}, until it is published again.")


def prompts_of(system_prompt: SystemPrompt) -> list[tuple[Prompt, bool]]:
    """The prompts that use it, each with whether its published version, if any, sends today's text."""
    prompts = Prompt.objects.filter(system_prompt=system_prompt).select_related("published")
    return [
        (prompt, bool(prompt.published and prompt.published.system_text == system_prompt.text)) for prompt in prompts
    ]


def _versions_of(system_prompt: SystemPrompt) -> list[Any]:
    return list(system_prompt.versions.select_related("created_by").order_by("-number")[:SHOWN_VERSIONS])
