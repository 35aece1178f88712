"""Who chats, how much, and at which cost? Not what is said: that is the person's own.

Each single request of a chat is a call, and whoever may read everybody's calls reads it there.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum
from django.http import HttpRequest

from core.admin.base import Endless, ModelAdmin, ReadOnly, display
from core.models import Conversation, CostRecord
from core.models.fields import MoneyField
from core.routing.names import usual
from core.templatetags.admin_words import moment, usd


@admin.register(Conversation)
class ConversationAdmin(Endless, ReadOnly, ModelAdmin[Conversation]):
    """All chats that nobody has deleted, without what was said in them."""

    list_display = ("begun", "user", "key", "asked_for", "answers", "cost", "last")
    list_display_links = ("begun",)
    list_filter = ("created_at",)
    list_select_related = ("user", "key")
    search_fields = ("id",)
    search_help_text = "User name"
    list_before_template = "admin/core/conversation/intro.html"
    fields = ("user", "key", "asked_for", "system", "answers", "cost", "begun", "last")
    readonly_fields = ("asked_for", "answers", "cost", "begun", "last")
    ordering = ("-touched_at", "-id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:  # noqa: ARG002 - Django's signature
        spent = CostRecord.objects.filter(call__turn__conversation=OuterRef("pk")).order_by()
        total = spent.values("call__turn__conversation").annotate(total=Sum("amount")).values("total")
        kept = Conversation.objects.kept().select_related("user", "key", "system__system_prompt")
        return kept.annotate(number=Count("turns"), total=Subquery(total, output_field=MoneyField()))

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        queryset: QuerySet[Conversation],
        search_term: str,
    ) -> tuple[QuerySet[Conversation], bool]:
        term = search_term.strip()
        return (queryset.filter(user__username=term) if term else queryset), False

    @display(description="Begun")
    def begun(self, conversation: Conversation) -> str:
        return moment(conversation.created_at)

    @display(description="Last message")
    def last(self, conversation: Conversation) -> str:
        return moment(conversation.touched_at)

    @display(description="Model or route")
    def asked_for(self, conversation: Conversation) -> str:
        return conversation.asked or f"{usual()} (the usual)"

    @display(description="Answers")
    def answers(self, conversation: Any) -> str:
        return f"{conversation.number:,}"

    @display(description="Known cost")
    def cost(self, conversation: Any) -> str:
        return "–" if conversation.total is None else usd(conversation.total)
