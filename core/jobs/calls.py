"""The job of a worker: one call."""

from __future__ import annotations

import uuid

from core.execution.run import run_call
from core.live.channel import Publisher


def run(call_id: str) -> str:
    """Run one call; answers its new status, empty where it was not to be run."""
    identifier = uuid.UUID(call_id)
    return run_call(identifier, Publisher(identifier)).status
