"""A short storm; `make chaos` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from core.intake.keys import make_key
from core.models import Budget, Call, Prompt, User
from core.simulator.server import Simulator
from tests import environment
from tests.chaos.storm import Processes, Storm
from tests.crash.test_killed_workers import address_of_the_tests_database

BLOWS = {"worker SIGKILL", "worker SIGTERM", "web", "Redis kept its data", "Redis lost its data"} | (
    {"PostgreSQL"} if environment.cluster else set()
)


@pytest.mark.django_db(transaction=True)
def test_after_a_short_storm_each_call_has_ended_once_and_the_ledger_is_the_bill(
    prompt: Prompt, member: User, simulator: Simulator, settings: Settings, tmp_path: Path
) -> None:
    simulator.state.clear()
    Budget.objects.create(name="All", scope=Budget.Scope.ORGANISATION, amount=10_000, owner=member)
    with environment.another_redis("chaos") as redis:
        url = f"unix://{redis.unix_socket_path}"
        settings.REDIS_URL = url
        settings.RQ_QUEUES = {name: {**queue, "URL": url} for name, queue in django_settings.RQ_QUEUES.items()}
        storm = Storm(
            calls=60,
            seed=37,
            blows=len(BLOWS),
            processes=Processes(
                address_of_the_tests_database(), url, tmp_path / "processes.log", port=environment.free_port()
            ),
            redis=redis,
            simulator=simulator,
            prompt=prompt,
            key=make_key("Storm", member, by=None)[1],
            cluster=environment.cluster,
            pauses=(0.1, 0.6),
        )

        storm.rage()

    found = storm.reckoning()
    assert found["wrong"] == [], (tmp_path / "processes.log").read_text()[-4000:]
    assert sum(found["calls"].values()) == 60
    assert set(found["calls"]) <= {Call.Status.SUCCEEDED, Call.Status.FAILED, Call.Status.DEAD}
    assert set(found["blows"]) == BLOWS, "each of them once"
