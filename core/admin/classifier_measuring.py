"""How well does a classifier do on requests of which people said the right label?"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminTextareaWidget

from core.admin.base import page, require, signed_in
from core.costs.budgets import OverBudgetError
from core.execution import breaker
from core.models import Call, Classifier, LabelledExample, Measurement
from core.routing.facts import asked_text
from core.routing.measuring import LONGEST_TEXT, MOST, UnusableTableError, add_examples, figures_of, measure

if TYPE_CHECKING:
    from core.admin.classifiers import ClassifierAdmin

SHOWN = 20


class TableForm(forms.Form):
    table = forms.CharField(
        label="Requests with their right label", widget=UnfoldAdminTextareaWidget(attrs={"rows": 5}),
        max_length=5_000_000, help_text="As CSV, two columns: the text and its label. Paste it here.",
    )  # fmt: skip


def classifier_for(model_admin: ClassifierAdmin, request: HttpRequest, pk: int) -> Classifier:
    """The classifier, for a person who may measure it. Raises PermissionDenied and Http404."""
    require(signed_in(request).has_perm("core.measure_classifier"))
    classifier = get_object_or_404(model_admin.get_queryset(request), pk=pk)
    require(model_admin.has_view_permission(request, classifier))
    return classifier


def measuring(request: HttpRequest, pk: int, model_admin: ClassifierAdmin) -> HttpResponse:
    """The labelled set, what was measured, and two measurements side by side; a POST adds a table or measures."""
    classifier = classifier_for(model_admin, request, pk)
    form = TableForm(request.POST if "table" in request.POST else None)
    if request.method == "POST":
        done = _added(request, classifier, form) if "table" in request.POST else _measured(request, classifier)
        if done:
            return HttpResponseRedirect(reverse("admin:core_classifier_measuring", args=[pk]))
    measurements = list(Measurement.objects.select_related("classifier", "by")[:SHOWN])
    own = [each for each in measurements if each.classifier_id == classifier.pk]
    chosen = [each for each in measurements if str(each.pk) in request.GET.getlist("m")][:2] or own[:2]
    return page(
        model_admin,
        request,
        "admin/core/classifier/measuring.html",
        classifier,
        title="Measure",
        form=form,
        counts=classifier.labelled.values("label").annotate(number=Count("pk")).order_by("label"),
        most=MOST,
        measurements=measurements,
        chosen=[(each, figures_of(each)) for each in chosen],
    )


def add_call(request: HttpRequest, pk: int, call_id: uuid.UUID, model_admin: ClassifierAdmin) -> HttpResponse:
    """One click on a call's page: its request, with the label that is right, into the set."""
    return _add_call(request, pk=pk, call_id=call_id, model_admin=model_admin)


@require_POST
def _add_call(request: HttpRequest, pk: int, call_id: uuid.UUID, model_admin: ClassifierAdmin) -> HttpResponse:
    classifier = classifier_for(model_admin, request, pk)
    user = signed_in(request)
    call = get_object_or_404(Call.objects.visible_to(user), pk=call_id)
    label, text = request.POST.get("label", ""), asked_text(call.request)[:LONGEST_TEXT]
    if label not in [each.name for each in classifier.labels.all()] or not text:
        messages.error(request, "This has no text, or that is no label of the classifier.")
    else:
        values = {"text": text, "label": label, "created_by": user}
        LabelledExample.objects.update_or_create(classifier=classifier, call=call, defaults=values)
        messages.success(request, f"It is in the set of «{classifier}» as «{label}».")
    return HttpResponseRedirect(reverse("admin:core_call_change", args=[call_id]))


def _added(request: HttpRequest, classifier: Classifier, form: TableForm) -> bool:
    if not form.is_valid():
        return False
    try:
        number = add_examples(classifier, form.cleaned_data["table"], signed_in(request))
    except UnusableTableError as error:
        form.add_error("table", str(error))
        return False
    messages.success(request, f"{number} examples were added.")
    return True


def _measured(request: HttpRequest, classifier: Classifier) -> bool:
    try:
        measured = measure(classifier, signed_in(request), breaker.is_open)
    except OverBudgetError as error:
        messages.error(request, f"Nothing was asked. {error}")
        return False
    if measured is None:
        messages.info(request, "There is nothing to measure with: no labelled example, or no model that answers.")
    return True


def classes_of(call: Call, request: HttpRequest) -> list[dict[str, Any]]:
    """The classes of a call with the labels that might have been right, for whoever may put it into the set."""
    known = (call.routing or {}).get("classes") or {}
    if not known or not request.user.has_perm("core.measure_classifier"):
        return []
    rows = Classifier.objects.filter(slug__in=known).prefetch_related("labels")
    return [{"classifier": row, "said": known[row.slug]["label"], "labels": row.labels.all()} for row in rows]
