"""Who is told that a table has been worked through?"""

from __future__ import annotations

import datetime as dt
import logging

from django.utils import timezone

from core.costs.notices import mail
from core.models import Batch, BulkRun
from core.models.batches import MOST_TELLINGS

log = logging.getLogger(__name__)

# For longer than any mail server is waited for: of two processes never both send one.
LEASE = dt.timedelta(minutes=5)
FIRST_WAIT, LONGEST_WAIT = dt.timedelta(minutes=1), dt.timedelta(hours=2)


def tell_people() -> int:
    """Send an e-mail for each run of a person that has ended; answers how many were sent.

    Each is sent at least once: by one process at a time, which notes it afterwards, and some more times where that
    fails. One that nobody could send is only on the page.
    """
    due = Batch.objects.untold(timezone.now()).values_list("pk", flat=True)
    return sum(_told(pk) for pk in list(due))


def _told(pk: int) -> bool:
    batch = Batch.objects.claim_telling(pk, LEASE)
    if batch is None:
        return False
    try:
        _tell(batch)
    except Exception:
        # Whatever is wrong with this one, the others are told.
        left = MOST_TELLINGS - batch.tellings
        log.exception("nobody could be told that batch %s has ended; %s more tries", batch.public_id, left)
        batch.put_off_telling(min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (batch.tellings - 1)))
        return False
    return batch.mark_told()


def _tell(batch: Batch) -> None:
    run = BulkRun.objects.filter(batch=batch).first()
    if batch.user is None or run is None:
        return
    without = batch.rows - batch.succeeded
    said = f"{batch.succeeded:,} of {batch.rows:,} rows of «{batch.title}» have an answer."
    more = f" {without:,} have none; you can run them again alone." if without else ""
    unknown = f" ({batch.unknown:,} of unknown cost are not in it)" if batch.unknown else ""
    where = f"\n\nThe file with the answers: {run.address}" if run.address else ""
    mail(batch.user, f"«{batch.title}» is done", f"{said}{more}\n\nIt cost {batch.spent:.4f} USD{unknown}.{where}")
