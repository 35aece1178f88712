"""Which batches and tables are under way, how far is each, what does it cost, and how is one stopped?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format

from core.admin.base import Endless, ModelAdmin, ReadOnly, action, address, display, page, require
from core.batches.cancel import cancel
from core.batches.held import release
from core.bulk.progress import progress_of
from core.models import Batch, BulkRun, Call
from core.templatetags.admin_words import moment, usd

TONES: dict[str, str] = {
    Batch.Status.PREPARING: "info",
    Batch.Status.SUBMITTING: "info",
    Batch.Status.IN_PROGRESS: "info",
    Batch.Status.CANCELING: "warning",
    Batch.Status.ENDED: "success",
    Batch.Status.FAILED: "danger",
}


HELD = Call.HELD


class StateFilter(admin.SimpleListFilter):
    """By how a batch stands; «waits for a decision» is what nobody but a person can end."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - Django's
        yield "open", "Under way"
        yield "asks", "Waits for a person's decision"
        yield "parked", HELD
        yield from Batch.Status.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's
        if self.value() == "open":
            return queryset.exclude(status__in=Batch.OVER)
        if self.value() == "asks":
            return queryset.asking()  # type: ignore[attr-defined, no-any-return]
        if self.value() == "parked":
            return queryset.parked()  # type: ignore[attr-defined, no-any-return]
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
    actions = ["cancel_chosen", "release_chosen"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Batch]:
        batches = Batch.objects.visible_to(request.user).with_held_until()
        return batches.select_related("user", "key", "prompt")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("core.cancel_call")

    @action(description="Cancel", permissions=["cancel"])
    def cancel_chosen(self, request: HttpRequest, queryset: QuerySet[Batch]) -> None:
        canceled = sum(cancel(batch) for batch in queryset)
        messages.success(request, f"Told to stop: {canceled}. What Claude has worked on by now is billed.")

    def has_rerun_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("core.rerun_call")

    @action(description="Release from Claude's spend limit", permissions=["rerun"])
    def release_chosen(self, request: HttpRequest, queryset: QuerySet[Batch]) -> None:
        _say_released(request, list(queryset))

    def get_urls(self) -> list[URLPattern]:
        cancel_view, release_view = map(self.admin_site.admin_view, (self.cancel_view, self.release_view))
        own = [
            path("release/", release_view, name="core_batch_release_all"),
            path("<int:pk>/release/", release_view, name="core_batch_release"),
            path("<int:pk>/cancel/", cancel_view, name="core_batch_cancel"),
        ]
        return [*own, *super().get_urls()]

    def release_view(self, request: HttpRequest, pk: int | None = None) -> HttpResponse:
        """Release, by POST, one batch or all that Claude's spend limit holds; another method leads to it or them."""
        require(self.has_rerun_permission(request) and self.has_view_permission(request))
        seen = self.get_queryset(request)
        chosen = list(seen.parked()) if pk is None else [get_object_or_404(seen, pk=pk)]  # type: ignore[attr-defined]
        if request.method == "POST":
            _say_released(request, chosen)
        held = f"{reverse('admin:core_batch_changelist')}?state=parked"
        return HttpResponseRedirect(held if pk is None else reverse("admin:core_batch_change", args=[pk]))

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
            "may_release": self.has_rerun_permission(request),
            "may_cancel": working and self.has_cancel_permission(request),
        }

    # --- Columns ---

    @display(description="Asked")
    def asked(self, batch: Batch) -> str:
        return moment(batch.created_at)

    @display(
        description="State", label={HELD: "warning", **{str(status.label): TONES[status] for status in Batch.Status}}
    )
    def state(self, batch: Batch) -> str | tuple[str, str]:
        until = batch.held_until  # type: ignore[attr-defined]
        if not until:
            return batch.get_status_display()
        return HELD, f"Spend limit until {date_format(timezone.localtime(until), 'j M, H:i')}"

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


def _say_released(request: HttpRequest, batches: list[Batch]) -> None:
    number = release(batches)
    if number:
        said = f"{_batches(number)} released. If the limit is still reached, Claude says so again."
        messages.success(request, said)
    if number < len(batches):
        messages.warning(request, f"{_batches(len(batches) - number)} not released: not held by Claude's spend limit.")


def _batches(number: int) -> str:
    return f"{number:,} batch{'' if number == 1 else 'es'}"
