"""Which calls are behind a figure of a report?

A figure sums up records that count for some days, and a call can count for a later day than the one on which it was
asked, or for another model than the one it ended with. So a figure leads to the calls that have such records, and to no
others.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import get_script_prefix, reverse
from django.utils import timezone

from core.models import CostRecord
from core.models.calls import CallQuerySet
from core.models.ledger import CostRecordQuerySet
from core.reports.corrections import late_corrections
from core.reports.labels import TITLES, name_values
from core.reports.periods import Period

NAMES = ("counted_from", "counted_to", "counted_by", "counted_as")
EARLIEST, LATEST = dt.date(2000, 1, 1), dt.date(2100, 1, 1)
# Characters of a value, and digits of a number that the databases can compare with a key.
LONGEST = {False: 120, True: 18}
_NUMBERED = {"prompt": "prompt_id", "user": "user_id", "team": "team_id", "key": "key_id"}
_TEXTS = {"model", "lane", "cost_centre"}


def _unknown(records: CostRecordQuerySet, period: Period) -> CostRecordQuerySet:
    """Unknown ones; what was put right only after the period counts as unknown in it, as in the report."""
    later = Q(correction=None) | ~Q(correction__booked_on__range=(period.first, period.last))
    return records.filter(later, amount__isnull=True)


def _of_earlier_months(records: CostRecordQuerySet, period: Period) -> CostRecordQuerySet:
    return records.filter(pk__in=late_corrections(period))


def _cached(records: CostRecordQuerySet, _period: Period) -> CostRecordQuerySet:
    return records.filter(saved_by_cache__isnull=False).exclude(saved_by_cache=0)


def _batched(records: CostRecordQuerySet, _period: Period) -> CostRecordQuerySet:
    return records.filter(saved_by_batch__isnull=False).exclude(saved_by_batch=0)


# What a figure can be of, beside a value of a dimension: which records, and how to say so.
KINDS: Mapping[str, tuple[Callable[[CostRecordQuerySet, Period], CostRecordQuerySet], str]] = {
    "unknown": (_unknown, "whose cost is unknown"),
    "saved_by_cache": (_cached, "with something read from or written to a cache"),
    "saved_by_batch": (_batched, "sent in batches"),
    "corrections": (_of_earlier_months, "corrected after their month was over"),
}


@dataclass(frozen=True)
class Drill:
    """A figure: what counts for `period`, of one `value` of a dimension, or of one of the other kinds.

    With `user_id` it is one of that person's own report.
    """

    period: Period
    by: str = ""
    value: str = ""
    user_id: int | None = None

    @property
    def address(self) -> str:
        return f"{_calls_page(get_script_prefix())}?{urlencode(self.asked)}"

    @property
    def asked(self) -> dict[str, str]:
        """The figure as the parts of an address."""
        values = (str(self.period.first), str(self.period.last), self.by, self.value)
        mine = {"counted_mine": "yes"} if self.user_id is not None else {}
        return {name: value for name, value in zip(NAMES, values, strict=True) if value} | mine

    @property
    def words(self) -> str:
        """What the calls have in common beside their days."""
        if self.by in KINDS:
            return KINDS[self.by][1]
        if not self.by:
            return ""
        return f"{TITLES[self.by].lower()} «{name_values(self.by, [self.value])[self.value]}»"

    def of(self, calls: CallQuerySet) -> CallQuerySet:
        """Those of `calls` that are behind the figure."""
        end = timezone.make_aware(dt.datetime.combine(self.period.last + dt.timedelta(days=1), dt.time.min))
        # Nothing counts for a day before it was asked, so the newest calls need not be looked at.
        return calls.filter(pk__in=self._records().values("call_id"), created_at__lt=end)

    def _records(self) -> CostRecordQuerySet:
        records = CostRecord.objects.filter(booked_on__range=(self.period.first, self.period.last))
        if self.user_id is not None:
            records = records.filter(user_id=self.user_id)
        if self.by in KINDS:
            return KINDS[self.by][0](records, self.period)
        if self.by in _NUMBERED:
            return records.filter(**{_NUMBERED[self.by]: int(self.value) if self.value else None})
        return records.filter(**{self.by: self.value}) if self.by else records


@cache
def _calls_page(prefix: str) -> str:  # noqa: ARG001 - the one thing that the address depends on
    """Kept, for a report has hundreds of links to it."""
    return reverse("calls")


def drill_of(asked: Mapping[str, str], user_id: int | None = None) -> Drill | None:
    """The figure that an address asks for; None where it asks for none, or for one that makes no sense.

    `user_id` is who asks: a figure of one's own report leads to one's own calls, also for whoever may see all.
    """
    first, last, by, value = (asked.get(name, "") for name in NAMES)
    try:
        period = Period(dt.date.fromisoformat(first), dt.date.fromisoformat(last))
        if by in _NUMBERED and value:
            value = str(int(value))
    except ValueError:
        return None
    known = by in {"", *KINDS, *_TEXTS, *_NUMBERED}
    sensible = known and EARLIEST <= period.first <= period.last <= LATEST and len(value) <= LONGEST[by in _NUMBERED]
    return Drill(period, by, value, user_id if asked.get("counted_mine") else None) if sensible else None
