"""Which models are there, what do they cost, and who uses them?"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.views.decorators.http import require_POST

from core.admin import model_uses
from core.admin.base import ModelAdmin, ReadOnly, display, link, require
from core.claude.errors import ClaudeError
from core.models import ClaudeModel, Price
from core.routing.catalogue import sync_models
from core.templatetags.admin_words import whole

_LIFECYCLES = {"Active": "success", "Deprecated": "warning", "Retired": "danger"}


@admin.register(ClaudeModel)
class ClaudeModelAdmin(ReadOnly, ModelAdmin[ClaudeModel]):
    """The catalogue as Claude lists it: nobody writes it by hand."""

    list_display = ("display_name", "state", "line", "price_in", "price_out", "longest", "used", "retires")
    list_filter = ("line", "lifecycle")
    search_fields = ("id", "display_name")
    search_help_text = "Search by name or id"
    list_before_template = "admin/core/claudemodel/sync.html"
    change_form_outer_before_template = "admin/core/claudemodel/uses.html"
    ordering = ("lifecycle", "line", "-released_at")
    sortable_by = ()
    fieldsets = (
        ("What it is", {"fields": ("display_name", "id", "line", "state", "used_by")}),
        ("When", {"fields": ("released_at", "deprecated_at", "retires_at", "synced_at")}),
        ("What it costs, USD per million tokens", {"fields": (("price_in", "price_out"),)}),
        ("What it takes", {"fields": (("longest_input", "longest"), "able")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ClaudeModel]:
        counted: QuerySet[ClaudeModel] = super().get_queryset(request).annotate(prompt_count=Count("prompts"))
        return counted

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:  # noqa: ARG002 - Django's
        return ["state", "used_by", "price_in", "price_out", "longest_input", "longest", "able"]

    @display(description="State", label=_LIFECYCLES, ordering="lifecycle")
    def state(self, model: ClaudeModel) -> str:
        return model.get_lifecycle_display()

    @display(description="Input today")
    def price_in(self, model: ClaudeModel) -> str:
        price = _price_today(model)
        return _dollars(price.input if price else None)

    @display(description="Output today")
    def price_out(self, model: ClaudeModel) -> str:
        price = _price_today(model)
        return _dollars(price.output if price else None)

    @display(description="Retires")
    def retires(self, model: ClaudeModel) -> str:
        return f"{model.retires_at:%d %b %Y}" if model.retires_at else "–"

    @display(description="Longest answer")
    def longest(self, model: ClaudeModel) -> str:
        return _tokens(model.max_tokens)

    @display(description="Longest input")
    def longest_input(self, model: ClaudeModel) -> str:
        return _tokens(model.max_input_tokens)

    @display(description="What it can do")
    def able(self, model: ClaudeModel) -> str:
        return ", ".join(_able(model.capabilities)) or "unknown"

    @display(description="Used in", ordering="prompt_count")
    def used(self, model: Any) -> str:
        return f"{model.prompt_count} prompt{'' if model.prompt_count == 1 else 's'}" if model.prompt_count else "–"

    @display(description="Prompts that use it")
    def used_by(self, model: ClaudeModel) -> str:
        return format_html_join(", ", "{}", ((link(prompt),) for prompt in model.prompts.all())) or "none"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        may_sync = request.user.has_perm("core.change_claudemodel")
        return super().changelist_view(request, {"may_sync": may_sync, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        sync = self.admin_site.admin_view(require_POST(self.sync))
        replace = self.admin_site.admin_view(model_uses.replace)
        return [
            path("sync/", sync, name="core_claudemodel_sync"),
            path("<path:pk>/replace/", replace, {"model_admin": self}, name="core_claudemodel_replace"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        model = self.get_object(request, object_id)
        extra = model_uses.context_of(model, request) if model else {}
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def sync(self, request: HttpRequest) -> HttpResponse:
        """Ask Claude which models there are today."""
        require(request.user.has_perm("core.change_claudemodel"))
        try:
            messages.success(request, f"{sync_models()}.")
        except ClaudeError as error:
            messages.error(request, f"Claude did not list its models, so nothing has changed: {error.message}")
        return HttpResponseRedirect(reverse("admin:core_claudemodel_changelist"))


def _tokens(number: int | None) -> str:
    return f"{whole(number)} tokens" if number else "unknown"


def _able(capabilities: Any) -> Iterator[str]:
    """What is supported, from the API's tree, in words: «batch», «effort (high, low)»."""
    for name, node in sorted(capabilities.items()):
        if isinstance(node, dict) and node.get("supported"):
            parts = ", ".join(_able({**node, **node.get("types", {})}))
            yield f"{name.replace('_', ' ')} ({parts})" if parts else name.replace("_", " ")


def _price_today(model: ClaudeModel) -> Price | None:
    return Price.objects.of(model.pk, timezone.now().date(), 0)


def _dollars(rate: Decimal | None) -> str:
    return "unknown" if rate is None else f"${_rate(rate)}"


def _rate(rate: Any) -> str:
    """A rate without the zeros at its end: 1.25."""
    return "unknown" if rate is None else f"{rate.normalize():,f}"
