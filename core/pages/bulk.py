"""Which tables has this person run through prompts, and how do they upload another one?"""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from core.bulk import runs
from core.models import BulkRun, Prompt
from core.pages.access import may_read_all, visitor
from core.pages.bulk_forms import UploadForm

PAGE_SIZE = 25


@login_required
@require_safe
@never_cache
def bulk(request: HttpRequest) -> HttpResponse:
    """The runs, the newest first."""
    found = BulkRun.objects.visible_to(request.user).select_related("user", "prompt", "batch")
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"page": page, "everybody": may_read_all(request), "prompts": _prompts(request).exists()}
    return render(request, "pages/bulk.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def bulk_new(request: HttpRequest) -> HttpResponseBase:
    """Choose a prompt and upload a table."""
    prompts = _prompts(request)
    if request.method != "POST":
        form = UploadForm(prompts=prompts, initial={"prompt": request.GET.get("prompt")})
        return render(request, "pages/bulk_new.html", {"form": form})
    form = UploadForm(request.POST, request.FILES, prompts=prompts)
    if not form.is_valid():
        return render(request, "pages/bulk_new.html", {"form": form})
    prompt, file = form.cleaned_data["prompt"], form.cleaned_data["file"]
    return redirect(runs.upload(visitor(request), prompt, prompt.published, file, file.name))


def _prompts(request: HttpRequest) -> QuerySet[Prompt]:
    return Prompt.objects.usable_by(request.user).select_related("published__prompt")
