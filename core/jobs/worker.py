"""Which kind of RQ worker runs the jobs? One process per job, forked from one that has the SDK in memory."""

from __future__ import annotations

from typing import Any

from django.db import connections
from rq import Worker
from rq.job import Job
from rq.queue import Queue

from core.claude import client


class CallWorker(Worker):
    def work(self, *args: Any, **kwargs: Any) -> bool:
        # 1.3 s once, instead of for each call.
        client.preload()
        return bool(super().work(*args, **kwargs))

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        # A connection shared by parent and child would be closed, or worse, used, by both.
        for connection in connections.all(initialized_only=True):
            connection.close()
            if hasattr(connection, "close_pool"):
                connection.close_pool()
        super().fork_work_horse(job, queue)
