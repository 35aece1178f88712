"""Which batches and tables are under way, how far is each, what does it cost, and how is one stopped?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse

from core.admin.base import Endless, ModelAdmin, ReadOnly, action, address, display, page, require
from core.batches.cancel import cancel
from core.bulk.progress import progress_of
from core.models import Batch, BulkRun
from core.templatetags.admin_words import moment, usd

TONES: dict[str, str] = {
    Batch.Status.PREPARING: "info",
    Batch.Status.SUBMITTING: "info",
    Batch.Status.IN_PROGRESS: "info",
    Batch.Status.CANCELING: "warning",
    Batch.Status.ENDED: "success",
    Batch.Status.FAILED: "danger",
}


class StateFilter(admin.SimpleListFilter):
    """By how a batch stands; «waits for a decision» is what nobody but a person can end."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - Django's
        yield "open", "Under way"
        yield "asks", "Waits for a person's decision"
        yield from Batch.Status.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's
        if self.value() == "open":
            return queryset.exclude(status__in=Batch.OVER)
        if self.value() == "asks":
            return queryset.filter(parts__state="asks").distinct()
        return queryset.filter(status=self.value()) if self.value() else queryset


@admin.register(Batch)
class BatchAdmin(Endless, ReadOnly, ModelAdmin[Batch]):
    """All batches, or a person's own ones. Nothing here is written by hand."""

    list_display = ("asked", "state", "what", "who", "count", "answers", "failures", "cost")
    list_display_links = ("asked",)
    list_filter = (StateFilter, "door", "live", "created_at")
    list_select_related = ("user", "key", "prompt")
    search_fields = ("public_id",)
    search_help_text = "Batch id"
    list_before_template = "admin/core/batch/intro.html"
    change_form_template = "admin/core/batch/detail.html"
    ordering = ("-created_at", "-id")
    actions = ["cancel_chosen"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Batch]:
        return Batch.objects.visible_to(request.user).select_related("user", "key", "prompt")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("core.cancel_call")

    @action(description="Cancel", permissions=["cancel"])
    def cancel_chosen(self, request: HttpRequest, queryset: QuerySet[Batch]) -> None:
        canceled = sum(cancel(batch) for batch in queryset)
        messages.success(request, f"Told to stop: {canceled}. What Claude has worked on by now is billed.")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.cancel_view)
        return [path("<int:pk>/cancel/", view, name="core_batch_cancel"), *super().get_urls()]

    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, and then stop one batch."""
        require(self.has_cancel_permission(request) and self.has_view_permission(request))
        batch = get_object_or_404(self.get_queryset(request), pk=pk)
        if request.method != "POST":
            context = {"title": "Cancel", "batch": batch, "progress": progress_of(batch)}
            return page(self, request, "admin/core/batch/cancel.html", batch, **context)
        if cancel(batch):
            messages.success(request, "It is told to stop. What Claude has worked on by now is billed.")
        else:
            messages.info(request, "It has ended, or was told to stop before.")
        return HttpResponseRedirect(reverse("admin:core_batch_change", args=[pk]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        batch = self.get_object(request, object_id)
        extra = self._detail(request, batch) if batch else {}
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def _detail(self, request: HttpRequest, batch: Batch) -> dict[str, Any]:
        run = BulkRun.objects.filter(batch=batch).only("pk").first()
        working = batch.status in {Batch.Status.SUBMITTING, Batch.Status.IN_PROGRESS}
        return {
            "title": "Batch",
            "batch": batch,
            "tone": TONES[batch.status],
            "progress": progress_of(batch),
            "parts": list(batch.parts.all()),
            "run_page": address("bulk_run", run.pk) if run else "",
            "may_cancel": working and self.has_cancel_permission(request),
        }

    # --- Columns ---

    @display(description="Asked")
    def asked(self, batch: Batch) -> str:
        return moment(batch.created_at)

    @display(description="State", label={str(status.label): TONES[status] for status in Batch.Status})
    def state(self, batch: Batch) -> str:
        return batch.get_status_display()

    @display(description="What")
    def what(self, batch: Batch) -> str:
        prompt = str(batch.prompt) if batch.prompt else "requests of a program"
        return f"{batch.title} · {prompt}" if batch.title and batch.prompt else batch.title or prompt

    @display(description="For whom")
    def who(self, batch: Batch) -> str:
        return str(batch.key or batch.user or "several people")

    @display(description="Rows")
    def count(self, batch: Batch) -> str:
        return f"{batch.rows:,}"

    @display(description="Answers")
    def answers(self, batch: Batch) -> str:
        return f"{batch.succeeded:,}" if batch.over or batch.done else "–"

    @display(description="Failed")
    def failures(self, batch: Batch) -> str:
        return f"{batch.errored + batch.expired:,}" if batch.over or batch.done else "–"

    @display(description="Cost")
    def cost(self, batch: Batch) -> str:
        return usd(batch.spent) if batch.over or batch.done else "–"
