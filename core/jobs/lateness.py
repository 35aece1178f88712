"""Which regular tasks are late or fail, and how does each stand?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from django.utils import timezone

from core.jobs.regular import TASKS, Task, known
from core.models import RegularTask

# Nothing that runs by the clock takes longer when it is well.
LONGEST = dt.timedelta(hours=3)

FINE, RUNNING, LATE, FAILING = "fine", "running", "late", "failing"


@dataclass(frozen=True)
class TaskStand:
    """A regular task with its row, its state, and what is wrong, in a sentence; empty where nothing is."""

    name: str
    task: Task
    row: RegularTask
    state: str
    trouble: str


def task_stands(now: dt.datetime | None = None) -> list[TaskStand]:
    """All regular tasks, in the order of their list."""
    rows, moment = known(), now or timezone.now()
    return [_stand(name, TASKS[name], rows[name], moment) for name in TASKS if name in rows]


def troubled(now: dt.datetime | None = None) -> list[TaskStand]:
    return [stand for stand in task_stands(now) if stand.trouble]


def _stand(name: str, task: Task, row: RegularTask, now: dt.datetime) -> TaskStand:
    for state, holds, says in _STATES:
        if holds(task, row, now):
            return TaskStand(name, task, row, state, says(task, row, now))
    return TaskStand(name, task, row, FINE, "")


def _runs(row: RegularTask, now: dt.datetime) -> bool:
    return row.lease_until is not None and row.lease_until > now


def _says_failing(task: Task, row: RegularTask, _now: dt.datetime) -> str:
    return f"«{task.label}» failed {row.failures} time{'s' if row.failures > 1 else ''} in a row: {row.error}"


def _says_late(task: Task, row: RegularTask, now: dt.datetime) -> str:
    return f"«{task.label}» should have run {_ago(now - row.next_at)} ago."


def _says_long(task: Task, row: RegularTask, now: dt.datetime) -> str:
    return f"«{task.label}» has been running for {_ago(now - (row.started_at or now))}."


def _ago(span: dt.timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"


_Holds = Callable[[Task, RegularTask, dt.datetime], bool]
_Says = Callable[[Task, RegularTask, dt.datetime], str]
_STATES: list[tuple[str, _Holds, _Says]] = [
    (LATE, lambda _t, row, now: _runs(row, now) and now - (row.started_at or now) > LONGEST, _says_long),
    (FAILING, lambda task, row, _now: row.failures > task.forgiven, _says_failing),
    (RUNNING, lambda _t, row, now: _runs(row, now), lambda *_: ""),
    (LATE, lambda task, row, now: now > row.next_at + task.grace, _says_late),
]
