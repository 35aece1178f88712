"""What does a person decide about a part of a batch of which nobody can know what became?"""

from __future__ import annotations

import secrets

from django.utils import timezone

from core.batches.ending import give_up
from core.batches.leases import LEASE
from core.jobs.batches import nudge
from core.models import BatchPart

State = BatchPart.State
GIVEN_UP = "Nobody can know what became of this request; it was given up, and its cost is unknown."


def look_again(part: BatchPart) -> bool:
    """Ask Claude once more. False where the part does not wait for a decision."""
    return _decided(part, State.UNSURE if part.provider_id is None else State.SENT)


def send_again(part: BatchPart) -> bool:
    """Send what may have been sent already, and may then be paid twice. False where it is known to be with Claude."""
    return part.provider_id is None and _decided(part, State.UNSENT)


def abandon(part: BatchPart) -> bool:
    """End its rows with an unknown cost, which stays reserved until it is put right."""
    token = secrets.token_hex(8)
    mine = BatchPart.objects.filter(pk=part.pk, state=State.ASKS)
    if not mine.update(lease_token=token, lease_until=timezone.now() + LEASE):
        return False
    give_up(BatchPart.objects.select_related("batch").get(pk=part.pk), GIVEN_UP)
    return True


def _decided(part: BatchPart, state: str) -> bool:
    waiting = BatchPart.objects.filter(pk=part.pk, state=State.ASKS)
    decided = waiting.update(state=state, next_at=timezone.now(), tries=0, problem="")
    if decided:
        nudge()
    return bool(decided)
