"""Which tables has a person run, and what have programs run for them, the newest first?"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db.models import CharField, F, Prefetch, QuerySet, Value
from django.db.models.functions import Cast

from core.models import Batch, BulkRun

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from core.models import User

# When it was asked, by which of the two, and what it is called there.
Listed = tuple[Any, str, str]
_TABLE, _PROGRAM = "table", "program"


def listed(user: User | AnonymousUser) -> QuerySet[Any, Listed]:
    """All that `user` may see, as rows for `shown`; the database pages through both kinds as one list."""
    tables = _named(BulkRun.objects.visible_to(user), _TABLE, Cast("pk", CharField()))
    programs = _named(Batch.objects.visible_to(user).of_scripts(), _PROGRAM, F("public_id"))
    both: QuerySet[Any, Listed] = tables.union(programs, all=True).order_by("-created_at", "called")
    return both


def _named(found: QuerySet[Any], source: str, called: Any) -> QuerySet[Any, Listed]:
    named = found.order_by().annotate(source=Value(source, CharField()), called=called)
    rows: QuerySet[Any, Listed] = named.values_list("created_at", "source", "called")
    return rows


def shown(page: Iterable[Listed]) -> list[BulkRun | Batch]:
    """These, in their order, with what a list says of them; a batch is what a program has started."""
    rows = list(page)
    tables = [uuid.UUID(called) for _, source, called in rows if source == _TABLE]
    programs = [called for _, source, called in rows if source == _PROGRAM]
    held = Batch.objects.with_held_until()
    runs = BulkRun.objects.filter(pk__in=tables).light().select_related("user", "prompt")
    runs = runs.prefetch_related(Prefetch("batch", held))
    batches = held.filter(public_id__in=programs).select_related("user", "prompt", "key")
    found: dict[tuple[str, str], BulkRun | Batch] = {(_TABLE, run.pk.hex): run for run in runs}
    found |= {(_PROGRAM, batch.public_id): batch for batch in batches}
    keys = [(source, uuid.UUID(called).hex if source == _TABLE else called) for _, source, called in rows]
    # What was removed between the two questions is left out.
    return [found[key] for key in keys if key in found]
