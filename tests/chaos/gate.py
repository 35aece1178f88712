"""A thousand calls, and an upstream that lets one a second through: does none die, come too early, or wait too long?

`python -m tests.chaos gate` is the literal run of about a quarter of an hour; `tests/jobs/test_rate_limit.py` is the
same scaled down.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db import Error, connection

from core.intake.accept import accept
from core.models import Call, FailedAttempt, Prompt, User
from core.simulator.server import Simulator
from tests.chaos.storm import Processes

# How much longer than the best possible it may take, and seconds for the workers' own beginning and end.
LONGER, OWN = 1.1, 5.0


@dataclass
class Gate:
    """So many calls through a gate that lets `per_minute` pass, `per_minute` of them at once."""

    calls: int
    per_minute: int
    simulator: Simulator
    prompt: Prompt
    person: User
    processes: Processes

    def pass_all(self) -> dict[str, Any]:
        """What came of it. `wrong` lists everything that must not be."""
        version = self.prompt.published
        assert version is not None
        for number in range(self.calls):
            accept(version, {"document": f"Text number {number}.", "length": "short"}, user=self.person)
        connection.close()
        limits = self.simulator.state.limits
        limits.enforce(self.per_minute)
        running = [self.processes.worker() for _ in range(self.processes.workers)]
        try:
            began = time.monotonic()
            self._wait_for_the_end(3 * self._best)
            took = time.monotonic() - began
        finally:
            self.processes.kill(running)
            limits.lift()
        return self._reckoning(took, limits.early, limits.refused)

    @property
    def _best(self) -> float:
        """Seconds that it takes at least: the first minute's worth pass at once."""
        return max(0, self.calls - self.per_minute) * 60 / self.per_minute

    def _wait_for_the_end(self, patience: float) -> None:
        deadline = time.monotonic() + patience + 60
        while time.monotonic() < deadline:
            with suppress(Error):
                if Call.objects.filter(status__in=Call.FINISHED).count() == self.calls:
                    return
            connection.close()
            time.sleep(0.5)

    def _reckoning(self, took: float, early: int, refused: int) -> dict[str, Any]:
        statuses = dict(Counter(Call.objects.values_list("status", flat=True)))
        checks = {
            f"not all calls succeeded: {statuses}": statuses != {Call.Status.SUCCEEDED: self.calls},
            f"{early} came back too early": early > 0,
            f"it took {took:.0f} s, and {self._best:.0f} s would do": took > self._best * LONGER + OWN,
            "not each refusal is among the failed attempts": FailedAttempt.objects.count() != refused,
        }
        return {
            "calls": statuses,
            "a minute": self.per_minute,
            "seconds": round(took, 1),
            "best possible": round(self._best, 1),
            "refused": refused,
            "too early": early,
            "wrong": [words for words, so in checks.items() if so],
        }
