"""Which programs call in the demo? Nobody knows the text of their keys; it is made anew by rotating one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from core.models import ClaudeModel, FallbackChain, FallbackStep, Key, KeySecret, User

WRITTEN = "Claude cannot be reached just now. Please try again in a few minutes."


def create_chains(models: Mapping[str, ClaudeModel]) -> list[FallbackChain]:
    """What answers for programs that must not wait, and for those whose answers people read."""
    chains = [
        FallbackChain.objects.create(name="Programs that must not wait", demo=True),
        FallbackChain.objects.create(name="Replies to customers", answer=WRITTEN, demo=True),
    ]
    FallbackStep.objects.bulk_create(
        FallbackStep(chain=chains[0], position=position, model=models[line].pk)
        for position, line in enumerate(sorted(models))
    )
    return chains


def create_keys(people: Mapping[str, User], chain: FallbackChain, since: dt.datetime, now: dt.datetime) -> list[Key]:
    """One key in use, one that is being rotated, one that was taken back; the first is the developer's."""
    helper = _key("Code review helper", people["developer"], since, fallback=chain)
    night = _key(
        "Nightly invoices", people["operator"], since, requests_per_minute=60, expires_at=now + dt.timedelta(days=60)
    )
    left = _key("Newsletter draft tool", people["publisher"], since, revoked_at=now - dt.timedelta(days=12))
    KeySecret.objects.filter(key=night).update(expires_at=now + dt.timedelta(days=3))
    _secret(night, now - dt.timedelta(days=4))
    return [helper, night, left]


def _key(name: str, user: User, since: dt.datetime, **values: object) -> Key:
    key = Key.objects.create(name=name, user=user, created_at=since, demo=True, **values)
    _secret(key, since)
    return key


def _secret(key: Key, since: dt.datetime) -> None:
    row, _ = KeySecret.make(key, key.user)
    KeySecret.objects.filter(pk=row.pk).update(created_at=since)
