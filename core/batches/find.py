"""Did Claude take a batch whose sending broke off?

The API names its batches itself, takes no name of ours, and does not say before the end what is in one. But our name of
each request holds the part's marker, and the results give those names back. So: a batch of this workspace that nobody
here knows, that was made since the part was sent, with as many requests, may be it. Once such a batch has ended, the
name in its first result says for certain. Only when none is left that may be it, and so long after the sending that
Claude's list would show it, is the part sent again.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection, Iterator
from contextlib import closing
from enum import Enum

from core.batches.leases import asks, wait_after
from core.batches.send import SENDING_LEASE, note_sent
from core.claude import batches as claude
from core.claude.batches import ProviderBatch
from core.claude.errors import ClaudeError
from core.models import BatchPart

log = logging.getLogger(__name__)

# How far the provider's clock and ours may be apart.
SKEW = dt.timedelta(minutes=5)
# A batch that was taken is on the list by then: no piece of it left us later than ten minutes after it began.
CERTAIN_AFTER = SENDING_LEASE + dt.timedelta(minutes=5)
# Between two looks while a batch that may be it is at work.
LOOK_AGAIN = dt.timedelta(minutes=2)
# Batches that a person is told the names of.
MOST_NAMED = 5


class Verdict(Enum):
    OURS = "ours"
    NOT_OURS = "not ours"
    NOT_YET = "not yet known"
    NEVER = "never to be known"


def find(part: BatchPart, now: dt.datetime) -> None:
    """Adopt the batch that a part became, send the part again, or look later. This process has it in hand."""
    part.change(state=BatchPart.State.UNSURE)
    try:
        verdicts = {batch.id: _verdict(part, batch) for batch in _candidates(part)}
    except ClaudeError as error:
        part.change(tries=part.tries + 1, problem=str(error)[:500])
        part.let_go(wait_after(part.tries, error.retry_after))
        return
    ours = [batch_id for batch_id, verdict in verdicts.items() if verdict is Verdict.OURS]
    if ours:
        note_sent(part, ours[0])
    elif Verdict.NEVER in verdicts.values():
        asks(part, f"It may be one of {_some_of(verdicts)}, whose results cannot be read any more.")
    elif Verdict.NOT_YET in verdicts.values():
        part.change(problem=f"Sent, perhaps as one of {_some_of(verdicts)}: its results will tell.")
        part.let_go(LOOK_AGAIN)
    else:
        _not_there(part, now)


def _some_of(batch_ids: Collection[str]) -> str:
    """Names for a sentence, however many there are."""
    more = len(batch_ids) - MOST_NAMED
    return ", ".join(list(batch_ids)[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _not_there(part: BatchPart, now: dt.datetime) -> None:
    assert part.sending_at is not None  # noqa: S101 - what is being sent has one
    certain_at = part.sending_at + CERTAIN_AFTER
    if now < certain_at:
        part.let_go(min(LOOK_AGAIN, certain_at - now))
        return
    log.warning("part %s of batch %s never reached Claude; it is sent again", part.number, part.batch.public_id)
    part.change(state=BatchPart.State.UNSENT, problem="")
    part.let_go()


def _candidates(part: BatchPart) -> Iterator[ProviderBatch]:
    """Batches of this workspace that may be this part, the newest first."""
    assert part.sending_at is not None  # noqa: S101 - what is being sent has one
    for batch in claude.created_since(part.sending_at - SKEW):
        known = BatchPart.objects.filter(provider_id=batch.id).exists()
        if batch.requests == part.sent and not known:
            yield batch


def _verdict(part: BatchPart, batch: ProviderBatch) -> Verdict:
    if not batch.ended:
        return Verdict.NOT_YET
    if not batch.results_there:
        return Verdict.NEVER
    with closing(claude.results(batch.id)) as results:
        first = next((each for each in results if each.custom_id), None)
    if first is None:
        return Verdict.NEVER
    return Verdict.OURS if part.position_of(first.custom_id) is not None else Verdict.NOT_OURS
