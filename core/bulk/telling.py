"""Who is told that a table has been worked through?"""

from __future__ import annotations

import logging

from django.utils import timezone

from core.costs.notices import mail
from core.jobs.batches import NEWS
from core.models import Batch, BulkRun

log = logging.getLogger(__name__)


def tell_people() -> int:
    """Send an e-mail for each run of a person that has ended; answers how many. Whoever marks one first sends it."""
    told = 0
    for batch in Batch.objects.untold(timezone.now() - NEWS).select_related("user", "bulk_run"):
        if not batch.mark_told():
            continue
        told += 1
        try:
            _tell(batch)
        except OSError:
            # All that smtplib and sockets raise. The page says it as well.
            log.exception("nobody could be told that batch %s has ended", batch.public_id)
    return told


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
