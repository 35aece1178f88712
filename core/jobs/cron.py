"""What runs by the clock? Loaded by `manage.py rqcron core.jobs.cron`.

One job, which looks in the database for what is due; the list is in `core.jobs.regular`.
"""

from __future__ import annotations

from rq.cron import register

from core.jobs.regular import HOUSEKEEPING, run_due

# A job that may not wait long: a late one is as good as the next.
register(run_due, HOUSEKEEPING, interval=5, ttl=20, result_ttl=20, failure_ttl=3600)
