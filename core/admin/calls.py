"""What was asked of Claude, what came back, and what can still be done about it?"""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from core.admin import call_actions, demo, letter_actions, letters
from core.admin.base import Endless, ModelAdmin, ReadOnly, action, address, display
from core.admin.classifier_measuring import classes_of
from core.admin.filters import ModelFilter, StatusFilter
from core.admin.key_rights import may_view
from core.models import Call, CostRecord
from core.prompts.conversation import turns_of
from core.routing.traces import trace_of
from core.templatetags.admin_words import TONES, cost_of, moment, seconds, trouble

# What a list does not show; an answer can be as long as a book.
_HEAVY = ("text", "content", "request", "inputs", "error_message")


@admin.register(Call)
class CallAdmin(Endless, ReadOnly, ModelAdmin[Call]):
    """All calls, or a person's own ones. Nothing here is written by hand."""

    list_display = ("asked", "state", "user", "prompt", "model", "tokens", "took", "cost")
    list_display_links = ("asked",)
    list_filter = (
        StatusFilter,
        # Every prompt: a search for those that have calls reads them all.
        "prompt",
        ModelFilter,
        "door",
        "lane",
        "created_at",
    )
    list_select_related = ("user", "prompt")
    search_fields = ("id",)
    search_help_text = "Call id, request id or user name"
    list_before_template = "admin/core/call/intro.html"
    change_form_template = "admin/core/call/detail.html"
    ordering = ("-created_at", "-id")
    actions = ["run_again", "cancel", "release"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Call]:
        calls = Call.objects.visible_to(request.user).select_related("user", "key", "prompt", "version", "again_of")
        match = request.resolver_match
        listed = match is not None and match.url_name == "core_call_changelist"
        return calls.prefetch_related("cost_records").defer(*_HEAVY if listed else ())

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        queryset: QuerySet[Call],
        search_term: str,
    ) -> tuple[QuerySet[Call], bool]:
        """Exact matches only, each by an index: a search through the answers would read them all."""
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            return queryset.filter(pk=uuid.UUID(term)), False
        except ValueError:
            by_record = Q(pk__in=_calls_with_record(term))
            return queryset.filter(Q(request_id=term) | by_record | Q(user__username=term)), False

    def has_rerun_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("core.rerun_call")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("core.cancel_call")

    @action(description="Run again…", permissions=["rerun"])
    def run_again(self, request: HttpRequest, queryset: QuerySet[Call]) -> HttpResponse | None:
        return call_actions.run_many_again(self, request, queryset)

    @action(description="Cancel", permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Call]) -> None:
        call_actions.cancel_many(request, queryset)

    @action(description="Release from Claude's spend limit", permissions=["rerun"])
    def release(self, request: HttpRequest, queryset: QuerySet[Call]) -> None:
        call_actions.release_many(request, queryset)

    def get_urls(self) -> list[URLPattern]:
        pages: dict[str, tuple[str, Any]] = {
            "demo_remove": ("demo/remove/", demo.remove),
            "call_release": ("release/", call_actions.release_all),
            "letters": ("dead/", letters.kinds),
            "letters_kind": ("dead/kind/", letters.kind),
            "letters_handled": ("dead/handled/", letters.dealt_with),
            "letters_act": ("dead/act/", letter_actions.act),
            "letter_edit": ("<uuid:pk>/edit/", letter_actions.edit),
            "call_again": ("<uuid:pk>/again/", call_actions.run_one_again),
            "call_cancel": ("<uuid:pk>/cancel/", call_actions.cancel_one),
        }
        own = [
            path(route, self.admin_site.admin_view(view), {"model_admin": self}, name=f"core_{name}")
            for name, (route, view) in pages.items()
        ]
        return [*own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        call = self.get_object(request, object_id)
        extra = self._detail(request, call) if call else {}
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def _detail(self, request: HttpRequest, call: Call) -> dict[str, Any]:
        return {
            "title": "Call",
            "call": call,
            "trace": trace_of(call),
            "classes": classes_of(call, request),
            "turns": turns_of(call.request, "Program" if call.key_id else "Person"),
            "records": list(call.cost_records.all()),
            "failed": list(call.failed_attempts.all()),
            "reruns": list(Call.objects.visible_to(request.user).filter(again_of=call).only("pk", "created_at")[:20]),
            "result_page": address("call", call.pk),
            "handlings": list(call.handlings.select_related("by", "fresh")[:20]),
            "may_rerun": self.has_rerun_permission(request) and call.version_id is not None and not call.pruned_at,
            "may_see_key": call.key is not None and may_view(request, call.key),
            "may_cancel": self.has_cancel_permission(request) and call.cancelable,
            "trouble": trouble(call),
        }

    # --- Columns ---

    @display(description="Asked")
    def asked(self, call: Call) -> str:
        return moment(call.created_at)

    @display(
        description="Status",
        label={Call.HELD: "warning", **{str(status.label): TONES[status] for status in Call.Status}},
    )
    def state(self, call: Call) -> str:
        return Call.HELD if call.parked else call.get_status_display()

    @display(description="Tokens in and out")
    def tokens(self, call: Call) -> str:
        known = [record for record in call.cost_records.all() if record.input_tokens is not None]
        if not known:
            return "–"
        inputs = sum(record.input_tokens or 0 for record in known)
        outputs = sum(record.output_tokens or 0 for record in known)
        return f"{inputs:,} · {outputs:,}"

    @display(description="Time")
    def took(self, call: Call) -> str:
        return seconds(call.seconds)

    @display(description="Cost")
    def cost(self, call: Call) -> str:
        return cost_of(call)


def _calls_with_record(request_id: str) -> QuerySet[Any, Any]:
    return CostRecord.objects.filter(request_id=request_id).values("call_id")
