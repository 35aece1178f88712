"""What does a person decide about a part of a batch of which nobody can know what became?"""

from __future__ import annotations

import secrets
from typing import Any

from django.db.models import Q
from django.utils import timezone

from core.batches.ending import give_up
from core.batches.leases import LEASE
from core.jobs.batches import nudge
from core.models import BatchPart
from core.models.batches import BatchPartQuerySet

State = BatchPart.State
GIVEN_UP = "Nobody can know what became of this request; it was given up, and its cost is unknown."


def look_again(part: BatchPart) -> bool:
    """Ask Claude once more. False where the part does not wait for a decision, or another one is just being taken."""
    return _decided(part, State.UNSURE, provider_id=None) or _decided(part, State.SENT, provider_id__isnull=False)


def send_again(part: BatchPart) -> bool:
    """Send what may have been sent already, and may then be paid twice. False where it is known to be with Claude."""
    return _decided(part, State.UNSENT, provider_id=None)


def abandon(part: BatchPart) -> bool:
    """End its rows with an unknown cost, which stays reserved until it is put right. False as with `look_again`."""
    token = secrets.token_hex(8)
    if not _waiting(part).update(lease_token=token, lease_until=timezone.now() + LEASE):
        return False
    # By its token: whoever has lost it meanwhile must not end what somebody else decides about.
    mine = BatchPart.objects.select_related("batch").filter(pk=part.pk, lease_token=token, state=State.ASKS).first()
    if mine is None:
        return False
    give_up(mine, GIVEN_UP)
    return True


def _waiting(part: BatchPart) -> BatchPartQuerySet:
    """The part as long as it waits and nobody is at it. Without a join: see `BatchPartQuerySet.due`."""
    free = Q(lease_until=None) | Q(lease_until__lt=timezone.now())
    return BatchPart.objects.filter(free, pk=part.pk, state=State.ASKS)


def _decided(part: BatchPart, state: str, **known: Any) -> bool:
    now = timezone.now()
    decided = _waiting(part).filter(**known).update(
        state=state, next_at=now, tries=0, problem="", lease_until=None, lease_token=""
    )  # fmt: skip
    if decided:
        nudge()
    return bool(decided)
