"""How does a call get into each lane and through it to its answer? What a worker does there, done at once."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from core.bulk import clock
from core.execution.run import run_call
from core.models import BatchPart, Call, Prompt, PromptVersion, Route


def for_lane(lane: str, prompt: Prompt) -> PromptVersion:
    """Publish the prompt so that what is asked as `asked_by` says comes to go by this lane."""
    if lane == Call.Lane.BATCH:
        prompt.route = Route.objects.create(name="Patient", slug="patient", model=prompt.model_id, batch=True)
        prompt.route.publish(None)
    prompt.save()
    return prompt.publish(None)


def asked_by(lane: str) -> str:
    """Nobody asks for a batch: a call is put into the queue, and its route says that it can wait for others."""
    return Call.Lane.QUEUE if lane == Call.Lane.BATCH else lane


def run(call: Call) -> str:
    """What a worker or a door does with it first; answers its status then."""
    return run_call(call.pk).status


def tend() -> None:
    """What the clock of batches does when calls have waited long enough, and parts of batches too; in any process."""
    past = timezone.now() - dt.timedelta(seconds=1)
    Call.objects.joining().update(not_before=past)
    BatchPart.objects.exclude(state=BatchPart.State.DONE).update(next_at=past)
    clock.tend()
