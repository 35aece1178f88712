"""What do the corrections of a period put right of the time before it?"""

from __future__ import annotations

from decimal import Decimal

from django.db.models import Count, Q, Sum
from django.db.models.expressions import RawSQL

from core.models import CostRecord
from core.models.ledger import CostRecordQuerySet
from core.reports.periods import Period
from core.reports.rollups import COLUMNS, month_of

# Corrections of costs that were not known.
_OF_UNKNOWN = Q(corrects__amount=None)


def amount_and_number(period: Period, user_id: int | None = None) -> tuple[Decimal, int]:
    """How much of the period's sum puts right exchanges of a month before its own; and how many of the period's
    corrections put right an unknown cost that was booked before the period."""
    before = _OF_UNKNOWN & Q(corrects__booked_on__lt=period.first)
    sums = _corrections(period, user_id).aggregate(
        spent=Sum("amount", filter=Q(pk__in=late_corrections(period))), known=Count("pk", filter=before)
    )
    return sums["spent"] or Decimal(0), sums["known"]


def unknown_put_right(period: Period, by: str, user_id: int | None = None) -> dict[str, int]:
    """That number for each value of a dimension that has any."""
    found = _corrections(period, user_id).filter(_OF_UNKNOWN, corrects__booked_on__lt=period.first)
    counted = found.values(COLUMNS[by]).annotate(number=Count("pk")).values_list(COLUMNS[by], "number")
    return {"" if value is None else str(value): number for value, number in counted}


def _corrections(period: Period, user_id: int | None) -> CostRecordQuerySet:
    found = CostRecord.objects.filter(corrects__isnull=False, booked_on__range=(period.first, period.last))
    return (found if user_id is None else found.filter(user_id=user_id)).order_by()


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
