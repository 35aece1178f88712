"""What was each exchange with Claude billed at, and why?"""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html, format_html_join

from core.admin import corrections
from core.admin.base import Endless, ModelAdmin, ReadOnly, display, link
from core.admin.filters import KnownFilter, ModelFilter
from core.costs.corrections import standing
from core.models import Call, CostRecord
from core.templatetags.admin_words import exact_usd, moment, signed_usd, usd

_RATES = {"web_search": "web searches, per thousand"}


@admin.register(CostRecord)
class CostRecordAdmin(Endless, ReadOnly, ModelAdmin[CostRecord]):
    """The ledger: read, and added to by corrections; nothing in it is ever changed."""

    list_display = ("when", "amount_shown", "model", "tokens", "user", "prompt", "source", "call_link")
    list_filter = (KnownFilter, ModelFilter, "source", "purpose", "at")
    list_select_related = ("user", "prompt")
    search_fields = ("request_id",)
    search_help_text = "Request id or call id"
    list_before_template = "admin/core/costrecord/intro.html"
    change_form_outer_before_template = "admin/core/costrecord/stand.html"
    ordering = ("-at", "-id")
    actions = None
    fieldsets = (
        (
            "What it cost",
            {"fields": ("amount_exact", "unknown_reason", "counts_for", "parts_shown", "rates_used", "price")},
        ),
        ("How it came", {"fields": ("at", "source", "entered_by", "note", "corrects_link", "put_right_by")}),
        (
            "What it was for",
            {"fields": ("call_link", "attempt", "purpose", "user", "team", "cost_centre", "key", "prompt", "model")},
        ),
        (
            "What Claude counted",
            {
                "fields": (
                    ("input_tokens", "output_tokens"),
                    ("cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens"),
                    "web_searches",
                    "request_id",
                    "usage",
                )
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:  # noqa: ARG002 - Django's
        own = {name for _, options in self.fieldsets for name in _flat(options["fields"])}
        return sorted(own)

    def get_queryset(self, request: HttpRequest) -> QuerySet[CostRecord]:
        records = super().get_queryset(request)
        match = request.resolver_match
        if match is not None and match.url_name == "core_costrecord_changelist":
            return records.select_related("user", "prompt")
        return records.select_related("user", "prompt", "price", "corrects", "correction", "team", "key", "entered_by")

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                f"<int:pk>/{way}/",
                self.admin_site.admin_view(corrections.enter),
                {"model_admin": self, "way": way},
                name=f"core_costrecord_{way}",
            )
            for way in corrections.WAYS
        ]
        return [*own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        record = self.get_object(request, object_id)
        extra = {"stand": _stand(record)} if record else {}
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        queryset: QuerySet[CostRecord],
        search_term: str,
    ) -> tuple[QuerySet[CostRecord], bool]:
        """Exact matches only, each by an index."""
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            return queryset.filter(call=uuid.UUID(term)), False
        except ValueError:
            return queryset.filter(request_id=term), False

    @display(description="When")
    def when(self, record: CostRecord) -> str:
        return moment(record.at)

    @display(description="Amount")
    def amount_shown(self, record: CostRecord) -> str:
        if record.corrects_id and record.amount is not None:
            return signed_usd(record.amount)
        return usd(record.amount)

    @display(description="Amount")
    def amount_exact(self, record: CostRecord) -> str:
        if record.corrects_id and record.amount is not None:
            return f"{signed_usd(record.amount)}, the difference to before"
        return exact_usd(record.amount)

    @display(description="Counts for")
    def counts_for(self, record: CostRecord) -> str:
        day = f"{record.booked_on.day} {record.booked_on:%B %Y}"
        return f"{day}. {corrections.late_words(record)}".strip() if record.late else day

    @display(description="Parts of the whole amount, in USD")
    def parts_shown(self, record: CostRecord) -> str:
        parts = [(kind.replace("_", " "), amount) for kind, amount in (record.parts or {}).items()]
        return format_html_join("", "{}: {}<br>", parts) or "none"

    @display(description="Tokens in and out")
    def tokens(self, record: CostRecord) -> str:
        if record.input_tokens is None:
            return "–" if record.corrects_id else "unknown"
        return f"{record.input_tokens:,} · {record.output_tokens or 0:,}"

    @display(description="Call")
    def call_link(self, record: CostRecord) -> str:
        # The key is enough: the call itself may hold a long answer.
        return link(Call(pk=record.call_id), str(record.call_id)[:8])

    @display(description="Rates used, USD per million tokens")
    def rates_used(self, record: CostRecord) -> str:
        rates = [
            (_RATES.get(kind, kind.replace("_", " ")), rate) for kind, rate in (record.rates or {}).items() if rate
        ]
        return format_html_join("", "{}: {}<br>", rates) or "none"

    @display(description="Puts right")
    def corrects_link(self, record: CostRecord) -> str:
        return link(record.corrects)

    @display(description="Put right by")
    def put_right_by(self, record: CostRecord) -> str:
        return link(record.corrected_by)

    @display(description="Usage as it came")
    def usage(self, record: CostRecord) -> str:
        if record.raw_usage is None:
            return "Claude reported none."
        return format_html('<pre class="ca-text">{}</pre>', json.dumps(record.raw_usage, indent=2, ensure_ascii=False))


def _stand(record: CostRecord) -> dict[str, Any]:
    """How the cost of this record's exchange stands by now, with all records of it."""
    chain = record.chain()
    return {
        "chain": chain,
        "newest": chain[-1],
        "amount": standing(record),
        "counted": any(each.input_tokens is not None for each in chain),
        "late": corrections.late_words(record),
    }


def _flat(fields: Any) -> list[str]:
    return [name for item in fields for name in ([item] if isinstance(item, str) else item)]
