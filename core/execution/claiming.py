"""How do the threads of a worker come by the calls that they run, many of them in one round trip?"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from core.execution.lease import lease_time
from core.models import Call
from core.models.grouped import Grouped, transaction_of

# Claims in one transaction.
MOST = 64


def claim(call_id: uuid.UUID) -> Call | None:
    """The call, where it is this thread's to run; None where somebody else has it or it is not to run."""
    return _grouped.do(call_id)


def _alone(call_id: uuid.UUID) -> Call | None:
    return Call.objects.claim(call_id, lease_time())


def _all(call_ids: Sequence[uuid.UUID]) -> list[Call | None]:
    # Each once, or the second to ask for a call would be told that the first one's is its own.
    asked = sorted(set(call_ids))
    with transaction_of(len(asked)):
        found = Call.objects.claim_all(asked, lease_time())
    claimed = dict(zip(asked, found, strict=True))
    return [claimed.pop(call_id, None) for call_id in call_ids]


_grouped: Grouped[uuid.UUID, Call | None] = Grouped(_alone, _all, MOST)
