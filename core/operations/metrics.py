"""What is Prometheus told of how the work stands? The same as the page of operations, asked at the moment of a scrape.

Nothing is counted in processes: there are several, and each would tell its own part. Amounts become floats here, as
Prometheus knows nothing else; the ledger is what is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from django.db.models import Count
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from core.execution.breaker import HALF_OPEN, OPEN, states
from core.hints.remembered import Remembered
from core.jobs.lateness import task_stands
from core.jobs.workers import serving, workers_alive
from core.models import Call
from core.operations import standing

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
# Seconds for which one answer does for all who ask.
FRESH = 5.0
# Kinds of dead letters; the rest is in their number.
MOST_KINDS = 100


def text(may: Callable[[str], bool]) -> bytes:
    """The metrics of which a reader `may` see what each needs, in Prometheus' text format.

    Raises what the database raises where nothing is remembered.
    """
    return b"".join(part for needs, part in _remembered.get() if not needs or may(needs))


class _Part(Collector):
    def __init__(self, collect: Callable[[], Iterator[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        return self._collect()


def _gauge(name: str, says: str, labels: Iterable[str], rows: Iterable[tuple[list[str], float | None]]) -> Metric:
    """One metric; rows without a value are left out, for unknown is not 0."""
    family = GaugeMetricFamily(f"claudeapp_{name}", says, labels=list(labels))
    for values, number in rows:
        if number is not None:
            family.add_metric(values, float(number))
    return family


def _queues() -> Iterator[Metric]:
    found, now = standing.queues(), timezone.now()
    ages = [([q.name], (now - q.oldest).total_seconds() if q.oldest else 0.0) for q in found]
    yield _gauge(
        "queue_waiting", "What waits in a queue, by the database", ["queue"], [([q.name], q.waiting) for q in found]
    )
    yield _gauge("queue_oldest_seconds", "How long the oldest has waited", ["queue"], ages)
    paused = [([q.name], float(q.pause is not None)) for q in found]
    yield _gauge("queue_paused", "1 where no worker takes anything from it", ["queue"], paused)
    yield _gauge("queue_jobs", "Jobs that Redis holds", ["queue"], [([q.name], q.jobs) for q in found])


def _calls() -> Iterator[Metric]:
    flying = [([one.model], float(one.calls)) for one in standing.in_flight()]
    later = standing.later()
    yield _gauge("calls_in_flight", "Calls at work, by model", ["model"], flying)
    yield _gauge("calls_waiting", "Calls that wait to be tried again", [], [([], later.waiting)])
    yield _gauge("calls_parked", "Those of them that Claude's spend limit holds", [], [([], later.parked)])
    yield _gauge("batches_parked", "Batches that Claude's spend limit holds", [], [([], later.batches)])


def _letters() -> Iterator[Metric]:
    number, oldest = standing.letters()
    age = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    kinds = Call.objects.letters().order_by().values_list("error_type", "model").annotate(number=Count("pk"))
    rows = [([error, model], float(many)) for error, model, many in kinds.order_by("-number")[:MOST_KINDS]]
    yield _gauge("dead_letters", "Calls given up that nobody has dealt with", [], [([], number)])
    yield _gauge("dead_letters_oldest_seconds", "How long the oldest of them is there", [], [([], age)])
    yield _gauge("dead_letters_of_kind", "The same by error and model", ["error", "model"], rows)


def _limits() -> Iterator[Metric]:
    found = standing.rate_limits() or []
    rooms = [(each.model, room) for each in found for room in each.rooms]
    left = [([model, room.kind], room.left) for model, room in rooms]
    limit = [([model, room.kind], room.limit) for model, room in rooms]
    yield _gauge("rate_limit_left", "What Claude allows within a minute; below 0: a queue", ["model", "kind"], left)
    yield _gauge("rate_limit", "What Claude allows in a minute", ["model", "kind"], limit)
    holds = [([each.model], each.hold) for each in found]
    yield _gauge("rate_limit_hold_seconds", "For how long Claude asked for quiet", ["model"], holds)


def _breakers() -> Iterator[Metric]:
    opened = [([one.model], float(one.state in {OPEN, HALF_OPEN})) for one in states()]
    yield _gauge("breaker_open", "1 where a model is left alone, or tried by one call", ["model"], opened)


def _workers() -> Iterator[Metric]:
    alive = workers_alive()
    taking = [([name], float(number)) for name, number in serving(alive or ()).items()]
    said = "Workers that gave a sign of life, by each queue that they take from"
    yield _gauge("workers", said, ["queue"], [] if alive is None else taking)
    yield _gauge("redis_up", "1 while Redis answers", [], [([], float(alive is not None))])


def _money() -> Iterator[Metric]:
    spend = standing.spend()
    yield _gauge("spend_today_usd", "Known costs of today", [], [([], float(spend.today.amount))])
    yield _gauge("spend_today_unknown", "Exchanges of today whose cost is unknown", [], [([], spend.today.unknown)])
    for name in ("spent", "reserved", "limit"):
        rows = [([str(w.budget_id), w.budget.name], float(getattr(w, name))) for w in spend.budgets]
        yield _gauge(f"budget_{name}_usd", f"Of a budget's period: {name}", ["budget", "name"], rows)


def _tasks() -> Iterator[Metric]:
    found = task_stands()
    well = [([t.name], t.row.succeeded_at.timestamp() if t.row.succeeded_at else None) for t in found]
    yield _gauge("task_succeeded_timestamp_seconds", "When a regular task last went well", ["task"], well)
    yield _gauge(
        "task_due_timestamp_seconds", "When it is due", ["task"], [([t.name], t.row.next_at.timestamp()) for t in found]
    )
    yield _gauge("task_seconds", "How long it took", ["task"], [([t.name], t.row.seconds) for t in found])
    yield _gauge("task_failures", "Failures in a row", ["task"], [([t.name], t.row.failures) for t in found])
    yield _gauge(
        "task_trouble", "1 where it is late or fails", ["task"], [([t.name], float(bool(t.trouble))) for t in found]
    )


# What of it needs a permission beside that to look into the queues, as on the page of operations.
_NEEDS = {_letters: "core.view_call", _money: "core.view_spend"}


def _written() -> list[tuple[str, bytes]]:
    """Each part with the permission that it needs."""
    parts = (_queues, _calls, _letters, _limits, _breakers, _workers, _money, _tasks)
    return [(_NEEDS.get(part, ""), _text_of(part)) for part in parts]


def _text_of(part: Callable[[], Iterator[Metric]]) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Part(part))
    return generate_latest(registry)


_remembered = Remembered(_written, FRESH)
