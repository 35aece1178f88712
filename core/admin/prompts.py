"""Where do staff write, try and publish prompts?"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import JSONField, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from core.admin import publishing, trying, versions
from core.admin.base import ModelAdmin, action, display, without_links
from core.admin.deletion import Explained
from core.admin.prompt_form import PromptForm, SchemaField
from core.admin.prompt_live import AT_ONCE, LIVE, ONLY_PUBLISHERS, may_change_live, told
from core.admin.prompt_status import status_of
from core.admin.variables import VariableInline
from core.models import ClaudeModel, Prompt

SAVE_AND_TRY = "_save_and_try"
# Saving stays at the draft anyway.
_BUTTONS = {"show_save_and_add_another": False, "show_save_and_continue": False}


@admin.register(Prompt)
class PromptAdmin(Explained, ModelAdmin[Prompt]):
    """The editor of drafts. What people use changes only when somebody publishes."""

    form = PromptForm
    inlines = [VariableInline]
    list_display = ("name", "state", "model", "who", "updated_at")
    list_filter = ("access", "model__line")
    search_fields = ("name", "slug", "description")
    search_help_text = "Search by name or address"
    list_select_related = ("model", "route", "alias", "published__route", "published__alias", "system_prompt")
    warn_unsaved_form = True
    actions_submit_line = ["save_and_try"]
    list_before_template = "admin/core/prompt/intro.html"
    change_form_outer_before_template = "admin/core/prompt/status.html"
    keep_instead = "Withdraw the prompt instead: nobody can use it then."

    @display(description="State", label={"Published": "success", "Changed since": "warning", "Not published": "info"})
    def state(self, prompt: Prompt) -> str:
        if prompt.published is None:
            return "Not published"
        return "Changed since" if prompt.changed_since_published else "Published"

    @display(description="Who may use it")
    def who(self, prompt: Prompt) -> str:
        return prompt.get_access_display()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Prompt]:
        return super().get_queryset(request).prefetch_related("variables")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "model":
            kwargs["queryset"] = ClaudeModel.objects.order_by("line", "-released_at")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name == "template":
            kwargs["widget"] = UnfoldAdminTextareaWidget(attrs={"rows": 12, "class": "claudeapp-template"})
        elif isinstance(db_field, JSONField):
            kwargs["widget"] = UnfoldAdminTextareaWidget(attrs={"rows": 4, "class": "claudeapp-template"})
            kwargs["form_class"] = SchemaField
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        return without_links(field) if db_field.name in {"groups", "fallback"} else field

    def formfield_for_manytomany(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        kwargs["widget"] = UnfoldAdminCheckboxSelectMultipleWidget()
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    # --- What a published prompt shows at once ---

    def get_fieldsets(self, request: HttpRequest, obj: Prompt | None = None) -> Any:
        live = {"description": self._live_words(request, obj)}
        restricted = obj is not None and obj.published_id is not None and obj.access != Prompt.Access.EVERYONE
        confirm = ("open_to_everyone",) if restricted and self._may_edit_live(request, obj) else ()
        return (
            ("What people see", {"fields": ("name", "slug", "description"), **live}),
            ("What is sent", {"fields": ("system_prompt", "template")}),
            (
                "Model and limits",
                {
                    "fields": (
                        ("model", "answered_by"),
                        ("max_tokens", "effort"),
                        "output_schema",
                        "run_again_if_lost",
                        "tags",
                    )
                },
            ),
            ("If Claude does not answer", {"fields": (("most_attempts", "give_up_after"), "fallback"), **live}),
            ("If the same is asked again", {"fields": ("cache_minutes", "cache_shared"), **live}),
            ("Who may use it", {"fields": ("access", *confirm, "groups"), **live}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Prompt | None = None) -> Any:
        return () if may_change_live(request, obj) else tuple(LIVE)

    def get_prepopulated_fields(self, request: HttpRequest, obj: Prompt | None = None) -> Any:
        return {"slug": ("name",)} if may_change_live(request, obj) else {}

    def _may_edit_live(self, request: HttpRequest, obj: Prompt | None) -> bool:
        return self.has_change_permission(request, obj) and may_change_live(request, obj)

    def _live_words(self, request: HttpRequest, obj: Prompt | None) -> str:
        if obj is None or obj.published_id is None or not self.has_change_permission(request, obj):
            return ""
        return AT_ONCE if may_change_live(request, obj) else ONLY_PUBLISHERS

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if said := told(form.instance, form.changed_data):
            messages.warning(request, said)
        # The form was opened before somebody published the prompt: it still offered these.
        if not may_change_live(request, form.instance) and LIVE.keys() & request.POST.keys():
            messages.warning(request, f"What people see was left as it is. {ONLY_PUBLISHERS}")

    # --- The way from one step to the next ---

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        prompt = self.get_object(request, object_id)
        extra = {"status": status_of(prompt, request.user) if prompt else None, **_BUTTONS}
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().add_view(request, form_url, {**_BUTTONS, **(extra_context or {})})

    def has_try_permission(self, request: HttpRequest, *_args: Any) -> bool:
        # Unfold would look for a permission named here in the database, and a fresh one has no tables yet.
        return request.user.has_perm("core.try_prompt")

    @action(description="Save and try", permissions=["try"], attrs={"name": SAVE_AND_TRY})
    def save_and_try(self, request: HttpRequest, obj: Prompt) -> None:
        """A second button; where it leads is decided once the variables are saved too."""

    def response_add(self, request: HttpRequest, obj: Prompt, post_url_continue: str | None = None) -> HttpResponse:
        return self._stay(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Prompt) -> HttpResponse:
        return self._stay(request, obj) or super().response_change(request, obj)

    def _stay(self, request: HttpRequest, prompt: Prompt) -> HttpResponse | None:
        """After saving comes trying and publishing, so the draft stays open; None where another way was asked for."""
        if {"_continue", "_addanother", "_popup", "_saveasnew"} & request.POST.keys():
            return None
        if SAVE_AND_TRY in request.POST:
            return HttpResponseRedirect(reverse("admin:core_prompt_try", args=[prompt.pk]))
        kept = " Claude is sent what is published, until this draft is published." if prompt.published_id else ""
        messages.success(request, f"The draft of «{prompt}» is saved.{kept}")
        return HttpResponseRedirect(reverse("admin:core_prompt_change", args=[prompt.pk]))

    def get_urls(self) -> list[URLPattern]:
        pages: dict[str, tuple[str, Any]] = {
            "publish": ("<int:pk>/publish/", publishing.publish),
            "withdraw": ("<int:pk>/withdraw/", publishing.withdraw),
            "versions": ("<int:pk>/versions/", versions.listing),
            "version": ("<int:pk>/versions/<int:number>/", versions.frozen),
            "publish_version": ("<int:pk>/versions/<int:number>/publish/", publishing.publish),
            "try": ("<int:pk>/try/", trying.try_out),
            "preview": ("<int:pk>/preview/", trying.preview),
            "answer": ("<int:pk>/try/<uuid:call_id>/", trying.answer),
        }
        own = [
            path(route, self.admin_site.admin_view(view), {"model_admin": self}, name=f"core_prompt_{name}")
            for name, (route, view) in pages.items()
        ]
        return [*own, *super().get_urls()]
