"""How does a call run once more, as a call of its own that points at the old one?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from core.models import Call, Handling, User

# Rows that are closed by one statement.
CHUNK = 1000


class NotAgainError(ValueError):
    """Why a call cannot run again, as a sentence."""


@dataclass(frozen=True)
class Again:
    """That a call runs again: who wants it, when it may begin at the earliest, and why."""

    of: Call
    by: User | None
    at: dt.datetime | None = None
    # Where the old one must still be a dead letter: of two people who run the same ones again, only one does.
    only_letters: bool = False

    def when(self) -> dict[str, Any]:
        """The fields of a new call that is not to begin at once: the sweeper starts it when its time has come."""
        if self.at is None or self.at <= timezone.now():
            return {}
        return {"status": Call.Status.WAITING, "not_before": self.at, "dispatched_at": self.at}

    def note(self, fresh: Call) -> None:
        """Take the old call off the list of dead letters, where it is on it. In the transaction that stores `fresh`."""
        if self.of.close_letter():
            Handling.objects.create(call=self.of, by=self.by, how=Handling.How.AGAIN, fresh=fresh, starts_at=self.at)
        elif self.only_letters:
            raise NotAgainError("Somebody has dealt with it meanwhile.")


def resendable(request: Mapping[str, Any]) -> bool:
    """Whether a request was kept whole: images and files that are not small are kept by their digest only."""
    return bool(request.get("messages")) and not _lacks(request)


def _lacks(value: Any) -> bool:
    if isinstance(value, dict):
        data = value.get("data")
        omitted = value.get("type") == "base64" and isinstance(data, dict) and "omitted" in data
        return omitted or any(_lacks(item) for item in value.values())
    return isinstance(value, list) and any(_lacks(item) for item in value)


def close_letters(letters: QuerySet[Call], *, by: User, how: Handling.How, note: str) -> int:
    """Take dead letters off the list, and note what was done; answers how many."""
    number = 0
    while taken := _close_some(letters, by, how, note):
        number += taken
    return number


def _close_some(letters: QuerySet[Call], by: User, how: Handling.How, note: str) -> int:
    with transaction.atomic():
        found = letters.filter(dead_since__isnull=False).select_for_update(of=("self",), no_key=True).order_by("pk")
        chosen = list(found.values_list("pk", flat=True)[:CHUNK])
        Handling.objects.bulk_create(Handling(call_id=pk, by=by, how=how, note=note) for pk in chosen)
        return Call.objects.filter(pk__in=chosen).update(dead_since=None)
