"""What runs by the clock? Loaded by `manage.py rqcron core.jobs.cron`."""

from __future__ import annotations

from rq.cron import register

from core.jobs.housekeeping import sweep_calls, sync_catalogue

HOUSEKEEPING = "housekeeping"
HOUR = 3600

# A result kept for a moment and a job that may not wait long: a late sweep is as good as the next one.
register(sweep_calls, HOUSEKEEPING, interval=5, ttl=20, result_ttl=20, failure_ttl=HOUR)
register(sync_catalogue, HOUSEKEEPING, cron="17 4 * * *", result_ttl=24 * HOUR, failure_ttl=24 * HOUR)
