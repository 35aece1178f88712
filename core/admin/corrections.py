"""How does finance fill in an unknown cost, or put a known one right?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminIntegerFieldWidget, UnfoldAdminTextareaWidget

from core.admin.base import page, require, signed_in
from core.costs import corrections
from core.costs.corrections import CorrectionError, standing
from core.models import CostRecord, User
from core.models.fields import PLACES
from core.templatetags.admin_words import exact_usd

if TYPE_CHECKING:
    from core.admin.ledger import CostRecordAdmin

_TOKENS = {
    "input_tokens": "Input tokens",
    "output_tokens": "Output tokens",
    "cache_write_5m": "Tokens written to the cache for 5 minutes",
    "cache_write_1h": "Tokens written to the cache for 1 hour",
    "cache_read": "Tokens read from the cache",
    "web_searches": "Web searches",
}


class _NoteForm(forms.Form):
    """Why: whoever looks at the ledger in a year must understand it."""

    note = forms.CharField(
        max_length=300,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="Where the figure comes from, for whoever looks at the ledger in a year.",
    )


def _amount(label: str, *, required: bool) -> forms.DecimalField:
    return forms.DecimalField(
        label=label, required=required, min_value=0, max_digits=19, decimal_places=PLACES,
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any", "inputmode": "decimal"}),
    )  # fmt: skip


class CorrectForm(_NoteForm):
    amount = _amount("What it really cost, in USD", required=True)
    field_order = ("amount", "note")


class FillForm(_NoteForm):
    """An amount, or what Claude counted, from which the price book makes one."""

    amount = _amount("What it cost, in USD", required=False)
    field_order = ("amount", *_TOKENS, "note")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label in _TOKENS.items():
            widget = UnfoldAdminIntegerFieldWidget(attrs={"min": "0"})
            self.fields[name] = forms.IntegerField(label=label, required=False, min_value=0, widget=widget)
        self.order_fields(self.field_order)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        counted = [name for name in _TOKENS if data.get(name) is not None]
        if (data.get("amount") is None) == (not counted):
            raise forms.ValidationError("Enter either the amount or what Claude counted, one of the two.")
        if counted and (data.get("input_tokens") is None or data.get("output_tokens") is None):
            raise forms.ValidationError("Enter both input and output tokens; zero is a number too.")
        return data

    def usage(self) -> dict[str, Any] | None:
        """In the API's shape; None where the amount was entered."""
        data = self.cleaned_data
        if data.get("amount") is not None:
            return None
        five, hour = data["cache_write_5m"] or 0, data["cache_write_1h"] or 0
        return {
            "input_tokens": data["input_tokens"],
            "output_tokens": data["output_tokens"],
            "cache_creation_input_tokens": five + hour,
            "cache_creation": {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": hour},
            "cache_read_input_tokens": data["cache_read"] or 0,
            "server_tool_use": {"web_search_requests": data["web_searches"] or 0},
        }


def _fill(record: CostRecord, form: Any, by: User) -> CostRecord:
    data = form.cleaned_data
    return corrections.fill_unknown(record, amount=data["amount"], usage=form.usage(), note=data["note"], by=by)


def _correct(record: CostRecord, form: Any, by: User) -> CostRecord:
    return corrections.correct(record, form.cleaned_data["amount"], form.cleaned_data["note"], by)


def _reprice(record: CostRecord, form: Any, by: User) -> CostRecord:
    new = corrections.reprice([record], by, form.cleaned_data["note"])
    if not new:
        raise CorrectionError("By today's price book it costs the same, or there is nothing to price it by.")
    return new[0]


@dataclass(frozen=True)
class Way:
    """One way to correct a record: its words, its form, and what books it."""

    title: str
    lead: str
    form: type[_NoteForm]
    book: Callable[[CostRecord, Any, User], CostRecord]


WAYS = {
    "fill": Way(
        "Fill in this cost",
        "Enter the amount that the provider charged, or what Claude counted: the price book then makes the amount.",
        FillForm,
        _fill,
    ),
    "correct": Way(
        "Put this cost right",
        "Enter the whole of what it really cost; the difference is booked as a record of its own.",
        CorrectForm,
        _correct,
    ),
    "reprice": Way(
        "Price this anew",
        "What Claude counted is priced by what the price book has today for the day of the exchange.",
        _NoteForm,
        _reprice,
    ),
}


def enter(request: HttpRequest, pk: int, way: str, model_admin: CostRecordAdmin) -> HttpResponse:
    """Ask, say in words what would change, and book it once that is confirmed."""
    require(signed_in(request).has_perm("core.correct_cost"))
    record = get_object_or_404(model_admin.get_queryset(request), pk=pk)
    require(model_admin.has_view_permission(request, record))
    form = WAYS[way].form(request.POST or None)
    if request.method != "POST" or not form.is_valid() or "change" in request.POST:
        return _ask(model_admin, request, record, way, form)
    book = partial(WAYS[way].book, record, form, signed_in(request))
    try:
        # Booked and taken back, so that what is confirmed is exactly what would be booked.
        with transaction.atomic():
            before = standing(record)
            sentences = _told(book(), before)
            if not _confirmed(request):
                transaction.set_rollback(True)
        record.refresh_from_db()
    except CorrectionError as error:
        form.add_error(None, str(error))
        return _ask(model_admin, request, record, way, form)
    if not _confirmed(request):
        return _ask(model_admin, request, record, way, form, sentences)
    messages.success(request, sentences[0])
    return HttpResponseRedirect(reverse("admin:core_costrecord_change", args=[record.pk]))


def _confirmed(request: HttpRequest) -> bool:
    return request.POST.get("confirmed") == "yes"


def _told(new: CostRecord, before: Decimal | None) -> list[str]:
    """What a correction changes, in words."""
    after, amount = standing(new), new.amount or Decimal(0)
    day = f"{new.booked_on.day} {new.booked_on:%B %Y}"
    was = "was unknown and is now" if before is None else f"was {exact_usd(before)} and is now"
    sentences = [f"The cost of this exchange {was} {exact_usd(after)}."]
    if amount:
        moves = "grows" if amount > 0 else "falls"
        sentences.append(f"The spend of {day} {moves} by {exact_usd(abs(amount))}.")
    if before is None:
        sentences.append("It is no longer counted among the unknown costs.")
    if new.late:
        sentences.append(late_words(new))
    return sentences


def late_words(record: CostRecord) -> str:
    """«It counts for November 2026, because October 2026 is closed.»; empty for what counts for its own month."""
    if not record.late:
        return ""
    own = timezone.localtime(record.chain()[0].at)
    return f"It counts for {record.booked_on:%B %Y}, because {own:%B %Y} is closed."


def _ask(
    model_admin: CostRecordAdmin,
    request: HttpRequest,
    record: CostRecord,
    way: str,
    form: forms.Form,
    sentences: list[str] | None = None,
) -> HttpResponse:
    return page(
        model_admin,
        request,
        "admin/core/costrecord/enter.html",
        record,
        title=WAYS[way].title,
        way=WAYS[way],
        form=form,
        record=record,
        stands=standing(record),
        sentences=sentences,
        media=model_admin.media,
    )
