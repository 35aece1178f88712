"""What runs by the clock? Loaded by `manage.py rqcron core.jobs.cron`."""

from __future__ import annotations

from rq.cron import register

from core.jobs.batches import nudge_if_due
from core.jobs.housekeeping import reconcile_days, roll_up_costs, sync_catalogue

HOUSEKEEPING = "housekeeping"
HOUR = 3600

# Reports are exact without it; it keeps them quick. A result kept for a moment and a job that may not wait long: a late
# one is as good as the next. The sweeper is not here: it runs in every worker.
register(roll_up_costs, HOUSEKEEPING, interval=10, ttl=30, result_ttl=20, failure_ttl=HOUR)
# It asks the database; the work itself runs in the queue of the batches.
register(nudge_if_due, HOUSEKEEPING, interval=5, ttl=20, result_ttl=20, failure_ttl=HOUR)
register(sync_catalogue, HOUSEKEEPING, cron="17 4 * * *", result_ttl=24 * HOUR, failure_ttl=24 * HOUR)
# Late enough that the provider has most of yesterday, whose end is midnight UTC.
register(reconcile_days, HOUSEKEEPING, cron="41 6 * * *", result_ttl=24 * HOUR, failure_ttl=24 * HOUR)
