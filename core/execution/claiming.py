"""How do the threads of a worker come by the calls that they run, many of them in one round trip?"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import partial

from django.db import connection, transaction

from core.execution.lease import lease_time
from core.hints.per_process import PerProcess
from core.hints.together import Together
from core.models import Call, direct

# Claims in one transaction.
MOST = 64


def claim(call_id: uuid.UUID) -> Call | None:
    """The call, where it is this thread's to run; None where somebody else has it or it is not to run."""
    return _alone(call_id) if connection.in_atomic_block else _together.get().do(call_id)


def _alone(call_id: uuid.UUID) -> Call | None:
    return Call.objects.claim(call_id, lease_time())


def _all(call_ids: Sequence[uuid.UUID]) -> list[Call | None]:
    # Each once, or the second to ask for a call would be told that the first one's is its own.
    asked = sorted(set(call_ids))
    with transaction.atomic():
        found = Call.objects.claim_all(asked, lease_time())
    claimed = dict(zip(asked, found, strict=True))
    return [claimed.pop(call_id, None) for call_id in call_ids]


_together: PerProcess[Together[uuid.UUID, Call | None]] = PerProcess(
    partial(Together, _alone, _all, MOST, direct.let_go)
)
