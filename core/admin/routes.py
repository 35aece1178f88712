"""Where do staff write, try and publish routes?"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from core.admin import route_publishing, route_rules, route_trying, route_whatif
from core.admin.base import ModelAdmin, ModelForm, display
from core.admin.deletion import Explained
from core.admin.model_names import ModelNameField
from core.admin.route_words import standing_of
from core.models import ClaudeModel, ModelAlias, Route

_BUTTONS = {"show_save_and_add_another": False, "show_save_and_continue": False}


class RouteForm(ModelForm[Route]):
    """The route itself and its default; its rules have pages of their own."""

    model = ModelNameField(
        label="Model", help_text="Answers whatever no rule matches: choose the safe middle. A route needs one."
    )

    class Meta:
        model = Route
        fields = ("name", "slug", "description", "model", "effort", "max_tokens")

    def clean_slug(self) -> str:
        slug: str = self.cleaned_data["slug"]
        if ModelAlias.objects.filter(name=slug).exists() or ClaudeModel.objects.filter(pk=slug).exists():
            raise forms.ValidationError("An alias or a model has this name already.")
        return slug


@admin.register(Route)
class RouteAdmin(Explained, ModelAdmin[Route]):
    """The editor of drafts. What requests follow changes only when somebody publishes."""

    form = RouteForm
    list_display = ("name", "slug", "state", "rule_count", "default", "updated_at")
    search_fields = ("name", "slug", "description")
    search_help_text = "Search by name"
    list_before_template = "admin/core/route/intro.html"
    change_form_outer_before_template = "admin/core/route/status.html"
    change_form_outer_after_template = "admin/core/route/rules.html"
    keep_instead = "Withdraw the route instead: nothing follows it then."
    warn_unsaved_form = True
    fieldsets = (
        ("What it is", {"fields": (("name", "slug"), "description")}),
        ("When no rule matches", {"fields": (("model", "effort", "max_tokens"),)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Route]:
        counted: QuerySet[Route] = super().get_queryset(request).annotate(rules_made=Count("rules"))
        return counted.select_related("published").prefetch_related("rules")

    @display(description="State", label={"Published": "success", "Changed since": "warning", "Not published": "info"})
    def state(self, route: Route) -> str:
        if route.published is None:
            return "Not published"
        return "Changed since" if route.changed_since_published else "Published"

    @display(description="Rules")
    def rule_count(self, route: Any) -> str:
        return str(route.rules_made)

    @display(description="Otherwise")
    def default(self, route: Route) -> str:
        return route.model

    def get_prepopulated_fields(self, request: HttpRequest, obj: Route | None = None) -> Any:  # noqa: ARG002
        return {"slug": ("name",)} if obj is None else {}

    def get_readonly_fields(self, request: HttpRequest, obj: Route | None = None) -> Any:  # noqa: ARG002
        # Programs and prompts ask for a route by this name.
        return () if obj is None else ("slug",)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        route = self.get_object(request, object_id)
        extra = {"standing": standing_of(route) if route else None, **_BUTTONS}
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().add_view(request, form_url, {**_BUTTONS, **(extra_context or {})})

    def response_add(self, request: HttpRequest, obj: Route, post_url_continue: str | None = None) -> HttpResponse:
        return self._stay(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Route) -> HttpResponse:
        return self._stay(request, obj) or super().response_change(request, obj)

    def _stay(self, request: HttpRequest, route: Route) -> HttpResponse | None:
        """After saving come rules and publishing, so the draft stays open."""
        if {"_continue", "_addanother", "_popup", "_saveasnew"} & request.POST.keys():
            return None
        kept = " Requests follow what is published, until this draft is." if route.published_id else ""
        messages.success(request, f"The draft of «{route}» is saved.{kept}")
        return HttpResponseRedirect(reverse("admin:core_route_change", args=[route.pk]))

    def get_urls(self) -> list[URLPattern]:
        pages: dict[str, tuple[str, Any]] = {
            "rule_add": ("<int:pk>/rules/new/", route_rules.edit),
            "rule": ("<int:pk>/rules/<int:rule_pk>/", route_rules.edit),
            "rule_move": ("<int:pk>/rules/<int:rule_pk>/move/", route_rules.move),
            "rule_delete": ("<int:pk>/rules/<int:rule_pk>/delete/", route_rules.delete),
            "try": ("<int:pk>/try/", route_trying.try_out),
            "whatif": ("<int:pk>/what-if/", route_whatif.run),
            "publish": ("<int:pk>/publish/", route_publishing.publish),
            "withdraw": ("<int:pk>/withdraw/", route_publishing.withdraw),
            "back": ("<int:pk>/back/", route_publishing.back),
            "versions": ("<int:pk>/versions/", route_publishing.listing),
            "version": ("<int:pk>/versions/<int:number>/", route_publishing.frozen),
            "publish_version": ("<int:pk>/versions/<int:number>/publish/", route_publishing.publish),
        }
        own = [
            path(where, self.admin_site.admin_view(view), {"model_admin": self}, name=f"core_route_{name}")
            for name, (where, view) in pages.items()
        ]
        return [*own, *super().get_urls()]
