"""How does somebody fill in a prompt, see its price and run it?"""

from __future__ import annotations

import uuid

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from core.costs.budgets import OverBudgetError
from core.costs.counting import counted_by_claude
from core.costs.estimate import Estimate
from core.intake.accept import InvalidInputsError, accept
from core.intake.again import Again
from core.models import Call, Prompt, PromptVersion
from core.pages.access import remember, signed_in, visible_calls
from core.pages.budgets import Refusal, refusal
from core.pages.errors import helpful_404
from core.pages.forms import InputsForm
from core.prompts.rendering import render as render_request
from core.routing.estimating import estimate_asked


@helpful_404
@require_http_methods(["GET", "HEAD", "POST"])
def prompt_form(request: HttpRequest, slug: str) -> HttpResponseBase:
    """GET shows the form, filled from `?again=<call>` where asked; POST runs it."""
    version = _usable_version(request, slug)
    earlier = _earlier(request, version)
    if request.method == "POST":
        return _run(request, version, earlier)
    form = InputsForm(version, earlier=earlier.inputs if earlier else None)
    return _show(request, version, form, earlier)


@helpful_404
@require_POST
def prompt_estimate(request: HttpRequest, slug: str) -> HttpResponse:
    """The price of what is typed now, as a piece of a page; Claude counts it where it does so quickly."""
    version = _usable_version(request, slug)
    context = {"estimate": _price(version, InputsForm(version, request.POST), ask=True)}
    return render(request, "pages/_estimate.html", context)


def _run(request: HttpRequest, version: PromptVersion, earlier: Call | None) -> HttpResponse:
    form = InputsForm(version, request.POST)
    try:
        user = signed_in(request)
        call = accept(version, form.typed(), user=user, again=Again(earlier, user) if earlier else None)
    except InvalidInputsError as error:
        form.show_problems(error.problems)
        return _show(request, version, form, earlier)
    except OverBudgetError as error:
        return _show(request, version, form, earlier, refusal(request, error))
    remember(request, call)
    return redirect(call)


def _show(
    request: HttpRequest,
    version: PromptVersion,
    form: InputsForm,
    earlier: Call | None,
    refused: Refusal | None = None,
) -> HttpResponse:
    context = {
        "prompt": version.prompt,
        "version": version,
        "form": form,
        "earlier": earlier,
        "estimate": _price(version, form),
        "refusal": refused,
    }
    return render(request, "pages/prompt_form.html", context, status=402 if refused else 200)


def _usable_version(request: HttpRequest, slug: str) -> PromptVersion:
    """What people run under this address. Raises Http404, for a prompt that is not for this visitor too."""
    prompts = Prompt.objects.usable_by(request.user).select_related("published__model", "published__prompt")
    prompt = prompts.filter(slug=slug).first()
    if prompt is None or prompt.published is None:
        raise Http404("no such prompt, or not for you")
    return prompt.published


def _earlier(request: HttpRequest, version: PromptVersion) -> Call | None:
    """The call of this prompt that is to be edited and run again. Raises Http404 where it is not to be seen."""
    # A hyphen cannot be part of a variable's name, so the field cannot be taken for one.
    named = request.POST.get("again-of") or request.GET.get("again")
    if not named:
        return None
    try:
        call = visible_calls(request).filter(pk=uuid.UUID(named), prompt_id=version.prompt_id).first()
    except ValueError as error:
        raise Http404("no call has such an id") from error
    if call is None:
        raise Http404("no such call of this prompt, or not yours")
    return call


def _price(version: PromptVersion, form: InputsForm, *, ask: bool = False) -> Estimate:
    """What the request would cost with what the form holds now, usable or not.

    The page itself never waits for Claude's count; what refreshes it later may.
    """
    typed = {name: "" if value is None else str(value) for name, value in form.typed().items()}
    request = render_request(version.content(), typed)
    return estimate_asked(request, version.prompt, counted_by_claude if ask else None)
