"""How does the work stand, and who pauses a queue or starts a regular task?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from core.admin.base import ModelAdmin, ReadOnly, page, require, signed_in
from core.execution.breaker import states
from core.jobs.alarms import asking_words
from core.jobs.lateness import task_stands
from core.jobs.pausing import pause, queue_names, resume
from core.jobs.regular import TASKS, run_now
from core.jobs.workers import WorkerStand, serving, workers_alive
from core.models import Batch, RegularTask
from core.operations import standing

# Seconds after which the page asks how things stand now.
REFRESH = 5


class PauseForm(forms.Form):
    """Why a queue is paused, for whoever finds it so."""

    note = forms.CharField(max_length=300, required=False)


@admin.register(RegularTask)
class OperationsAdmin(ReadOnly, ModelAdmin[RegularTask]):
    """One page in the place of a list."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("core.view_queues")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's
        return request.user.has_perm("core.view_queues")

    def get_urls(self) -> list[URLPattern]:
        pages: dict[str, tuple[str, Any]] = {
            "operations": ("", self.operations),
            "operations_pause": ("pause/<slug:name>/", self.pause_queue),
            "operations_resume": ("resume/<slug:name>/", self.resume_queue),
            "operations_run": ("run/<slug:name>/", self.run_task),
        }
        own = [path(route, self._for_staff(view), name=f"core_{name}") for name, (route, view) in pages.items()]
        return [*own, path("list/", self._for_staff(self.operations), name="core_regulartask_changelist")]

    def _for_staff(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        """As the admin does it; but a page that draws itself anew after somebody signed out is loaded as a whole."""
        checked = self.admin_site.admin_view(view)

        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.headers.get("HX-Request") and not self.admin_site.has_permission(request):
                return HttpResponse(headers={"HX-Refresh": "true"})
            return checked(request, *args, **kwargs)

        return guarded

    def operations(self, request: HttpRequest) -> HttpResponse:
        """The page, or with `?part=1` what of it is drawn anew; with `?still=1` it stays as it is."""
        require(self.has_view_permission(request))
        part = "standing" if request.GET.get("part") else "operations"
        still = bool(request.GET.get("still"))
        context = {"still": still, "refresh": REFRESH, **_standing(request)}
        return page(self, request, f"admin/core/operations/{part}.html", None, title="Operations", **context)

    def pause_queue(self, request: HttpRequest, name: str) -> HttpResponse:
        """Ask why, and then let no worker take anything from the queue."""
        self._require(request, "core.pause_queue", name in queue_names())
        form = PauseForm(request.POST or None)
        if request.method != "POST" or not form.is_valid():
            return page(self, request, "admin/core/operations/pause.html", None, title="Pause", name=name, form=form)
        if pause(name, by=signed_in(request), note=form.cleaned_data["note"]):
            messages.success(request, f"«{name}» is paused: within a second no worker takes anything from it.")
        else:
            messages.info(request, f"«{name}» was paused already.")
        return _back()

    def resume_queue(self, request: HttpRequest, name: str) -> HttpResponse:
        """Let it go on, by POST."""
        self._require(request, "core.pause_queue", name in queue_names())
        if request.method == "POST" and resume(name):
            messages.success(request, f"«{name}» goes on.")
        return _back()

    def run_task(self, request: HttpRequest, name: str) -> HttpResponse:
        """Start a regular task, by POST, as soon as a worker can."""
        self._require(request, "core.run_housekeeping", name in TASKS)
        if request.method == "POST":
            if run_now(name):
                messages.success(request, f"«{TASKS[name].label}» begins as soon as a worker is free.")
            else:
                messages.info(request, f"«{TASKS[name].label}» runs right now.")
        return _back()

    def _require(self, request: HttpRequest, permission: str, exists: bool) -> None:
        require(self.has_view_permission(request) and request.user.has_perm(permission))
        if not exists:
            raise Http404("there is none of that name")


def _back() -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:core_operations"))


def _standing(request: HttpRequest) -> dict[str, Any]:
    """All that the page shows; money and calls only to those who may see them."""
    may = request.user.has_perm
    queues, tasks, alive = standing.queues(), task_stands(), workers_alive()
    found = {
        "now": timezone.now(),
        "queues": queues,
        "tasks": tasks,
        "workers": alive,
        "in_flight": standing.in_flight(),
        "later": standing.later(),
        "limits": standing.rate_limits(),
        "breakers": states(),
        "alarms": _alarms(queues, tasks, alive),
        "may_pause": may("core.pause_queue"),
        "may_run": may("core.run_housekeeping"),
    }
    if may("core.view_call"):
        found["letters"], found["oldest_letter"] = standing.letters()
    if may("core.view_spend"):
        found["spend"] = standing.spend()
    return found


def _alarms(queues: list[standing.QueueStand], tasks: list[Any], alive: list[WorkerStand] | None) -> list[str]:
    """What somebody should do something about, a sentence each."""
    said = [task.trouble for task in tasks if task.trouble]
    if alive is None:
        said.append("Redis does not answer. Nothing is lost; calls wait until it is back.")
    elif not alive:
        said.append("No worker gave a sign of life lately, so nothing in the queues is done.")
    else:
        said += [f"No worker takes from the queue «{name}»." for name, number in serving(alive).items() if not number]
    said += [f"The queue «{queue.name}» is stuck: its oldest waits too long." for queue in queues if queue.stuck]
    if asking := Batch.objects.asking().count():
        said.append(f"{asking_words(asking)}.")
    return said
