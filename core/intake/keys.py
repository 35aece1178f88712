"""Who sends this key, and how is a key made, rotated and taken back?"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models import Q
from django.utils import timezone

from core.models import Budget, Key, KeySecret, User

log = logging.getLogger(__name__)


class RevokedError(ValueError):
    """The key was taken back; it never opens the door again, so that nothing can be done with it."""


def opened_by(secret: str) -> Key | None:
    """The key that a program sent, with its owner; None for whatever does not open the door now.

    One query by an index, the same work whatever is wrong. As it asks the database each time, a key that is taken back
    is so for every process from the next request on.
    """
    row, now = KeySecret.objects.find(secret), timezone.now()
    if row is None or not row.usable(now):
        return None
    _note_use(row.key, now)
    return row.key


def secret_in(headers: Mapping[str, Any]) -> str:
    """What stands in `Authorization: Bearer …` or in `x-api-key`, named as in `META`; empty where neither."""
    scheme, _, token = str(headers.get("HTTP_AUTHORIZATION", "")).partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return bearer or str(headers.get("HTTP_X_API_KEY", "")).strip()


def make_key(
    name: str, user: User, *, by: User | None, budget: Decimal | None = None, **values: Any
) -> tuple[Key, str]:
    """A new key of `user`, and its text to be shown this once; `budget` in USD a month, `values` as in the model."""
    with transaction.atomic():
        key = Key.objects.create(name=name, user=user, **values)
        return key, issue(key, by=by, budget=budget)


def issue(key: Key, *, by: User | None, budget: Decimal | None = None) -> str:
    """The text of a key just stored, to be shown this once; `budget`, in USD, is what it may spend each month."""
    with transaction.atomic():
        _, text = KeySecret.make(key, by)
        if budget is not None:
            Budget.objects.create(
                name=f"Key {key.name}"[:120], scope=Budget.Scope.KEY, key=key, amount=budget, owner=by or key.user
            )
    return text


def rotate(key: Key, overlap: dt.timedelta, *, by: User | None) -> str:
    """The new text of `key`, which works at once; what it had before works for `overlap` more, and no longer.

    Raises `RevokedError`.
    """
    with transaction.atomic():
        locked = Key.objects.select_for_update(no_key=True).get(pk=key.pk)
        if locked.revoked_at is not None:
            raise RevokedError(f"{key} was revoked, so that it cannot be rotated. Make a new key instead.")
        until = timezone.now() + overlap
        key.secrets.filter(Q(expires_at=None) | Q(expires_at__gt=until)).update(expires_at=until)
        _, text = KeySecret.make(key, by)
    return text


def revoke(key: Key) -> bool:
    """Take a key back for good, with all its texts, everywhere from the next request on; False where it was before."""
    return key.revoke()


def _note_use(key: Key, now: dt.datetime) -> None:
    """For whoever tidies up; no request fails because it could not be noted."""
    try:
        key.note_use(now)
    except DatabaseError:
        log.warning("The last use of key %s could not be noted.", key.pk, exc_info=True)
