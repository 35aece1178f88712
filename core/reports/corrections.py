"""Which corrections put right what counted for an earlier month?"""

from __future__ import annotations

from django.db.models.expressions import RawSQL

from core.reports.periods import Period
from core.reports.rollups import month_of


def late_corrections(period: Period) -> RawSQL:
    """The keys of the period's corrections whose exchange counted for a month before their own, for `pk__in`.

    A correction may put right another one of its own month, so each is followed back to the exchange.
    """
    month = month_of("r.booked_on")
    statement = (
        f"WITH RECURSIVE chain (id, month, earlier) AS (SELECT r.id, {month}, r.corrects_id FROM core_costrecord r"  # noqa: S608 - our names
        " WHERE r.corrects_id IS NOT NULL AND r.booked_on BETWEEN %s AND %s"
        " UNION ALL SELECT c.id, c.month, o.corrects_id FROM chain c JOIN core_costrecord o ON o.id = c.earlier"
        " WHERE o.corrects_id IS NOT NULL)"
        " SELECT c.id FROM chain c JOIN core_costrecord o ON o.id = c.earlier WHERE o.booked_on < c.month"
    )
    return RawSQL(statement, [str(period.first), str(period.last)])  # noqa: S611 - as above
