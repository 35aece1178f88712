"""What was each exchange with Claude billed at, and why?"""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from unfold.paginator import InfinitePaginator

from core.admin.base import ModelAdmin, ReadOnly, display, link
from core.admin.filters import KnownFilter, ModelFilter
from core.models import Call, CostRecord
from core.templatetags.admin_words import exact_usd, moment, usd

_RATES = {"web_search": "web searches, per thousand"}


@admin.register(CostRecord)
class CostRecordAdmin(ReadOnly, ModelAdmin[CostRecord]):
    """The ledger: read, never written."""

    list_display = ("when", "amount_shown", "model", "tokens", "user", "prompt", "purpose", "call_link")
    list_filter = (KnownFilter, ModelFilter, "purpose", "at")
    list_select_related = ("user", "prompt")
    search_fields = ("request_id",)
    search_help_text = "Request id or call id"
    list_before_template = "admin/core/costrecord/intro.html"
    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_disable_select_all = True
    list_per_page = 50
    ordering = ("-at", "-id")
    sortable_by = ()
    actions = None
    fieldsets = (
        (
            "What it cost",
            {"fields": ("amount_exact", "unknown_reason", "rates_used", "price", "corrects", "put_right_by")},
        ),
        ("What it was for", {"fields": ("at", "call_link", "attempt", "purpose", "user", "prompt", "model")}),
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
        return super().get_queryset(request).select_related("user", "prompt", "price", "corrects", "correction")

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
        return usd(record.amount)

    @display(description="Amount")
    def amount_exact(self, record: CostRecord) -> str:
        return exact_usd(record.amount)

    @display(description="Tokens in and out")
    def tokens(self, record: CostRecord) -> str:
        if record.input_tokens is None:
            return "unknown"
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

    @display(description="Put right by")
    def put_right_by(self, record: CostRecord) -> str:
        return link(getattr(record, "correction", None))

    @display(description="Usage as it came")
    def usage(self, record: CostRecord) -> str:
        if record.raw_usage is None:
            return "Claude reported none."
        return format_html('<pre class="ca-text">{}</pre>', json.dumps(record.raw_usage, indent=2, ensure_ascii=False))


def _flat(fields: Any) -> list[str]:
    return [name for item in fields for name in ([item] if isinstance(item, str) else item)]
