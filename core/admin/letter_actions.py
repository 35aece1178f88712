"""How are calls that were given up run again, one or thousands, edited, or dismissed with a note?"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from unfold.widgets import UnfoldAdminTextareaWidget

from core.admin.base import page, require, signed_in
from core.admin.letters import address_of, kind_of
from core.admin.try_form import TryForm
from core.costs.estimate import Estimate
from core.intake.accept import InvalidInputsError
from core.intake.again import NotAgainError
from core.intake.requests import MOST_TOKENS, kept_form
from core.intake.storing import UnreadableRequestError
from core.models import Call, User
from core.operations.dealing import (
    LONGEST_SPREAD,
    MOST_AT_ONCE,
    Done,
    dismiss,
    minutes_taken,
    run_again,
    run_one_again,
    why_not,
)
from core.operations.letters import letters_of
from core.prompts.rendering import render, specs
from core.routing.estimating import estimate_asked
from core.templatetags.admin_words import moment

if TYPE_CHECKING:
    from core.admin.calls import CallAdmin

# A minute.
FASTEST = 6000
# So many requests are priced to say what all will likely cost.
SAMPLE = 50


class PaceForm(forms.Form):
    """How many a minute."""

    per_minute = forms.IntegerField(required=False, min_value=1, max_value=FASTEST)
    number = 0

    def clean_per_minute(self) -> int | None:
        per_minute: int | None = self.cleaned_data["per_minute"]
        # They begin after those that were started at a pace before.
        room = LONGEST_SPREAD - minutes_taken()
        if not per_minute or self.number <= per_minute * room:
            return per_minute
        if self.number > FASTEST * room:
            raise forms.ValidationError("Those that wait for their turn already take a day. Please come back later.")
        slowest = math.ceil(self.number / room)
        raise forms.ValidationError(f"That would take longer than a day. At least {slowest} a minute, please.")


class NoteForm(forms.Form):
    """Why nothing more is done about them."""

    note = forms.CharField(max_length=300, error_messages={"required": "Please say in a few words why."})


class StrictDecoder(json.JSONDecoder):
    """Reads JSON alone: neither NaN nor what has no end, and no halves of characters, which nothing stores or sends."""

    def __init__(self) -> None:
        super().__init__(parse_constant=_no_number, parse_float=_finite)

    def decode(self, text: str, *args: Any) -> Any:
        try:
            value = super().decode(text, *args)
            json.dumps(value, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise json.JSONDecodeError("no JSON that could be sent", "", 0) from error
        return value


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        _no_number(text)
    return number


class RequestForm(forms.Form):
    """A request that was made from no prompt, as JSON."""

    request = forms.JSONField(
        decoder=StrictDecoder, widget=UnfoldAdminTextareaWidget(attrs={"rows": 16}), label="Request"
    )

    def clean_request(self) -> dict[str, Any]:
        value = self.cleaned_data["request"]
        if not isinstance(value, dict) or not {"model", "max_tokens", "messages"} <= value.keys():
            raise forms.ValidationError("This must be an object with «model», «max_tokens» and «messages».")
        if type(value["max_tokens"]) is not int or not 0 <= value["max_tokens"] <= MOST_TOKENS:
            raise forms.ValidationError(f"«max_tokens» must be a whole number, and at most {MOST_TOKENS:,}.")
        try:
            kept: dict[str, Any] = kept_form(value)
        except UnreadableRequestError as error:
            raise forms.ValidationError(str(error)) from error
        return kept


def act(request: HttpRequest, model_admin: CallAdmin) -> HttpResponse:
    """Ask, with what it will cost, and by a second POST do it: run the chosen ones again, or dismiss them."""
    require(model_admin.has_rerun_permission(request) and model_admin.has_view_permission(request))
    user = signed_in(request)
    do, _, scope = request.POST.get("go", "").partition("-")
    back = address_of(kind_of(request.POST))
    if request.method != "POST" or do not in _DOING:
        return HttpResponseRedirect(reverse("admin:core_letters"))
    letters = _chosen(request, user, whole=scope == "all")
    number = letters.count()
    if not number:
        messages.warning(request, "Nothing was chosen, or somebody has dealt with it meanwhile.")
        return HttpResponseRedirect(back)
    form = _form(request, do, number)
    if "confirmed" in request.POST and form.is_valid():
        _DOING[do](request, letters, user, form.cleaned_data)
        return HttpResponseRedirect(back)
    context = _asked(letters, number) if do == "again" else {}
    return page(
        model_admin,
        request,
        "admin/core/letter/act.html",
        None,
        title="Run again" if do == "again" else "Dismiss",
        do=do,
        go=request.POST["go"],
        number=number,
        most=MOST_AT_ONCE,
        form=form,
        carried=[(name, value) for name in _CARRIED for value in request.POST.getlist(name)],
        back=back,
        **context,
    )


def edit(request: HttpRequest, pk: uuid.UUID, model_admin: CallAdmin) -> HttpResponse:
    """Change what was asked, see its price, and run it: a new call that points at the old."""
    require(model_admin.has_rerun_permission(request) and model_admin.has_view_permission(request))
    call = get_object_or_404(model_admin.get_queryset(request), pk=pk)
    if call.dead_since is None or why_not(call, edited=True):
        messages.error(request, why_not(call, edited=True) or "Somebody has dealt with it meanwhile.")
        return HttpResponseRedirect(_page_of(call))
    form = _edit_form(call, request.POST if request.method == "POST" else None)
    asked = _asked_by(call, form)
    estimate, digest = (_priced(call, asked), _digest(asked)) if asked else (None, "")
    if request.method == "POST" and "run" in request.POST and form.is_valid() and asked:
        if digest == request.POST.get("priced"):
            fresh = _run_edited(request, call, form)
            if fresh is not None:
                messages.success(request, "It runs again with your changes, as a call of its own.")
                return HttpResponseRedirect(_page_of(fresh))
        else:
            messages.info(request, "This is what it will likely cost now. Press «Run it» once more.")
    values = {"call": call, "form": form, "estimate": estimate, "digest": digest}
    template = "price" if request.headers.get("HX-Request") else "edit"
    return page(model_admin, request, f"admin/core/letter/{template}.html", call, title="Edit and run again", **values)


# --- which, and what is done with them ---

_CARRIED = ("error", "model", "until", "chosen")


def _chosen(request: HttpRequest, user: User, *, whole: bool) -> QuerySet[Call]:
    """The dead letters that a form means: those of a kind that were on its page or before, or the ticked ones."""
    if whole:
        until = _moment(request.POST.get("until", ""))
        letters = letters_of(user, kind_of(request.POST))
        return letters.filter(dead_since__lte=until) if until else letters.none()
    ticked = [known for text in request.POST.getlist("chosen")[:MOST_AT_ONCE] if (known := _uuid(text))]
    return Call.objects.visible_to(user).letters().filter(pk__in=ticked)


def _moment(text: str) -> dt.datetime | None:
    """The moment with its zone that a page was drawn; None for anything else."""
    try:
        found = parse_datetime(text)
        return found.astimezone(dt.UTC) if found and timezone.is_aware(found) else None
    except (ValueError, OverflowError):
        return None


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _form(request: HttpRequest, do: str, number: int) -> forms.Form:
    data = request.POST if "confirmed" in request.POST else None
    if do == "dismiss":
        return NoteForm(data)
    form = PaceForm(data)
    form.number = min(number, MOST_AT_ONCE)
    return form


def _asked(letters: QuerySet[Call], number: int) -> dict[str, Any]:
    sample = list(letters.select_related("prompt", "version", "key__user", "user")[:SAMPLE])
    amounts = [estimate_asked(call.request, call.prompt).likely for call in sample if not why_not(call)]
    known = [amount for amount in amounts if amount is not None]
    whole = sum(known, Decimal(0)) * min(number, MOST_AT_ONCE) / max(1, len(sample))
    return {
        "likely": whole if len(known) == len(amounts) else None,
        "exact": number <= SAMPLE,
        "listed": sample[:10],
        "obstacles": sorted({why_not(call) for call in sample} - {""}),
    }


def _run(request: HttpRequest, letters: QuerySet[Call], user: User, cleaned: Mapping[str, Any]) -> None:
    oldest = letters.order_by("dead_since").select_related("user", "key__user", "prompt", "version")[:MOST_AT_ONCE]
    done = run_again(oldest, by=user, per_minute=cleaned["per_minute"])
    if done.started:
        messages.success(request, _started(done))
    for sentence, number in done.refused.most_common(5):
        messages.warning(request, f"{_calls(number)} not run again. {sentence}")


def _started(done: Done) -> str:
    said = f"{_calls(done.started)} run{'s' if done.started == 1 else ''} again."
    return f"{said} The last one begins on {moment(done.last_at)}." if done.last_at else said


def _dismiss(request: HttpRequest, letters: QuerySet[Call], user: User, cleaned: Mapping[str, Any]) -> None:
    number = dismiss(letters, by=user, note=cleaned["note"])
    messages.success(request, f"{_calls(number)} dismissed. The history keeps them.")


_DOING = {"again": _run, "dismiss": _dismiss}


# --- editing one ---


def _edit_form(call: Call, data: Any) -> Any:
    if call.version is None:
        return RequestForm(data, initial={"request": call.request})
    fields = specs(call.version.content())
    boolean = {spec.name for spec in fields if spec.kind == "yes_no"}
    typed = {name: value == "yes" if name in boolean else value for name, value in call.inputs.items()}
    return TryForm(fields, data, initial=typed)


def _asked_by(call: Call, form: Any) -> dict[str, Any] | None:
    """The request that the form holds now; None where it holds none."""
    if call.version is not None:
        return render(call.version.content(), form.typed())
    if not form.is_bound:
        return dict(call.request)
    return dict(form.cleaned_data["request"]) if form.is_valid() else None


def _priced(call: Call, asked: Mapping[str, Any]) -> Estimate | None:
    try:
        return estimate_asked(asked, call.prompt)
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError):
        # In no shape of a request; what refuses it says so in words.
        return None


def _digest(asked: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _run_edited(request: HttpRequest, call: Call, form: Any) -> Call | None:
    edited = {"request": form.cleaned_data["request"]} if call.version is None else {"inputs": form.cleaned_data}
    try:
        return run_one_again(call, by=signed_in(request), **edited)
    except NotAgainError as error:
        messages.error(request, f"Not run. {error}")
    except InvalidInputsError as error:
        for name, sentence in error.problems.items():
            form.add_error(name, sentence)
    return None


def _page_of(call: Call) -> str:
    return reverse("admin:core_call_change", args=[call.pk])


def _calls(number: int) -> str:
    return f"{number:,} call{'' if number == 1 else 's'}"
