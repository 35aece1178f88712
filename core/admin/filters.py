"""How are large tables narrowed down without asking them what they hold?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from core.models import Call, ClaudeModel


class ModelFilter(admin.SimpleListFilter):
    """By model: the choices come from the catalogue, for a DISTINCT over millions of rows takes minutes."""

    title = "model"
    parameter_name = "model"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's
        return [(model.pk, model.display_name) for model in ClaudeModel.objects.all()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's
        return queryset.filter(model=self.value()) if self.value() else queryset


class KnownFilter(admin.SimpleListFilter):
    """By whether the amount is known."""

    title = "amount"
    parameter_name = "known"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's
        return [("yes", "Known"), ("no", "Unknown")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's
        if self.value() == "no":
            return queryset.unknown()  # type: ignore[attr-defined, no-any-return]
        return queryset.filter(amount__isnull=False) if self.value() == "yes" else queryset


class StatusFilter(admin.SimpleListFilter):
    """By how a call stands; «any trouble» is both kinds of failure."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - Django's
        yield "trouble", "Failed or given up"
        yield "parked", Call.HELD
        yield from model_admin.model.Status.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's
        if self.value() == "trouble":
            return queryset.filter(status__in=["failed", "dead"])
        if self.value() == "parked":
            return queryset.filter(parked=True)
        return queryset.filter(status=self.value()) if self.value() else queryset
