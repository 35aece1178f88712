"""How are calls run again and canceled, one or many, and what is said about those that could not be?"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse

from core.admin.base import page, require, signed_in
from core.costs import budgets
from core.intake.accept import InvalidInputsError
from core.intake.again import NotAgainError
from core.jobs.dispatch import release
from core.models import Call, User
from core.operations.dealing import run_for_whoever_asked
from core.routing.estimating import estimate_asked
from core.templatetags.admin_words import usd

if TYPE_CHECKING:
    from core.admin.calls import CallAdmin

# Each run costs money, so nobody starts more at once than they can look through.
MOST = 100
# What was asked already costs nothing more than it was to cost.
MOST_RELEASED = 10_000


def run_one_again(request: HttpRequest, pk: uuid.UUID, model_admin: CallAdmin) -> HttpResponse:
    """Ask, and then run one call again."""
    require(model_admin.has_rerun_permission(request) and model_admin.has_view_permission(request))
    call = get_object_or_404(model_admin.get_queryset(request), pk=pk)
    if request.method != "POST":
        return _ask(model_admin, request, [call], call)
    fresh = _again(call, signed_in(request))
    if isinstance(fresh, Call):
        messages.success(request, "It runs again, as a call of its own.")
        return HttpResponseRedirect(_page_of(fresh))
    messages.error(request, fresh)
    return HttpResponseRedirect(_page_of(call))


def cancel_one(request: HttpRequest, pk: uuid.UUID, model_admin: CallAdmin) -> HttpResponse:
    """Cancel one call, by POST; another method leads back to it."""
    require(model_admin.has_cancel_permission(request) and model_admin.has_view_permission(request))
    call = get_object_or_404(model_admin.get_queryset(request), pk=pk)
    if request.method == "POST":
        _say_canceled(request, [call])
    return HttpResponseRedirect(_page_of(call))


def run_many_again(model_admin: CallAdmin, request: HttpRequest, calls: QuerySet[Call]) -> HttpResponse | None:
    """Ask, with what it will cost, and then run the chosen calls again."""
    chosen = list(calls[: MOST + 1])
    if len(chosen) > MOST:
        messages.error(request, f"Please choose at most {MOST} calls at once.")
        return None
    if "confirmed" not in request.POST:
        return _ask(model_admin, request, chosen, None)
    user = signed_in(request)
    results = [_again(call, user) for call in chosen]
    started = sum(isinstance(result, Call) for result in results)
    if started:
        messages.success(request, f"{_calls(started)} run{'s' if started == 1 else ''} again.")
    for sentence in dict.fromkeys(result for result in results if isinstance(result, str)):
        number = results.count(sentence)
        messages.warning(request, f"{_calls(number)} not run again. {sentence}")
    return None


def cancel_many(request: HttpRequest, calls: QuerySet[Call]) -> None:
    chosen = list(calls[: MOST + 1])
    if len(chosen) > MOST:
        messages.error(request, f"Please choose at most {MOST} calls at once.")
    else:
        _say_canceled(request, chosen)


def release_all(request: HttpRequest, model_admin: CallAdmin) -> HttpResponse:
    """Start, by POST, every call that Claude's spend limit holds; another method leads to their list."""
    require(model_admin.has_rerun_permission(request) and request.user.has_perm("core.view_all_calls"))
    if request.method == "POST":
        number = release(Call.objects.parked()[:MOST_RELEASED])
        messages.success(request, f"{_calls(number)} released. If the limit is still reached, Claude says so again.")
    return HttpResponseRedirect(f"{reverse('admin:core_call_changelist')}?status=parked")


def release_many(request: HttpRequest, calls: QuerySet[Call]) -> None:
    """Start those of the chosen ones that wait for Claude's spend limit to end."""
    chosen = list(calls[:MOST_RELEASED])
    number = release(chosen)
    if number:
        messages.success(request, f"{_calls(number)} released. If the limit is still reached, Claude says so again.")
    if number < len(chosen):
        messages.warning(request, f"{_calls(len(chosen) - number)} not released: not held by Claude's spend limit.")


def _say_canceled(request: HttpRequest, calls: Iterable[Call]) -> None:
    results = [budgets.cancel(call) for call in calls]
    done, missed = results.count(True), results.count(False)
    if done:
        messages.success(request, f"{_calls(done)} canceled. Nothing was sent, so nothing is billed.")
    if missed:
        messages.warning(request, f"{_calls(missed)} not canceled: at work already, or ended.")


def _again(call: Call, user: User) -> Call | str:
    """The new call, which is its owner's as the old one was, or a sentence that says why there is none."""
    try:
        return run_for_whoever_asked(call, by=user)
    except InvalidInputsError:
        return "What was filled in does not fit the prompt any more."
    except budgets.OverBudgetError as error:
        return str(error)
    except NotAgainError as error:
        return str(error)
    except ValueError:
        return "It was not made from a prompt."


def _ask(model_admin: CallAdmin, request: HttpRequest, calls: list[Call], original: Call | None) -> HttpResponse:
    estimates = [estimate_asked(call.request, call.prompt).likely for call in calls if not call.pruned_at]
    known = [amount for amount in estimates if amount is not None]
    likely = usd(sum(known, Decimal(0)) if len(known) == len(estimates) else None)
    return page(
        model_admin,
        request,
        "admin/core/call/again.html",
        original,
        title="Run again",
        calls=calls,
        number=_calls(len(calls)),
        likely=likely,
        checkbox=ACTION_CHECKBOX_NAME,
        back=_page_of(original) if original else reverse("admin:core_call_changelist"),
    )


def _page_of(call: Call) -> str:
    return reverse("admin:core_call_change", args=[call.pk])


def _calls(number: int) -> str:
    return f"{number:,} call{'' if number == 1 else 's'}"
